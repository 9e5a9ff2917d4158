"""Specifications between protos and values: what is written is what was read, and every fault has its path."""

from google.protobuf import json_format
from touchstone.data.v1 import data_service_pb2 as pb
from touchstone_data.adapters import plugins
from touchstone_data.api import convert
from touchstone_data.core import validation
from touchstone_data.core.spec import TokenReport

SPEC = {
    "name": "letters",
    "sources": [{"name": "raw", "uri": "file:///in.jsonl.zst"}],
    "steps": [{"name": "length", "parameters": {"min_words": 3}}],
    "report": {
        "label_field": "queue",
        "tokens": {"tokenizer": "file:///model/", "chat_template": "file:///chat.jinja", "max_sequence_length": 512},
    },
}


def request(**report: object) -> pb.StartPipelineRequest:
    document = {"dispatch_id": "one", "spec": {**SPEC, "report": {**SPEC["report"], **report}}}
    return json_format.ParseDict(document, pb.StartPipelineRequest())


def test_what_is_written_is_what_was_read() -> None:
    spec = convert.spec_from(request())
    assert spec.report.tokens == TokenReport(
        tokenizer="file:///model/", chat_template="file:///chat.jinja", max_sequence_length=512
    )
    assert convert.spec_from(pb.StartPipelineRequest(spec=convert.spec_to(spec))) == spec


def test_secrets_are_named_and_those_that_nobody_would_read_are_refused() -> None:
    message = request()
    message.spec.sources[0].credentials.name = "store"
    message.spec.output_credentials.CopyFrom(pb.SecretReference(namespace="team-a", name="store"))
    spec = convert.spec_from(message)
    assert convert.spec_from(pb.StartPipelineRequest(spec=convert.spec_to(spec))) == spec
    assert [fault.field for fault in validation.spec_faults(spec, plugins.installed())] == [
        "spec.sources[0].credentials.namespace",
        "spec.sources[0].credentials",
        "spec.output_credentials",
    ]


def test_tokens_are_not_counted_unless_that_is_asked() -> None:
    message = request()
    message.spec.report.ClearField("tokens")
    spec = convert.spec_from(message)
    assert spec.report.tokens is None
    assert not convert.spec_to(spec).report.HasField("tokens")


def test_every_fault_of_a_report_of_tokens_is_told() -> None:
    tokens = {"tokenizer": "", "chat_template": "ftp://x/y", "max_sequence_length": -1}
    faults = validation.spec_faults(convert.spec_from(request(tokens=tokens)), plugins.installed())
    assert [fault.field for fault in faults] == [
        "spec.report.tokens.tokenizer",
        "spec.report.tokens.chat_template",
        "spec.report.tokens.max_sequence_length",
    ]
