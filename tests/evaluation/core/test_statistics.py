"""Intervals and tests against references and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from touchstone_evaluation.core import statistics


def column(values: object) -> statistics.Floats:
    return np.asarray(values, dtype=np.float64).reshape(-1, 1)


def test_the_bootstrap_of_a_mean_is_scipys_within_resampling_noise() -> None:
    values = np.random.default_rng(1).normal(3, 2, size=400)
    own = statistics.bootstrap(statistics.mean, column(values), confidence=0.95)
    reference = stats.bootstrap((values,), np.mean, method="percentile", rng=2).confidence_interval
    assert own.low == pytest.approx(reference.low, abs=0.03)
    assert own.high == pytest.approx(reference.high, abs=0.03)


def test_a_paired_interval_is_narrower_where_items_are_hard_for_both() -> None:
    generator = np.random.default_rng(3)
    hardness = generator.normal(0, 5, size=200)
    subject, baseline = column(hardness + 1), column(hardness + generator.normal(0, 0.5, size=200))
    paired, apart = (
        statistics.bootstrap_difference(statistics.mean, subject, baseline, is_paired=p, confidence=0.95)
        for p in (True, False)
    )
    assert paired.high - paired.low < (apart.high - apart.low) / 4
    assert paired.low > 0 > apart.low


@pytest.mark.parametrize("count", [40, 200])
def test_the_interval_of_a_difference_covers_the_truth_as_often_as_it_says(count: int) -> None:
    generator = np.random.default_rng(count)
    truth, runs, covered = 0.2, 300, 0
    for _ in range(runs):
        baseline = generator.random(count) < 0.3
        subject = np.where(baseline, generator.random(count) < 0.9, generator.random(count) < 0.329)
        found = statistics.bootstrap_difference(
            statistics.mean, column(subject), column(baseline), is_paired=True, confidence=0.95, resamples=1000
        )
        covered += found.low <= truth <= found.high
    low, high = stats.binom.interval(0.999, runs, 0.95)
    assert low <= covered <= high + runs * 0.02, covered


@pytest.mark.parametrize(("successes", "trials"), [(3, 40), (16, 40), (0, 10), (40, 40)])
def test_wilsons_interval_is_scipys(successes: int, trials: int) -> None:
    own = statistics.wilson(successes, trials, confidence=0.95)
    reference = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert (own.low, own.high) == pytest.approx((reference.low, reference.high), abs=1e-9)


@given(gained=st.integers(0, 60), lost=st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial_test(gained: int, lost: int) -> None:
    own = statistics.mcnemar(gained, lost)
    reference = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    assert own == pytest.approx(reference, abs=1e-9)


def test_mcnemar_of_fourteen_against_one() -> None:
    # 2 * (C(15,0) + C(15,1)) / 2^15, by hand.
    assert statistics.mcnemar(14, 1) == pytest.approx(2 * 16 / 2**15)


def test_the_same_data_give_the_same_interval() -> None:
    values = column(np.random.default_rng(5).random(50))
    first, second = (statistics.bootstrap(statistics.percentile(95), values, confidence=0.9) for _ in range(2))
    assert first == second


def test_equal_values_are_no_certainty() -> None:
    found = statistics.unseen(1.0, 40, lowest=0.0, highest=1.0, confidence=0.95)
    assert found.low == pytest.approx(0.025 ** (1 / 40))
    assert found.high == 1.0


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=30))
def test_auroc_equals_the_statistic_of_mann_and_whitney(pairs: list[tuple[int, bool]]) -> None:
    ones = [score for score, label in pairs if label]
    zeros = [score for score, label in pairs if not label]
    items = np.array([[float(score), float(label)] for score, label in pairs])
    expected = 0.5
    if ones and zeros:
        expected = stats.mannwhitneyu(ones, zeros).statistic / (len(ones) * len(zeros))
    assert statistics.value(statistics.auroc, items) == pytest.approx(expected)


def test_auroc_of_clusters_leaves_out_what_is_missing() -> None:
    items = np.array([[0.9, 1.0, 0.1, 0.0], [0.4, 1.0, np.nan, np.nan], [0.5, 0.0, 0.2, 0.0]])
    flat = np.array([[0.9, 1.0], [0.1, 0.0], [0.4, 1.0], [0.5, 0.0], [0.2, 0.0]])
    assert statistics.value(statistics.auroc, items) == statistics.value(statistics.auroc, flat) == pytest.approx(5 / 6)


def test_the_interval_of_an_auroc_holds_it() -> None:
    random = np.random.default_rng(3)
    labels = random.random(300) < 0.5
    items = np.column_stack([random.normal(labels * 1.0), labels.astype(float)])
    low, high = statistics.bootstrap(statistics.auroc, items, confidence=0.95, resamples=2000)
    # Two normals one standard deviation apart: the chance that one exceeds the other is Phi(1 / sqrt(2)) = 0.760.
    assert low < 0.760 < high
    assert high - low < 0.15
