"""A ModelDeployment whose model a FinetuneJob makes as a whole."""

from typing import Any

import pytest
from touchstone_operator import objects

NAMESPACE = "default"
MADE = f"sha256:{'b' * 64}"
"""Digest of what the finetuning service makes."""
TUNE = {
    "baseModel": {"uri": f"file:///model#sha256={'a' * 64}"},
    "method": {"type": "FullSFT"},
    "dataset": {"uri": "file:///data.jsonl", "format": "ChatML"},
    "output": {"uri": "file:///out"},
}
FROM_JOB = {
    "model": {"finetuneJobRef": {"name": "tune"}},
    "engine": {"type": "LlamaCpp"},
    "rollout": {"strategy": "BlueGreen", "drainSeconds": 3},
}
FROM_ADDRESS = FROM_JOB | {"model": {"uri": f"file:///model#sha256={'a' * 64}"}}


async def tuned(world: Any, kind: str = "Model") -> None:
    """Have the job done, with an artefact of a kind."""
    world.cluster.put_spec(objects.FINETUNE_JOB, "tune", TUNE)
    await world.settle()
    status = world.cluster.objects["FinetuneJob", NAMESPACE, "tune"]["status"]
    status["artifact"] = {**status["artifact"], "type": kind}
    world.cluster.set_status(objects.FINETUNE_JOB, "tune", status)


async def test_what_a_job_makes_is_served_with_its_lineage(world: Any) -> None:
    await tuned(world)
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", FROM_JOB)
    await world.settle()
    model = world.bundle()["model"]
    assert model == {"uri": model["uri"], "digest": MADE, "name": "chat", "finetune_job": "tune"}
    assert model["uri"].startswith("file:///out/")
    assert world.condition("ModelCached") == ("True", "Resolved")


async def test_traffic_stays_while_the_job_trains_and_moves_when_it_is_done(world: Any) -> None:
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", FROM_ADDRESS)
    await world.settle()
    before = world.status()["stableRevision"]
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", FROM_JOB)
    await world.settle()
    assert world.condition("Reconciling") == ("True", "FinetuneJobNotFound")
    assert world.status()["stableRevision"] == before
    await tuned(world)
    await world.settle()
    assert world.bundle()["model"]["digest"] == MADE


async def test_a_job_that_made_an_adapter_has_made_no_model(world: Any) -> None:
    await tuned(world, "LoRAAdapter")
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", FROM_JOB)
    await world.settle()
    assert world.condition("Stalled") == ("True", "NotAModel")


async def test_a_revision_outlives_the_job_that_made_its_model(world: Any) -> None:
    await tuned(world)
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", FROM_JOB)
    await world.settle()
    before = world.status()["stableRevision"]
    del world.cluster.objects["FinetuneJob", NAMESPACE, "tune"]
    world.cluster.put_spec(
        objects.MODEL_DEPLOYMENT, "chat", FROM_JOB | {"engine": {"type": "LlamaCpp", "maxModelLen": 64}}
    )
    await world.settle()
    assert world.status()["stableRevision"] != before
    assert world.bundle()["model"]["digest"] == MADE


@pytest.mark.parametrize("spec", [FROM_JOB, FROM_ADDRESS])
async def test_where_a_model_comes_from_does_not_make_another_revision(world: Any, spec: dict[str, Any]) -> None:
    """The digest is of what is served: a model by its address and the same one by its job are one revision."""
    await tuned(world)
    by_address = FROM_JOB | {"model": {"uri": f"file:///copy#sha256={'b' * 64}"}}
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", by_address)
    await world.settle()
    before = world.status()["stableRevision"]
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", spec)
    await world.settle()
    assert (world.status()["stableRevision"] == before) == (spec == FROM_JOB)


async def test_the_verdict_on_the_revision_with_the_model_is_recorded(world: Any) -> None:
    """Only adapters were looked for: a job that makes a whole model waited for ever."""
    suite = {"name": "golden", "task": "question-answering", "dataset": {"uri": f"file:///items#sha256={'0' * 64}"}}
    floor = {"name": "floor", "metric": "golden/contains", "absolute": {"operator": "GreaterOrEqual", "value": "0.5"}}
    evaluation = {
        "modelDeploymentRef": {"name": "chat"},
        "evalRunTemplate": {"spec": {"suites": [suite], "criteria": [floor]}},
    }
    world.finetuning.makes = "Model"
    world.cluster.put_spec(objects.FINETUNE_JOB, "tune", TUNE | {"evaluation": evaluation})
    await world.settle()
    assert evaluated(world)["reason"] == "NoRevision"
    assert evaluated(world)["message"] == "ModelDeployment chat has no revision with what the job made yet."
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", FROM_JOB)
    await world.settle()
    assert (evaluated(world)["status"], evaluated(world)["reason"]) == ("True", "Passed")


def evaluated(world: Any) -> dict[str, Any]:
    status = world.cluster.objects["FinetuneJob", NAMESPACE, "tune"]["status"]
    return next(each for each in status["conditions"] if each["type"] == "Evaluated")
