"""Krippendorff's alpha, held against the published example and the extremes."""

import numpy as np
import pytest
from touchstone_data.core import agreement

# Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, example C: four observers, twelve units, nominal 0.743.
OBSERVERS = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]


def ratings(observers: list[str]) -> np.ndarray:
    return np.array([agreement.numbered([v for v in unit if v != "."]) for unit in zip(*observers, strict=True)])


def test_alpha_is_that_of_the_published_example() -> None:
    assert agreement.alpha(ratings(OBSERVERS)) == pytest.approx(0.743, abs=0.0005)


def test_alpha_is_one_where_all_agree_and_about_nothing_where_labels_are_drawn() -> None:
    assert agreement.alpha(ratings(["1212", "1212"])) == 1
    drawn = np.random.default_rng(1).integers(1, 4, (4000, 3)).astype(np.uint64)
    assert agreement.alpha(drawn) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("observers", [["1.2", ".1."], ["111", "111"]])
def test_what_cannot_be_told_has_no_alpha(observers: list[str]) -> None:
    assert agreement.alpha(ratings(observers)) is None
