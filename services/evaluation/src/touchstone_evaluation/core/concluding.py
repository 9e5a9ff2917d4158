"""From scores to the run's verdict. Pure."""

import math
from collections.abc import Mapping
from dataclasses import replace

from touchstone_evaluation.core import business, costs, criteria, measuring, slicing
from touchstone_evaluation.core.criteria import Judgement
from touchstone_evaluation.core.measuring import Measured
from touchstone_evaluation.core.results import Conclusion, CriterionResult, Evidence, Interval, MetricValue, Slice
from touchstone_evaluation.core.spec import Criterion, Goal, RunSpec, Side, Verdict
from touchstone_evaluation.core.task import Metric

MAX_SLICED = 4
"""Metrics of a suite that are sliced: the main ones first, then those of criteria."""
EARLY_SHARE = 0.2
"""Of the probability of error, what is spent on ending early; the rest is left for the end. Together they are what was
asked for (Bonferroni)."""


def conclude(
    spec: RunSpec,
    suites: Mapping[str, Measured],
    metrics: Mapping[str, Mapping[str, Metric]],
    *,
    stopped: str = "",
    is_over_budget: bool = False,
    settled: Mapping[str, int] | None = None,
) -> Conclusion:
    """Judge a run.

    Args:
        spec: What was asked for.
        suites: The scores of each suite by its name; one that is missing was not measured.
        metrics: The metrics of each suite's task by suite and metric name.
        stopped: Why the run was stopped before its end, in a sentence: then its verdict is Error. Empty: it was not.
        is_over_budget: It was stopped for its budget: then its verdict is Inconclusive.
        settled: How many items of each suite made the verdict certain; None: all were to be asked.
    """
    if settled:
        results = tuple(_early(criterion, spec, suites, metrics, settled) for criterion in spec.criteria)
        suites = {name: suite.first(settled[name]) for name, suite in suites.items() if settled.get(name)}
    else:
        if is_over_budget:
            suites = {name: replace(suite, expected=0) for name, suite in suites.items()}
        results = tuple(_result(_at_the_end(criterion, spec), spec, suites, metrics) for criterion in spec.criteria)
    verdict = criteria.worst_of(result.verdict for result in results if result.required)
    fault = _overall_fault(spec, suites)
    message = stopped or fault or _sentence(verdict, results)
    if stopped and fault:
        message = f"{stopped} The first: {_first_error(suites)}"
    if fault or (stopped and not is_over_budget):
        verdict = Verdict.ERROR
    elif stopped:
        verdict = Verdict.INCONCLUSIVE
        results = tuple(_undecided(result) for result in results)
    elif settled:
        planned = sum(len(suite.order) for suite in suites.values())
        message = f"Certain after {sum(settled.values())} of {planned} items. {message}"
    values = _values(spec, suites, metrics)
    return Conclusion(
        verdict=verdict,
        message=message,
        criteria=results,
        metrics=values,
        score=_score(spec, metrics, values),
        slices=_slices(spec, suites, metrics),
    )


def settled(
    spec: RunSpec, suites: Mapping[str, Measured], metrics: Mapping[str, Mapping[str, Metric]]
) -> dict[str, int] | None:
    """Tell how many items of each suite make the verdict certain; None while it is not.

    It is once a required criterion has certainly failed, or all have certainly passed. What has passed or failed so
    early by intervals that hold at every look would, but with the probability that was set apart for it, have done so
    at the end.
    """
    items = {name: suite.complete for name, suite in suites.items()}
    required = [criterion for criterion in spec.criteria if criterion.required]
    verdicts = [_early(criterion, spec, suites, metrics, items).verdict for criterion in required]
    is_certain = Verdict.FAILED in verdicts or all(verdict is Verdict.PASSED for verdict in verdicts)
    return items if verdicts and is_certain else None


def _early(
    criterion: Criterion,
    spec: RunSpec,
    suites: Mapping[str, Measured],
    metrics: Mapping[str, Mapping[str, Metric]],
    items: Mapping[str, int],
) -> CriterionResult:
    """Judge a criterion by the first items only."""
    tail = EARLY_SHARE * (1 - criterion.confidence) / 2
    suite = suites.get(criterion.suite_name)
    metric = metrics.get(criterion.suite_name, {}).get(criterion.metric_name)
    goal = criterion.goal or (metric.goal if metric else Goal.MAXIMIZE)
    if suite is None or metric is None or not items.get(criterion.suite_name):
        judgement = Judgement(verdict=Verdict.INCONCLUSIVE, message="The run was decided before this was measured.")
        found = Evidence(is_early=True)
    else:
        found = measuring.early_evidence(criterion, metric, suite, items[criterion.suite_name], tail=tail)
        judgement = criteria.judge(criterion, goal, found)
        if judgement.verdict in (Verdict.PASSED, Verdict.FAILED) and _needs_calibration(criterion, spec):
            judgement = Judgement(verdict=Verdict.INCONCLUSIVE, message="The judges are not vouched for yet.")
    return _told_result(criterion, goal, judgement, found, confidence=1 - 2 * tail)


def _needs_calibration(criterion: Criterion, spec: RunSpec) -> bool:
    return any(suite.name == criterion.suite_name and suite.calibration for suite in spec.suites)


def _at_the_end(criterion: Criterion, spec: RunSpec) -> Criterion:
    """Leave for the end what looking early did not take of the probability of error."""
    if not spec.execution.stop_early or criterion.relative is None:
        return criterion
    confidence = 1 - (1 - EARLY_SHARE) * (1 - criterion.relative.confidence)
    return replace(criterion, relative=replace(criterion.relative, confidence=confidence))


def _undecided(result: CriterionResult) -> CriterionResult:
    if result.verdict is Verdict.ERROR:
        return result
    message = f"The budget was spent before all was measured. So far: {result.message}"
    return replace(result, verdict=Verdict.INCONCLUSIVE, message=message)


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
    return _told_result(criterion, goal, judgement, found, confidence=criterion.confidence)


def _told_result(
    criterion: Criterion, goal: Goal, judgement: Judgement, found: Evidence, *, confidence: float
) -> CriterionResult:
    return CriterionResult(
        name=criterion.name,
        metric=criterion.metric,
        goal=goal,
        verdict=judgement.verdict,
        message=judgement.message,
        evidence=_told(found),
        confidence=confidence,
        required=criterion.required,
        advised_samples=judgement.advised_samples,
        business=business.told(criterion.business_metric, _told(found)) if criterion.business_metric else None,
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
        is_early=evidence.is_early,
        problem=evidence.problem,
    )


def _overall_fault(spec: RunSpec, suites: Mapping[str, Measured]) -> str:
    """The share of failed items over the whole run: a suite without a required criterion counts here, too."""
    scores = [score for suite in suites.values() for score in suite.scores]
    failed = sum(1 for score in scores if score.error)
    if failed <= spec.execution.max_error_ratio * len(scores):
        return ""
    return (
        f"{failed} of {len(scores)} askings failed, more than the share {spec.execution.max_error_ratio:g} that "
        f"maxErrorRatio allows; the first: {_first_error(suites)}"
    )


def _first_error(suites: Mapping[str, Measured]) -> str:
    return next((score.error for suite in suites.values() for score in suite.scores if score.error), "")


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
            if costs.is_common(metric) and value is None and baseline is None:
                continue  # the suite asked for no text
            name = f"{suite.name}/{metric.name}"
            found.append(MetricValue(metric=name, value=value, baseline=baseline, samples=samples))
    return tuple(found)


def _slices(
    spec: RunSpec, suites: Mapping[str, Measured], metrics: Mapping[str, Mapping[str, Metric]]
) -> tuple[Slice, ...]:
    asked = {criterion.metric for criterion in spec.criteria}
    found: list[Slice] = []
    for suite in (s for s in spec.suites if s.slices and s.name in suites):
        of_suite = metrics[suite.name].values()
        wanted = sorted(
            (metric for metric in of_suite if metric.is_main or f"{suite.name}/{metric.name}" in asked),
            key=lambda metric: not metric.is_main,
        )
        for metric in wanted[:MAX_SLICED]:
            found.extend(slicing.slices(suite.name, metric, suites[suite.name]))
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
