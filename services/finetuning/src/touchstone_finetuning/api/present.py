"""From the domain to the protos: answers."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.finetuning.v1 import finetuning_service_pb2 as pb

from touchstone_finetuning.api import values
from touchstone_finetuning.core.results import TrainingResult
from touchstone_finetuning.service.trainings import Training


def training(found: Training) -> pb.Training:
    """Write a training."""
    progress = found.progress
    written = pb.Training(
        dispatch_id=found.dispatch_id,
        state=values.STATES[found.state],
        stage=progress.stage,
        waits_for=progress.waits_for,
        step=progress.step,
        total_steps=progress.total_steps,
        epoch=progress.epoch,
        checkpoint_step=progress.checkpoint_step,
        notes=progress.notes,
        attempts=found.attempts,
        preemptions=found.preemptions,
        remaining_seconds=progress.remaining_seconds,
        metrics=[
            pb.TrainingMetric(name=name, value=metric.value, step=metric.step)
            for name, metric in sorted(progress.metrics.items())
        ],
    )
    if found.error:
        written.error.CopyFrom(pb.TrainingError(reason=found.error["reason"], message=found.error["message"]))
    if found.result:
        _write_result(written, found.result)
    times = (
        (written.started_time, found.started_at),
        (written.finished_time, found.finished_at),
        (written.heartbeat_time, found.heartbeat_at),
    )
    for field, time in times:
        if time:
            field.CopyFrom(_time(time))
    return written


def _write_result(written: pb.Training, result: TrainingResult) -> None:
    made, origin = result.artifact, result.provenance
    written.artifact.CopyFrom(
        pb.Artifact(
            uri=made.uri,
            digest=made.digest,
            size_bytes=made.size_bytes,
            type=values.ARTIFACT_TYPES[made.type],
            rank=made.rank,
        )
    )
    written.provenance.CopyFrom(
        pb.Provenance(
            base_model_digest=origin.base_model_digest,
            dataset_digest=origin.dataset_digest,
            trainer_image=origin.trainer_image,
            spec_digest=origin.spec_digest,
            seed=origin.seed,
            code_version=origin.code_version,
        )
    )


def _time(time: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp
