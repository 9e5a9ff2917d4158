"""What evaluations ask for in vain is told on the object that the user wrote, and nothing is measured or trained."""

from typing import Any

import pytest
from touchstone_operator import objects
from touchstone_operator.objects import JsonObject

from .conftest import rag_index

SUBJECT = {"type": "ModelDeployment", "modelDeploymentRef": {"name": "chat"}}
SECRET = {"name": "store"}


def body(case: str) -> JsonObject:
    """An evaluation that asks for what there is not."""
    dataset: JsonObject = {"uri": f"file:///items#sha256={'0' * 64}"}
    suite: JsonObject = {"name": "golden", "task": "question-answering", "dataset": dataset}
    found: JsonObject = {
        "suites": [suite],
        "criteria": [
            {"name": "floor", "metric": "golden/contains", "absolute": {"operator": "GreaterOrEqual", "value": "0.2"}}
        ],
    }
    match case:
        case "outputs.uri":
            found["outputs"] = {"uri": "s3://bucket/reports"}
        case "outputs.credentialsSecretRef":
            found["outputs"] = {"credentialsSecretRef": SECRET}
    return found


def deployment(evaluation: JsonObject) -> JsonObject:
    return {
        "model": {"uri": f"file:///model#sha256={'a' * 64}"},
        "engine": {"type": "Scripted"},
        "rollout": {"gates": [{"name": "quality", "evalRunTemplate": {"spec": evaluation}}]},
    }


def index(evaluation: JsonObject) -> JsonObject:
    return rag_index(promotion={"gates": [{"name": "quality", "evalRunTemplate": {"spec": evaluation}}]})


def training(evaluation: JsonObject) -> JsonObject:
    return {
        "baseModel": {"uri": f"file:///model#sha256={'a' * 64}"},
        "method": {"type": "LoRA", "lora": {"rank": 8, "alpha": 16}},
        "dataset": {"uri": "file:///data.jsonl", "format": "ChatML"},
        "output": {"uri": "file:///out"},
        "evaluation": {"modelDeploymentRef": {"name": "chat"}, "evalRunTemplate": {"spec": evaluation}},
    }


def selection(evaluation: JsonObject) -> JsonObject:
    return {
        "candidates": [{"name": name, "modelDeploymentRef": {"name": name}} for name in ("small", "large")],
        "evalRunTemplate": {"spec": evaluation},
        "objectives": [{"metric": "golden/contains"}],
    }


WRITERS = {
    objects.EVAL_RUN: (lambda found: {**found, "subject": SUBJECT}, "spec"),
    objects.MODEL_DEPLOYMENT: (deployment, "spec.rollout.gates[quality].evalRunTemplate.spec"),
    objects.RAG_INDEX: (index, "spec.promotion.gates[quality].evalRunTemplate.spec"),
    objects.FINETUNE_JOB: (training, "spec.evaluation.evalRunTemplate.spec"),
    objects.MODEL_SELECTION: (selection, "spec.evalRunTemplate.spec"),
}
CASES = (
    "outputs.uri",
    "outputs.credentialsSecretRef",
)


@pytest.mark.parametrize("kind", WRITERS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("case", CASES)
async def test_what_an_evaluation_cannot_do_is_told_where_it_was_asked(
    world: Any, kind: objects.Kind, case: str
) -> None:
    write, path = WRITERS[kind]
    world.cluster.put_spec(kind, "asking", write(body(case)))
    await world.settle()
    status = world.cluster.objects[kind.name, "default", "asking"]["status"]
    (stalled,) = [one for one in status["conditions"] if one["type"] == "Stalled"]
    assert (stalled["status"], stalled["reason"]) == ("True", "NotSupportedYet")
    assert f"{path}.{case} is not supported yet" in stalled["message"]
    assert not world.evaluation.requests
    assert not world.finetuning.trainings
    assert world.names("EvalRun") == (["asking"] if kind is objects.EVAL_RUN else [])
