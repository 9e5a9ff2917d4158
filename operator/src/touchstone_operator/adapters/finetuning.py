"""The finetuning service over gRPC."""

from typing import Any

import grpc
from touchstone.finetuning.v1 import finetuning_service_pb2 as pb
from touchstone.finetuning.v1 import finetuning_service_pb2_grpc as pb_grpc
from touchstone_runtime.cluster import references

from touchstone_operator import errors
from touchstone_operator.adapters import numbers
from touchstone_operator.adapters.peers import TIMEOUT_SECONDS, ask
from touchstone_operator.api.common import ObjectReference
from touchstone_operator.api.finetunejob import BaseModelSource, Hyperparameters, LoRA, Merge, TrainingData
from touchstone_operator.api.servings import Resources
from touchstone_operator.objects import JsonObject
from touchstone_operator.plan import addresses
from touchstone_operator.ports import DataSource, TrainingReport, TrainingRequest

PEER = "finetuning"

NOTE_LIMIT = 512
"""What the status holds of a note."""

_OBJECTIVES = {
    "LoRA": pb.OBJECTIVE_SUPERVISED,
    "QLoRA": pb.OBJECTIVE_SUPERVISED,
    "FullSFT": pb.OBJECTIVE_SUPERVISED,
    "DPO": pb.OBJECTIVE_PREFERENCE,
    "ContinuedPretraining": pb.OBJECTIVE_CONTINUED_PRETRAINING,
}
_FORMATS = {
    "ChatML": pb.RECORD_FORMAT_CHAT_ML,
    "Alpaca": pb.RECORD_FORMAT_ALPACA,
    "Text": pb.RECORD_FORMAT_TEXT,
    "Preference": pb.RECORD_FORMAT_PREFERENCE,
}
_MERGES = {
    "Linear": pb.MERGE_TYPE_LINEAR,
    "SLERP": pb.MERGE_TYPE_SLERP,
    "TaskArithmetic": pb.MERGE_TYPE_TASK_ARITHMETIC,
    "TIES": pb.MERGE_TYPE_TIES,
    "DARELinear": pb.MERGE_TYPE_DARE_LINEAR,
    "DARETIES": pb.MERGE_TYPE_DARE_TIES,
}
_TYPES = {pb.ARTIFACT_TYPE_LORA_ADAPTER: "LoRAAdapter", pb.ARTIFACT_TYPE_MODEL: "Model"}


class FinetuningClient:
    """The finetuning port."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = pb_grpc.FinetuningServiceStub(channel)

    async def start(self, request: TrainingRequest) -> TrainingReport:
        """Start a training."""
        message = pb.StartTrainingRequest(dispatch_id=request.dispatch_id, spec=training_spec(request))
        return report((await ask(PEER, self._stub.StartTraining(message, timeout=TIMEOUT_SECONDS))).training)

    async def get(self, dispatch_id: str) -> TrainingReport:
        """Read a training."""
        call = self._stub.GetTraining(pb.GetTrainingRequest(dispatch_id=dispatch_id), timeout=TIMEOUT_SECONDS)
        return report((await ask(PEER, call, missing=lambda: errors.TrainingNotFound(dispatch_id))).training)

    async def cancel(self, dispatch_id: str) -> None:
        """Cancel a training; an unknown one is fine."""
        call = self._stub.CancelTraining(pb.CancelTrainingRequest(dispatch_id=dispatch_id), timeout=TIMEOUT_SECONDS)
        try:
            await ask(PEER, call, missing=lambda: errors.TrainingNotFound(dispatch_id))
        except errors.TrainingNotFound:
            return


def training_spec(request: TrainingRequest) -> pb.TrainingSpec:
    """Write what to train."""
    spec = request.spec
    message = pb.TrainingSpec(
        run=request.run,
        base=base(spec.base_model, secret(request, spec.base_model.credentials_secret_ref)),
        hyperparameters=hyperparameters(spec.hyperparameters or Hyperparameters()),
        output_uri=spec.output.uri,
        output_credentials=secret(request, spec.output.credentials_secret_ref),
        limits=pb.Limits(max_attempts=spec.backoff_limit + 1, max_preemptions=spec.preemption_limit),
        priority=spec.priority,
        queue=spec.queue,
    )
    if spec.resources:
        message.resources.CopyFrom(resources(spec.resources))
    if spec.method.merge:
        message.merge.CopyFrom(merge(spec.method.merge, secret(request, spec.base_model.credentials_secret_ref)))
    if spec.dataset and request.data:
        message.objective = _OBJECTIVES[spec.method.type]
        message.data.CopyFrom(data(request, spec.dataset, request.data))
    if spec.method.lora:
        message.adapter.CopyFrom(adapter(spec.method.lora, is_quantized=spec.method.type == "QLoRA"))
    if spec.checkpoint:
        message.checkpoints.uri = spec.checkpoint.uri
        message.checkpoints.interval_steps = spec.checkpoint.interval_steps
        message.checkpoints.start_afresh = spec.checkpoint.resume == "Never"
    return message


def secret(request: TrainingRequest, reference: ObjectReference | None) -> pb.SecretReference | None:
    """Write which Secret holds the keys of a store."""
    return pb.SecretReference(namespace=request.namespace, name=reference.name) if reference else None


def base(source: BaseModelSource, credentials: pb.SecretReference | None) -> pb.BaseModel:
    """Write what is trained from: a revision is a digest, or a commit, which is part of the address."""
    return pb.BaseModel(
        uri=addresses.at(source.uri, source.revision),
        digest=addresses.digest(source.revision) or "",
        credentials=credentials,
    )


def resources(asked: Resources) -> pb.Resources:
    """Write what a training may use."""
    gpu = pb.Gpu(count=asked.gpu.count, resource_name=asked.gpu.resource_name) if asked.gpu else None
    return pb.Resources(cpu=asked.cpu or "", memory=asked.memory or "", gpu=gpu)


def data(request: TrainingRequest, spec: TrainingData, source: DataSource) -> pb.TrainingData:
    """Write what is trained on."""
    return pb.TrainingData(
        uri=source.uri,
        digest=source.digest,
        format=_FORMATS[spec.format],
        validation_split=float(spec.validation_split),
        credentials=secret(request, source.secret),
    )


def merge(spec: Merge, credentials: pb.SecretReference | None) -> pb.Merge:
    """Write what is merged: models in a store that takes the keys of the base's are fetched with them."""
    return pb.Merge(
        type=_MERGES[spec.type],
        keep_sum=not spec.normalize,
        models=[
            pb.MergedModel(
                model=pb.BaseModel(
                    uri=each.uri,
                    digest=each.digest or "",
                    credentials=credentials if references.is_taken(each.uri) else None,
                ),
                weight=float(each.weight),
                density=float(each.density),
            )
            for each in spec.models
        ],
    )


def hyperparameters(given: Hyperparameters) -> pb.Hyperparameters:
    """Write the settings of the optimisation."""
    return pb.Hyperparameters(
        epochs=given.epochs,
        max_steps=given.max_steps or 0,
        learning_rate=float(given.learning_rate),
        batch_size=given.batch_size,
        gradient_accumulation=given.gradient_accumulation,
        max_sequence_length=given.max_sequence_length,
        seed=given.seed,
    )


def adapter(lora: LoRA, *, is_quantized: bool) -> pb.Adapter:
    """Write the settings of an adapter."""
    return pb.Adapter(
        rank=lora.rank,
        alpha=lora.alpha,
        dropout=float(lora.dropout),
        target_modules=lora.target_modules or (),
        quantization=pb.QUANTIZATION_NF4 if is_quantized else pb.QUANTIZATION_UNSPECIFIED,
    )


def report(training: pb.Training) -> TrainingReport:
    """Read a training."""
    return TrainingReport(
        state=numbers.camel(pb.TrainingState, training.state, "TRAINING_STATE_"),
        stage=training.stage,
        waits_for=training.waits_for,
        error_reason=training.error.reason,
        error_message=training.error.message,
        heartbeat_time=numbers.time(training.heartbeat_time) if training.HasField("heartbeat_time") else "",
        results=_results(training),
    )


def _results(training: pb.Training) -> JsonObject:
    results: JsonObject = {
        "attempts": training.attempts,
        "preemptions": training.preemptions,
        "progress": _progress(training),
    }
    if training.metrics:
        results["metrics"] = [
            {"name": each.name, "value": numbers.decimal(each.value), "step": each.step} for each in training.metrics
        ]
    if training.notes:
        results["notes"] = [note[:NOTE_LIMIT] for note in training.notes]
    if training.checkpoint_step:
        results["checkpoint"] = {"step": training.checkpoint_step}
    if training.HasField("finished_time"):
        results["completionTime"] = numbers.time(training.finished_time)
    if training.HasField("artifact"):
        results |= _made(training)
    return results


def _progress(training: pb.Training) -> JsonObject:
    total = training.total_steps
    progress: JsonObject = {
        "step": training.step,
        "totalSteps": total,
        "epoch": numbers.decimal(training.epoch),
        "percent": min(100, 100 * training.step // total) if total else 0,
    }
    if training.remaining_seconds:
        progress["estimatedRemainingSeconds"] = training.remaining_seconds
    if training.HasField("heartbeat_time"):
        progress["lastUpdatedTime"] = numbers.time(training.heartbeat_time)
    return progress


def _made(training: pb.Training) -> JsonObject:
    made, origin = training.artifact, training.provenance
    artifact: JsonObject = {
        "uri": made.uri,
        "digest": made.digest,
        "sizeBytes": made.size_bytes,
        "type": _TYPES[made.type],
    }
    if made.rank:
        artifact["rank"] = made.rank
    provenance: JsonObject = {
        "baseModelDigest": origin.base_model_digest,
        "specDigest": origin.spec_digest,
        "seed": origin.seed,
        "codeVersion": origin.code_version,
    }
    if origin.dataset_digest:
        provenance["datasetDigest"] = origin.dataset_digest
    if origin.trainer_image:
        provenance["trainerImage"] = origin.trainer_image
    return {"artifact": artifact, "provenance": provenance}
