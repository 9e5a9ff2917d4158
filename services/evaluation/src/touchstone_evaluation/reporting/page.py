"""The report's page: what was decided, on what evidence, and what to look at next."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from markupsafe import Markup

from touchstone_evaluation.core import costs, slicing
from touchstone_evaluation.core.items import Item, ItemDigest
from touchstone_evaluation.core.results import Conclusion, CriterionResult, MetricValue, Slice
from touchstone_evaluation.core.runs import Run
from touchstone_evaluation.core.scores import Score
from touchstone_evaluation.core.spec import Criterion, Goal, Side, Verdict, split
from touchstone_evaluation.core.task import Mean, Metric
from touchstone_evaluation.reporting import drawings, templates
from touchstone_evaluation.reporting.drawings import Bar

WORST_ITEMS = 12


class Pair(NamedTuple):
    """The values of both sides of an item."""

    subject: float | None
    baseline: float | None


class Worst(NamedTuple):
    """An item that the subject did worst on."""

    id: str
    question: str
    subject: float | None
    baseline: float | None
    answer: str
    baseline_answer: str
    error: str


class Comparison(NamedTuple):
    """The items of one metric, side against side."""

    metric: str
    drawing: Markup
    better: int
    equal: int
    worse: int
    worst: Sequence[Worst]


class Sliced(NamedTuple):
    """The slices of one metric by one field."""

    metric: str
    field: str
    slices: Sequence[Slice]
    worse: int
    """How many are certainly worse than the baseline."""
    is_hidden: bool
    """No criterion on this metric failed."""
    is_reversed: bool
    """Every slice differs from the baseline one way, and the whole the other."""


class HtmlReporter:
    """Writes reports."""

    def __init__(self) -> None:
        self._template = templates.environment().get_template("report.html.jinja")

    def render(
        self,
        run: Run,
        conclusion: Conclusion,
        scores: Sequence[Score],
        metrics: Mapping[str, Mapping[str, Metric]],
        items: Mapping[str, Mapping[ItemDigest, Item]],
    ) -> str:
        """Write one self-contained HTML page."""
        return self._template.render(
            run=run,
            conclusion=conclusion,
            forest=Markup(drawings.forest(_bars(run, conclusion))),  # noqa: S704 - our own markup, its texts escaped
            comparisons=[
                _comparison(run, suite, metric, scores, items.get(suite, {}))
                for suite, metric in _compared(run, metrics)
                if any(score.asking.suite == suite for score in scores)
            ],
            latencies=Markup(drawings.histogram(_latencies(scores), unit="ms")),  # noqa: S704 - as above
            costs=[value for value in conclusion.metrics if _is_cost(value, metrics)],
            measured=[value for value in conclusion.metrics if not _is_cost(value, metrics)],
            demands={criterion.name: _demand(criterion) for criterion in run.spec.criteria},
            slices=_slices(conclusion),
            failed=[score for score in scores if score.error][:WORST_ITEMS],
        )


def _is_cost(value: MetricValue, metrics: Mapping[str, Mapping[str, Metric]]) -> bool:
    suite, name = split(value.metric)
    return costs.is_common(metrics[suite][name])


def _slices(conclusion: Conclusion) -> list[Sliced]:
    tables: dict[tuple[str, str], list[Slice]] = defaultdict(list)
    for found in conclusion.slices:
        tables[found.metric, found.field].append(found)
    harmed = {
        value.metric
        for value in conclusion.criteria
        if value.evidence.delta is not None and value.verdict is Verdict.FAILED
    }
    deltas = {
        found.metric: found.value - found.baseline
        for found in conclusion.metrics
        if found.value is not None and found.baseline is not None
    }
    return [
        Sliced(
            metric,
            field,
            found,
            worse=sum(one.is_worse for one in found),
            is_hidden=metric not in harmed,
            is_reversed=slicing.is_reversed(deltas.get(metric), found),
        )
        for (metric, field), found in tables.items()
    ]


def _bars(run: Run, conclusion: Conclusion) -> list[Bar]:
    wanted = {criterion.name: criterion for criterion in run.spec.criteria}
    bars = (_bar(result, wanted[result.name]) for result in conclusion.criteria)
    return [bar for bar in bars if bar is not None]


def _bar(result: CriterionResult, criterion: Criterion) -> Bar | None:
    """The interval that decided: of the difference for a relative criterion, else of the value."""
    evidence = result.evidence
    relative = criterion.relative
    if relative is not None and evidence.delta is not None and evidence.delta_interval is not None:
        better = 1.0 if result.goal is Goal.MAXIMIZE else -1.0
        bound = relative.min_improvement if relative.min_improvement is not None else -(relative.max_regression or 0.0)
        low, high = evidence.delta_interval
        return Bar(f"Δ {result.name}", evidence.delta, low, high, better * bound, result.verdict)
    if criterion.absolute is not None and evidence.value is not None and evidence.value_interval is not None:
        low, high = evidence.value_interval
        return Bar(result.name, evidence.value, low, high, criterion.absolute.value, result.verdict)
    return None


def _demand(criterion: Criterion) -> str:
    parts = []
    if criterion.absolute:
        sign = "≥" if criterion.absolute.operator == "GreaterOrEqual" else "≤"
        parts.append(f"{sign} {drawings.number(criterion.absolute.value)}")
    if criterion.relative and criterion.relative.min_improvement is not None:
        parts.append(f"better by at least {drawings.number(criterion.relative.min_improvement)}")
    if criterion.relative and criterion.relative.max_regression is not None:
        parts.append(f"worse by at most {drawings.number(criterion.relative.max_regression)}")
    return ", ".join(parts)


def _compared(run: Run, metrics: Mapping[str, Mapping[str, Metric]]) -> list[tuple[str, Metric]]:
    """The means that criteria ask for, each once: what can be shown item by item."""
    asked = dict.fromkeys((criterion.suite_name, criterion.metric_name) for criterion in run.spec.criteria)
    found = [(suite, metrics.get(suite, {}).get(name)) for suite, name in asked]
    return [(suite, metric) for suite, metric in found if metric and isinstance(metric.aggregate, Mean)]


def _comparison(
    run: Run, suite: str, metric: Metric, scores: Sequence[Score], items: Mapping[ItemDigest, Item]
) -> Comparison:
    by_item: dict[ItemDigest, dict[Side, list[Score]]] = defaultdict(lambda: defaultdict(list))
    for score in scores:
        if score.asking.suite == suite:
            by_item[score.asking.item][score.asking.side].append(score)
    pairs = {
        item: Pair(_mean(metric, sides[Side.SUBJECT]), _mean(metric, sides[Side.BASELINE]))
        for item, sides in by_item.items()
    }
    changes = [change for pair in pairs.values() if (change := _change(metric, pair)) is not None]
    harmed = [item for item, pair in pairs.items() if _is_harmed(metric, pair)]
    worst = sorted(harmed, key=lambda item: _merit(metric, pairs[item]))[:WORST_ITEMS]
    is_logged = run.spec.execution.log_samples
    return Comparison(
        metric=f"{suite}/{metric.name}",
        drawing=Markup(drawings.differences(changes) if changes else ""),  # noqa: S704 - our own markup
        better=sum(change > 0 for change in changes),
        equal=sum(change == 0 for change in changes),
        worse=sum(change < 0 for change in changes),
        worst=[_worst(items[item], by_item[item], pairs[item], is_logged=is_logged) for item in worst if item in items],
    )


def _mean(metric: Metric, scores: Sequence[Score]) -> float | None:
    """The value of one side of an item, over its repeats; None when it has none."""
    name = metric.aggregate.of if isinstance(metric.aggregate, Mean) else metric.name
    values = [score.values.get(name, metric.worst if score.error else None) for score in scores]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _change(metric: Metric, pair: Pair) -> float | None:
    """How much better the subject did than the baseline."""
    if pair.subject is None or pair.baseline is None:
        return None
    return (pair.subject - pair.baseline) * (1.0 if metric.goal is Goal.MAXIMIZE else -1.0)


def _is_harmed(metric: Metric, pair: Pair) -> bool:
    """Whether the subject did worse than the baseline or, where there is none, than one can."""
    if pair.subject is None:
        return True
    change = _change(metric, pair)
    best = metric.highest if metric.goal is Goal.MAXIMIZE else metric.lowest
    return pair.subject != best if change is None else change < 0


def _merit(metric: Metric, pair: Pair) -> tuple[float, float]:
    """Sorts the worst first: by the loss, then by the value."""
    change = _change(metric, pair)
    value = float("-inf") if pair.subject is None else pair.subject * (1.0 if metric.goal is Goal.MAXIMIZE else -1.0)
    return (0.0 if change is None else change, value)


def _worst(item: Item, sides: Mapping[Side, Sequence[Score]], pair: Pair, *, is_logged: bool) -> Worst:
    subject, baseline = (next(iter(sides.get(side, ())), None) for side in (Side.SUBJECT, Side.BASELINE))
    return Worst(
        id=item.id,
        question=item.question if is_logged else "",
        subject=pair.subject,
        baseline=pair.baseline,
        answer=subject.answer if subject else "",
        baseline_answer=baseline.answer if baseline else "",
        error=subject.error if subject else "",
    )


def _latencies(scores: Sequence[Score]) -> dict[str, Sequence[float]]:
    """Latencies by side, of answers that were asked for in this run."""
    found: dict[str, list[float]] = {side.value: [] for side in Side}
    for score in scores:
        if not score.is_reused and not score.error:
            found[score.asking.side.value].append(score.latency_millis)
    return {side: values for side, values in found.items() if values}
