"""Protos of evaluation to our values and back. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone_runtime.errors import Invalid, Violation

from touchstone_evaluation.core.results import CriterionResult, Interval, MetricValue
from touchstone_evaluation.core.runs import Run, RunState
from touchstone_evaluation.core.spec import (
    DEFAULT_CONFIDENCE,
    DEFAULT_DEADLINE_SECONDS,
    DEFAULT_MAX_ERROR_RATIO,
    DEFAULT_MAX_OUTPUT_TOKENS,
    DEFAULT_PARALLELISM,
    Absolute,
    Criterion,
    Dataset,
    Execution,
    Goal,
    ItemErrorPolicy,
    Layout,
    Operator,
    Relative,
    RunSpec,
    Sampling,
    Subject,
    SubjectKind,
    Suite,
    Verdict,
)

_KINDS = {
    pb.SUBJECT_TYPE_MODEL_DEPLOYMENT: SubjectKind.MODEL_DEPLOYMENT,
    pb.SUBJECT_TYPE_RAG_INDEX: SubjectKind.RAG_INDEX,
}
_LAYOUTS = {
    pb.DATASET_FORMAT_UNSPECIFIED: Layout.JSON_LINES,
    pb.DATASET_FORMAT_JSON_LINES: Layout.JSON_LINES,
    pb.DATASET_FORMAT_SQUAD: Layout.SQUAD,
}
_GOALS = {pb.GOAL_UNSPECIFIED: None, pb.GOAL_MAXIMIZE: Goal.MAXIMIZE, pb.GOAL_MINIMIZE: Goal.MINIMIZE}
_OPERATORS = {
    pb.OPERATOR_GREATER_OR_EQUAL: Operator.GREATER_OR_EQUAL,
    pb.OPERATOR_LESS_OR_EQUAL: Operator.LESS_OR_EQUAL,
}
_POLICIES = {
    pb.ITEM_ERROR_POLICY_UNSPECIFIED: ItemErrorPolicy.COUNT,
    pb.ITEM_ERROR_POLICY_COUNT: ItemErrorPolicy.COUNT,
    pb.ITEM_ERROR_POLICY_EXCLUDE: ItemErrorPolicy.EXCLUDE,
}
_STATES = {
    RunState.PENDING: pb.RUN_STATE_PENDING,
    RunState.RUNNING: pb.RUN_STATE_RUNNING,
    RunState.COMPLETED: pb.RUN_STATE_COMPLETED,
    RunState.CANCELLED: pb.RUN_STATE_CANCELLED,
}
_VERDICTS = {
    Verdict.PASSED: pb.VERDICT_PASSED,
    Verdict.FAILED: pb.VERDICT_FAILED,
    Verdict.INCONCLUSIVE: pb.VERDICT_INCONCLUSIVE,
    Verdict.ERROR: pb.VERDICT_ERROR,
}


def run_spec(message: pb.RunSpec) -> RunSpec:
    """Read what a run measures.

    Raises:
        Invalid: A choice that has no default is not made, or is not known.
    """
    unset = list(_unset(message))
    if unset:
        raise Invalid(
            [Violation(field, "is not set, or not one of the values that are known; choose one") for field in unset]
        )
    return RunSpec(
        subject=_subject(message.subject),
        baseline=_subject(message.baseline) if message.HasField("baseline") else None,
        suites=tuple(_suite(suite) for suite in message.suites),
        criteria=tuple(_criterion(criterion) for criterion in message.criteria),
        execution=_execution(message.execution),
    )


def _unset(message: pb.RunSpec) -> Iterable[str]:
    if message.subject.type not in _KINDS:
        yield "spec.subject.type"
    if message.HasField("baseline") and message.baseline.type not in _KINDS:
        yield "spec.baseline.type"
    for index, suite in enumerate(message.suites):
        if suite.dataset.format not in _LAYOUTS:
            yield f"spec.suites[{index}].dataset.format"
    if message.execution.on_item_error not in _POLICIES:
        yield "spec.execution.on_item_error"
    for index, criterion in enumerate(message.criteria):
        if criterion.goal not in _GOALS:
            yield f"spec.criteria[{index}].goal"
        if criterion.HasField("absolute") and criterion.absolute.operator not in _OPERATORS:
            yield f"spec.criteria[{index}].absolute.operator"


def _subject(message: pb.Subject) -> Subject:
    kind = _KINDS[message.type]
    return Subject(kind=kind, name=message.name, revision=message.revision, digest=message.digest)


def _suite(message: pb.Suite) -> Suite:
    return Suite(
        name=message.name,
        task=message.task,
        dataset=_dataset(message.dataset) if message.HasField("dataset") else None,
        sampling=Sampling(
            max_output_tokens=message.sampling.max_output_tokens or DEFAULT_MAX_OUTPUT_TOKENS,
            temperature=message.sampling.temperature,
            seed=message.sampling.seed,
            repeats=message.sampling.repeats or 1,
        ),
        parameters=_whole_numbers(json_format.MessageToDict(message.parameters)),
        weight=message.weight if message.HasField("weight") else 1.0,
    )


def _whole_numbers(value: Any) -> Any:
    """A Struct holds all numbers as floats; whole ones are written as such again."""
    if isinstance(value, dict):
        return {name: _whole_numbers(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_whole_numbers(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _dataset(message: pb.Dataset) -> Dataset:
    return Dataset(
        uri=message.uri,
        digest=message.digest,
        layout=_LAYOUTS[message.format],
        records=message.records,
        filter=message.filter,
        limit=message.limit,
        seed=message.seed,
    )


def _criterion(message: pb.Criterion) -> Criterion:
    absolute = relative = None
    if message.HasField("absolute"):
        absolute = Absolute(operator=_OPERATORS[message.absolute.operator], value=message.absolute.value)
    if message.HasField("relative"):
        part = message.relative
        relative = Relative(
            max_regression=part.max_regression if part.HasField("max_regression") else None,
            min_improvement=part.min_improvement if part.HasField("min_improvement") else None,
            confidence=part.confidence or DEFAULT_CONFIDENCE,
        )
    return Criterion(
        name=message.name,
        metric=message.metric,
        goal=_GOALS[message.goal],
        absolute=absolute,
        relative=relative,
        min_samples=message.min_samples or 1,
        required=message.required,
    )


def _execution(message: pb.Execution) -> Execution:
    ratio = message.max_error_ratio if message.HasField("max_error_ratio") else DEFAULT_MAX_ERROR_RATIO
    return Execution(
        parallelism=message.parallelism or DEFAULT_PARALLELISM,
        max_tokens=message.max_tokens,
        on_item_error=_POLICIES[message.on_item_error],
        max_error_ratio=ratio,
        deadline_seconds=message.deadline_seconds or DEFAULT_DEADLINE_SECONDS,
        log_samples=message.log_samples,
    )


def run(found: Run, spec: pb.RunSpec | None = None) -> pb.Run:
    """Write a run."""
    progress = found.progress
    message = pb.Run(
        dispatch_id=found.dispatch_id,
        state=_STATES[found.state],
        suite_digest=found.suite_digest,
        progress=pb.Progress(
            items_done=progress.done,
            items_total=progress.total,
            items_reused=progress.reused,
            items_failed=progress.failed,
        ),
        usage=pb.RunUsage(
            input_tokens=progress.input_tokens,
            output_tokens=progress.output_tokens,
            wall_seconds=found.wall_seconds,
        ),
        artifacts=[pb.Artifact(name=a.name, uri=a.uri, digest=a.digest) for a in found.artifacts],
        message=found.stopped,
    )
    if spec is not None:
        message.spec.CopyFrom(spec)
    if found.conclusion is not None:
        conclusion = found.conclusion
        message.verdict = _VERDICTS[conclusion.verdict]
        message.message = conclusion.message
        message.criteria.extend(_result(result) for result in conclusion.criteria)
        message.metrics.extend(_metric(value) for value in conclusion.metrics)
        if conclusion.score is not None:
            message.score = conclusion.score
    _times(message, found)
    return message


def _times(message: pb.Run, found: Run) -> None:
    for field, time in (
        (message.start_time, found.started_at),
        (message.completion_time, found.finished_at),
        (message.heartbeat_time, found.heartbeat_at),
    ):
        if time is not None:
            field.CopyFrom(_stamp(time))


def _stamp(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def _result(result: CriterionResult) -> pb.CriterionResult:
    evidence = result.evidence
    message = pb.CriterionResult(
        name=result.name,
        metric=result.metric,
        verdict=_VERDICTS[result.verdict],
        confidence=result.confidence,
        samples=evidence.samples,
        message=result.message,
        required=result.required,
        value=evidence.value,
        baseline=evidence.baseline,
        delta=evidence.delta,
        p_value=evidence.p_value,
    )
    interval: Interval | None = evidence.delta_interval or evidence.value_interval
    if interval is not None:
        message.ci_low, message.ci_high = interval
    return message


def _metric(value: MetricValue) -> pb.MetricValue:
    return pb.MetricValue(metric=value.metric, value=value.value, baseline=value.baseline, samples=value.samples)
