"""Models that the pipeline of a FinetuneJob asks: found when it starts, waited for, and written down."""

from typing import Any

import pytest
from touchstone_operator import objects

NAMESPACE = "default"
PIPELINE = {
    "sources": [{"name": "tickets", "uri": "file:///tickets.jsonl"}],
    "steps": [{"name": "paraphrase", "parameters": {"model": "writer"}}],
    "models": [{"name": "writer", "modelDeploymentRef": {"name": "chat"}}],
}
SPEC = {
    "baseModel": {"uri": f"file:///model#sha256={'a' * 64}"},
    "method": {"type": "LoRA", "lora": {"rank": 8}},
    "dataset": {"format": "ChatML", "pipeline": PIPELINE},
    "output": {"uri": "file:///out"},
}


def deploy(world: Any, prompt: str = "good") -> None:
    world.cluster.put_spec(
        objects.MODEL_DEPLOYMENT,
        "chat",
        {
            "model": {"uri": f"file:///model#sha256={'a' * 64}"},
            "prompt": {"configMapKeyRef": {"name": "prompts", "key": prompt}},
            "engine": {"type": "Scripted"},
            "rollout": {"strategy": "Recreate", "drainSeconds": 1},
        },
    )


def tune(world: Any, **changes: Any) -> None:
    world.cluster.put_spec(objects.FINETUNE_JOB, "tune", SPEC | changes)


def status(world: Any) -> dict[str, Any]:
    found: dict[str, Any] = world.cluster.objects["FinetuneJob", NAMESPACE, "tune"].get("status") or {}
    return found


def serving(world: Any) -> str:
    name: str = world.cluster.objects["ModelDeployment", NAMESPACE, "chat"]["status"]["stableRevision"]
    return name


def condition(world: Any) -> tuple[str, str, str]:
    found = next(c for c in status(world)["conditions"] if c["type"] == "Succeeded")
    return found["status"], found["reason"], found["message"]


async def test_the_revision_that_serves_answers_and_is_told(world: Any) -> None:
    deploy(world)
    await world.settle()
    tune(world)
    await world.settle()
    (request,) = world.data.pipelines.values()
    assert request.namespace == NAMESPACE
    assert request.models["writer"].name == serving(world)
    (told,) = status(world)["dataset"]["models"]
    assert told == {"name": "writer", "revision": serving(world), "digest": request.models["writer"].digest}
    assert condition(world)[:2] == ("True", "Completed")


async def test_a_job_waits_for_a_model_that_does_not_serve_yet(world: Any) -> None:
    tune(world)
    for _ in range(6):
        await world.round()
    assert condition(world)[:2] == ("Unknown", "ModelNotFound")
    assert "ModelDeployment chat, which the data pipeline asks, does not exist" in condition(world)[2]
    assert world.data.pipelines == {}
    deploy(world)
    await world.settle()
    assert condition(world)[:2] == ("True", "Completed")


@pytest.mark.parametrize("after", range(1, 9))
async def test_an_operator_that_is_killed_keeps_to_the_revision_that_it_began_with(world: Any, after: int) -> None:
    deploy(world)
    await world.settle()
    began_with = serving(world)
    tune(world)
    world.cluster.kill_after = world.cluster.writes + after
    await world.settle()
    assert len(world.data.pipelines) == 1
    assert {request.models["writer"].name for request in world.data.pipelines.values()} == {began_with}
    assert status(world)["dataset"]["models"][0]["revision"] == began_with


async def test_a_pinned_revision_that_is_gone_is_waited_for_by_its_name(world: Any) -> None:
    deploy(world)
    await world.settle()
    pinned = {"name": "writer", "modelDeploymentRef": {"name": "chat", "revision": "chat-0000000000"}}
    tune(world, dataset={"format": "ChatML", "pipeline": {**PIPELINE, "models": [pinned]}})
    for _ in range(6):
        await world.round()
    assert condition(world)[:2] == ("Unknown", "ModelNotFound")
    assert "has no revision chat-0000000000" in condition(world)[2]
