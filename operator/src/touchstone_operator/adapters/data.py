"""The data service over gRPC."""

from typing import Any

import grpc
from google.protobuf import json_format
from touchstone.data.v1 import data_service_pb2 as pb
from touchstone.data.v1 import data_service_pb2_grpc as pb_grpc
from touchstone_runtime.cluster import references

from touchstone_operator import errors
from touchstone_operator.adapters import numbers
from touchstone_operator.adapters.peers import TIMEOUT_SECONDS, ask
from touchstone_operator.api.finetunejob import (
    DatasetModel,
    DatasetStatus,
    PipelineModel,
    PipelineSource,
    PipelineStep,
)
from touchstone_operator.ports import PipelineReport, PipelineRequest

PEER = "data"

_FORMATS = {
    None: pb.SOURCE_FORMAT_UNSPECIFIED,
    "JSONLines": pb.SOURCE_FORMAT_JSON_LINES,
    "Parquet": pb.SOURCE_FORMAT_PARQUET,
    "CSV": pb.SOURCE_FORMAT_CSV,
    "Text": pb.SOURCE_FORMAT_TEXT,
}


class DataClient:
    """The data port."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = pb_grpc.DataServiceStub(channel)

    async def start(self, request: PipelineRequest) -> PipelineReport:
        """Start a pipeline."""
        message = pb.StartPipelineRequest(dispatch_id=request.dispatch_id, spec=pipeline_spec(request))
        return report((await ask(PEER, self._stub.StartPipeline(message, timeout=TIMEOUT_SECONDS))).pipeline)

    async def get(self, dispatch_id: str) -> PipelineReport:
        """Read a pipeline."""
        call = self._stub.GetPipeline(pb.GetPipelineRequest(dispatch_id=dispatch_id), timeout=TIMEOUT_SECONDS)
        return report((await ask(PEER, call, missing=lambda: errors.PipelineNotFound(dispatch_id))).pipeline)

    async def cancel(self, dispatch_id: str) -> None:
        """Cancel a pipeline; an unknown one is fine."""
        call = self._stub.CancelPipeline(pb.CancelPipelineRequest(dispatch_id=dispatch_id), timeout=TIMEOUT_SECONDS)
        try:
            await ask(PEER, call, missing=lambda: errors.PipelineNotFound(dispatch_id))
        except errors.PipelineNotFound:
            return


def pipeline_spec(request: PipelineRequest) -> pb.PipelineSpec:
    """Write what is done with which records."""
    spec = request.pipeline
    return pb.PipelineSpec(
        name=request.name,
        sources=[source(one, _secret(request, one.uri)) for one in spec.sources],
        text_fields=spec.text_fields or (),
        steps=[step(one) for one in spec.steps],
        output_uri=spec.output or "",
        output_credentials=_secret(request, spec.output or ""),
        licence=spec.licence or "",
        models=[model(request, one) for one in spec.models or ()],
    )


def model(request: PipelineRequest, spec: PipelineModel) -> pb.Model:
    """Write which revision is asked, as it was found when the pipeline began."""
    found = request.models[spec.name]
    deployment = f"{request.namespace}/{spec.model_deployment_ref.name}"
    return pb.Model(name=spec.name, deployment=deployment, revision=found.name, digest=found.digest)


def _secret(request: PipelineRequest, uri: str) -> pb.SecretReference | None:
    """Name the Secret to those addresses that take its keys."""
    if request.secret is None or not references.is_taken(uri):
        return None
    return pb.SecretReference(namespace=request.namespace, name=request.secret.name)


def source(spec: PipelineSource, credentials: pb.SecretReference | None) -> pb.Source:
    """Write where records come from."""
    return pb.Source(
        name=spec.name,
        uri=spec.uri,
        digest=spec.digest or "",
        format=_FORMATS[spec.format],
        id_field=spec.id_field or "",
        licence=spec.licence or "",
        credentials=credentials,
    )


def step(spec: PipelineStep) -> pb.Step:
    """Write the use of a step."""
    message = pb.Step(name=spec.name)
    if spec.parameters:
        json_format.ParseDict(spec.parameters, message.parameters)
    return message


def report(pipeline: pb.Pipeline) -> PipelineReport:
    """Read a pipeline."""
    made, progress = pipeline.snapshot, pipeline.progress
    stage = f"{progress.stage}, shard {progress.shards_done} of {progress.shards_total}" if progress.stage else ""
    return PipelineReport(
        state=numbers.camel(pb.PipelineState, pipeline.state, "PIPELINE_STATE_"),
        stage=stage,
        error_reason=pipeline.error.reason,
        error_message=pipeline.error.message,
        snapshot=DatasetStatus(
            dispatch_id=pipeline.dispatch_id,
            uri=f"{made.uri.rstrip('/')}/",
            digest=made.digest,
            records=made.records,
            dropped=made.dropped,
            models=tuple(DatasetModel(name=one.name, revision=one.revision, digest=one.digest) for one in made.models)
            or None,
        )
        if pipeline.HasField("snapshot")
        else None,
    )
