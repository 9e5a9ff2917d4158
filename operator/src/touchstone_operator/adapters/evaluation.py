"""The evaluation service over gRPC."""

from collections.abc import Iterable, Sequence
from typing import Any

import grpc
from google.protobuf import json_format
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone.evaluation.v1 import evaluation_service_pb2_grpc as pb_grpc

from touchstone_operator import errors
from touchstone_operator.adapters import numbers
from touchstone_operator.adapters.peers import TIMEOUT_SECONDS, ask
from touchstone_operator.api.evalrun import EvalRunSpec
from touchstone_operator.api.evaluations import Criterion, Dataset, Suite
from touchstone_operator.api.prices import PriceStatus
from touchstone_operator.objects import JsonObject
from touchstone_operator.ports import Measured, RunReport, RunRequest, SelectionReport, SelectionRequest

PEER = "evaluation"

_TYPES = {"ModelDeployment": pb.SUBJECT_TYPE_MODEL_DEPLOYMENT, "RagIndex": pb.SUBJECT_TYPE_RAG_INDEX}
_FORMATS = {
    "JSONLines": pb.DATASET_FORMAT_JSON_LINES,
    "SQuAD": pb.DATASET_FORMAT_SQUAD,
    "JSON": pb.DATASET_FORMAT_JSON,
    "CSV": pb.DATASET_FORMAT_CSV,
    "Arrow": pb.DATASET_FORMAT_ARROW,
}
_GOALS = {None: pb.GOAL_UNSPECIFIED, "Maximize": pb.GOAL_MAXIMIZE, "Minimize": pb.GOAL_MINIMIZE}
_OPERATORS = {"GreaterOrEqual": pb.OPERATOR_GREATER_OR_EQUAL, "LessOrEqual": pb.OPERATOR_LESS_OR_EQUAL}
_POLICIES = {"Count": pb.ITEM_ERROR_POLICY_COUNT, "Exclude": pb.ITEM_ERROR_POLICY_EXCLUDE}


MESSAGE_LIMIT, CANDIDATE_MESSAGE_LIMIT = 4096, 2048
"""What the status holds of a sentence."""


class EvaluationClient:
    """The evaluation port."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = pb_grpc.EvaluationServiceStub(channel)

    async def start(self, request: RunRequest) -> RunReport:
        """Start a run."""
        message = pb.StartRunRequest(dispatch_id=request.dispatch_id, spec=run_spec(request))
        return report((await ask(PEER, self._stub.StartRun(message, timeout=TIMEOUT_SECONDS))).run)

    async def get(self, dispatch_id: str) -> RunReport:
        """Read a run."""
        call = self._stub.GetRun(pb.GetRunRequest(dispatch_id=dispatch_id), timeout=TIMEOUT_SECONDS)
        return report((await ask(PEER, call, missing=lambda: errors.RunNotFound(dispatch_id))).run)

    async def select(self, request: SelectionRequest) -> SelectionReport:
        """Begin a choice, or look at one that was begun."""
        message = pb.StartSelectionRequest(selection_id=request.selection_id, spec=selection_spec(request))
        call = self._stub.StartSelection(message, timeout=TIMEOUT_SECONDS)
        return selection_report((await ask(PEER, call)).selection)

    async def cancel(self, dispatch_id: str) -> None:
        """Cancel a run; an unknown one is fine."""
        call = self._stub.CancelRun(pb.CancelRunRequest(dispatch_id=dispatch_id), timeout=TIMEOUT_SECONDS)
        try:
            await ask(PEER, call, missing=lambda: errors.RunNotFound(dispatch_id))
        except errors.RunNotFound:
            return


def run_spec(request: RunRequest) -> pb.RunSpec:
    """Write what a run measures."""
    spec = request.spec
    reference = spec.subject.model_deployment_ref or spec.subject.rag_index_ref
    name = f"{request.namespace}/{reference.name if reference else ''}"

    def subject(measured: Measured) -> pb.Subject:
        found = price(measured.price) if measured.price else None
        kind = _TYPES[spec.subject.type]
        return pb.Subject(type=kind, name=name, revision=measured.name, digest=measured.digest, price=found)

    return pb.RunSpec(
        subject=subject(request.subjects.subject),
        baseline=subject(request.subjects.baseline) if request.subjects.baseline else None,
        suites=[suite(one, judges(request, one), request.namespace) for one in spec.suites],
        criteria=[criterion(one) for one in spec.criteria],
        execution=execution(spec),
    )


def price(spec: PriceStatus) -> pb.Price:
    """Write what answers cost."""
    if spec.tokens is None:
        return pb.Price(currency=spec.currency, per_hour=float(spec.per_hour or 0))
    tokens = pb.TokenPrice(
        input_per_million=float(spec.tokens.input_per_million), output_per_million=float(spec.tokens.output_per_million)
    )
    return pb.Price(currency=spec.currency, tokens=tokens)


def judges(request: RunRequest, spec: Suite) -> list[pb.Judge]:
    """Write who judges in a suite, by the revisions that were found when the run began."""
    found = [(judge, request.subjects.judges[f"{spec.name}/{judge.name}"]) for judge in spec.judges or ()]
    return [
        pb.Judge(
            name=judge.name,
            subject=pb.Subject(
                type=pb.SUBJECT_TYPE_MODEL_DEPLOYMENT,
                name=f"{request.namespace}/{judge.model_deployment_ref.name}",
                revision=revision.name,
                digest=revision.digest,
            ),
        )
        for judge, revision in found
    ]


def suite(spec: Suite, judged_by: Sequence[pb.Judge], namespace: str) -> pb.Suite:
    """Write a suite; a load's shape is parameters of its task."""
    message = pb.Suite(
        name=spec.name, task=spec.task, weight=float(spec.weight), judges=judged_by, cluster_by=spec.cluster_by or ""
    )
    message.slice_by.extend(spec.slice_by or ())
    if spec.calibration:
        message.calibration.suite = spec.calibration.suite
        message.calibration.metric = spec.calibration.metric
        message.calibration.at_least = float(spec.calibration.at_least)
    if spec.dataset:
        message.dataset.CopyFrom(dataset(spec.dataset, namespace))
    if spec.contamination_corpus:
        message.contamination_corpus.CopyFrom(dataset(spec.contamination_corpus, namespace))
    if spec.sampling:
        message.sampling.max_output_tokens = spec.sampling.max_output_tokens
        message.sampling.temperature = float(spec.sampling.temperature)
        message.sampling.seed = spec.sampling.seed
        message.sampling.repeats = spec.sampling.repeats
    parameters = {**(spec.load.dump() if spec.load else {}), **(spec.parameters or {})}
    if parameters:
        json_format.ParseDict(parameters, message.parameters)
    return message


def dataset(spec: Dataset, namespace: str) -> pb.Dataset:
    """Write a dataset; the Secret with its keys lies in the namespace of who asked for the run."""
    reference = spec.credentials_secret_ref
    return pb.Dataset(
        uri=spec.uri,
        digest=spec.digest or "",
        format=_FORMATS[spec.format],
        records=spec.records or "",
        filter=spec.filter or "",
        limit=spec.limit or 0,
        seed=spec.seed,
        credentials=pb.SecretReference(namespace=namespace, name=reference.name) if reference else None,
    )


def criterion(spec: Criterion) -> pb.Criterion:
    """Write a criterion."""
    message = pb.Criterion(
        name=spec.name,
        metric=spec.metric,
        goal=_GOALS[spec.goal],
        min_samples=spec.min_samples,
        required=spec.required,
    )
    if spec.business_metric:
        business = spec.business_metric
        message.business_metric.name, message.business_metric.unit = business.name, business.unit
        for point in business.curve:
            message.business_metric.curve.add(metric=float(point.metric), value=float(point.value))
    if spec.absolute:
        message.absolute.operator = _OPERATORS[spec.absolute.operator]
        message.absolute.value = float(spec.absolute.value)
    if spec.relative:
        relative = spec.relative
        message.relative.confidence = float(relative.confidence)
        if relative.max_regression is not None:
            message.relative.max_regression = float(relative.max_regression)
        if relative.min_improvement is not None:
            message.relative.min_improvement = float(relative.min_improvement)
    return message


def execution(spec: EvalRunSpec) -> pb.Execution:
    """Write the bounds of a run."""
    message = pb.Execution(
        deadline_seconds=spec.active_deadline_seconds, log_samples=bool(spec.outputs and spec.outputs.log_samples)
    )
    if spec.execution:
        bounds = spec.execution
        message.parallelism = bounds.parallelism
        message.max_tokens = bounds.max_tokens or 0
        message.max_seconds = bounds.max_seconds or 0
        message.max_items = bounds.max_items or 0
        message.stop_early = bounds.stop_early
        message.allow_code_execution = bounds.allow_code_execution
        message.on_item_error = _POLICIES[bounds.on_item_error]
        message.max_error_ratio = float(bounds.max_error_ratio)
    return message


def selection_spec(request: SelectionRequest) -> pb.SelectionSpec:
    """Write whom to choose among, by what."""
    message = pb.SelectionSpec(
        candidates=[pb.Candidate(name=name, dispatch_id=run) for name, run in request.candidates.items()],
        excluded=[pb.ExcludedCandidate(name=name, message=why) for name, why in request.excluded.items()],
    )
    for objective in request.objectives:
        written = message.objectives.add(metric=objective.metric, confidence=float(objective.confidence))
        if objective.max_regression is not None:
            written.max_regression = float(objective.max_regression)
    return message


def selection_report(found: pb.Selection) -> SelectionReport:
    """Read a choice as fields of a ModelSelection's status."""
    results: JsonObject = {
        "chosen": found.chosen or None,
        "message": found.message[:MESSAGE_LIMIT],
        "candidates": [_assessment(one) for one in found.assessments],
        "artifacts": _artifacts(found.artifacts),
    }
    state = numbers.camel(pb.SelectionState, found.state, "SELECTION_STATE_")
    return SelectionReport(state=state, message=found.message, results=results)


def _assessment(one: pb.Assessment) -> JsonObject:
    return {
        "name": one.name,
        "revision": one.subject.revision or None,
        "place": one.place or None,
        "dominatedBy": one.dominated_by or None,
        "message": one.message[:CANDIDATE_MESSAGE_LIMIT],
        "readings": [_reading(reading) for reading in one.readings],
    }


def _reading(reading: pb.Reading) -> JsonObject:
    found: JsonObject = {"metric": reading.metric}
    if reading.HasField("value"):
        found["value"] = numbers.decimal(reading.value)
    return found | _interval(reading)


def _interval(found: pb.Reading | pb.BusinessValue) -> JsonObject:
    if not found.HasField("ci_low"):
        return {}
    return {"ciLow": numbers.decimal(found.ci_low), "ciHigh": numbers.decimal(found.ci_high)}


def _artifacts(found: Iterable[pb.Artifact]) -> list[JsonObject]:
    return [{"name": one.name, "uri": one.uri, "digest": one.digest or None} for one in found]


def report(run: pb.Run) -> RunReport:
    """Read a run as the fields of an EvalRun's status."""
    results: JsonObject = {
        "message": run.message[:MESSAGE_LIMIT],
        "suiteDigest": run.suite_digest,
        "criteria": [criterion_status(result) for result in run.criteria],
        "artifacts": _artifacts(run.artifacts),
    }
    if run.HasField("score"):
        results["score"] = numbers.decimal(run.score)
    if run.HasField("progress"):
        progress = run.progress
        results["progress"] = {
            "itemsDone": progress.items_done,
            "itemsTotal": progress.items_total,
            "itemsReused": progress.items_reused,
            "itemsFailed": progress.items_failed,
        }
        if run.HasField("heartbeat_time"):
            results["progress"]["lastUpdatedTime"] = numbers.time(run.heartbeat_time)
    if run.HasField("usage"):
        results["usage"] = {
            "inputTokens": run.usage.input_tokens,
            "outputTokens": run.usage.output_tokens,
            "judgeTokens": run.usage.judge_tokens,
            "wallSeconds": round(run.usage.wall_seconds),
        }
    if run.HasField("start_time"):
        results["startTime"] = numbers.time(run.start_time)
    if run.HasField("completion_time"):
        results["completionTime"] = numbers.time(run.completion_time)
    return RunReport(
        state=numbers.camel(pb.RunState, run.state, "RUN_STATE_"),
        verdict=numbers.camel(pb.Verdict, run.verdict, "VERDICT_"),
        results={name: value for name, value in results.items() if value not in ("", [])},
    )


def criterion_status(result: pb.CriterionResult) -> JsonObject:
    """Read what a criterion came to; numbers that were not measured are left out."""
    present = {field.name for field, _ in result.ListFields()}
    measured = {
        "value": ("value", result.value),
        "baseline": ("baseline", result.baseline),
        "delta": ("delta", result.delta),
        "ci_low": ("ciLow", result.ci_low),
        "ci_high": ("ciHigh", result.ci_high),
        "p_value": ("pValue", result.p_value),
    }
    status: JsonObject = {
        "name": result.name,
        "metric": result.metric,
        "verdict": numbers.camel(pb.Verdict, result.verdict, "VERDICT_") or "Error",
        "samples": result.samples,
    }
    status |= {name: numbers.decimal(value) for field, (name, value) in measured.items() if field in present}
    if result.HasField("advised_samples"):
        status["advisedSamples"] = result.advised_samples
    if result.HasField("business"):
        status["business"] = business_status(result.business)
    return status | ({"message": result.message[:1024]} if result.message else {})


def business_status(found: pb.BusinessValue) -> JsonObject:
    """Read what a value means for the business."""
    status: JsonObject = {"name": found.name, "value": numbers.decimal(found.value), "isBeyond": found.is_beyond}
    if found.unit:
        status["unit"] = found.unit
    if found.HasField("baseline"):
        status["baseline"] = numbers.decimal(found.baseline)
    return status | _interval(found)
