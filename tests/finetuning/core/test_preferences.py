"""What preferences teach beside what they should."""

import pytest
from scipy import stats
from touchstone_finetuning.core import preferences


def test_a_model_that_prefers_length_is_told_apart() -> None:
    bias = preferences.length_bias([10, 20, 30], [5, 5, 5], [0.5, 1.5, 2.5])
    assert bias.length_difference == 15
    assert bias.correlation == pytest.approx(1.0)


def test_the_correlation_is_pearsons() -> None:
    chosen, rejected, margins = [3, 9, 4, 12, 7], [5, 2, 4, 6, 9], [0.1, 0.3, -0.2, 0.2, 0.4]
    expected = stats.pearsonr([c - r for c, r in zip(chosen, rejected, strict=True)], margins).statistic
    assert preferences.length_bias(chosen, rejected, margins).correlation == pytest.approx(expected)


@pytest.mark.parametrize(
    ("chosen", "margins"),
    [([4], [0.1]), ([4, 4], [0.1, 0.2]), ([4, 6], [0.1, 0.1])],
    ids=["one", "same lengths", "same margins"],
)
def test_without_differences_there_is_no_correlation(chosen: list[int], margins: list[float]) -> None:
    assert preferences.length_bias(chosen, [2] * len(chosen), margins).correlation is None
