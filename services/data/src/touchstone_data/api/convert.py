"""Specifications: protos to our values and back. Pure."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from google.protobuf import json_format, struct_pb2
from touchstone.data.v1 import data_service_pb2 as pb
from touchstone_runtime.cluster.references import SecretReference
from touchstone_runtime.errors import Violation

from touchstone_data import errors
from touchstone_data.core.spec import (
    DEFAULT_SAMPLE_RECORDS,
    DEFAULT_SHARD_RECORDS,
    DEFAULT_TEXT_FIELDS,
    Model,
    PipelineSpec,
    Report,
    Source,
    SourceFormat,
    StepUse,
    TokenReport,
)

FORMATS = {
    pb.SOURCE_FORMAT_UNSPECIFIED: SourceFormat.BY_EXTENSION,
    pb.SOURCE_FORMAT_JSON_LINES: SourceFormat.JSON_LINES,
    pb.SOURCE_FORMAT_PARQUET: SourceFormat.PARQUET,
    pb.SOURCE_FORMAT_CSV: SourceFormat.CSV,
    pb.SOURCE_FORMAT_TEXT: SourceFormat.TEXT,
}
_NUMBERS = {value: number for number, value in FORMATS.items()}


def spec_from(request: pb.StartPipelineRequest) -> PipelineSpec:
    """Read a specification, with every default filled in that touchstone.data.v1 names.

    Raises:
        SpecInvalid: It is missing, or holds a format that this version does not know.
    """
    if not request.HasField("spec"):
        raise errors.SpecInvalid([Violation("spec", "Must be set: say what to do.")])
    spec = request.spec
    unknown = [
        Violation(f"spec.sources[{place}].format", f"{source.format} is not a value that this version knows.")
        for place, source in enumerate(spec.sources)
        if source.format not in FORMATS
    ]
    if unknown:
        raise errors.SpecInvalid(unknown)
    return PipelineSpec(
        name=spec.name,
        sources=tuple(source_from(source) for source in spec.sources),
        text_fields=tuple(spec.text_fields) or DEFAULT_TEXT_FIELDS,
        steps=tuple(StepUse(name=step.name, parameters=document(step.parameters)) for step in spec.steps),
        output_uri=spec.output_uri,
        output_credentials=_secret(spec.output_credentials) if spec.HasField("output_credentials") else None,
        licence=spec.licence,
        shard_records=spec.shard_records or DEFAULT_SHARD_RECORDS,
        report=Report(
            label_field=spec.report.label_field,
            sample_records=spec.report.sample_records or DEFAULT_SAMPLE_RECORDS,
            tokens=_tokens(spec.report.tokens) if spec.report.HasField("tokens") else None,
        ),
        models=tuple(
            Model(name=one.name, deployment=one.deployment, revision=one.revision, digest=one.digest)
            for one in spec.models
        ),
    )


def spec_to(spec: PipelineSpec) -> pb.PipelineSpec:
    """Write a specification."""
    return pb.PipelineSpec(
        name=spec.name,
        sources=[
            pb.Source(
                name=source.name,
                uri=source.uri,
                digest=source.digest,
                format=_NUMBERS[source.format],
                id_field=source.id_field,
                licence=source.licence,
                credentials=_reference(source.credentials),
            )
            for source in spec.sources
        ],
        text_fields=spec.text_fields,
        steps=[pb.Step(name=use.name, parameters=struct(use.parameters)) for use in spec.steps],
        output_uri=spec.output_uri,
        output_credentials=_reference(spec.output_credentials),
        licence=spec.licence,
        shard_records=spec.shard_records,
        report=pb.Report(
            label_field=spec.report.label_field,
            sample_records=spec.report.sample_records,
            tokens=None if spec.report.tokens is None else pb.TokenReport(**asdict(spec.report.tokens)),
        ),
        models=[
            pb.Model(name=one.name, deployment=one.deployment, revision=one.revision, digest=one.digest)
            for one in spec.models
        ],
    )


def document(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Read a Struct. It holds all numbers as floats; whole ones are written as such again."""
    found: dict[str, Any] = _whole(json_format.MessageToDict(struct))
    return found


def struct(document: Mapping[str, Any]) -> struct_pb2.Struct:
    """Write a Struct."""
    message = struct_pb2.Struct()
    json_format.ParseDict(dict(document), message)
    return message


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _whole(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _tokens(tokens: pb.TokenReport) -> TokenReport:
    return TokenReport(
        tokenizer=tokens.tokenizer,
        chat_template=tokens.chat_template,
        max_sequence_length=tokens.max_sequence_length,
    )


def source_from(source: pb.Source) -> Source:
    """Read a source whose format is known."""
    return Source(
        name=source.name,
        uri=source.uri,
        digest=source.digest,
        format=FORMATS[source.format],
        id_field=source.id_field,
        licence=source.licence,
        credentials=_secret(source.credentials) if source.HasField("credentials") else None,
    )


def _secret(given: pb.SecretReference) -> SecretReference:
    return SecretReference(namespace=given.namespace, name=given.name)


def _reference(secret: SecretReference | None) -> pb.SecretReference | None:
    return pb.SecretReference(namespace=secret.namespace, name=secret.name) if secret else None
