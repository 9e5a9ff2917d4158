"""The items that a report shows."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from touchstone_evaluation.catalogue.question_answering import TASK
from touchstone_evaluation.core import concluding
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.measuring import Measured
from touchstone_evaluation.core.runs import Run, RunState, SuitePlan
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import (
    Criterion,
    Execution,
    ItemErrorPolicy,
    Relative,
    RunSpec,
    Side,
    Subject,
    SubjectKind,
    Suite,
)
from touchstone_evaluation.reporting import drawings
from touchstone_evaluation.reporting.page import HtmlReporter

NAMES = ("steady-right", "steady-wrong", "lost", "gained")
ITEMS = {name: Item(id=name, question=f"{name}?") for name in NAMES}
CONTAINS: Mapping[str, tuple[float, float]] = {
    "steady-right": (1, 1),
    "steady-wrong": (0, 0),
    "lost": (0, 1),
    "gained": (1, 0),
}


def page(labels: Mapping[str, Mapping[str, str]] | None = None) -> str:
    subject = Subject(kind=SubjectKind.MODEL_DEPLOYMENT, name="default/chat", revision="r", digest="sha256:0")
    spec = RunSpec(
        subject=subject,
        baseline=subject,
        suites=(Suite(name="s", task=TASK.name, slice_by=tuple(labels or ())),),
        criteria=(Criterion(name="c", metric="s/contains", required=True, relative=Relative(max_regression=0.5)),),
        execution=Execution(log_samples=True),
    )
    plan = SuitePlan(dataset_digest="sha256:0", items=len(NAMES), expected=len(NAMES), left_out={})
    run = Run(
        dispatch_id="d",
        spec=spec,
        state=RunState.RUNNING,
        suites={"s": plan},
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    scores = [
        Score(asking=Asking("s", ITEMS[name].digest, side, 0), values={"contains": value})
        for name, values in CONTAINS.items()
        for side, value in zip((Side.SUBJECT, Side.BASELINE), values, strict=True)
    ]
    metrics = {"s": {metric.name: metric for metric in TASK.metrics({})}}
    measured = Measured(
        scores=scores,
        expected=len(NAMES),
        policy=ItemErrorPolicy.COUNT,
        max_error_ratio=0,
        is_paired=True,
        labels=labels or {},
    )
    conclusion = concluding.conclude(spec, {"s": measured}, metrics, stopped="")
    items = {"s": {item.digest: item for item in ITEMS.values()}}
    return HtmlReporter().render(run, conclusion, scores, metrics, items)


def test_the_worst_items_are_those_that_lost() -> None:
    text = page()
    worst = text[text.index("Worst items") :]
    assert "lost?" in worst
    assert not any(f"{name}?" in worst for name in NAMES if name != "lost")


def test_slices_too_small_to_tell_are_named() -> None:
    text = page({"language": {item.digest: "de" for item in ITEMS.values()}})
    assert "s/contains by language" in text
    assert "too few items to tell" in text


def test_all_that_was_measured_is_told_and_tables_are_reached_by_the_keyboard() -> None:
    text = page()
    measured = text[text.index("All that was measured") :]
    assert all(f"s/{name}" in measured for name in ("contains", "exact_match", "token_f1"))
    assert text.count('class="wide"') == text.count('class="wide" tabindex="0"') > 0


def test_a_drawing_of_ten_thousand_items_has_no_more_columns_than_can_be_seen() -> None:
    values = [-1.0] * 2_000 + [0.0] * 6_000 + [1.0] * 2_000
    drawing = drawings.differences(values)
    assert drawing.count("<rect") == drawings.COLUMNS
    shares = [drawing.count(f'class="{name}"') / drawings.COLUMNS for name in ("Failed", "flat", "Passed")]
    assert shares == pytest.approx([0.2, 0.6, 0.2], abs=0.01)
    assert drawings.differences(values[:9]).count("<rect") == 9
