"""Ending early: confidence sequences against a reference, their errors by simulation, and what they save."""

from dataclasses import replace

import numpy as np
import pytest
from touchstone_evaluation.core import concluding, criteria, measuring, sequential
from touchstone_evaluation.core.items import ItemDigest
from touchstone_evaluation.core.measuring import Measured
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import (
    Absolute,
    Criterion,
    Execution,
    Goal,
    ItemErrorPolicy,
    Operator,
    Relative,
    RunSpec,
    Side,
    Subject,
    SubjectKind,
    Verdict,
)
from touchstone_evaluation.core.task import Mean, Metric
from touchstone_evaluation.service.looking import is_due

METRIC = Metric(
    name="right", goal=Goal.MAXIMIZE, aggregate=Mean(of="right"), description="", is_binary=True, lowest=0, highest=1,
    has_worst=True,
)  # fmt: skip
SUBJECT = Subject(kind=SubjectKind.MODEL_DEPLOYMENT, name="d/m", revision="r", digest="sha256:0")


def suite(subject: np.ndarray, baseline: np.ndarray, planned: int | None = None) -> Measured:
    """A suite of paired 0/1 scores."""
    order = tuple(ItemDigest(f"{n:06}") for n in range(planned or len(subject)))
    scores = [
        Score(asking=Asking("s", item, side, 0), values={"right": float(value)})
        for side, values in ((Side.SUBJECT, subject), (Side.BASELINE, baseline))
        for item, value in zip(order, values, strict=False)
    ]
    return Measured(
        scores=scores, expected=len(order), policy=ItemErrorPolicy.COUNT, max_error_ratio=0, is_paired=True,
        order=order, askings_per_item=2,
    )  # fmt: skip


def spec(*wanted: Criterion) -> RunSpec:
    return RunSpec(subject=SUBJECT, baseline=SUBJECT, criteria=wanted, execution=Execution(stop_early=True))


REGRESSION = Criterion(name="r", metric="s/right", relative=Relative(max_regression=0.1), required=True)
FLOOR = Criterion(
    name="f", metric="s/right", absolute=Absolute(operator=Operator.GREATER_OR_EQUAL, value=0.5), required=True
)
METRICS = {"s": {"right": METRIC}}


@pytest.mark.parametrize(
    ("draw", "population", "at_fifty", "at_the_end"),
    [
        (lambda: np.random.default_rng(1).random(200) < 0.3, None, (0.082, 0.450), (0.165, 0.387)),
        (lambda: np.random.default_rng(2).random(500) < 0.9, None, (0.817, 1.0), (0.859, 0.954)),
        (lambda: np.random.default_rng(3).random(300) < 0.6, 400, (0.492, 0.828), (0.534, 0.681)),
        (lambda: np.random.default_rng(4).beta(2, 5, size=300), None, (0.203, 0.386), (0.253, 0.316)),
    ],
)
def test_intervals_are_those_of_the_authors_program(draw, population, at_fifty, at_the_end) -> None:  # type: ignore[no-untyped-def]
    """Golden numbers of `betting_cs` of the package confseq 0.0.9 (alpha 0.05, 1000 breaks, running intersection).

    It halves the capital between two gamblers and compares with 1/alpha; ours have their own, and 2/alpha: the same.
    """
    values = draw().astype(float)
    for count, golden in ((50, at_fifty), (len(values), at_the_end)):
        found = sequential.interval(values[:count], lowest=0, highest=1, tail=0.025, population=population)
        assert found == pytest.approx(golden, abs=0.005)


def test_intervals_scale_with_the_range() -> None:
    values = np.random.default_rng(5).random(80)
    unit = sequential.interval(values, lowest=0, highest=1, tail=0.01)
    scaled = sequential.interval(values * 4 - 2, lowest=-2, highest=2, tail=0.01)
    assert scaled == pytest.approx((unit.low * 4 - 2, unit.high * 4 - 2))


def test_at_the_end_of_a_population_nothing_is_uncertain() -> None:
    values = (np.random.default_rng(6).random(120) < 0.4).astype(float)
    found = sequential.interval(values, lowest=0, highest=1, tail=0.025, population=120)
    assert found == pytest.approx((values.mean(), values.mean()), abs=1 / 120 + 0.002), "but for one item's worth"


@pytest.mark.parametrize(("mean", "seed"), [(0.05, 1), (0.5, 2), (0.93, 3)])
def test_the_mean_is_ever_excluded_as_seldom_as_stated(mean: float, seed: int) -> None:
    """Looked at after every single item of 400: of 600 runs at most 5 % may ever exclude it (99.9 % limit: 48)."""
    generator = np.random.default_rng(seed)
    wrong = 0
    for _ in range(600):
        values = (generator.random(400) < mean).astype(float)
        found = sequential.interval(values, lowest=0, highest=1, tail=0.025)  # excluded once is excluded for good
        wrong += not found.low <= mean <= found.high
    assert wrong <= 48


def test_at_the_bound_a_run_passes_or_fails_early_as_seldom_as_stated() -> None:
    """A gain of exactly -0.1 neither passes nor fails but with probability 0.005 a side (of 400, 99.9 % limit: 8)."""
    generator = np.random.default_rng(11)
    told = {Verdict.PASSED: 0, Verdict.FAILED: 0, Verdict.INCONCLUSIVE: 0}
    for _ in range(400):
        draw = generator.random(300)
        subject, baseline = (draw < 0.6).astype(float), ((draw < 0.55) | (draw > 0.85)).astype(float)
        found = measuring.early_evidence(REGRESSION, METRIC, suite(subject, baseline), 300, tail=0.005)
        told[criteria.judge(REGRESSION, Goal.MAXIMIZE, found).verdict] += 1
    assert told[Verdict.PASSED] <= 8
    assert told[Verdict.FAILED] <= 8


def items_needed(gain: float, seed: int, planned: int = 1000) -> int:
    """How many items a run takes before it is certain, of a baseline that is right in 0.7, with 0.15 of answers changed."""
    generator = np.random.default_rng(seed)
    baseline, draw = (generator.random(planned) < 0.7).astype(float), generator.random(planned)
    up, down = (0.15 + gain) / 2 / 0.3, (0.15 - gain) / 2 / 0.7
    subject = np.where(draw < np.where(baseline == 1, down, up), 1 - baseline, baseline)
    full = suite(subject, baseline)
    looks = [n for n in range(8, planned) if is_due(2 * (n - 1), 2 * n)]
    certain = (n for n in looks if concluding.settled(spec(REGRESSION), {"s": full.first(n)}, METRICS))
    return next(certain, planned)


def test_clear_cases_end_early_and_ties_take_all() -> None:
    """docs/evaluation/criteria.md has the medians of 20 seeds."""
    medians = {gain: float(np.median([items_needed(gain, seed) for seed in range(7)])) for gain in (0.05, 0.0, -0.1)}
    assert medians[0.05] < 200
    assert medians[0.0] < 400
    assert medians[-0.1] == 1000


def test_only_what_is_complete_in_order_counts() -> None:
    """Items that are quick to answer may be the easy ones: what is behind a gap is not looked at."""
    full = suite(np.ones(100), np.ones(100))
    gap = replace(
        full, scores=[score for score in full.scores if score.asking != Asking("s", full.order[30], Side.BASELINE, 0)]
    )
    assert gap.complete == 30
    assert full.complete == 100


def test_a_failure_is_certain_although_another_criterion_is_open() -> None:
    draw = np.random.default_rng(12).random(300)
    bad, good = (draw < 0.1).astype(float), (draw < 0.9).astype(float)
    assert concluding.settled(spec(REGRESSION, FLOOR), {"s": suite(bad, good, 2000)}, METRICS) is not None
    same = suite(good, good, 2000)
    assert concluding.settled(spec(REGRESSION, FLOOR), {"s": same}, METRICS) == {"s": 300}
    unbounded = replace(METRIC, highest=None, is_binary=False)
    assert concluding.settled(spec(REGRESSION), {"s": same}, {"s": {"right": unbounded}}) is None


def test_what_is_settled_is_judged_by_the_same_items_whatever_came_later() -> None:
    draw = np.random.default_rng(13).random(600)
    good = (draw < 0.9).astype(float)
    early, late = suite(good[:200], good[:200], 600), suite(good, good)
    told = [
        concluding.conclude(spec(REGRESSION, FLOOR), {"s": found}, METRICS, settled={"s": 200})
        for found in (early, late)
    ]
    assert told[0] == told[1]
    assert told[0].verdict is Verdict.PASSED
    assert told[0].message.startswith("Certain after 200 of")
    assert [result.evidence.samples for result in told[0].criteria] == [200, 200]


def test_the_end_has_what_looking_left_of_the_error() -> None:
    draw = np.random.default_rng(14).random(200)
    both = suite((draw < 0.7).astype(float), (draw < 0.7).astype(float))
    told = concluding.conclude(spec(REGRESSION), {"s": both}, METRICS)
    assert told.criteria[0].confidence == pytest.approx(0.96)


def test_items_of_one_document_count_as_one() -> None:
    """50 documents of 8 items that are right or wrong together: the interval is that of 50, not of 400."""
    documents = (np.random.default_rng(15).random(50) < 0.6).astype(float)
    subject = np.repeat(documents, 8)
    alone = suite(subject, np.zeros(400))
    clustered = replace(alone, clusters={item: str(n // 8) for n, item in enumerate(alone.order)})
    wanted = replace(REGRESSION, relative=Relative(max_regression=0.1))
    width = {}
    for name, one in (("alone", alone), ("clustered", clustered), ("fifty", suite(documents, np.zeros(50)))):
        found = measuring.evidence(wanted, METRIC, one)
        assert found.delta == pytest.approx(documents.mean())
        assert found.delta_interval is not None
        width[name] = found.delta_interval.high - found.delta_interval.low
    assert width["clustered"] == pytest.approx(width["fifty"], rel=0.15)
    assert width["alone"] < width["clustered"] / 2


def test_items_weigh_the_same_however_large_their_documents_are() -> None:
    subject = np.array([1.0] * 9 + [0.0])
    found = suite(subject, np.zeros(10))
    clusters = {item: "large" if n < 9 else "small" for n, item in enumerate(found.order)}
    told = measuring.evidence(FLOOR, METRIC, replace(found, clusters=clusters))
    assert (told.value, told.samples) == (0.9, 10)


def test_the_advised_number_of_items_tells_four_times_in_five() -> None:
    """Differences of standard deviation 0.5 and a gain that lies 0.1 above the bound."""
    wanted = criteria.samples_to_tell(0.1, 1.96 * 0.5 / np.sqrt(50), 50, confidence=0.95)
    assert wanted is not None
    generator = np.random.default_rng(16)
    gains = generator.normal(0.1, 0.5, size=(4000, wanted))
    lower = gains.mean(axis=1) - 1.96 * gains.std(axis=1, ddof=1) / np.sqrt(wanted)
    assert (lower > 0).mean() == pytest.approx(0.8, abs=0.03)


def test_no_number_of_items_tells_a_gain_that_lies_at_the_bound() -> None:
    assert criteria.samples_to_tell(0.0, 0.1, 50, confidence=0.95) is None
    assert criteria.samples_to_tell(1e-6, 0.1, 50, confidence=0.95) is None


def test_looks_grow_with_what_is_there() -> None:
    looks = [n for n in range(1, 10_000) if is_due(n - 1, n)]
    assert looks[0] == 16
    assert len(looks) < 60
