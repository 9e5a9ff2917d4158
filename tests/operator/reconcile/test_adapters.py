"""Adapters in a ModelDeployment: made by a FinetuneJob or given by address, each a part of the revision."""

import json
from typing import Any

import pytest
from touchstone_operator import objects

NAMESPACE = "default"
MADE = f"sha256:{'b' * 64}"
"""Digest of what the finetuning service makes."""
TUNE = {
    "baseModel": {"uri": f"file:///model#sha256={'a' * 64}"},
    "method": {"type": "LoRA", "lora": {"rank": 8, "alpha": 16}},
    "dataset": {"uri": "file:///data.jsonl", "format": "ChatML"},
    "output": {"uri": "file:///out"},
}
FROM_JOB = {"name": "tone", "source": {"type": "FinetuneJob", "finetuneJobRef": {"name": "tune"}}}
FROM_ADDRESS = {"name": "tone", "source": {"type": "URI", "uri": f"file:///elsewhere#sha256={'b' * 64}"}, "rank": 8}


def serve(world: Any, engine: str = "LlamaCpp", **fields: Any) -> None:
    spec = {
        "model": {"uri": f"file:///model#sha256={'a' * 64}"},
        "engine": {"type": engine},
        "rollout": {"strategy": "BlueGreen", "drainSeconds": 3},
    }
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", spec | fields)


def tune(world: Any) -> None:
    world.cluster.put_spec(objects.FINETUNE_JOB, "tune", TUNE)


def told(world: Any, kind: str) -> str:
    return next(str(c["message"]) for c in world.status()["conditions"] if c["type"] == kind)


def manifest(world: Any) -> dict[str, Any]:
    """What the revision that serves is made of, as the router and its engines read it."""
    found = world.cluster.objects["ConfigMap", NAMESPACE, world.status()["stableRevision"]]["data"]["manifest.json"]
    bundle: dict[str, Any] = json.loads(found)["bundle"]
    return bundle


@pytest.mark.parametrize("engine", ["LlamaCpp", "Scripted", "VLLM"])
async def test_what_a_job_makes_becomes_a_part_of_a_revision_with_its_lineage(world: Any, engine: str) -> None:
    tune(world)
    serve(world, engine, adapters=[FROM_JOB])
    await world.settle()
    assert world.condition("Promoted") == ("True", "Promoted")
    (adapter,) = manifest(world)["adapters"]
    assert (adapter["name"], adapter["digest"], adapter["rank"]) == ("tone", MADE, 8)
    assert adapter["uri"].startswith("file:///out/")
    assert world.status()["adapters"] == [
        {"name": "tone", "digest": MADE, "readyEndpoints": 1, "finetuneJob": "tune"},
    ]


async def test_traffic_stays_while_a_job_trains_and_moves_when_it_is_done(world: Any) -> None:
    serve(world)
    await world.settle()
    before = world.status()["stableRevision"]
    world.finetuning.is_endless = True
    tune(world)
    serve(world, adapters=[FROM_JOB])
    for _ in range(20):
        await world.round()
    assert world.condition("Promoted") == ("Unknown", "AdapterNotReady")
    assert world.condition("Reconciling") == ("True", "AdapterNotReady")
    assert "Adapter tone waits for FinetuneJob tune (Training: Step 30 of 40)." in told(world, "Reconciling")
    assert world.condition("Ready") == ("True", "Serving")
    assert {r["name"]: r["weightPercent"] for r in world.status()["revisions"]} == {before: 100}
    world.finetuning.is_endless = False
    await world.settle()
    assert world.status()["stableRevision"] != before
    assert world.condition("Promoted") == ("True", "Promoted")


async def test_a_job_that_failed_is_told_and_waited_for_no_more(world: Any) -> None:
    world.finetuning.failure = ("OutOfMemory", "It needs 9 GiB.")
    tune(world)
    serve(world, adapters=[FROM_JOB])
    await world.settle()
    assert world.condition("Stalled") == ("True", "FinetuneJobFailed")
    assert "FinetuneJob tune, which makes adapter tone, has failed (OutOfMemory: It needs 9 GiB)" in told(
        world, "Stalled"
    )
    assert world.status().get("revisions", []) == []


async def test_a_job_that_does_not_exist_is_told_and_waited_for(world: Any) -> None:
    serve(world, adapters=[FROM_JOB])
    await world.settle()
    assert world.condition("Reconciling") == ("True", "FinetuneJobNotFound")
    tune(world)
    await world.settle()
    assert world.condition("Promoted") == ("True", "Promoted")


async def test_a_job_that_made_a_whole_model_has_made_no_adapter(world: Any) -> None:
    tune(world)
    await world.settle()
    status = world.cluster.objects["FinetuneJob", NAMESPACE, "tune"]["status"]
    status["artifact"] = {**status["artifact"], "type": "Model"}
    world.cluster.set_status(objects.FINETUNE_JOB, "tune", status)
    serve(world, adapters=[FROM_JOB])
    await world.settle()
    assert world.condition("Stalled") == ("True", "NotAnAdapter")
    assert "as spec.model.finetuneJobRef" in told(world, "Stalled")


async def test_a_revision_outlives_the_job_that_made_its_adapter(world: Any) -> None:
    tune(world)
    serve(world, adapters=[FROM_JOB])
    await world.settle()
    before = world.status()["stableRevision"]
    del world.cluster.objects["FinetuneJob", NAMESPACE, "tune"]
    await world.settle()
    assert world.status()["stableRevision"] == before
    assert world.condition("Promoted") == ("True", "Promoted")


async def test_the_default_adapter_is_a_part_of_the_revision(world: Any) -> None:
    serve(world, adapters=[FROM_ADDRESS])
    await world.settle()
    before = world.status()["stableRevision"]
    assert "default_adapter" not in manifest(world)
    serve(world, adapters=[FROM_ADDRESS], defaultAdapter="tone")
    await world.settle()
    assert world.status()["stableRevision"] != before
    assert manifest(world)["default_adapter"] == "tone"


async def test_an_equal_adapter_from_elsewhere_is_the_same_revision_and_its_manifest_is_not_written_anew(
    world: Any,
) -> None:
    """Its ConfigMap is immutable: an API server refuses to have another address written into it."""
    serve(world, adapters=[FROM_ADDRESS])
    await world.settle()
    before, written = world.status()["stableRevision"], manifest(world)
    tune(world)
    serve(world, adapters=[FROM_JOB])
    await world.settle()
    assert world.status()["stableRevision"] == before
    assert manifest(world) == written
