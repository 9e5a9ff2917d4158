"""From runs of one suite to the matches between the revisions that they measured. Pure.

Where a metric's values are points against the other side, as a pairwise judge's, each item of a run is one match. Of
any other metric, two revisions meet about each item that both were asked: the better value wins, equal ones tie.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from touchstone_evaluation.core import costs
from touchstone_evaluation.core.items import ItemDigest
from touchstone_evaluation.core.matches import Match
from touchstone_evaluation.core.runs import Run
from touchstone_evaluation.core.scores import Score
from touchstone_evaluation.core.spec import Goal, Side, Subject, Suite
from touchstone_evaluation.core.task import Mean, Metric

REFERENCE = "reference"
"""The player that items' golds are, where they are the other side."""
LENGTH = f"{costs.OWN}output_tokens"

Values = Mapping[ItemDigest, float]


class Entry(NamedTuple):
    """What one run has to say."""

    run: Run
    suite: Suite
    metric: Metric
    scores: Sequence[Score]
    """Of the suite."""


def player(subject: Subject) -> str:
    """Name a revision for people."""
    return f"{subject.name}@{subject.revision}"


def players(entries: Sequence[Entry]) -> dict[str, Subject]:
    """List the revisions that take part, by their names."""
    subjects = [entry.run.spec.of_side(side) for entry in entries for side in entry.run.spec.sides]
    return {player(subject): subject for subject in subjects}


def fault(entries: Sequence[Entry]) -> str:
    """Say why runs cannot be ranked together; empty: they can."""
    first = entries[0]
    if not isinstance(first.metric.aggregate, Mean):
        return f"{first.metric.name} is no mean of items' values: items have no winners in it."
    for entry in entries[1:]:
        differing = [name for name, value in _measured_by(entry).items() if value != _measured_by(first)[name]]
        if differing:
            return (
                f"The suite {entry.suite.name!r} of the run {entry.run.dispatch_id} differs from that of "
                f"{first.run.dispatch_id} in its {' and '.join(differing)}: like is compared with like."
            )
    empty = next((entry for entry in entries if not entry.scores), None)
    return f"The run {empty.run.dispatch_id} has no scores any more, or never had: run it again." if empty else ""


def matches(entries: Sequence[Entry], *, with_length: bool = False) -> list[Match]:
    """Make the matches; `with_length` with how many times as long the first answer is, as doublings."""
    if entries[0].metric.is_match:
        found = [match for entry in entries for match in _games(entry)]
    else:
        found = _meetings(entries)
    if not with_length:
        return found
    lengths = _by_player(entries, LENGTH, worst=None)
    return [
        match._replace(covariates=(math.log2(max(1.0, one) / max(1.0, other)),))
        for match in found
        for item in [ItemDigest(str(match.cluster))]
        if (one := lengths[match.first].get(item)) is not None
        and (other := lengths[match.second].get(item)) is not None
    ]


def _measured_by(entry: Entry) -> Mapping[str, object]:
    suite = entry.suite
    return {
        "task": suite.task,
        "parameters": dict(suite.parameters),
        "items": entry.run.suites[suite.name].dataset_digest if suite.name in entry.run.suites else "",
        "sampling": suite.sampling,
        "judges": [judge.subject.digest for judge in suite.judges],
    }


def _games(entry: Entry) -> list[Match]:
    """The subject of a run against its baseline or, where it has none, the golds."""
    spec = entry.run.spec
    other = (
        player(spec.baseline) if spec.baseline and entry.suite.parameters.get("against") != "Reference" else REFERENCE
    )
    values = _by_player([entry], _name(entry.metric), worst=None)[player(spec.subject)]
    return [Match(player(spec.subject), other, points, item) for item, points in values.items()]


def _meetings(entries: Sequence[Entry]) -> list[Match]:
    metric = entries[0].metric
    values = _by_player(entries, _name(metric), worst=metric.worst)
    sign = 1 if metric.goal is Goal.MAXIMIZE else -1
    return [
        Match(first, second, _points(sign * values[first][item], sign * values[second][item]), item)
        for first, second in itertools.combinations(sorted(values), 2)
        for item in values[first]
        if item in values[second]
    ]


def _points(one: float, other: float) -> float:
    return 0.5 if math.isclose(one, other, abs_tol=1e-12) else float(one > other)


def _by_player(entries: Sequence[Entry], name: str, *, worst: float | None) -> Mapping[str, Values]:
    """Collect each revision's value of each item: the mean over what it was asked; failed is the worst."""
    found: dict[str, dict[ItemDigest, list[float]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        names = {side: player(entry.run.spec.of_side(side)) for side in entry.run.spec.sides}
        for score in entry.scores:
            value = worst if score.error else score.values.get(name)
            if value is not None:
                found[names[Side(score.asking.side)]][score.asking.item].append(value)
    means = {
        who: {item: sum(numbers) / len(numbers) for item, numbers in items.items()} for who, items in found.items()
    }
    return defaultdict(dict, means)


def _name(metric: Metric) -> str:
    return metric.aggregate.of if isinstance(metric.aggregate, Mean) else metric.name
