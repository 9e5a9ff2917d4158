"""From the domain to the protos: pipelines, snapshots, steps."""

import json

from touchstone.data.v1 import data_service_pb2 as pb
from touchstone_runtime.jobs import JobState

from touchstone_data.api import convert
from touchstone_data.core.manifest import Snapshot
from touchstone_data.core.steps import Step
from touchstone_data.ports import Pipeline
from touchstone_data.service.pipelines import Progress

_STATES = {
    JobState.PENDING: pb.PIPELINE_STATE_PENDING,
    JobState.RUNNING: pb.PIPELINE_STATE_RUNNING,
    JobState.SUCCEEDED: pb.PIPELINE_STATE_SUCCEEDED,
    JobState.FAILED: pb.PIPELINE_STATE_FAILED,
    JobState.CANCELLED: pb.PIPELINE_STATE_CANCELLED,
}


def pipeline(found: Pipeline, progress: Progress) -> pb.Pipeline:
    """Write a pipeline."""
    message = pb.Pipeline(
        dispatch_id=found.dispatch_id,
        spec=convert.spec_to(found.spec),
        state=_STATES[found.state],
        progress=pb.Progress(
            stage=progress.stage,
            stages_done=progress.stages_done,
            stages_total=progress.stages_total,
            shards_done=progress.shards_done,
            shards_total=progress.shards_total,
            records_read=progress.records_read,
            records_dropped=progress.records_dropped,
        ),
    )
    if found.error:
        message.error.CopyFrom(pb.PipelineError(reason=found.error["reason"], message=found.error["message"]))
    if found.snapshot:
        message.snapshot.CopyFrom(snapshot(found.snapshot, found.snapshot_uri))
    message.created_time.FromDatetime(found.created_at)
    if found.finished_at:
        message.finished_time.FromDatetime(found.finished_at)
    return message


def snapshot(found: Snapshot, uri: str) -> pb.Snapshot:
    """Write a snapshot."""
    return pb.Snapshot(
        digest=found.digest,
        uri=uri,
        files=[
            pb.SnapshotFile(
                path=file.path, split=file.split, records=file.records, size_bytes=file.size_bytes, digest=file.digest
            )
            for file in found.files
        ],
        steps=[
            pb.StepAccount(
                name=one.name,
                version=one.version,
                parameters=convert.struct(one.parameters),
                records=one.records,
                changed=one.changed,
                dropped=one.dropped,
                made=one.made,
            )
            for one in found.steps
        ],
        sources=[
            pb.SourceAccount(name=one.name, uri=one.uri, digest=one.digest, records=one.records, licence=one.licence)
            for one in found.sources
        ],
        records=found.records,
        dropped=found.dropped,
        licence=found.licence,
        models=[pb.ModelAccount(name=one.name, revision=one.revision, digest=one.digest) for one in found.models],
    )


def step(found: Step) -> pb.InstalledStep:
    """Write a step."""
    return pb.InstalledStep(
        name=found.name,
        version=found.version,
        description=found.description,
        parameters_schema=json.dumps(found.schema),
        is_per_corpus=found.by_corpus is not None,
        makes_records=found.by_generation is not None,
    )
