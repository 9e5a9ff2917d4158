"""Metrics by the fields of items."""

from collections.abc import Sequence

import numpy as np
import pytest
from touchstone_evaluation.core import slicing
from touchstone_evaluation.core.measuring import Measured
from touchstone_evaluation.core.results import Slice
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import Goal, ItemErrorPolicy, Side
from touchstone_evaluation.core.task import Mean, Metric

METRIC = Metric(
    name="right", goal=Goal.MAXIMIZE, aggregate=Mean(of="right"), description="", is_binary=True, lowest=0, highest=1
)


def suite(labels: Sequence[str], subject: Sequence[float], baseline: Sequence[float] = ()) -> Measured:
    items = [f"item-{number}" for number in range(len(labels))]
    sides = {Side.SUBJECT: subject, Side.BASELINE: baseline}
    scores = [
        Score(asking=Asking("s", item, side, 0), values={"right": value})
        for side, values in sides.items()
        for item, value in zip(items, values, strict=False)
    ]
    return Measured(
        scores=scores,
        expected=len(items),
        policy=ItemErrorPolicy.COUNT,
        max_error_ratio=0,
        is_paired=True,
        labels={"language": dict(zip(items, labels, strict=True))},
    )


def sliced(*of: object) -> dict[str, Slice]:
    return {found.value: found for found in slicing.slices("s", METRIC, suite(*of))}  # type: ignore[arg-type]


def test_a_slice_that_loses_is_found_in_a_whole_that_gains() -> None:
    labels = ["en"] * 80 + ["de"] * 40
    subject, baseline = [1.0] * 80 + [0.0] * 40, [0.0] * 80 + [1.0] * 40
    found = sliced(labels, subject, baseline)
    assert list(found) == ["en", "de"], "larger ones first"
    assert found["de"].is_worse
    assert not found["en"].is_worse
    assert (found["de"].measured, found["de"].baseline, found["de"].delta) == (0, 1, -1)
    assert sum(subject) > sum(baseline)


def test_a_slice_of_few_items_is_named_and_not_measured() -> None:
    found = sliced(["en"] * 30 + ["de"] * (slicing.MIN_ITEMS - 1), [1.0] * 49)
    assert found["de"].samples == slicing.MIN_ITEMS - 1
    assert found["de"].measured is None
    assert found["en"].measured == 1


def test_items_without_the_field_are_in_no_slice() -> None:
    measured = suite(["en"] * 40, [1.0] * 40)
    measured.labels["language"].pop("item-0")  # type: ignore[attr-defined]
    (found,) = slicing.slices("s", METRIC, measured)
    assert found.samples == 39


def test_of_many_slices_of_equals_seldom_one_stands_out() -> None:
    """Ten slices at 95 % each would stand out in two runs of five; together they may in one of twenty."""
    generator = np.random.default_rng(7)
    labels = [str(number % 10) for number in range(400)]
    wrong = 0
    for _ in range(60):
        sides = [generator.binomial(1, 0.5, 400).astype(float).tolist() for _ in range(2)]
        wrong += any(one.is_worse for one in sliced(labels, *sides).values())
    assert wrong <= 6, "binomial(60, 0.025): more than 6 have a probability of 0.001"
    assert sliced(labels, *sides)["0"].confidence == pytest.approx(0.995)


def test_simpsons_reversal_is_told() -> None:
    """The two treatments of kidney stones (Charig et al., 1986): better for small and for large, worse in all."""

    def of(value: str, subject: float, baseline: float) -> Slice:
        return Slice(
            metric="s/cured", field="stone", value=value, samples=300, measured=subject, baseline=baseline,
            delta=subject - baseline,
        )  # fmt: skip

    stones = [of("small", 81 / 87, 234 / 270), of("large", 192 / 263, 55 / 80)]
    assert slicing.is_reversed(273 / 350 - 289 / 350, stones)
    assert not slicing.is_reversed(289 / 350 - 273 / 350, stones)
    assert not slicing.is_reversed(-0.1, stones[:1]), "one slice is no reversal"
    assert not slicing.is_reversed(None, stones)
