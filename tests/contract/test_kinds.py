"""Our kinds on the API server: each rule refuses what it should, says the fix, and accepts the rest."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from touchstone_operator import crds

PATH = "/apis/touchstone.dev/v1alpha1"
GONE = object()

SUITE = {"name": "golden", "task": "question-answering", "dataset": {"uri": "file:///items.jsonl"}}
CRITERION = {
    "name": "floor",
    "metric": "golden/contains",
    "absolute": {"operator": "GreaterOrEqual", "value": "0.5"},
    "relative": {"maxRegression": "0.05", "confidence": "0.9"},
}
EVALUATION = {"suites": [SUITE], "criteria": [CRITERION], "execution": {"maxErrorRatio": "0.1"}}
ROLE = {"scaling": {"minReplicas": 2, "maxReplicas": 3, "idleReplicas": 1}}
BASES: dict[str, dict[str, Any]] = {
    "ModelDeployment": {
        "model": {"uri": "file:///model.gguf"},
        "prompt": {"configMapKeyRef": {"name": "prompts", "key": "a.yaml"}},
        "rag": {"indexRef": {"name": "kb"}, "revisionPolicy": "Pinned", "revision": "kb-1"},
        "adapters": [{"name": "tone", "source": {"type": "URI", "uri": "file:///a"}}],
        "engine": {"type": "LlamaCpp", "args": {"threads": "1"}},
        "serving": {
            "mode": "Aggregated",
            "aggregated": {**ROLE, "podTemplate": {"env": [{"name": "A", "value": "b"}]}},
        },
        "cache": {"type": "PVC", "pvc": {"claimName": "weights"}},
        "tracing": {"samplingRatio": "0.5"},
        "rollout": {
            "strategy": "Canary",
            "steps": [{"setWeight": 0, "gates": ["quality"]}, {"setWeight": 50, "gates": ["live"]}],
            "gates": [
                {"name": "quality", "evalRunTemplate": {"spec": EVALUATION}},
                {"name": "live", "type": "Metrics", "criteria": [{"metric": "error_rate", "value": "0.01"}]},
            ],
        },
    },
    "RagIndex": {
        "store": {"type": "Embedded"},
        "embedding": {"model": {"uri": "file:///m"}, "tokenizer": {"uri": "file:///t"}, "dimensions": 384},
        "sources": [{"name": "docs", "uri": "git+https://example.org/docs.git"}],
        "chunking": {"maxTokens": 64, "overlapTokens": 8},
        "schedule": "0 */6 * * *",
        "update": {"maxDeleteRatio": "0.5"},
        "promotion": {"gates": [{"name": "recall", "evalRunTemplate": {"spec": EVALUATION}}]},
    },
    "FinetuneJob": {
        "baseModel": {"uri": "file:///base"},
        "method": {"type": "LoRA", "lora": {"dropout": "0.05"}},
        "dataset": {"uri": "file:///data", "format": "ChatML", "validationSplit": "0.1"},
        "hyperparameters": {"epochs": 2},
        "output": {"uri": "file:///out"},
    },
    "EvalRun": {
        **EVALUATION,
        "subject": {"type": "ModelDeployment", "modelDeploymentRef": {"name": "chat"}},
        "baseline": {"type": "Revision"},
        "outputs": {"logSamples": False},
    },
    "ModelSelection": {
        "candidates": [
            {"name": "small", "modelDeploymentRef": {"name": "small"}, "attributes": {"licence": "MIT"}},
            {"name": "large", "modelDeploymentRef": {"name": "large"}, "attributes": {"licence": "Apache-2.0"}},
        ],
        "requirements": [{"attribute": "licence", "oneOf": ["MIT", "Apache-2.0"]}],
        "evalRunTemplate": {
            "spec": {
                "suites": EVALUATION["suites"],
                "criteria": [
                    {
                        "name": "floor",
                        "metric": "golden/contains",
                        "absolute": {"operator": "GreaterOrEqual", "value": "0.5"},
                    }
                ],
            }
        },
        "objectives": [{"metric": "golden/contains", "maxRegression": "0.02"}, {"metric": "golden/answer_price"}],
    },
}
ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    *((kind, {}) for kind in BASES),
    ("ModelDeployment", {"adapters": GONE, "engine.type": "External", "model.uri": "https://api.example.org"}),
    ("ModelDeployment", {"serving": {"mode": "Disaggregated", "prefill": {}, "decode": ROLE, "kvTransfer": {}}}),
    ("ModelDeployment", {"rollout": {"strategy": "BlueGreen", "steps": [{"setWeight": 0}, {"setWeight": 100}]}}),
    ("ModelDeployment", {"rag": {"indexRef": {"name": "kb"}}}),
    ("ModelDeployment", {"defaultAdapter": "tone"}),
    ("ModelDeployment", {"adapters.0.source": {"type": "FinetuneJob", "finetuneJobRef": {"name": "tune"}}}),
    ("ModelDeployment", {"model": {"finetuneJobRef": {"name": "merged"}}}),
    ("RagIndex", {"store": {"type": "Qdrant", "qdrant": {"url": "http://qdrant:6334"}}}),
    ("RagIndex", {"embedding": {"type": "ModelDeployment", "modelDeploymentRef": {"name": "e"}, "dimensions": 8}}),
    ("ModelDeployment", {"model": {"uri": "hf://org/chat/q4.gguf", "revision": "abc123"}}),
    ("ModelDeployment", {"model": {"uri": "s3://models/chat", "revision": f"sha256:{'a' * 64}"}}),
    (
        "ModelDeployment",
        {
            "adapters": GONE,
            "engine.type": "External",
            "model": {"uri": "https://api.example.org", "revision": "2026-01"},
        },
    ),
    ("FinetuneJob", {"baseModel": {"uri": "hf://org/base", "revision": "abc123"}}),
    ("FinetuneJob", {"method": {"type": "FullSFT"}}),
    (
        "FinetuneJob",
        {
            "dataset": {
                "format": "ChatML",
                "pipeline": {
                    "sources": [{"name": "s", "uri": "file:///s"}],
                    "steps": [{"name": "paraphrase", "parameters": {"model": "writer"}}],
                    "models": [{"name": "writer", "modelDeploymentRef": {"name": "chat"}}],
                },
            },
        },
    ),
    (
        "FinetuneJob",
        {
            "dataset": GONE,
            "method": {
                "type": "Merge",
                "merge": {
                    "type": "Linear",
                    "models": [{"name": "a", "uri": "file:///a"}, {"name": "b", "uri": "file:///b"}],
                },
            },
        },
    ),
    ("EvalRun", {"subject": {"type": "RagIndex", "ragIndexRef": {"name": "kb"}}}),
    ("EvalRun", {"suites.0": {"name": "golden", "task": "load", "load": {"requests": 5}}}),
]
CHAT, INDEX, TUNE, EVAL, SELECT = "ModelDeployment", "RagIndex", "FinetuneJob", "EvalRun", "ModelSelection"
COMMIT = "revision must be a digest"
KEYS = "remove credentialsSecretRef: only hf://, s3://, oci:// take the keys of a Secret"
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (CHAT, {"engine.type": "External"}, "remove adapters"),
    (CHAT, {"adapters": GONE, "engine.type": "External", "serving": {"mode": "Disaggregated", "prefill": {}, "decode": {},
            "kvTransfer": {}}}, "an External engine has no roles"),
    (CHAT, {"model.uri": "ftp://x"}, "uri must begin with hf://, s3://, gs://, oci://"),
    (CHAT, {"model": {"uri": "pvc://x", "credentialsSecretRef": {"name": "s"}}}, "remove credentialsSecretRef"),
    (CHAT, {"model.finetuneJobRef": {"name": "tune"}}, "set exactly one of uri and finetuneJobRef"),
    (CHAT, {"model": {}}, "set exactly one of uri and finetuneJobRef"),
    (CHAT, {"model": {"finetuneJobRef": {"name": "tune"}, "revision": "main"}}, "remove revision: a FinetuneJob's"),
    (CHAT, {"model": {"uri": "s3://models/chat", "revision": "abc123"}}, COMMIT),
    (CHAT, {"model": {"uri": "hf://org/chat@abc123", "revision": "def456"}}, COMMIT),
    (CHAT, {"adapters.0.source.revision": "abc123"}, COMMIT),
    (CHAT, {"adapters.0.source": {"type": "FinetuneJob", "finetuneJobRef": {"name": "tune"}, "revision": "abc123"}},
     "remove revision: a FinetuneJob's"),
    (CHAT, {"adapters.0.source": {"type": "FinetuneJob"}}, "set finetuneJobRef"),
    (CHAT, {"adapters.0.source": {"type": "URI"}}, "set uri for type URI"),
    (CHAT, {"adapters.0.name": "none"}, "choose another name: requests say none"),
    (CHAT, {"defaultAdapter": "absent"}, "defaultAdapter must be the name of one of adapters"),
    (CHAT, {"adapters": GONE, "defaultAdapter": "tone"}, "defaultAdapter must be the name of one of adapters"),
    (CHAT, {"rag.revision": GONE}, "set revision, or set revisionPolicy"),
    (CHAT, {"engine.args.port": "1"}, "remove arguments that the operator sets"),
    (CHAT, {"serving.mode": "Disaggregated"}, "set prefill and decode"),
    (CHAT, {"serving.aggregated": GONE}, "set aggregated for mode"),
    (CHAT, {"serving": {"mode": "Disaggregated", "prefill": {}, "decode": {}}}, "set kvTransfer"),
    (CHAT, {"serving.aggregated.replicas": 1}, "set replicas or scaling"),
    (CHAT, {"serving.aggregated.scaling.minReplicas": 4}, "minReplicas must not exceed"),
    (CHAT, {"serving.aggregated.scaling.idleReplicas": 2}, "idleReplicas must be less"),
    (CHAT, {"serving.aggregated.podTemplate.env.0": {"name": "A"}}, "set exactly one of value and valueFrom"),
    (CHAT, {"cache.pvc": GONE}, "set pvc for type PVC"),
    (CHAT, {"tracing.samplingRatio": "1.5"}, "samplingRatio must lie"),
    (CHAT, {"rollout.steps.0.gates": ["nothing"]}, "each name in steps[].gates"),
    (CHAT, {"rollout.steps.0.setWeight": 60}, "the weights of steps must not fall"),
    (CHAT, {"rollout.strategy": "BlueGreen"}, "only a Canary has weights"),
    (CHAT, {"rollout": {"strategy": "Recreate", "bakeSeconds": 5, "revisionHistoryLimit": 0}}, "set revisionHistoryLimit"),
    (CHAT, {"rollout.gates.0.evalRunTemplate": GONE}, "set evalRunTemplate"),
    (CHAT, {"rollout.gates.1.criteria": GONE}, "set criteria for a gate of type Metrics"),
    (CHAT, {"price": {"currency": "USD"}}, "set exactly one of tokens and perReplicaHour"),
    (CHAT, {"price": {"currency": "USD", "perReplicaHour": "-1"}}, "perReplicaHour must be 0 or more"),
    (CHAT, {"price": {"currency": "USD", "tokens": {"inputPerMillion": "1", "outputPerMillion": "-1"}}},
     "a price must be 0 or more"),
    (INDEX, {"schedule": "sometimes"}, "schedule must be a cron line"),
    (INDEX, {"store.type": "Qdrant"}, "set qdrant for type Qdrant"),
    (INDEX, {"embedding.model": GONE}, "set model and tokenizer"),
    (INDEX, {"embedding.type": "ModelDeployment", "embedding.model": GONE}, "set modelDeploymentRef for type"),
    (INDEX, {"sources.0.uri": "ftp://x"}, "uri must begin with file://, pypi://, http://, https://, git"),
    (INDEX, {"chunking.overlapTokens": 64}, "overlapTokens must be less"),
    (INDEX, {"update.maxDeleteRatio": "2"}, "maxDeleteRatio must lie"),
    (INDEX, {"promotion.gates.0": {"name": "g", "type": "Metrics", "criteria": [{"metric": "error_rate", "value": "1"}]}},
     "gates of an index are of type EvalRun"),
    (TUNE, {"baseModel.revision": "abc123"}, COMMIT),
    (TUNE, {"baseModel": {"uri": "hf://org/base", "revision": "refs/pr/1"}}, COMMIT),
    (TUNE, {"method": {"type": "LoRA"}}, "set lora for type LoRA"),
    (TUNE, {"method.type": "FullSFT"}, "remove lora"),
    (TUNE, {"method.lora.dropout": "1"}, "dropout must be"),
    (TUNE, {"hyperparameters.learningRate": "0"}, "learningRate must be above 0"),
    (TUNE, {"dataset.validationSplit": "0.6"}, "validationSplit must lie"),
    (TUNE, {"dataset.uri": GONE}, "set exactly one of uri and pipeline"),
    (TUNE, {"dataset": {"format": "ChatML", "digest": f"sha256:{'0' * 64}",
            "pipeline": {"sources": [{"name": "s", "uri": "file:///s"}], "steps": [{"name": "length"}]}}}, "remove digest, or set uri"),
    (TUNE, {"baseModel": {"uri": "gs://models/base/", "credentialsSecretRef": {"name": "s"}}}, KEYS),
    (TUNE, {"dataset.credentialsSecretRef": {"name": "s"}, "dataset.uri": "file:///a.jsonl"}, KEYS),
    (TUNE, {"output": {"uri": "file:///out", "credentialsSecretRef": {"name": "s"}}}, KEYS),
    (TUNE, {"dataset.format": "Preference"}, "set dataset.format to ChatML or Alpaca"),
    (TUNE, {"method": {"type": "DPO"}}, "set dataset.format to Preference"),
    (TUNE, {"method": {"type": "ContinuedPretraining"}}, "set dataset.format to Text"),
    (TUNE, {"dataset": GONE}, "set dataset, and leave it out for type Merge"),
    (TUNE, {"method": {"type": "Merge"}}, "set merge for type Merge"),
    (TUNE, {"method": {"type": "Merge", "merge": {"type": "SLERP", "models": [{"name": "a", "uri": "file:///a"}]}}},
     "SLERP takes two models"),
    (TUNE, {"method": {"type": "Merge", "merge": {"type": "TIES", "models": [
        {"name": "a", "uri": "file:///a", "density": "0"}]}}}, "density must be above 0"),
    (TUNE, {"output.uri": "http://x"}, "uri must begin with oci://"),
    (TUNE, {"output.uri": "pvc://claim/tone"}, "uri must begin with oci://"),
    (EVAL, {"criteria.0.required": False}, "at least one criterion must be required"),
    (EVAL, {"criteria.0.metric": "other/contains"}, "each criterion's metric must begin"),
    (EVAL, {"suites.0.task": "load"}, "set load for the task"),
    (EVAL, {"suites.0.dataset": GONE}, "set dataset: this task"),
    (EVAL, {"suites.0.dataset.credentialsSecretRef": {"name": "s"}}, KEYS),
    (EVAL, {"suites.0.weight": "-1"}, "weight must be 0 or more"),
    (EVAL, {"suites.0.calibration": {"suite": "other", "atLeast": "0.6"}}, "calibration is of judges"),
    (EVAL, {"suites.0.judges": [{"name": "j", "modelDeploymentRef": {"name": "judge"}}],
            "suites.0.calibration": {"suite": "other", "atLeast": "0.6"}}, "calibration.suite must name a suite of the run"),
    (EVAL, {"suites.0.dataset.uri": "ftp://x"}, "uri must begin with file://, pypi://, s3://"),
    (EVAL, {"suites.0.sampling": {"temperature": "3"}}, "temperature must lie"),
    (EVAL, {"suites.0": {"name": "golden", "task": "load", "load": {}}}, "set exactly one of requests"),
    (EVAL, {"criteria.0.absolute": GONE, "criteria.0.relative": GONE}, "set absolute, relative or both"),
    (EVAL, {"criteria.0.relative": {}}, "set maxRegression, minImprovement"),
    (EVAL, {"criteria.0.relative.maxRegression": "-1"}, "maxRegression must be 0"),
    (EVAL, {"criteria.0.relative.confidence": "1"}, "confidence must lie"),
    (EVAL, {"execution.maxErrorRatio": "2"}, "maxErrorRatio must lie"),
    (EVAL, {"baseline": GONE}, "set baseline: a relative criterion"),
    (EVAL, {"subject.modelDeploymentRef": GONE}, "set modelDeploymentRef for type"),
    (EVAL, {"subject": {"type": "RagIndex"}}, "set ragIndexRef for type"),
    (EVAL, {"baseline": {"type": "None", "revision": "x"}, "criteria.0.relative": GONE}, "remove revision, or set type"),
    (SELECT, {"requirements.0": {"attribute": "licence"}}, "set oneOf for a text, or atLeast and atMost"),
    (SELECT, {"requirements.0.atLeast": "1"}, "set oneOf for a text, or atLeast and atMost"),
    (SELECT, {"objectives.0.metric": "other/contains"}, "each objective's metric must begin"),
    (SELECT, {"objectives.0.maxRegression": "-1"}, "maxRegression must be 0 or more"),
    (SELECT, {"objectives.0.confidence": "1"}, "confidence must lie"),
    (SELECT, {"evalRunTemplate.spec.criteria.0.relative": {"maxRegression": "0.1"}}, "remove relative from the criteria"),
]  # fmt: skip
CHANGED: list[tuple[str, dict[str, Any], str]] = [
    (INDEX, {"store": {"type": "Qdrant", "qdrant": {"url": "http://q"}}}, "store.type cannot be changed"),
    (TUNE, {"baseModel.uri": "file:///other"}, "baseModel cannot be changed"),
    (TUNE, {"method.lora.dropout": "0.1"}, "method cannot be changed"),
    (TUNE, {"dataset.uri": "file:///other"}, "dataset cannot be changed"),
    (TUNE, {"output.uri": "file:///other"}, "output cannot be changed"),
    (TUNE, {"hyperparameters.epochs": 3}, "hyperparameters cannot be changed"),
    (TUNE, {"resources": {"cpu": "4"}}, "resources cannot be changed"),
    (TUNE, {"queue": "large"}, "queue cannot be changed"),
    (TUNE, {"checkpoint": {"uri": "file:///checkpoints"}}, "checkpoint cannot be changed"),
    (TUNE, {"activeDeadlineSeconds": 60}, "activeDeadlineSeconds cannot be changed"),
    (TUNE, {"backoffLimit": 0}, "backoffLimit cannot be changed"),
    (TUNE, {"preemptionLimit": 0}, "preemptionLimit cannot be changed"),
    (TUNE, {"evaluation": {"modelDeploymentRef": {"name": "chat"}, "evalRunTemplate": {"spec": EVALUATION}}},
     "evaluation cannot be changed"),
    (EVAL, {"subject.modelDeploymentRef.name": "other"}, "subject cannot be changed"),
    (EVAL, {"suites.0.dataset.limit": 3}, "suites cannot be changed"),
    (EVAL, {"criteria.0.minSamples": 3}, "criteria cannot be changed"),
    (EVAL, {"baseline.revision": "x"}, "baseline cannot be changed"),
    (EVAL, {"execution": GONE}, "execution cannot be changed"),
    (EVAL, {"outputs.logSamples": True}, "outputs cannot be changed"),
    (EVAL, {"reuse": {"allow": False}}, "reuse cannot be changed"),
    (EVAL, {"activeDeadlineSeconds": 60}, "activeDeadlineSeconds cannot be changed"),
    (EVAL, {"backoffLimit": 0}, "backoffLimit cannot be changed"),
    (SELECT, {"candidates.0.attributes": GONE}, "candidates cannot be changed"),
    (SELECT, {"requirements": GONE}, "requirements cannot be changed"),
    (SELECT, {"objectives.0.maxRegression": "0.5"}, "objectives cannot be changed"),
    (SELECT, {"evalRunTemplate.spec.backoffLimit": 5}, "evalRunTemplate cannot be changed"),
]  # fmt: skip
NAMED = "metadata.name must have at most 40 characters"


def plural(kind: str) -> str:
    return next(d["spec"]["names"]["plural"] for d in crds.documents() if d["spec"]["names"]["kind"] == kind)


def changed(spec: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of a spec with some places changed or gone."""
    result = copy.deepcopy(spec)
    for place, value in changes.items():
        *way, last = place.split(".")
        inner: Any = result
        for part in way:
            inner = inner[int(part)] if isinstance(inner, list) else inner[part]
        if isinstance(inner, list):
            inner[int(last)] = value
        elif value is GONE:
            del inner[last]
        else:
            inner[last] = value
    return result


def body(kind: str, changes: dict[str, Any], name: str = "one") -> dict[str, Any]:
    spec = changed(BASES[kind], changes)
    return {"apiVersion": "touchstone.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@pytest.fixture
async def kinds(api: Any, eventually: Any) -> Any:
    """The API of a cluster that has our kinds."""
    for document in crds.documents():
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        created = await api.ask("POST", path, document)
        assert created.status in (201, 409), created.body

    async def are_served() -> bool:
        answers = [
            await api.ask("GET", f"{PATH}/{document['spec']['names']['plural']}") for document in crds.documents()
        ]
        return all(answer.status == 200 for answer in answers)

    await eventually(are_served)
    return api


def collection(api: Any, kind: str) -> str:
    return f"{PATH}/namespaces/{api.namespace}/{plural(kind)}"


async def test_what_is_right_is_accepted(kinds: Any) -> None:
    for kind, changes in ACCEPTED:
        answer = await kinds.ask("POST", collection(kinds, kind), body(kind, changes), dryRun="All")
        assert answer.status == 201, (kind, changes, answer.body["message"])


async def test_each_rule_refuses_what_is_wrong_and_says_the_fix(kinds: Any) -> None:
    for kind, changes, message in REFUSED:
        answer = await kinds.ask("POST", collection(kinds, kind), body(kind, changes), dryRun="All")
        assert answer.status == 422, (kind, changes)
        assert message in answer.body["message"], (message, answer.body["message"])


async def test_what_must_not_change_cannot_be_changed(kinds: Any) -> None:
    for kind in (INDEX, TUNE, EVAL, SELECT):
        await kinds.ok("POST", collection(kinds, kind), body(kind, {}))
    for kind, changes, message in CHANGED:
        answer = await try_a_change(kinds, kind, changes)
        assert answer.status == 422, (kind, changes, answer.body["message"])
        assert message in answer.body["message"], (message, answer.body["message"])
    suspended = {"suspend": True}
    for kind, changes in (
        *((kind, suspended) for kind in (TUNE, EVAL, SELECT)), *((kind, {"ttlSecondsAfterFinished": 9}) for kind in (TUNE, EVAL)),
        (TUNE, {"priority": 9}),
    ):  # fmt: skip
        answer = await try_a_change(kinds, kind, changes)
        assert answer.status == 200, (kind, changes, answer.body["message"])


async def try_a_change(api: Any, kind: str, changes: dict[str, Any]) -> Any:
    """Put an object with changes, without storing it; read it again at a conflict, as clients have to."""
    path = f"{collection(api, kind)}/one"
    for _ in range(5):
        stored = await api.ok("GET", path)
        answer = await api.ask("PUT", path, {**stored, "spec": changed(stored["spec"], changes)}, dryRun="All")
        if answer.status != 409:
            break
    return answer


@pytest.mark.parametrize("kind", [CHAT, INDEX, SELECT])
async def test_a_name_that_leaves_no_room_for_children_is_refused(kinds: Any, kind: str) -> None:
    for name in ("x" * 41, "9to5"):
        answer = await kinds.ask("POST", collection(kinds, kind), body(kind, {}, name), dryRun="All")
        assert answer.status == 422
        assert NAMED in answer.body["message"]


async def test_defaults_are_filled_in_and_unknown_fields_are_pruned(kinds: Any) -> None:
    created = await kinds.ok("POST", collection(kinds, EVAL), body(EVAL, {"subject.typo": 1, "suites.0.weight": "2"}))
    assert "typo" not in created["spec"]["subject"]
    assert created["spec"]["activeDeadlineSeconds"] == 3600
    assert created["spec"]["suites"][0]["dataset"]["format"] == "JSONLines"
    assert "status" not in created


async def test_how_many_candidates_run_at_once_is_not_for_a_manifest_to_say(kinds: Any) -> None:
    asked = body(CHAT, {"rollout.maxSurge": 3})
    answer = await kinds.ask("POST", collection(kinds, CHAT), asked, dryRun="All", fieldValidation="Strict")
    assert answer.status == 400
    assert 'unknown field "spec.rollout.maxSurge"' in answer.body["message"]


def rule_messages() -> Iterator[str]:
    def walk(schema: dict[str, Any]) -> Iterator[str]:
        yield from (rule["message"] for rule in schema.get("x-kubernetes-validations", ()))
        for part in (*schema.get("properties", {}).values(), *(schema[k] for k in ("items",) if k in schema)):
            yield from walk(part)

    for document in crds.documents():
        yield from walk(document["spec"]["versions"][0]["schema"]["openAPIV3Schema"])


def test_every_rule_has_a_case_that_it_refuses() -> None:
    tried = [message for _, _, message in (*REFUSED, *CHANGED)] + [NAMED]
    untried = {message for message in rule_messages() if not any(start in message for start in tried)}
    assert untried == set()
