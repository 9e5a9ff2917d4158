"""Choosing among candidates that were measured alike: a frontier, an order, and why. Pure.

Objectives are taken in their order, the most important first. A candidate stays in the running while it is shown to be
no more than the objective's margin worse than the best that is left, by the interval of the difference over the same
items (non-inferiority); of those that stay the next objective decides. Without a margin only the best stays. What
could not be shown does not count in a candidate's favour, so small suites choose the best measured, not the cheapest.

The frontier is Pareto's over the measured values: a candidate is dominated by one that is no worse in any objective
and better in one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from touchstone_evaluation.core import costs, measuring
from touchstone_evaluation.core.measuring import Measured
from touchstone_evaluation.core.results import Evidence, Interval
from touchstone_evaluation.core.runs import Run, RunState
from touchstone_evaluation.core.spec import (
    CONTAMINATION,
    DEFAULT_CONFIDENCE,
    Criterion,
    Goal,
    Relative,
    Side,
    Verdict,
    split,
)
from touchstone_evaluation.core.task import Metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What candidates are compared by."""

    metric: str
    """`SUITE/METRIC`."""
    max_regression: float | None = None
    """How much worse than the best a candidate may be, in the metric's unit; None: only the best stays."""
    confidence: float = DEFAULT_CONFIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A candidate, and the run that measured it."""

    name: str
    run: Run
    suites: Mapping[str, Measured]
    metrics: Mapping[str, Mapping[str, Metric]]


class Reading(NamedTuple):
    """A candidate's value of one objective."""

    metric: str
    value: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What came of a candidate."""

    name: str
    place: int
    """From 1; 0: it is out."""
    message: str
    """Why, in a sentence."""
    readings: tuple[Reading, ...] = ()
    """One an objective; none of a candidate that was never measured."""
    dominated_by: str = ""
    """Empty: it is on the frontier, or out."""
    contamination: tuple[str, ...] = ()
    """What its values are on items that stand in a contamination corpus and on others, in a sentence an objective."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What was chosen."""

    chosen: str
    """A candidate's name; empty: none could be."""
    message: str
    assessments: tuple[Assessment, ...]
    """By place, then those that are out."""


class _Step(NamedTuple):
    """What one objective makes of a candidate."""

    stays: bool
    why: str


def choose(
    candidates: Sequence[Candidate], objectives: Sequence[Objective], excluded: Mapping[str, str] | None = None
) -> Choice:
    """Choose.

    Args:
        candidates: Measured by the same suites on the same items, each in a run of its own.
        objectives: At least one.
        excluded: Why others were never measured, by name.
    """
    out = [Assessment(name=name, place=0, message=why) for name, why in (excluded or {}).items()]
    running: list[Candidate] = []
    readings = {candidate.name: _readings(candidate, objectives) for candidate in candidates}
    for candidate in candidates:
        why = _unfit(candidate, readings[candidate.name]) or _foreign(candidate, running, objectives)
        if why:
            out.append(Assessment(name=candidate.name, place=0, message=why, readings=readings[candidate.name]))
        else:
            running.append(candidate)
    if not running:
        return Choice(chosen="", message="No candidate is left to choose.", assessments=tuple(out))
    merits = {one.name: _merits(one, readings[one.name], objectives) for one in running}
    order, reasons = _run_off(running, objectives, merits)
    dominated = _dominated(merits)
    by_name = {candidate.name: candidate for candidate in running}
    placed = [
        Assessment(
            name=name,
            place=place,
            message=reasons[name],
            readings=readings[name],
            dominated_by=dominated.get(name, ""),
            contamination=_contamination(by_name[name], objectives),
        )
        for place, name in enumerate(order, start=1)
    ]
    return Choice(chosen=order[0], message=f"{order[0]}: {reasons[order[0]]}", assessments=(*placed, *out))


def _run_off(
    running: Sequence[Candidate], objectives: Sequence[Objective], merits: Mapping[str, list[float]]
) -> tuple[list[str], dict[str, str]]:
    """Order candidates, and say why each stands where it does."""
    left = list(running)
    order: list[str] = []
    reasons: dict[str, list[str]] = {one.name: [] for one in running}
    for number, objective in enumerate(objectives):
        if len(left) == 1:
            break
        ranked = sorted(left, key=lambda one: -merits[one.name][number])
        best = ranked[0]
        value = _sign(best, objective) * merits[best.name][number]
        first = _Step(stays=True, why=f"best in {objective.metric}, {value:.4g}")
        steps = [first, *(_step(one, best, objective) for one in ranked[1:])]
        for one, step in zip(ranked, steps, strict=True):
            reasons[one.name] = [*reasons[one.name], step.why] if step.stays else [step.why]
        order = [one.name for one, step in zip(ranked, steps, strict=True) if not step.stays] + order
        left = [one for one, step in zip(ranked, steps, strict=True) if step.stays]
    if len(left) > 1:
        left.sort(key=lambda one: -merits[one.name][0])
        for one in left:
            others = ", ".join(other.name for other in left if other is not one)
            reasons[one.name].append(f"no objective tells it from {others}")
    order = [*(one.name for one in left), *order]
    return order, {name: f"{'; '.join(said) or 'it is the only one that is left'}." for name, said in reasons.items()}


def _step(one: Candidate, best: Candidate, objective: Objective) -> _Step:
    """Hold a candidate against another, the best in one objective."""
    found = difference(one, best, objective)
    if found.problem or found.delta is None:
        why = found.problem or "they share no items"
        return _Step(stays=False, why=f"cannot be compared with {best.name} in {objective.metric}: {why}")
    if objective.max_regression is None:
        why = f"{best.name} is better in {objective.metric} by {abs(found.delta):.3g}"
        return _Step(stays=found.delta == 0, why=why if found.delta else f"equal to {best.name} in {objective.metric}")
    sign = _sign(one, objective)
    interval = found.delta_interval or Interval(-math.inf, math.inf)
    worst, least = sorted(sign * end for end in interval)
    margin = f"{objective.max_regression:g} worse than {best.name} in {objective.metric}"
    told = f" (difference {found.delta:.3g}, interval {interval.low:.3g} to {interval.high:.3g})"
    if worst >= -objective.max_regression:
        return _Step(stays=True, why=f"at most {margin}{told}")
    return _Step(
        stays=False,
        why=f"{'more than' if least < -objective.max_regression else 'not shown to be at most'} {margin}{told}",
    )


def difference(one: Candidate, other: Candidate, objective: Objective) -> Evidence:
    """Compare two candidates in one objective over the items that both were asked."""
    suite, _ = split(objective.metric)
    mine, theirs = one.suites[suite], other.suites[suite]
    sides = ((mine, Side.SUBJECT), (theirs, Side.BASELINE))
    scores = [
        replace(score, asking=score.asking._replace(side=side))
        for suite, side in sides
        for score in suite.of_side(Side.SUBJECT)
    ]
    criterion = Criterion(
        name="difference", metric=objective.metric, relative=Relative(max_regression=0, confidence=objective.confidence)
    )
    return measuring.evidence(criterion, _metric(one, objective), replace(mine, scores=scores))


def _dominated(merits: Mapping[str, list[float]]) -> dict[str, str]:
    """Find who is dominated, and by whom: by the one that is best in the first objective."""
    found = {}
    for name, own in merits.items():
        by = [
            other
            for other, theirs in merits.items()
            if all(theirs[n] >= own[n] for n in range(len(own))) and any(theirs[n] > own[n] for n in range(len(own)))
        ]
        if by:
            found[name] = max(by, key=lambda other: merits[other])
    return found


def _unfit(candidate: Candidate, readings: Sequence[Reading]) -> str:
    """Say why a candidate cannot be chosen whatever the others are; empty: it can."""
    run, conclusion = candidate.run, candidate.run.conclusion
    if run.state is not RunState.COMPLETED or conclusion is None:
        return f"it was not measured: its run is {run.state}."
    if conclusion.verdict is not Verdict.PASSED:
        return f"it does not meet the criteria ({conclusion.verdict}): {conclusion.message}"
    unmeasured = [reading.metric for reading in readings if reading.value is None]
    return f"it has no value of {', '.join(unmeasured)}." if unmeasured else ""


def _foreign(candidate: Candidate, running: Sequence[Candidate], objectives: Sequence[Objective]) -> str:
    """Say why a candidate's prices cannot be compared with those of the others; empty: they can, or nobody asks."""
    if not running or not any(costs.is_price(_metric(candidate, objective)) for objective in objectives):
        return ""
    mine, theirs = candidate.run.spec.subject.price, running[0].run.spec.subject.price
    if mine is None or theirs is None or mine.currency == theirs.currency:
        return ""
    return f"its price is in {mine.currency}, and that of {running[0].name} in {theirs.currency}."


def _readings(candidate: Candidate, objectives: Sequence[Objective]) -> tuple[Reading, ...]:
    found = []
    for objective in objectives:
        suite_name, metric_name = split(objective.metric)
        suite, metric = candidate.suites.get(suite_name), candidate.metrics.get(suite_name, {}).get(metric_name)
        if suite is None or metric is None or not suite.scores:
            found.append(Reading(objective.metric, None, None))
            continue
        criterion = Criterion(name="reading", metric=objective.metric)
        evidence = measuring.evidence(criterion, metric, suite, confidence=objective.confidence)
        value = None if evidence.problem else evidence.value
        found.append(Reading(objective.metric, value, evidence.value_interval))
    return tuple(found)


def _contamination(candidate: Candidate, objectives: Sequence[Objective]) -> tuple[str, ...]:
    """Say what is known of contamination: whoever is better on contaminated items only has perhaps learnt them."""
    conclusion = candidate.run.conclusion
    slices = [found for found in conclusion.slices if found.field == CONTAMINATION] if conclusion else []
    told = {}
    for objective in objectives:
        parts = [
            f"{found.value} {'–' if found.measured is None else format(found.measured, '.3g')} ({found.samples} items)"
            for found in slices
            if found.metric == objective.metric
        ]
        if parts:
            told[objective.metric] = f"{objective.metric}: {', '.join(parts)}"
    return tuple(told.values())


def _metric(candidate: Candidate, objective: Objective) -> Metric:
    suite, metric = split(objective.metric)
    return candidate.metrics[suite][metric]


def _sign(candidate: Candidate, objective: Objective) -> int:
    """1 where more is better, -1 where less is."""
    return 1 if _metric(candidate, objective).goal is Goal.MAXIMIZE else -1


def _merits(candidate: Candidate, readings: Sequence[Reading], objectives: Sequence[Objective]) -> list[float]:
    """Its values, turned so that more is better."""
    return [
        _sign(candidate, objective) * reading.value
        for objective, reading in zip(objectives, readings, strict=True)
        if reading.value is not None
    ]
