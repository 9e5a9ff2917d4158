"""From scores to the run's verdict. Pure."""

import math
from collections.abc import Mapping

from touchstone_evaluation.core import criteria, measuring
from touchstone_evaluation.core.criteria import Judgement
from touchstone_evaluation.core.measuring import Measured
from touchstone_evaluation.core.results import Conclusion, CriterionResult, Evidence, Interval, MetricValue
from touchstone_evaluation.core.spec import Criterion, Goal, RunSpec, Side, Verdict
from touchstone_evaluation.core.task import Metric


def conclude(
    spec: RunSpec, suites: Mapping[str, Measured], metrics: Mapping[str, Mapping[str, Metric]], *, stopped: str = ""
) -> Conclusion:
    """Judge a run.

    Args:
        spec: What was asked for.
        suites: The scores of each suite by its name; one that is missing was not measured.
        metrics: The metrics of each suite's task by suite and metric name.
        stopped: Why the run was stopped before its end, in a sentence: then its verdict is Error. Empty: it was not.
    """
    results = tuple(_result(criterion, spec, suites, metrics) for criterion in spec.criteria)
    verdict = criteria.worst_of(result.verdict for result in results if result.required)
    message = stopped or _overall_fault(spec, suites) or _sentence(verdict, results)
    if stopped or _overall_fault(spec, suites):
        verdict = Verdict.ERROR
    values = _values(spec, suites, metrics)
    return Conclusion(
        verdict=verdict, message=message, criteria=results, metrics=values, score=_score(spec, metrics, values)
    )


def _doubt(
    criterion: Criterion, spec: RunSpec, suites: Mapping[str, Measured], metrics: Mapping[str, Mapping[str, Metric]]
) -> str:
    """Say why the judges of a criterion's suite cannot be believed; empty: they can, or nobody asked."""
    judged = next((suite for suite in spec.suites if suite.name == criterion.suite_name), None)
    if judged is None or judged.calibration is None:
        return ""
    wanted = judged.calibration
    name = f"{wanted.suite}/{wanted.metric}"
    metric, suite = metrics.get(wanted.suite, {}).get(wanted.metric), suites.get(wanted.suite)
    if metric is None or suite is None or not suite.scores:
        return f"How well the judges judge was not measured: {name} has no value."
    found = measuring.evidence(Criterion(name="calibration", metric=name), metric, suite)
    low = found.value_interval.low if found.value_interval else None
    if found.problem or found.value is None or low is None:
        return f"How well the judges judge could not be measured: {found.problem or f'{name} has no interval'}."
    if low >= wanted.at_least:
        return ""
    return (
        f"The judges are not known to judge well enough: {name} is {found.value:.4g}, at least {low:.4g}, and "
        f"{wanted.at_least:.4g} is asked for."
    )


def _result(
    criterion: Criterion, spec: RunSpec, suites: Mapping[str, Measured], metrics: Mapping[str, Mapping[str, Metric]]
) -> CriterionResult:
    suite = suites.get(criterion.suite_name)
    metric = metrics.get(criterion.suite_name, {}).get(criterion.metric_name)
    goal = criterion.goal or (metric.goal if metric else Goal.MAXIMIZE)
    if metric is None:
        found = Evidence(problem=f"No suite yields the metric {criterion.metric!r}. ListTasks lists the metrics.")
    elif suite is None or not suite.scores:
        found = Evidence(problem=f"The suite {criterion.suite_name!r} was not measured.")
    else:
        found = measuring.evidence(criterion, metric, suite)
    judgement = criteria.judge(criterion, goal, found)
    if judgement.verdict is not Verdict.ERROR and (doubt := _doubt(criterion, spec, suites, metrics)):
        judgement = Judgement(verdict=Verdict.INCONCLUSIVE, message=f"{doubt} {judgement.message}")
    return CriterionResult(
        name=criterion.name,
        metric=criterion.metric,
        goal=goal,
        verdict=judgement.verdict,
        message=judgement.message,
        evidence=_told(found),
        confidence=criterion.confidence,
        required=criterion.required,
    )


def _told(evidence: Evidence) -> Evidence:
    """Leave out what is not finite: it was judged, and no document can hold it."""

    def number(value: float | None) -> float | None:
        return value if value is not None and math.isfinite(value) else None

    def interval(found: Interval | None) -> Interval | None:
        return found if found and all(map(math.isfinite, found)) else None

    return Evidence(
        value=number(evidence.value),
        value_interval=interval(evidence.value_interval),
        baseline=number(evidence.baseline),
        delta=number(evidence.delta),
        delta_interval=interval(evidence.delta_interval),
        p_value=evidence.p_value,
        samples=evidence.samples,
        problem=evidence.problem,
    )


def _overall_fault(spec: RunSpec, suites: Mapping[str, Measured]) -> str:
    """The share of failed items over the whole run: a suite without a required criterion counts here, too."""
    scores = [score for suite in suites.values() for score in suite.scores]
    failed = sum(1 for score in scores if score.error)
    if failed <= spec.execution.max_error_ratio * len(scores):
        return ""
    first = next(score.error for score in scores if score.error)
    return (
        f"{failed} of {len(scores)} askings failed, more than the share {spec.execution.max_error_ratio:g} that "
        f"maxErrorRatio allows; the first: {first}"
    )


def _sentence(verdict: Verdict, results: tuple[CriterionResult, ...]) -> str:
    required = [result for result in results if result.required]
    if verdict is Verdict.PASSED:
        return f"All {len(required)} required criteria hold." if len(required) > 1 else "The required criterion holds."
    decisive = next((result for result in required if result.verdict is verdict), None)
    return f"{decisive.name}: {decisive.message}" if decisive else "No criterion is required."


def _values(
    spec: RunSpec, suites: Mapping[str, Measured], metrics: Mapping[str, Mapping[str, Metric]]
) -> tuple[MetricValue, ...]:
    found = []
    for suite in (s for s in spec.suites if s.name in suites):
        for metric in metrics[suite.name].values():
            value, samples = measuring.value(metric, suites[suite.name], Side.SUBJECT)
            baseline, _ = measuring.value(metric, suites[suite.name], Side.BASELINE)
            name = f"{suite.name}/{metric.name}"
            found.append(MetricValue(metric=name, value=value, baseline=baseline, samples=samples))
    return tuple(found)


def _score(spec: RunSpec, metrics: Mapping[str, Mapping[str, Metric]], values: tuple[MetricValue, ...]) -> float | None:
    by_name = {value.metric: value.value for value in values}
    weighted = [
        (suite.weight, by_name.get(f"{suite.name}/{metric.name}"))
        for suite in spec.suites
        for metric in metrics.get(suite.name, {}).values()
        if metric.is_main
    ]
    total = sum(weight for weight, value in weighted if value is not None)
    return sum(weight * value for weight, value in weighted if value is not None) / total if total else None
