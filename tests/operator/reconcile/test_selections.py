"""ModelSelections: candidates measured alike, one chosen, whatever happens to the operator meanwhile."""

from typing import Any

import pytest
from touchstone_operator import objects
from touchstone_operator.adapters import evaluation
from touchstone_operator.api.modelselection import SelectionObjective
from touchstone_operator.ports import SelectionRequest

NAMESPACE = "default"
SUITE = {"name": "golden", "task": "question-answering", "dataset": {"uri": f"file:///items#sha256={'0' * 64}"}}
CRITERIA = [{"name": "floor", "metric": "golden/contains", "absolute": {"operator": "GreaterOrEqual", "value": "0.5"}}]


def deploy(world: Any, name: str) -> None:
    world.cluster.put_spec(
        objects.MODEL_DEPLOYMENT,
        name,
        {
            "model": {"uri": f"file:///{name}#sha256={'a' * 64}"},
            "engine": {"type": "Scripted"},
            "rollout": {"strategy": "Recreate", "drainSeconds": 1},
        },
    )


def select(world: Any, **changes: Any) -> None:
    candidates = [
        {"name": name, "modelDeploymentRef": {"name": name}, "attributes": attributes}
        for name, attributes in (
            ("small", {"licence": "MIT", "contextTokens": "8192"}),
            ("large", {"licence": "Apache-2.0", "contextTokens": "131072"}),
            ("closed", {"licence": "proprietary", "contextTokens": "200000"}),
            ("short", {"licence": "MIT", "contextTokens": "2048"}),
            ("unknown", {"licence": "MIT"}),
        )
    ]
    spec = {
        "candidates": candidates,
        "requirements": [
            {"attribute": "licence", "oneOf": ["MIT", "Apache-2.0"]},
            {"attribute": "contextTokens", "atLeast": "4096", "atMost": "150000"},
        ],
        "evalRunTemplate": {"spec": {"suites": [SUITE], "criteria": CRITERIA}},
        "objectives": [{"metric": "golden/contains", "maxRegression": "0.05"}, {"metric": "golden/answer_price"}],
    }
    world.cluster.put_spec(objects.MODEL_SELECTION, "choice", spec | changes)


def status(world: Any) -> dict[str, Any]:
    found: dict[str, Any] = world.cluster.objects["ModelSelection", NAMESPACE, "choice"].get("status") or {}
    return found


def condition(world: Any, kind: str) -> dict[str, Any]:
    return next(each for each in status(world)["conditions"] if each["type"] == kind)


def runs(world: Any) -> dict[str, Any]:
    return {name: obj for (kind, _, name), obj in world.cluster.objects.items() if kind == "EvalRun"}


@pytest.fixture
async def deployed(world: Any) -> Any:
    for name in ("small", "large", "closed", "short", "unknown"):
        deploy(world, name)
    await world.settle()
    return world


async def test_who_does_not_meet_the_requirements_is_not_measured_and_is_told_why(deployed: Any) -> None:
    select(deployed)
    await deployed.settle()
    assert set(runs(deployed)) == {"choice-small", "choice-large"}
    told = {one["name"]: one["message"] for one in status(deployed)["candidates"]}
    assert told["closed"] == (
        "licence is proprietary, and MIT or Apache-2.0 is required. "
        "contextTokens is 200000, and at most 150000 is required."
    )
    assert told["short"] == "contextTokens is 2048, and at least 4096 is required."
    assert told["unknown"] == "contextTokens is required, and nothing is said of it."


async def test_the_choice_is_written_with_its_reasons(deployed: Any) -> None:
    select(deployed)
    await deployed.settle()
    assert (status(deployed)["chosen"], condition(deployed, "Chosen")["status"]) == ("small", "True")
    assert condition(deployed, "Succeeded")["status"] == "True"
    serving = deployed.cluster.objects["ModelDeployment", NAMESPACE, "small"]["status"]["stableRevision"]
    assert status(deployed)["chosenRevision"] == serving
    first, *_ = status(deployed)["candidates"]
    assert (first["name"], first["place"], first["evalRun"], first["revision"]) == ("small", 1, "choice-small", serving)
    (request,) = deployed.evaluation.selections.values()
    sent = evaluation.selection_spec(request)
    assert [(one.metric, one.HasField("max_regression")) for one in sent.objectives] == [
        ("golden/contains", True), ("golden/answer_price", False),
    ]  # fmt: skip
    before = deployed.cluster.writes
    await deployed.settle()
    assert deployed.cluster.writes == before, "what is decided stays as it is"


async def test_that_nobody_can_be_chosen_is_a_result_and_no_failure(deployed: Any) -> None:
    deployed.evaluation.verdict = lambda _: "Failed"
    select(deployed)
    await deployed.settle()
    assert "chosen" not in status(deployed)
    assert (condition(deployed, "Succeeded")["status"], condition(deployed, "Chosen")["status"]) == ("True", "False")
    assert condition(deployed, "Chosen")["reason"] == "NobodyLeft"


async def test_a_candidate_that_could_not_be_measured_is_out_and_the_others_go_on(deployed: Any) -> None:
    def verdict(request: Any) -> str:
        return "Error" if request.spec.subject.model_deployment_ref.name == "small" else "Passed"

    deployed.evaluation.verdict = verdict
    select(deployed)
    await deployed.settle()
    assert status(deployed)["chosen"] == "large"
    (small,) = [one for one in status(deployed)["candidates"] if one["name"] == "small"]
    assert "measured nothing" in small["message"]


async def test_a_choice_that_cannot_be_made_says_why(deployed: Any) -> None:
    deployed.evaluation.selection_failure = "There is no run 'x'."
    select(deployed)
    await deployed.settle()
    assert condition(deployed, "Succeeded") | {"lastTransitionTime": ""} == {
        "type": "Succeeded", "status": "False", "reason": "SelectionFailed", "message": "There is no run 'x'.",
        "lastTransitionTime": "", "observedGeneration": 1,
    }  # fmt: skip


async def test_a_service_that_is_away_is_waited_for(deployed: Any) -> None:
    deployed.evaluation.is_away = True
    select(deployed)
    for _ in range(80):
        await deployed.round()
    assert condition(deployed, "Reconciling")["reason"] == "EvaluationUnavailable"
    deployed.evaluation.is_away = False
    await deployed.settle()
    assert status(deployed)["chosen"] == "small"


async def test_somebody_elses_run_of_the_same_name_is_left_alone(deployed: Any) -> None:
    deployed.cluster.put_spec(
        objects.EVAL_RUN,
        "choice-large",
        {
            "subject": {"type": "ModelDeployment", "modelDeploymentRef": {"name": "large"}},
            "suites": [SUITE],
            "criteria": CRITERIA,
        },
    )
    select(deployed)
    for _ in range(40):
        await deployed.round()
    assert condition(deployed, "Stalled")["reason"] == "NameTaken"
    assert "choice-large" in condition(deployed, "Stalled")["message"]


async def test_a_suspended_selection_measures_nobody_until_it_may(deployed: Any) -> None:
    select(deployed, suspend=True)
    await deployed.settle()
    assert runs(deployed) == {}
    assert condition(deployed, "Suspended")["status"] == "True"
    select(deployed, suspend=False)
    await deployed.settle()
    assert status(deployed)["chosen"] == "small"


@pytest.mark.parametrize("after", range(1, 12))
async def test_an_operator_that_is_killed_after_any_write_chooses_the_same(deployed: Any, after: int) -> None:
    select(deployed)
    deployed.cluster.kill_after = deployed.cluster.writes + after
    await deployed.settle()
    deployed.cluster.kill_after = None
    await deployed.settle()
    assert status(deployed)["chosen"] == "small"
    assert set(runs(deployed)) == {"choice-small", "choice-large"}
    assert len(deployed.evaluation.selections) == 1
    assert len(deployed.evaluation.requests) == 2


def test_what_the_service_says_becomes_fields_of_the_status() -> None:
    from touchstone.evaluation.v1 import evaluation_service_pb2 as pb  # noqa: PLC0415

    reading = pb.Reading(metric="golden/contains", value=0.5, ci_low=0.25, ci_high=0.75)
    found = pb.Selection(
        state=pb.SELECTION_STATE_COMPLETED,
        chosen="small",
        message="small: best.",
        assessments=[
            pb.Assessment(
                name="small", subject=pb.Subject(revision="small-1"), place=1, message="best.", readings=[reading]
            ),
            pb.Assessment(name="large", message="out."),
        ],
        artifacts=[pb.Artifact(name="report", uri="file:///r.html", digest="sha256:" + "0" * 64)],
    )
    report = evaluation.selection_report(found)
    assert (report.state, report.results["chosen"]) == ("Completed", "small")
    small, large = report.results["candidates"]
    assert small["readings"] == [{"metric": "golden/contains", "value": "0.5", "ciLow": "0.25", "ciHigh": "0.75"}]
    assert (small["place"], large["place"], large["revision"]) == (1, None, None)


def test_a_request_without_margins_has_none() -> None:
    request = SelectionRequest(
        selection_id="s", candidates={}, objectives=[SelectionObjective(metric="golden/contains")], excluded={"a": "b"}
    )
    sent = evaluation.selection_spec(request)
    assert (sent.objectives[0].HasField("max_regression"), sent.objectives[0].confidence) == (False, 0.95)
    assert [(one.name, one.message) for one in sent.excluded] == [("a", "b")]
