"""A small world for reconcilers: a cluster that behaves, a kubelet, an evaluation service with verdicts, a clock.

The cluster keeps uid, generation, resourceVersion, the status subresource and owner references as a real one does. It
can be told to fail right after its n-th write, as if the operator had been killed there.
"""

import asyncio
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
import yaml
from touchstone_operator import errors, objects
from touchstone_operator.api.finetunejob import DatasetModel, DatasetStatus
from touchstone_operator.api.ragindex import IndexRevisionStatus, RagIndexSpec
from touchstone_operator.objects import JsonObject, Key, Kind
from touchstone_operator.plan.workload import Platform
from touchstone_operator.ports import (
    BuildReport,
    LiveMetrics,
    Moved,
    Outside,
    PipelineReport,
    PipelineRequest,
    Reached,
    RunReport,
    RunRequest,
    SelectionReport,
    SelectionRequest,
    StoredIndex,
    TrainingReport,
    TrainingRequest,
)
from touchstone_operator.reconcile.evalruns import EvalRuns
from touchstone_operator.reconcile.finetunejobs import FinetuneJobs
from touchstone_operator.reconcile.modeldeployments import ModelDeployments
from touchstone_operator.reconcile.modelselections import ModelSelections
from touchstone_operator.reconcile.ragindexes import RagIndexes
from touchstone_runtime.revisions import Digest, digest_bytes
from touchstone_runtime.testing import FakeClock

NAMESPACE = "default"


def rag_index(**changes: Any) -> JsonObject:
    """The spec of an index of one source."""
    return {
        "store": {"type": "Embedded"},
        "embedding": {
            "model": {"uri": f"file:///model#sha256={'a' * 64}"},
            "tokenizer": {"uri": f"file:///tokenizer#sha256={'b' * 64}"},
            "dimensions": 384,
        },
        "sources": [{"name": "docs", "uri": "file:///docs"}],
        **changes,
    }


class Killed(Exception):
    """The operator was killed."""


class FakeCluster:
    def __init__(self, now: Callable[[], datetime]) -> None:
        self.objects: dict[tuple[str, str, str], JsonObject] = {}
        self.forbidden: dict[str, Exception] = {}
        """What is answered to who reads an object of a kind that he may not."""
        self.writes = 0
        self.kill_after: int | None = None
        self._now = now
        self._version = 0

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        if kind.name in self.forbidden:
            raise self.forbidden[kind.name]
        return copy.deepcopy(self.objects.get((kind.name, namespace, name)))

    async def list(self, kind: Kind, namespace: str, *, labels: Mapping[str, str] | None = None) -> list[JsonObject]:
        wanted = dict(labels or {})
        return [
            copy.deepcopy(obj)
            for (name, where, _), obj in sorted(self.objects.items())
            if name == kind.name
            and namespace in ("", where)
            and wanted.items() <= obj["metadata"].get("labels", {}).items()
        ]

    async def apply(self, kind: Kind, obj: JsonObject) -> None:
        key = self._key(kind, obj)
        if key not in self.objects:
            self._add(kind, obj)
        else:
            kept = {"status": self.objects[key].get("status")} if "status" in self.objects[key] else {}
            self._change(key, {**obj, **kept})
        self._written()

    async def create(self, kind: Kind, obj: JsonObject) -> bool:
        if self._key(kind, obj) in self.objects:
            return False
        self._add(kind, obj)
        self._written()
        return True

    async def patch_status(self, kind: Kind, obj: JsonObject, patch: JsonObject) -> JsonObject:
        return self._patch(kind, obj, {"status": patch})

    async def patch_metadata(self, kind: Kind, obj: JsonObject, patch: JsonObject) -> JsonObject:
        return self._patch(kind, obj, {"metadata": patch})

    async def delete(self, kind: Kind, obj: JsonObject) -> None:
        key = self._key(kind, obj)
        if key in self.objects:
            del self.objects[key]
            uid = obj["metadata"]["uid"]
            for other, child in list(self.objects.items()):
                if any(owner["uid"] == uid for owner in child["metadata"].get("ownerReferences", ())):
                    del self.objects[other]
            self._written()

    def put_spec(self, kind: Kind, name: str, spec: JsonObject) -> None:
        """A user applies a spec."""
        obj = {"apiVersion": kind.api_version, "kind": kind.name, "metadata": {"name": name, "namespace": NAMESPACE}}
        key = self._key(kind, obj)
        if key in self.objects:
            self._change(key, {**self.objects[key], "spec": copy.deepcopy(spec)})
        else:
            self._add(kind, {**obj, "spec": copy.deepcopy(spec)})

    def ask_to_go(self, kind: Kind, name: str) -> None:
        """A user deletes an object; finalizers hold it."""
        key = (kind.name, NAMESPACE, name)
        obj = self.objects[key]
        if obj["metadata"].get("finalizers"):
            obj["metadata"]["deletionTimestamp"] = self._now().strftime("%Y-%m-%dT%H:%M:%SZ")
            self._bump(obj)
        else:
            del self.objects[key]

    def set_status(self, kind: Kind, name: str, status: JsonObject) -> None:
        """A controller writes a status."""
        self.objects[kind.name, NAMESPACE, name]["status"] = status
        self._bump(self.objects[kind.name, NAMESPACE, name])

    def _patch(self, kind: Kind, obj: JsonObject, patch: JsonObject) -> JsonObject:
        key = self._key(kind, obj)
        found = self.objects.get(key)
        if found is None or found["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
            raise errors.StaleObject(f"patch of {key}")
        self.objects[key] = changed = _merged(found, patch)
        self._bump(changed)
        metadata = changed["metadata"]
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            del self.objects[key]
        self._written()
        return copy.deepcopy(changed)

    def _key(self, kind: Kind, obj: JsonObject) -> tuple[str, str, str]:
        return kind.name, obj["metadata"]["namespace"], obj["metadata"]["name"]

    def _add(self, kind: Kind, obj: JsonObject) -> None:
        stored = copy.deepcopy(obj)
        stored["metadata"] |= {
            "uid": f"uid-{self._version}",
            "generation": 1,
            "creationTimestamp": self._now().strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self._bump(stored)
        self.objects[self._key(kind, obj)] = stored

    def _change(self, key: tuple[str, str, str], wanted: JsonObject) -> None:
        found = self.objects[key]
        generation = found["metadata"]["generation"] + (found.get("spec") != wanted.get("spec"))
        metadata = {**found["metadata"], **wanted["metadata"], "generation": generation}
        self.objects[key] = {**copy.deepcopy(wanted), "metadata": metadata}
        self._bump(self.objects[key])

    def _bump(self, obj: JsonObject) -> None:
        self._version += 1
        obj["metadata"]["resourceVersion"] = str(self._version)

    def _written(self) -> None:
        self.writes += 1
        if self.kill_after is not None and self.writes >= self.kill_after:
            self.kill_after = None
            raise Killed


def _merged(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result


class FakeEvaluation:
    """Runs finish at the second look, with the verdict that is set for the subject's prompt."""

    def __init__(self) -> None:
        self.requests: dict[str, RunRequest] = {}
        self.looks: dict[str, int] = {}
        self.cancelled: set[str] = set()
        self.verdict: Callable[[RunRequest], str] = lambda _: "Passed"
        self.selections: dict[str, SelectionRequest] = {}
        self.selection_failure = ""
        self.is_away = False
        """Whether it makes no choices."""

    async def start(self, request: RunRequest) -> RunReport:
        self.requests.setdefault(request.dispatch_id, request)
        return RunReport(state="Pending")

    async def get(self, dispatch_id: str) -> RunReport:
        if dispatch_id not in self.requests:
            raise errors.RunNotFound(dispatch_id)
        self.looks[dispatch_id] = self.looks.get(dispatch_id, 0) + 1
        if self.looks[dispatch_id] < 2:
            return RunReport(state="Running")
        request = self.requests[dispatch_id]
        verdict = self.verdict(request)
        criteria = [{"name": c.name, "verdict": verdict, "samples": 40} for c in request.spec.criteria]
        return RunReport(
            state="Completed", verdict=verdict, results={"message": f"It is {verdict}.", "criteria": criteria}
        )

    async def cancel(self, dispatch_id: str) -> None:
        self.cancelled.add(dispatch_id)

    async def select(self, request: SelectionRequest) -> SelectionReport:
        """Choose the first candidate whose run passed; at the second look, as if a worker had to do it."""
        if self.is_away:
            raise errors.PeerUnavailable("evaluation", "it is away")
        is_new = request.selection_id not in self.selections
        self.selections[request.selection_id] = request
        if is_new:
            return SelectionReport(state="Pending")
        if self.selection_failure:
            return SelectionReport(state="Failed", message=self.selection_failure)
        passed = [name for name, run in request.candidates.items() if self.verdict(self.requests[run]) == "Passed"]
        order = passed + [name for name in (*request.candidates, *request.excluded) if name not in passed]
        candidates = [
            {
                "name": name,
                "place": place if name in passed else None,
                "message": request.excluded.get(name, "so it came."),
            }
            | ({"revision": self.requests[request.candidates[name]].subjects.subject.name} if name in passed else {})
            for place, name in enumerate(order, start=1)
        ]
        chosen = passed[0] if passed else None
        results = {"chosen": chosen, "message": f"{chosen or 'Nobody'} it is.", "candidates": candidates}
        return SelectionReport(state="Completed", results=results)


class FakeRetrieval:
    """Builds finish at the second look. What the sources hold is a number of documents; the same is the same revision."""

    def __init__(self) -> None:
        self.documents = 100
        self.failure: tuple[str, str] | None = None
        """Reason and message of builds that fail."""
        self.is_away = False
        self.builds: dict[str, tuple[str, int]] = {}
        """The index and the documents of each build that was started, by dispatch id."""
        self.looks: dict[str, int] = {}
        self.cancelled: set[str] = set()
        self.stored: dict[str, StoredIndex] = {}
        self.activations: list[str] = []

    async def start_build(self, dispatch_id: str, index: str, spec: RagIndexSpec) -> BuildReport:
        self._answer()
        self.builds.setdefault(dispatch_id, (index, self.documents + (spec.chunking.max_tokens or 0) * 1000))
        return BuildReport(state="Pending")

    async def get_build(self, dispatch_id: str) -> BuildReport:
        self._answer()
        if dispatch_id not in self.builds:
            raise errors.BuildNotFound(dispatch_id)
        self.looks[dispatch_id] = self.looks.get(dispatch_id, 0) + 1
        if dispatch_id in self.cancelled:
            return BuildReport(state="Cancelled")
        if self.looks[dispatch_id] < 2:
            return BuildReport(state="Running", stage="Embedding", documents_total=self.documents)
        if self.failure:
            return BuildReport(state="Failed", error_reason=self.failure[0], error_message=self.failure[1])
        index, content = self.builds[dispatch_id]
        name = f"kb-{content:010d}"
        known = self.stored.get(index, StoredIndex())
        if name not in known.revisions:
            self.stored[index] = replace(known, revisions=(*known.revisions, name))
        revision = IndexRevisionStatus(
            name=name, digest=f"sha256:{content:064d}", documents=content % 1000, chunks=content % 1000,
            built_at="2026-01-01T00:00:00Z",
        )  # fmt: skip
        return BuildReport(state="Succeeded", revision=revision)

    async def cancel_build(self, dispatch_id: str) -> None:
        self._answer()
        self.cancelled.add(dispatch_id)

    async def get_index(self, index: str) -> StoredIndex:
        self._answer()
        return self.stored.get(index, StoredIndex())

    async def activate(self, index: str, revision: str) -> None:
        self._answer()
        assert revision in self.stored[index].revisions
        self.stored[index] = replace(self.stored[index], active_revision=revision)
        self.activations.append(revision)

    async def delete_revision(self, index: str, revision: str) -> None:
        self._answer()
        known = self.stored[index]
        assert revision != known.active_revision, "the active revision is never deleted"
        self.stored[index] = replace(known, revisions=tuple(name for name in known.revisions if name != revision))

    async def delete_index(self, index: str) -> None:
        self._answer()
        self.stored.pop(index, None)

    def _answer(self) -> None:
        if self.is_away:
            raise errors.PeerUnavailable("retrieval", "it is away")


class FakeData:
    """Pipelines are done at the third look."""

    def __init__(self) -> None:
        self.pipelines: dict[str, PipelineRequest] = {}
        self.looks: dict[str, int] = {}
        self.cancelled: set[str] = set()
        self.failure: tuple[str, str] | None = None

    async def start(self, request: PipelineRequest) -> PipelineReport:
        self.pipelines.setdefault(request.dispatch_id, request)
        return PipelineReport(state="Pending")

    async def get(self, dispatch_id: str) -> PipelineReport:
        if dispatch_id not in self.pipelines:
            raise errors.PipelineNotFound(dispatch_id)
        look = self.looks[dispatch_id] = self.looks.get(dispatch_id, 0) + 1
        if dispatch_id in self.cancelled:
            return PipelineReport(state="Cancelled")
        if look < 3:
            return PipelineReport(state="Running", stage="deduplicate-exact, shard 1 of 2")
        if self.failure:
            return PipelineReport(state="Failed", error_reason=self.failure[0], error_message=self.failure[1])
        snapshot = DatasetStatus(
            dispatch_id=dispatch_id, uri="file:///snapshots/1/", digest=f"sha256:{'5' * 64}", records=90, dropped=10,
            models=tuple(
                DatasetModel(name=name, revision=one.name, digest=one.digest)
                for name, one in self.pipelines[dispatch_id].models.items()
            )
            or None,
        )  # fmt: skip
        return PipelineReport(state="Succeeded", snapshot=snapshot)

    async def cancel(self, dispatch_id: str) -> None:
        self.cancelled.add(dispatch_id)


class FakeModels:
    """Every address has weights of its own; each is counted when it is looked up."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.credentials: dict[str, dict[str, str]] = {}

    async def digest(self, uri: str, *, credentials: Mapping[str, str]) -> Digest:
        self.asked.append(uri)
        self.credentials[uri] = dict(credentials)
        return digest_bytes(uri.encode())


class FakeFinetuning:
    """Trainings take four looks: two of them at work. A cancelled one has stopped at the look after."""

    def __init__(self) -> None:
        self.trainings: dict[str, TrainingRequest] = {}
        self.makes = "LoRAAdapter"
        self.looks: dict[str, int] = {}
        self.cancelled: set[str] = set()
        self.failure: tuple[str, str] | None = None
        """Reason and message of trainings that fail."""
        self.heartbeat_time = ""
        self.waits_for = ""
        """What trainings at work wait for."""
        self.last_fault: tuple[str, str] | None = None
        """Reason and message of the last attempt of trainings that are tried again."""
        self.is_away = False
        self.is_endless = False

    async def start(self, request: TrainingRequest) -> TrainingReport:
        self._answer()
        self.trainings.setdefault(request.dispatch_id, request)
        return TrainingReport(state="Pending")

    async def get(self, dispatch_id: str) -> TrainingReport:
        self._answer()
        if dispatch_id not in self.trainings:
            raise errors.TrainingNotFound(dispatch_id)
        look = self.looks[dispatch_id] = self.looks.get(dispatch_id, 0) + 1
        if dispatch_id in self.cancelled:
            return TrainingReport(state="Cancelled", results={"checkpoint": {"step": 10}})
        if self.last_fault:
            reason, message = self.last_fault
            return TrainingReport(
                state="Pending", error_reason=reason, error_message=message, results={"attempts": 1, "preemptions": 0}
            )
        if look < 4 or self.is_endless:
            step = min(10 * look, 30)
            results = {
                "attempts": 1,
                "progress": {"step": step, "totalSteps": 40, "percent": step * 100 // 40},
                "metrics": [{"name": "train_loss", "value": "1.5", "step": step}],
                "checkpoint": {"step": 10},
            }
            stage = "Waiting" if self.waits_for else "Training"
            return TrainingReport(
                state="Running",
                stage=stage,
                waits_for=self.waits_for,
                results=results,
                heartbeat_time=self.heartbeat_time,
            )
        if self.failure:
            return TrainingReport(state="Failed", error_reason=self.failure[0], error_message=self.failure[1])
        artifact = {
            "uri": f"file:///out/{'b' * 64}/#sha256={'b' * 64}",
            "digest": f"sha256:{'b' * 64}",
            "sizeBytes": 1000,
            "type": self.makes,
            **({"rank": 8} if self.makes == "LoRAAdapter" else {}),
        }
        provenance = {"baseModelDigest": f"sha256:{'a' * 64}", "datasetDigest": f"sha256:{'d' * 64}", "seed": 42}
        return TrainingReport(
            state="Succeeded", results={"attempts": 1, "artifact": artifact, "provenance": provenance}
        )

    async def cancel(self, dispatch_id: str) -> None:
        self._answer()
        self.cancelled.add(dispatch_id)

    def _answer(self) -> None:
        if self.is_away:
            raise errors.PeerUnavailable("finetuning", "it is away")


class FakeTraffic:
    """The router's counters: none until they are set."""

    def __init__(self) -> None:
        self.live = LiveMetrics(requests=0, errors=0)
        self.moves = Moved(engines=2, engines_without_connector=0)
        self.reach = Reached(engines=2)

    async def moved(self, model: str, revision: str) -> Moved:
        return self.moves

    async def reached(self, model: str, revision: str) -> Reached:
        return self.reach

    async def metrics(self, model: str, revision: str, window_seconds: int) -> LiveMetrics:
        return self.live


class World:
    """Everything, and time."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = FakeCluster(self.clock)
        self.evaluation = FakeEvaluation()
        self.retrieval = FakeRetrieval()
        self.data = FakeData()
        self.finetuning = FakeFinetuning()
        self.models = FakeModels()
        self.traffic = FakeTraffic()
        self.has_kubelet = True
        self.platform = Platform(environment={}, namespace="touchstone", has_ray=True, vllm_image="vllm:1")
        self.has_place = True
        self.weights: list[dict[str, int]] = []
        """Every distribution of traffic that was ever written."""

    def _reconcilers(self) -> dict[str, Any]:
        outside = Outside(
            cluster=self.cluster, evaluation=self.evaluation, retrieval=self.retrieval,
            data=self.data, finetuning=self.finetuning, traffic=self.traffic, models=self.models, now=self.clock,
        )  # type: ignore[arg-type]  # fmt: skip
        return {
            "ModelDeployment": ModelDeployments(outside=outside, platform=self.platform),
            "EvalRun": EvalRuns(outside=outside),
            "RagIndex": RagIndexes(outside=outside, endpoint="retrieval:50051"),
            "FinetuneJob": FinetuneJobs(outside=outside),
            "ModelSelection": ModelSelections(outside=outside),
        }

    async def round(self) -> int:
        """Reconcile everything once, from nothing but the cluster; return how many writes that took."""
        before = self.cluster.writes
        reconcilers = self._reconcilers()
        for kind, namespace, name in sorted(self.cluster.objects):
            if kind in reconcilers:
                try:
                    await reconcilers[kind].reconcile(Key(kind, namespace, name))
                except (Killed, errors.StaleObject, errors.PeerUnavailable):
                    reconcilers = self._reconcilers()
                self._note()
        if self.has_kubelet:
            self._run_kubelet()
        self.clock.advance(1)
        return self.cluster.writes - before

    async def settle(self, *, rounds: int = 400) -> None:
        """Reconcile until nothing has been written for a while."""
        quiet = 0
        for _ in range(rounds):
            quiet = quiet + 1 if await self.round() == 0 else 0
            if quiet >= 40:
                return
        raise AssertionError("it never settles")

    def _run_kubelet(self) -> None:
        for (kind, _, name), obj in list(self.cluster.objects.items()):
            if kind == "Deployment":
                count = obj["spec"].get("replicas", 1)
                status = {
                    "observedGeneration": obj["metadata"]["generation"],
                    "replicas": count,
                    "readyReplicas": count,
                    "updatedReplicas": count,
                }
                if obj.get("status") != status:
                    self.cluster.set_status(objects.DEPLOYMENT, name, status)
            if kind == "RayService":
                status = self._ray_status(obj)
                if obj.get("status") != status:
                    self.cluster.set_status(objects.RAY_SERVICE, name, status)

    def _ray_status(self, obj: JsonObject) -> JsonObject:
        """What KubeRay writes of a RayService whose pods have a place, or have none."""
        (application,) = yaml.safe_load(obj["spec"]["serveConfigV2"])["applications"]
        message = "" if self.has_place else "1 replicas that have taken more than 30s to be scheduled."
        deployment = {"status": "HEALTHY" if self.has_place else "UPDATING", "message": message}
        found = {
            "status": "RUNNING" if self.has_place else "DEPLOYING",
            "serveDeploymentStatuses": {each["name"]: deployment for each in application["deployments"]},
        }
        groups = obj["spec"]["rayClusterConfig"]["workerGroupSpecs"]
        return {
            "observedGeneration": obj["metadata"]["generation"],
            "numServeEndpoints": sum(group["replicas"] for group in groups) if self.has_place else 0,
            "conditions": [
                {"type": "Ready", "status": str(self.has_place), "reason": "NonZeroServeEndpoints"},
                {"type": "UpgradeInProgress", "status": "False", "reason": "NoPendingCluster"},
            ],
            "activeServiceStatus": {"applicationStatuses": {application["name"]: found}},
        }

    def _note(self) -> None:
        for (kind, _, _), obj in self.cluster.objects.items():
            if kind == "ModelDeployment":
                revisions = (obj.get("status") or {}).get("revisions") or ()
                weights = {r["name"]: r.get("weightPercent", 0) for r in revisions if r.get("weightPercent")}
                if not self.weights or self.weights[-1] != weights:
                    self.weights.append(weights)

    def index_status(self) -> JsonObject:
        return self.cluster.objects["RagIndex", NAMESPACE, "kb"].get("status") or {}

    def index_condition(self, kind: str) -> tuple[str, str]:
        found = next((c for c in self.index_status().get("conditions", ()) if c["type"] == kind), {})
        return found.get("status", ""), found.get("reason", "")

    def deployment(self) -> JsonObject:
        return self.cluster.objects["ModelDeployment", NAMESPACE, "chat"]

    def status(self) -> JsonObject:
        return self.deployment().get("status") or {}

    def condition(self, kind: str) -> tuple[str, str]:
        found = next((c for c in self.status().get("conditions", ()) if c["type"] == kind), {})
        return found.get("status", ""), found.get("reason", "")

    def bundle(self) -> JsonObject:
        """What the stable revision is made of, as its manifest has it."""
        kept = self.cluster.objects["ConfigMap", NAMESPACE, self.status()["stableRevision"]]
        found: JsonObject = json.loads(kept["data"]["manifest.json"])["bundle"]
        return found

    def names(self, kind: str) -> list[str]:
        return sorted(name for found, _, name in self.cluster.objects if found == kind)


def spec(prompt: str = "good", **rollout: Any) -> JsonObject:
    """The spec of a deployment whose prompt is a key of the ConfigMap `prompts`."""
    suite = {"name": "golden", "task": "question-answering", "dataset": {"uri": f"file:///items#sha256={'0' * 64}"}}
    criteria = [
        {"name": "floor", "metric": "golden/contains", "absolute": {"operator": "GreaterOrEqual", "value": "0.2"}},
        {"name": "gain", "metric": "golden/contains", "relative": {"minImprovement": "0"}},
    ]
    return {
        "model": {"uri": f"file:///model#sha256={'a' * 64}"},
        "prompt": {"configMapKeyRef": {"name": "prompts", "key": prompt}},
        "engine": {"type": "Scripted"},
        "rollout": {
            "strategy": "Canary",
            "drainSeconds": 3,
            "steps": [{"setWeight": 0, "gates": ["quality"]}, {"setWeight": 30, "pauseSeconds": 2}],
            "gates": [
                {"name": "quality", "evalRunTemplate": {"spec": {"suites": [suite], "criteria": criteria}}},
            ],
            **rollout,
        },
    }


@pytest.fixture
def world() -> World:
    world = World()
    prompts = {"good": "Answer.", "better": "Answer well.", "bad": "Write a poem."}
    obj = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prompts", "namespace": NAMESPACE},
        "data": prompts,
    }  # fmt: skip
    asyncio.run(world.cluster.create(objects.CONFIG_MAP, obj))
    return world


@pytest.fixture
def apply(world: World) -> Callable[..., None]:
    def apply_spec(prompt: str = "good", **rollout: Any) -> None:
        world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", spec(prompt, **rollout))

    return apply_spec
