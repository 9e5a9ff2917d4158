"""What measured values mean for the business."""

import pytest
from touchstone_evaluation.core import business
from touchstone_evaluation.core.results import Evidence, Interval
from touchstone_evaluation.core.spec import BusinessMetric

AUTOMATED = BusinessMetric(name="tickets nobody looks at", unit="%", curve=((0.9, 70), (0.5, 20), (0.7, 40)))


def test_between_two_points_the_meaning_is_interpolated() -> None:
    found = business.told(AUTOMATED, Evidence(value=0.8, value_interval=Interval(0.6, 0.9), baseline=0.5))
    assert found is not None
    assert (found.value, found.interval, found.baseline) == (pytest.approx(55), (pytest.approx(30), 70), 20)
    assert not found.is_beyond


@pytest.mark.parametrize(("value", "meant"), [(0.4, 20), (0.95, 70)])
def test_beyond_the_curve_its_end_is_told_and_marked(value: float, meant: float) -> None:
    found = business.told(AUTOMATED, Evidence(value=value))
    assert found is not None
    assert (found.value, found.is_beyond, found.interval) == (meant, True, None)


def test_a_falling_curve_turns_the_interval() -> None:
    falling = BusinessMetric(name="complaints", unit="a day", curve=((0.0, 100), (1.0, 0)))
    found = business.told(falling, Evidence(value=0.5, value_interval=Interval(0.4, 0.7)))
    assert found is not None
    assert found.interval == (pytest.approx(30), pytest.approx(60))


def test_without_a_value_nothing_is_told() -> None:
    assert business.told(AUTOMATED, Evidence()) is None
