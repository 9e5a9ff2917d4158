"""Choosing among revisions, through the real server and a real worker."""

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone_runtime import channels, errors

pytestmark = pytest.mark.asyncio(loop_scope="module")

PRICES = {"good": 8.0, "slow": 2.0, "weak": 1.0}


def spec(*names: str) -> pb.SelectionSpec:
    found = pb.SelectionSpec(candidates=[pb.Candidate(name=name, dispatch_id=f"run-{name}") for name in names])
    found.objectives.add(metric="golden/contains", max_regression=0.2)
    found.objectives.add(metric="golden/answer_price")
    found.excluded.add(name="closed", message="its licence is not allowed.")
    return found


async def measured(bench: Any, *names: str) -> None:
    for name in names:
        run = bench.spec(name)
        run.subject.price.currency = "USD"
        run.subject.price.tokens.output_per_million = PRICES[name]
        run.criteria[0].absolute.value = 0.5
        await bench.run(f"run-{name}", run)


async def chosen(bench: Any, selection_id: str, wanted: pb.SelectionSpec) -> pb.Selection:
    await bench.stub.StartSelection(pb.StartSelectionRequest(selection_id=selection_id, spec=wanted))
    async with asyncio.timeout(60):
        while True:
            response = await bench.stub.GetSelection(pb.GetSelectionRequest(selection_id=selection_id))
            if response.selection.state != pb.SELECTION_STATE_PENDING:
                found: pb.Selection = response.selection
                return found
            await asyncio.sleep(0.1)


async def test_the_cheapest_of_those_that_are_as_good_is_chosen_and_the_report_says_why(bench: Any) -> None:
    await measured(bench, "good", "slow", "weak")
    found = await chosen(bench, "choice", spec("good", "slow", "weak"))
    assert (found.state, found.chosen) == (pb.SELECTION_STATE_COMPLETED, "slow"), found.message
    assert [(one.name, one.place) for one in found.assessments] == [
        ("slow", 1),
        ("good", 2),
        ("closed", 0),
        ("weak", 0),
    ]
    assert found.assessments[1].dominated_by == "slow"
    assert "does not meet the criteria" in found.assessments[3].message
    (quality, price) = found.assessments[0].readings
    assert (quality.value, price.value) == (1.0, pytest.approx(4e-6))
    assert found.assessments[0].subject.digest == bench.digests["slow"]

    files = {artifact.name: Path(artifact.uri.removeprefix("file://")).read_text() for artifact in found.artifacts}
    assert json.loads(files["selection"])["chosen"] == "slow"
    assert "its licence is not allowed." in files["report"]
    assert "<svg" in files["report"]
    assert "http://" not in files["report"].replace("http://www.w3.org/2000/svg", "")

    again = await bench.stub.StartSelection(
        pb.StartSelectionRequest(selection_id="choice", spec=spec("good", "slow", "weak"))
    )
    assert again.selection.chosen == "slow", "the same id is the same selection"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.stub.StartSelection(pb.StartSelectionRequest(selection_id="choice", spec=spec("good")))
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_a_run_that_is_not_there_fails_the_selection_with_its_name(bench: Any) -> None:
    found = await chosen(bench, "lost", spec("absent"))
    assert found.state == pb.SELECTION_STATE_FAILED
    assert "run-absent" in found.message


async def test_faults_of_a_selection_are_all_named(bench: Any) -> None:
    wanted = spec("good")
    wanted.objectives[0].metric = "contains"
    wanted.objectives[1].max_regression = -1
    wanted.objectives[1].confidence = 2
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.stub.StartSelection(pb.StartSelectionRequest(selection_id="wrong", spec=wanted))
    error = channels.translate(caught.value, "evaluation")
    assert isinstance(error, errors.Invalid)
    assert [violation.field for violation in error.violations] == [
        "spec.objectives[0].metric", "spec.objectives[1].max_regression", "spec.objectives[1].confidence",
    ]  # fmt: skip
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.stub.GetSelection(pb.GetSelectionRequest(selection_id="wrong"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
