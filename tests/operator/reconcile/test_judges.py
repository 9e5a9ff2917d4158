"""Judges of EvalRuns: found when a run starts, and part of what its verdict is bound to."""

from typing import Any

import pytest
from touchstone_operator import objects
from touchstone_operator.adapters import evaluation

NAMESPACE = "default"
SUITE = {
    "name": "helpful",
    "task": "judge-pairwise",
    "dataset": {"uri": f"file:///items#sha256={'0' * 64}"},
    "parameters": {"rubric": "helpfulness@1"},
    "judges": [{"name": "strict", "modelDeploymentRef": {"name": "judge"}}],
}
CRITERIA = [{"name": "wins", "metric": "helpful/win_rate", "absolute": {"operator": "GreaterOrEqual", "value": "0.5"}}]


def deploy(world: Any, name: str, prompt: str = "good", **rollout: Any) -> None:
    world.cluster.put_spec(
        objects.MODEL_DEPLOYMENT,
        name,
        {
            "model": {"uri": f"file:///model#sha256={'a' * 64}"},
            "prompt": {"configMapKeyRef": {"name": "prompts", "key": prompt}},
            "engine": {"type": "Scripted"},
            "rollout": {"strategy": "Recreate", "drainSeconds": 1, **rollout},
        },
    )


def evaluate(world: Any, name: str) -> None:
    spec = {
        "subject": {"type": "ModelDeployment", "modelDeploymentRef": {"name": "chat"}},
        "suites": [SUITE],
        "criteria": CRITERIA,
    }
    world.cluster.put_spec(objects.EVAL_RUN, name, spec)


def status(world: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = world.cluster.objects["EvalRun", NAMESPACE, name].get("status") or {}
    return found


@pytest.fixture
async def judged(world: Any) -> Any:
    """A world with a subject and a judge."""
    deploy(world, "chat")
    deploy(world, "judge")
    await world.settle()
    return world


async def test_the_revision_that_judges_is_found_and_told(judged: Any) -> None:
    evaluate(judged, "one")
    await judged.settle()
    serving = judged.cluster.objects["ModelDeployment", NAMESPACE, "judge"]["status"]["stableRevision"]
    (judge,) = status(judged, "one")["judges"]
    assert (judge["name"], judge["revision"]) == ("helpful/strict", serving)
    (request,) = judged.evaluation.requests.values()
    (sent,) = evaluation.run_spec(request).suites[0].judges
    assert (sent.name, sent.subject.name, sent.subject.revision) == ("strict", "default/judge", serving)
    assert sent.subject.digest == judge["digest"]


async def test_a_judge_that_is_not_there_is_waited_for_in_words(world: Any) -> None:
    deploy(world, "chat")
    evaluate(world, "one")
    for _ in range(60):
        await world.round()
    (reconciling,) = [c for c in status(world, "one")["conditions"] if c["type"] == "Reconciling"]
    assert reconciling["reason"] == "JudgeNotFound"
    assert "judge, which is to judge, does not exist" in reconciling["message"]
    deploy(world, "judge")
    await world.settle()
    assert status(world, "one")["verdict"] == "Passed"


async def test_a_verdict_of_the_same_judge_is_reused_and_of_another_is_not(judged: Any) -> None:
    evaluate(judged, "one")
    await judged.settle()
    evaluate(judged, "two")
    await judged.settle()
    assert status(judged, "two")["reusedFrom"] == "one"
    deploy(judged, "judge", "better")
    await judged.settle()
    evaluate(judged, "three")
    await judged.settle()
    assert "reusedFrom" not in status(judged, "three")
    assert status(judged, "three")["judges"] != status(judged, "one")["judges"]
    assert len(judged.evaluation.requests) == 2


async def test_a_gate_with_judges_leaves_it_to_its_run_whether_a_verdict_still_stands(judged: Any) -> None:
    gate = {"name": "quality", "evalRunTemplate": {"spec": {"suites": [SUITE], "criteria": CRITERIA}}}
    for prompt in ("better", "good"):
        deploy(judged, "chat", prompt, gates=[gate], steps=[{"setWeight": 0, "gates": ["quality"]}])
        await judged.settle()
    deploy(judged, "judge", "better")
    await judged.settle()
    deploy(judged, "chat", "better", gates=[gate], steps=[{"setWeight": 0, "gates": ["quality"]}])
    await judged.settle()
    judges = [request.subjects.judges["helpful/strict"].digest for request in judged.evaluation.requests.values()]
    assert len(set(judges)) == 2, "the new judge was asked"
