"""Verdicts of criteria: a table of cases, and what can never happen."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from touchstone_evaluation.core import criteria
from touchstone_evaluation.core.results import Evidence, Interval
from touchstone_evaluation.core.spec import Absolute, Criterion, Goal, Operator, Relative, Verdict

P, F, I, E = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE, Verdict.ERROR  # noqa: E741
UP, DOWN = Goal.MAXIMIZE, Goal.MINIMIZE


def criterion(
    absolute: float | None = None, *, least: bool = True, min_samples: int = 1, **relative: float
) -> Criterion:
    operator = Operator.GREATER_OR_EQUAL if least else Operator.LESS_OR_EQUAL
    return Criterion(
        name="c",
        metric="s/m",
        absolute=Absolute(operator=operator, value=absolute) if absolute is not None else None,
        relative=Relative(**relative) if relative else None,
        min_samples=min_samples,
    )


def measured(value: float, low: float = 0.0, high: float = 0.0, *, samples: int = 40) -> Evidence:
    return Evidence(
        value=value, baseline=0.5, delta=(low + high) / 2, delta_interval=Interval(low, high), samples=samples
    )


CASES = [
    (criterion(0.5), UP, measured(0.5), P),
    (criterion(0.5), UP, measured(0.49), F),
    (criterion(0.5, least=False), DOWN, measured(0.51), F),
    (criterion(0.5, min_samples=41), UP, measured(0.9), I),
    (criterion(max_regression=0.05), UP, measured(0.5, -0.04, 0.1), P),
    (criterion(max_regression=0.05), UP, measured(0.5, -0.2, -0.06), F),
    (criterion(max_regression=0.05), UP, measured(0.5, -0.2, 0.1), I),
    (criterion(max_regression=5), DOWN, measured(100, -10, 4), P),
    (criterion(max_regression=5), DOWN, measured(100, 6, 20), F),
    (criterion(min_improvement=0.05), UP, measured(0.9, 0.06, 0.5), P),
    (criterion(min_improvement=0.05), UP, measured(0.5, -0.4, 0.04), F),
    (criterion(min_improvement=0.05), UP, measured(0.6, 0.0, 0.2), I),
    (criterion(min_improvement=5), DOWN, measured(90, -20, -6), P),
    (criterion(0.5, max_regression=0.05), UP, measured(0.6, -0.2, -0.06), F),
    (criterion(0.5), UP, Evidence(problem="3 of 40 failed."), E),
    (criterion(0.5), UP, Evidence(), E),
    (criterion(max_regression=0.1), UP, Evidence(value=0.5, samples=40), E),
]


@pytest.mark.parametrize(("wanted", "goal", "evidence", "verdict"), CASES)
def test_each_case_comes_to_its_verdict(wanted: Criterion, goal: Goal, evidence: Evidence, verdict: Verdict) -> None:
    judged = criteria.judge(wanted, goal, evidence)
    assert judged.verdict is verdict
    assert judged.message.endswith(".")


@given(
    broken=st.sampled_from([math.nan, math.inf, -math.inf, None]),
    low=st.floats(-1, 1),
    width=st.floats(0, 1),
    goal=st.sampled_from(list(Goal)),
)
def test_what_is_not_a_number_never_passes(broken: float | None, low: float, width: float, goal: Goal) -> None:
    both = Interval(low, low + width)
    for evidence in (
        Evidence(value=broken, delta=0.1, delta_interval=both, baseline=0.5, samples=40),
        Evidence(
            value=0.9, delta=broken, delta_interval=None if broken is None else Interval(broken, broken), samples=40
        ),
    ):
        wanted = criterion(-10.0, max_regression=10.0)
        assert criteria.judge(wanted, goal, evidence).verdict is not P


@given(low=st.floats(-1, 1), width=st.floats(0, 1), shift=st.floats(0, 1))
def test_better_data_never_make_a_worse_verdict(low: float, width: float, shift: float) -> None:
    order = [F, I, P]
    for wanted in (criterion(max_regression=0.1), criterion(min_improvement=0.1)):
        before = criteria.judge(wanted, UP, measured(0.5, low, low + width)).verdict
        after = criteria.judge(wanted, UP, measured(0.5, low + shift, low + width + shift)).verdict
        assert order.index(after) >= order.index(before)


def test_a_run_takes_the_worst_verdict_and_none_is_an_error() -> None:
    assert criteria.worst_of([P, I, F, E]) is E
    assert criteria.worst_of([P, I, F]) is F
    assert criteria.worst_of([P, I]) is I
    assert criteria.worst_of([P, P]) is P
    assert criteria.worst_of([]) is E
