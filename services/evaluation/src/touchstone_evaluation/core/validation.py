"""What is refused at the door: every fault of a specification, each with its field and what to do. Pure."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sized
from itertools import pairwise

import jmespath
import jsonschema
from jmespath.exceptions import JMESPathError
from touchstone_runtime.cluster import references
from touchstone_runtime.errors import Violation

from touchstone_evaluation.core import costs
from touchstone_evaluation.core.planning import MAX_PARALLELISM
from touchstone_evaluation.core.spec import (
    BusinessMetric,
    Criterion,
    Dataset,
    Execution,
    Goal,
    Price,
    RunSpec,
    Sampling,
    Subject,
    SubjectKind,
    Suite,
)
from touchstone_evaluation.core.task import Metric, SteppedTask, Task

MAX_DISPATCH_ID_BYTES = 128
MAX_SUITES = 16
MAX_CRITERIA = 32
MAX_REPEATS = 32
MAX_JUDGES = 5
MAX_FIELDS = 4
SCHEMES = ("file", "pypi", "s3", "gs", "hf", "http", "https")

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DISPATCH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBJECT_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def faults(dispatch_id: str, spec: RunSpec, tasks: Mapping[str, Task]) -> list[Violation]:
    """List every fault of a request to start a run; none when it can be started."""
    return [
        *_dispatch_id(dispatch_id),
        *_subject("spec.subject", spec.subject),
        *(_baseline(spec) if spec.baseline else ()),
        *count("spec.suites", spec.suites, MAX_SUITES),
        *unique("spec.suites", [suite.name for suite in spec.suites]),
        *(v for i, suite in enumerate(spec.suites) for v in _suite(f"spec.suites[{i}]", suite, spec, tasks)),
        *_criteria(spec, tasks),
        *_execution("spec.execution", spec.execution),
    ]


def _dispatch_id(dispatch_id: str) -> Iterator[Violation]:
    if not _DISPATCH_ID.fullmatch(dispatch_id) or len(dispatch_id) > MAX_DISPATCH_ID_BYTES:
        yield Violation("dispatch_id", "must be 1 to 128 letters, digits, dots, colons, underscores and dashes")


def _subject(field: str, subject: Subject) -> Iterator[Violation]:
    if not _SUBJECT_NAME.fullmatch(subject.name):
        yield Violation(f"{field}.name", "must be NAMESPACE/NAME, for example default/support-assistant")
    if not subject.revision:
        yield Violation(f"{field}.revision", "is required: a run measures one revision")
    if not _DIGEST.fullmatch(subject.digest):
        yield Violation(f"{field}.digest", "must be sha256: and 64 lower-case hexadecimal digits")
    if subject.price:
        yield from _price(f"{field}.price", subject.price)


def _price(field: str, price: Price) -> Iterator[Violation]:
    if not re.fullmatch("[A-Z]{3}", price.currency):
        yield Violation(f"{field}.currency", "must be three capital letters, for example USD")
    for name in ("input_per_million", "output_per_million", "per_hour"):
        if not 0 <= (getattr(price, name) or 0) < math.inf:
            yield Violation(f"{field}.{name}", "must be a number, 0 or more")
    if price.per_hour is not None and (price.input_per_million or price.output_per_million):
        yield Violation(field, "is by tokens and by the hour: set one")


def _baseline(spec: RunSpec) -> Iterator[Violation]:
    if spec.baseline:
        yield from _subject("spec.baseline", spec.baseline)
        if spec.baseline.kind != spec.subject.kind:
            yield Violation("spec.baseline.type", "must be the subject's: only like is compared with like")
        prices = (spec.subject.price, spec.baseline.price)
        if all(prices) and len({price.currency for price in prices if price}) > 1:
            yield Violation("spec.baseline.price.currency", "must be the subject's: prices are compared")


def _suite(field: str, suite: Suite, spec: RunSpec, tasks: Mapping[str, Task]) -> Iterator[Violation]:
    if not _NAME.fullmatch(suite.name):
        yield Violation(f"{field}.name", "must be lower-case letters, digits and dashes")
    if not (math.isfinite(suite.weight) and suite.weight >= 0):
        yield Violation(f"{field}.weight", "must be 0 or more")
    if suite.dataset:
        yield from _dataset(f"{field}.dataset", suite.dataset)
    if suite.contamination_corpus:
        yield from _dataset(f"{field}.contamination_corpus", suite.contamination_corpus)
        if not suite.dataset:
            yield Violation(f"{field}.contamination_corpus", "needs a dataset: it says which of its items stand in it")
    yield from _sampling(f"{field}.sampling", suite.sampling)
    task = tasks.get(suite.task)
    if task is None:
        yield Violation(f"{field}.task", f"{suite.task!r} is not installed; there are {', '.join(sorted(tasks))}")
        return
    if spec.subject.kind not in task.subjects:
        wanted = " or ".join(sorted(task.subjects))
        yield Violation(f"{field}.task", f"{suite.task} measures a {wanted}, and the subject is a {spec.subject.kind}")
    if task.needs_dataset and not suite.dataset:
        yield Violation(f"{field}.dataset", f"is required: {suite.task} makes no items of its own")
    if task.runs_code and not spec.execution.allow_code_execution:
        yield Violation(
            "spec.execution.allow_code_execution",
            f"must be true for the suite {suite.name!r}: {suite.task} runs code that a model wrote",
        )
    yield from _parameters(f"{field}.parameters", suite, task)
    if len(suite.slice_by) > MAX_FIELDS:
        yield Violation(f"{field}.slice_by", f"must be at most {MAX_FIELDS}, and there are {len(suite.slice_by)}")
    yield from unique(f"{field}.slice_by", suite.slice_by)
    yield from _judges(f"{field}.judges", suite, spec, tasks)


def _judges(field: str, suite: Suite, spec: RunSpec, tasks: Mapping[str, Task]) -> Iterator[Violation]:
    task = tasks[suite.task]
    yield from unique(field, [judge.name for judge in suite.judges])
    if len(suite.judges) > MAX_JUDGES:
        yield Violation(field, f"must be at most {MAX_JUDGES}, and there are {len(suite.judges)}")
    for index, judge in enumerate(suite.judges):
        if not _NAME.fullmatch(judge.name):
            yield Violation(f"{field}[{index}].name", "must be lower-case letters, digits and dashes")
        yield from _subject(f"{field}[{index}].subject", judge.subject)
        if judge.subject.kind is not SubjectKind.MODEL_DEPLOYMENT:
            yield Violation(f"{field}[{index}].subject.type", "must be a ModelDeployment: only a model judges")
    yield from _calibration(field.replace("judges", "calibration"), suite, spec, tasks)
    if not isinstance(task, SteppedTask):
        if suite.judges:
            yield Violation(field, f"{suite.task} asks no judges: leave them out")
    elif fault := task.fault(suite.parameters, len(suite.judges), has_baseline=spec.baseline is not None):
        yield Violation(field, fault)


def _calibration(field: str, suite: Suite, spec: RunSpec, tasks: Mapping[str, Task]) -> Iterator[Violation]:
    if (wanted := suite.calibration) is None:
        return
    others = [other for other in spec.suites if other.name == wanted.suite and other.name != suite.name]
    if not others:
        yield Violation(
            f"{field}.suite", "must name another suite of the run, which measures how well the judges judge"
        )
    elif {judge.subject.digest for judge in others[0].judges} != {judge.subject.digest for judge in suite.judges}:
        yield Violation(f"{field}.suite", f"the suite {wanted.suite!r} must have the same judges: it vouches for them")
    elif (task := tasks.get(others[0].task)) and not list(_parameters(field, others[0], task)):
        names = list(costs.metrics(task, others[0].parameters, spec.subject))
        if wanted.metric not in names:
            yield Violation(f"{field}.metric", f"{others[0].task} yields no {wanted.metric!r}, but {', '.join(names)}")
    if not math.isfinite(wanted.at_least):
        yield Violation(f"{field}.at_least", "must be a finite number")


def _parameters(field: str, suite: Suite, task: Task) -> Iterator[Violation]:
    validator = jsonschema.Draft202012Validator(dict(task.parameters_schema))
    for error in sorted(validator.iter_errors(dict(suite.parameters)), key=lambda e: list(map(str, e.absolute_path))):
        path = ".".join([field, *map(str, error.absolute_path)])
        yield Violation(path, f"{error.message}; ListTasks has the schema of {suite.task}")


def _dataset(field: str, dataset: Dataset) -> Iterator[Violation]:
    scheme, separator, rest = dataset.uri.partition("://")
    if scheme not in SCHEMES or not separator or not rest:
        yield Violation(f"{field}.uri", f"must begin with one of {', '.join(f'{s}://' for s in SCHEMES)}")
    if dataset.digest and not _DIGEST.fullmatch(dataset.digest):
        yield Violation(f"{field}.digest", "must be sha256: and 64 lower-case hexadecimal digits")
    for name, expression in (("records", dataset.records), ("filter", dataset.filter)):
        try:
            _ = jmespath.compile(expression) if expression else None
        except JMESPathError as error:
            yield Violation(f"{field}.{name}", f"is no JMESPath expression: {_one_line(str(error))}")
    yield from references.faults(dataset.credentials, dataset.uri, f"{field}.credentials")
    if dataset.limit < 0:
        yield Violation(f"{field}.limit", "must be 0, for all, or more")


def _sampling(field: str, sampling: Sampling) -> Iterator[Violation]:
    if sampling.max_output_tokens < 1:
        yield Violation(f"{field}.max_output_tokens", "must be 1 or more")
    if not 0 <= sampling.temperature <= 2:
        yield Violation(f"{field}.temperature", "must lie between 0 and 2")
    if not 1 <= sampling.repeats <= MAX_REPEATS:
        yield Violation(f"{field}.repeats", f"must lie between 1 and {MAX_REPEATS}")


def _criteria(spec: RunSpec, tasks: Mapping[str, Task]) -> Iterator[Violation]:
    yield from count("spec.criteria", spec.criteria, MAX_CRITERIA)
    yield from unique("spec.criteria", [criterion.name for criterion in spec.criteria])
    if spec.criteria and not any(criterion.required for criterion in spec.criteria):
        yield Violation("spec.criteria", "none is required: such a run decides nothing; set required on one")
    for index, criterion in enumerate(spec.criteria):
        yield from _criterion(f"spec.criteria[{index}]", criterion, spec, tasks)


def _criterion(field: str, criterion: Criterion, spec: RunSpec, tasks: Mapping[str, Task]) -> Iterator[Violation]:
    if not _NAME.fullmatch(criterion.name):
        yield Violation(f"{field}.name", "must be lower-case letters, digits and dashes")
    if criterion.min_samples < 0:
        yield Violation(f"{field}.min_samples", "must be 0 or more")
    yield from _metric(f"{field}.metric", criterion, spec, tasks)
    if criterion.business_metric:
        yield from _business_metric(f"{field}.business_metric", criterion.business_metric)
    if not criterion.absolute and not criterion.relative:
        yield Violation(field, "asks for nothing: set absolute, relative or both")
    if criterion.absolute and not math.isfinite(criterion.absolute.value):
        yield Violation(f"{field}.absolute.value", "must be a finite number")
    if relative := criterion.relative:
        if not spec.baseline:
            yield Violation(f"{field}.relative", "needs spec.baseline: there is nothing to compare with")
        if relative.max_regression is None and relative.min_improvement is None:
            yield Violation(f"{field}.relative", "asks for nothing: set max_regression, min_improvement or both")
        if relative.max_regression is not None and not 0 <= relative.max_regression < math.inf:
            yield Violation(f"{field}.relative.max_regression", "must be a number, 0 or more")
        if relative.min_improvement is not None and not math.isfinite(relative.min_improvement):
            yield Violation(f"{field}.relative.min_improvement", "must be a finite number")
        yield from level(f"{field}.relative.confidence", relative.confidence)


def _business_metric(field: str, business: BusinessMetric) -> Iterator[Violation]:
    if not business.name:
        yield Violation(f"{field}.name", "is required: say what the values mean")
    if not all(math.isfinite(number) for point in business.curve for number in point):
        yield Violation(f"{field}.curve", "must hold finite numbers")
        return
    points = sorted(business.curve)
    steps = list(pairwise(points))
    if len(points) < 2 or any(one[0] == other[0] for one, other in steps):
        yield Violation(f"{field}.curve", "must have two points or more, each at a value of its own")
    elif not (all(a[1] < b[1] for a, b in steps) or all(a[1] > b[1] for a, b in steps)):
        yield Violation(f"{field}.curve", "must rise throughout, or fall: else an interval has no meaning")


def _metric(field: str, criterion: Criterion, spec: RunSpec, tasks: Mapping[str, Task]) -> Iterator[Violation]:
    suite = next((suite for suite in spec.suites if suite.name == criterion.suite_name), None)
    if suite is None:
        names = ", ".join(suite.name for suite in spec.suites)
        yield Violation(field, f"{criterion.metric!r} names no suite; write SUITE/METRIC with a suite of {names}")
        return
    task = tasks.get(suite.task)
    if task is None or list(_parameters(field, suite, task)):
        return  # reported at the suite
    metrics = costs.metrics(task, suite.parameters, spec.subject)
    if (metric := metrics.get(criterion.metric_name)) is None:
        yield Violation(field, f"{suite.task} yields no {criterion.metric_name!r} here, but {', '.join(metrics)}")
    elif criterion.goal and _contradicts(criterion.goal, metric):
        yield Violation(field.replace("metric", "goal"), f"{metric.name} is better the other way: leave goal unset")


def _contradicts(goal: Goal, metric: Metric) -> bool:
    """A score that counts failed items with its worst value cannot be turned round: failing would then be best."""
    return metric.has_worst and goal is not metric.goal


def _execution(field: str, execution: Execution) -> Iterator[Violation]:
    if not 1 <= execution.parallelism <= MAX_PARALLELISM:
        yield Violation(f"{field}.parallelism", f"must lie between 1 and {MAX_PARALLELISM}")
    for name in ("max_tokens", "max_seconds", "max_items"):
        if getattr(execution, name) < 0:
            yield Violation(f"{field}.{name}", "must be 0, for no budget, or more")
    if not 0 <= execution.max_error_ratio <= 1:
        yield Violation(f"{field}.max_error_ratio", "must lie between 0 and 1")
    if execution.deadline_seconds < 1:
        yield Violation(f"{field}.deadline_seconds", "must be 1 or more")


def count(field: str, things: Sized, most: int) -> Iterator[Violation]:
    """Refuse none and too many."""
    if not 1 <= len(things) <= most:
        yield Violation(field, f"must be 1 to {most}, and there are {len(things)}")


def level(field: str, confidence: float) -> Iterator[Violation]:
    """Refuse what is no level of an interval."""
    if not 0.5 < confidence < 1:
        yield Violation(field, "must lie between 0.5 and 1, for example 0.95")


def unique(field: str, names: Iterable[str]) -> Iterator[Violation]:
    """Refuse names that are there more than once."""
    for name, count in Counter(names).items():
        if count > 1:
            yield Violation(field, f"the name {name!r} is there {count} times; names are unique")


def _one_line(text: str) -> str:
    return " ".join(text.split())
