"""Choosing among candidates."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from touchstone_evaluation.core import costs, selecting
from touchstone_evaluation.core.measuring import Measured
from touchstone_evaluation.core.results import Conclusion, Slice
from touchstone_evaluation.core.runs import Run, RunState
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.selecting import Candidate, Objective
from touchstone_evaluation.core.spec import Goal, ItemErrorPolicy, Price, RunSpec, Side, Subject, SubjectKind, Verdict
from touchstone_evaluation.core.task import Mean, Metric

METRICS = {
    "right": Metric(name="right", goal=Goal.MAXIMIZE, aggregate=Mean(of="right"), description="", lowest=0, highest=1),
    "price": Metric(name="price", goal=Goal.MINIMIZE, aggregate=Mean(of="price"), description="", lowest=0),
}
ITEMS = 400


def candidate(
    name: str, right: Sequence[float], price: float, *, verdict: Verdict = Verdict.PASSED, is_measured: bool = True
) -> Candidate:
    subject = Subject(kind=SubjectKind.MODEL_DEPLOYMENT, name=f"default/{name}", revision=name, digest=f"sha256:{name}")
    run = Run(
        dispatch_id=name,
        spec=RunSpec(subject=subject),
        state=RunState.COMPLETED,
        conclusion=Conclusion(verdict=verdict, message="so it came."),
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    scores = [
        Score(asking=Asking("s", f"item-{n}", Side.SUBJECT, 0), values={"right": value, "price": price})
        for n, value in enumerate(right)
    ]
    suite = Measured(
        scores=scores, expected=len(scores), policy=ItemErrorPolicy.COUNT, max_error_ratio=0, is_paired=True
    )
    return Candidate(name=name, run=run, suites={"s": suite} if is_measured else {}, metrics={"s": METRICS})


def answers(share: float, seed: int, items: int = ITEMS) -> list[float]:
    """Right answers to the first items, but for a few that luck decides."""
    luck = np.random.default_rng(seed).random(items)
    base = np.arange(items) < share * items
    return [float(right ^ (chance < 0.02)) for right, chance in zip(base, luck, strict=True)]


def quality(margin: float | None) -> list[Objective]:
    return [Objective(metric="s/right", max_regression=margin), Objective(metric="s/price")]


LARGE = candidate("large", answers(0.80, 1), 10.0)
SMALL = candidate("small", answers(0.79, 2), 1.0)
TINY = candidate("tiny", answers(0.40, 3), 0.1)
DEAR = candidate("dear", answers(0.60, 4), 20.0)


def test_the_cheaper_one_is_chosen_where_it_is_shown_to_be_no_worse_than_the_margin() -> None:
    found = selecting.choose([TINY, LARGE, SMALL, DEAR], quality(0.06))
    assert found.chosen == "small"
    assert [(one.name, one.place) for one in found.assessments] == [
        ("small", 1),
        ("large", 2),
        ("dear", 3),
        ("tiny", 4),
    ]
    assert "at most 0.06 worse than large in s/right" in found.message
    assert "best in s/price" in found.message
    assert "small is better in s/price" in found.assessments[1].message
    assert "more than 0.06 worse than large" in found.assessments[3].message


def test_without_a_margin_the_best_is_chosen_whatever_it_costs() -> None:
    assert selecting.choose([SMALL, LARGE], quality(None)).chosen == "large"


def test_few_items_show_nothing_and_the_best_measured_stays() -> None:
    few = [candidate("large", [1.0] * 10 + [0.0] * 2, 10.0), candidate("small", [1.0] * 9 + [0.0] * 3, 1.0)]
    found = selecting.choose(few, quality(0.06))
    assert found.chosen == "large"
    assert "not shown to be at most" in found.assessments[1].message


def test_who_is_worse_in_everything_is_dominated_and_who_is_cheap_is_on_the_frontier() -> None:
    found = {
        one.name: one.dominated_by for one in selecting.choose([TINY, LARGE, SMALL, DEAR], quality(0.06)).assessments
    }
    assert found == {"small": "", "large": "", "tiny": "", "dear": "large"}


def test_whoever_fails_the_criteria_is_out_however_good() -> None:
    failed = candidate("brilliant", [1.0] * ITEMS, 0.0, verdict=Verdict.FAILED)
    found = selecting.choose([failed, TINY], quality(0.06), {"closed": "its licence is not allowed."})
    assert found.chosen == "tiny"
    assert [(one.name, one.place) for one in found.assessments] == [("tiny", 1), ("closed", 0), ("brilliant", 0)]
    assert "does not meet the criteria (Failed): so it came." in found.assessments[2].message


def test_whoever_was_not_measured_in_an_objective_is_out() -> None:
    found = selecting.choose([candidate("silent", [1.0] * ITEMS, 0.0, is_measured=False), TINY], quality(None))
    assert (found.chosen, found.assessments[1].place) == ("tiny", 0)
    assert "no value of s/right, s/price" in found.assessments[1].message


def test_nobody_is_chosen_of_none() -> None:
    found = selecting.choose([], quality(None), {"closed": "its licence is not allowed."})
    assert (found.chosen, found.message) == ("", "No candidate is left to choose.")


def test_what_is_known_of_contamination_stands_beside_the_choice() -> None:
    conclusion = Conclusion(
        verdict=Verdict.PASSED,
        message="",
        slices=(
            Slice(metric="s/right", field="contamination", value="contaminated", samples=30, measured=0.9),
            Slice(metric="s/right", field="contamination", value="clean", samples=370, measured=0.5),
            Slice(metric="s/right", field="language", value="en", samples=400, measured=0.5),
        ),
    )
    learnt = replace(LARGE, run=replace(LARGE.run, conclusion=conclusion))
    (found,) = selecting.choose([learnt], quality(None)).assessments
    assert found.contamination == ("s/right: contaminated 0.9 (30 items), clean 0.5 (370 items)",)


def test_prices_in_two_currencies_are_not_compared() -> None:
    def priced(one: Candidate, currency: str) -> Candidate:
        subject = replace(one.run.spec.subject, price=Price(currency=currency))
        run = replace(one.run, spec=replace(one.run.spec, subject=subject))
        price = replace(METRICS["price"], aggregate=Mean(of=costs.PRICE))
        scores = [replace(score, values={**score.values, costs.PRICE: 1.0}) for score in one.suites["s"].scores]
        suites = {"s": replace(one.suites["s"], scores=scores)}
        return replace(one, run=run, suites=suites, metrics={"s": {**METRICS, "price": price}})

    found = selecting.choose([priced(LARGE, "USD"), priced(SMALL, "EUR")], quality(0.06))
    assert (found.chosen, found.assessments[1].place) == ("large", 0)
    assert "in EUR, and that of large in USD" in found.assessments[1].message
    unpriced = selecting.choose([priced(LARGE, "USD"), priced(SMALL, "EUR")], quality(0.06)[:1])
    assert unpriced.assessments[1].place == 2, "nobody asks what they cost"


def test_equals_are_told_to_be_equals() -> None:
    twins = [candidate(name, [1.0] * 40, 1.0) for name in ("one", "two")]
    found = selecting.choose(twins, quality(None))
    assert "no objective tells it from two" in found.message


def test_a_difference_is_over_the_same_items_and_narrower_than_of_strangers() -> None:
    found = selecting.difference(SMALL, LARGE, quality(0.06)[0])
    assert found.samples == ITEMS
    assert found.delta_interval is not None
    width = found.delta_interval.high - found.delta_interval.low
    strangers = 2 * 1.96 * np.sqrt(2 * 0.8 * 0.2 / ITEMS)
    assert width < 0.6 * strangers
