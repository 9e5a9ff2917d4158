"""Specifications of runs: protos to our values and back. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from google.protobuf import json_format, struct_pb2
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone_runtime.cluster.references import SecretReference
from touchstone_runtime.errors import Invalid, Violation

from touchstone_evaluation.core.spec import (
    DEFAULT_CONFIDENCE,
    DEFAULT_DEADLINE_SECONDS,
    DEFAULT_MAX_ERROR_RATIO,
    DEFAULT_MAX_OUTPUT_TOKENS,
    DEFAULT_PARALLELISM,
    Absolute,
    BusinessMetric,
    Calibration,
    Criterion,
    Dataset,
    Execution,
    Goal,
    ItemErrorPolicy,
    Judge,
    Layout,
    Operator,
    Price,
    Relative,
    RunSpec,
    Sampling,
    Subject,
    SubjectKind,
    Suite,
)

_KINDS = {
    pb.SUBJECT_TYPE_MODEL_DEPLOYMENT: SubjectKind.MODEL_DEPLOYMENT,
    pb.SUBJECT_TYPE_RAG_INDEX: SubjectKind.RAG_INDEX,
}
_LAYOUTS = {
    pb.DATASET_FORMAT_UNSPECIFIED: Layout.JSON_LINES,
    pb.DATASET_FORMAT_JSON_LINES: Layout.JSON_LINES,
    pb.DATASET_FORMAT_SQUAD: Layout.SQUAD,
    pb.DATASET_FORMAT_JSON: Layout.JSON,
    pb.DATASET_FORMAT_CSV: Layout.CSV,
    pb.DATASET_FORMAT_ARROW: Layout.ARROW,
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


def read(message: pb.RunSpec) -> RunSpec:
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
    for name in ("subject", "baseline"):
        subject = getattr(message, name)
        if subject.HasField("price") and subject.price.WhichOneof("how") is None:
            yield f"spec.{name}.price"
    for index, suite in enumerate(message.suites):
        yield from _unset_of_suite(f"spec.suites[{index}]", suite)
    if message.execution.on_item_error not in _POLICIES:
        yield "spec.execution.on_item_error"
    for index, criterion in enumerate(message.criteria):
        if criterion.goal not in _GOALS:
            yield f"spec.criteria[{index}].goal"
        if criterion.HasField("absolute") and criterion.absolute.operator not in _OPERATORS:
            yield f"spec.criteria[{index}].absolute.operator"


def _unset_of_suite(field: str, suite: pb.Suite) -> Iterable[str]:
    for number, judge in enumerate(suite.judges):
        if judge.subject.type not in _KINDS:
            yield f"{field}.judges[{number}].subject.type"
    for name in ("dataset", "contamination_corpus"):
        if getattr(suite, name).format not in _LAYOUTS:
            yield f"{field}.{name}.format"


def _subject(message: pb.Subject) -> Subject:
    kind = _KINDS[message.type]
    price = _price(message.price) if message.HasField("price") else None
    return Subject(kind=kind, name=message.name, revision=message.revision, digest=message.digest, price=price)


def _price(message: pb.Price) -> Price:
    return Price(
        currency=message.currency,
        input_per_million=message.tokens.input_per_million,
        output_per_million=message.tokens.output_per_million,
        per_hour=message.per_hour if message.HasField("per_hour") else None,
    )


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
        judges=tuple(Judge(name=judge.name, subject=_subject(judge.subject)) for judge in message.judges),
        cluster_by=message.cluster_by,
        slice_by=tuple(message.slice_by),
        contamination_corpus=_dataset(message.contamination_corpus)
        if message.HasField("contamination_corpus")
        else None,
        calibration=Calibration(
            suite=message.calibration.suite,
            metric=message.calibration.metric,
            at_least=message.calibration.at_least,
        )
        if message.HasField("calibration")
        else None,
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
        credentials=_secret(message.credentials) if message.HasField("credentials") else None,
    )


def _secret(message: pb.SecretReference) -> SecretReference:
    return SecretReference(namespace=message.namespace, name=message.name)


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
        business_metric=_business_metric(message.business_metric) if message.HasField("business_metric") else None,
    )


def _business_metric(message: pb.BusinessMetric) -> BusinessMetric:
    curve = tuple((point.metric, point.value) for point in message.curve)
    return BusinessMetric(name=message.name, unit=message.unit, curve=curve)


def _execution(message: pb.Execution) -> Execution:
    ratio = message.max_error_ratio if message.HasField("max_error_ratio") else DEFAULT_MAX_ERROR_RATIO
    return Execution(
        parallelism=message.parallelism or DEFAULT_PARALLELISM,
        max_tokens=message.max_tokens,
        on_item_error=_POLICIES[message.on_item_error],
        max_error_ratio=ratio,
        deadline_seconds=message.deadline_seconds or DEFAULT_DEADLINE_SECONDS,
        log_samples=message.log_samples,
        stop_early=message.stop_early,
        allow_code_execution=message.allow_code_execution,
        max_seconds=message.max_seconds,
        max_items=message.max_items,
    )


def write(spec: RunSpec) -> pb.RunSpec:
    """Write what a run measures, with its defaults filled in."""
    return pb.RunSpec(
        subject=write_subject(spec.subject),
        baseline=write_subject(spec.baseline) if spec.baseline else None,
        suites=[_suite_message(suite) for suite in spec.suites],
        criteria=[_criterion_message(criterion) for criterion in spec.criteria],
        execution=pb.Execution(
            parallelism=spec.execution.parallelism,
            max_tokens=spec.execution.max_tokens,
            on_item_error=_number(_POLICIES, spec.execution.on_item_error),
            max_error_ratio=spec.execution.max_error_ratio,
            deadline_seconds=spec.execution.deadline_seconds,
            log_samples=spec.execution.log_samples,
            stop_early=spec.execution.stop_early,
            allow_code_execution=spec.execution.allow_code_execution,
            max_seconds=spec.execution.max_seconds,
            max_items=spec.execution.max_items,
        ),
    )


def _number(numbers: Mapping[Any, Any], value: object) -> Any:
    """Find the number of an enumeration's value: the last one, since an unspecified one comes first."""
    return [number for number, meant in numbers.items() if meant == value][-1]


def write_subject(subject: Subject) -> pb.Subject:
    """Write a revision."""
    kind = _number(_KINDS, subject.kind)
    price = _price_message(subject.price) if subject.price else None
    return pb.Subject(type=kind, name=subject.name, revision=subject.revision, digest=subject.digest, price=price)


def _price_message(price: Price) -> pb.Price:
    if price.per_hour is not None:
        return pb.Price(currency=price.currency, per_hour=price.per_hour)
    tokens = pb.TokenPrice(input_per_million=price.input_per_million, output_per_million=price.output_per_million)
    return pb.Price(currency=price.currency, tokens=tokens)


def _suite_message(suite: Suite) -> pb.Suite:
    parameters = struct_pb2.Struct()
    parameters.update(dict(suite.parameters))
    sampling, dataset = suite.sampling, suite.dataset
    return pb.Suite(
        name=suite.name,
        task=suite.task,
        dataset=_dataset_message(dataset) if dataset else None,
        sampling=pb.Sampling(
            max_output_tokens=sampling.max_output_tokens,
            temperature=sampling.temperature,
            seed=sampling.seed,
            repeats=sampling.repeats,
        ),
        parameters=parameters if suite.parameters else None,
        judges=[pb.Judge(name=judge.name, subject=write_subject(judge.subject)) for judge in suite.judges],
        cluster_by=suite.cluster_by,
        slice_by=suite.slice_by,
        contamination_corpus=_dataset_message(suite.contamination_corpus) if suite.contamination_corpus else None,
        calibration=pb.Calibration(**asdict(suite.calibration)) if suite.calibration else None,
        weight=suite.weight,
    )


def _dataset_message(dataset: Dataset) -> pb.Dataset:
    secret = dataset.credentials
    return pb.Dataset(
        uri=dataset.uri,
        digest=dataset.digest,
        format=_number(_LAYOUTS, dataset.layout),
        records=dataset.records,
        filter=dataset.filter,
        limit=dataset.limit,
        seed=dataset.seed,
        credentials=pb.SecretReference(namespace=secret.namespace, name=secret.name) if secret else None,
    )


def _criterion_message(criterion: Criterion) -> pb.Criterion:
    absolute, relative = criterion.absolute, criterion.relative
    return pb.Criterion(
        name=criterion.name,
        metric=criterion.metric,
        goal=_number(_GOALS, criterion.goal),
        absolute=pb.AbsoluteCriterion(operator=_number(_OPERATORS, absolute.operator), value=absolute.value)
        if absolute
        else None,
        relative=pb.RelativeCriterion(
            max_regression=relative.max_regression,
            min_improvement=relative.min_improvement,
            confidence=relative.confidence,
        )
        if relative
        else None,
        min_samples=criterion.min_samples,
        required=criterion.required,
        business_metric=_business_message(criterion.business_metric) if criterion.business_metric else None,
    )


def _business_message(business: BusinessMetric) -> pb.BusinessMetric:
    curve = [pb.CurvePoint(metric=metric, value=value) for metric, value in business.curve]
    return pb.BusinessMetric(name=business.name, unit=business.unit, curve=curve)
