"""What a specification must satisfy before anything is started. Pure."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from touchstone_runtime.cluster import references
from touchstone_runtime.errors import Violation

from touchstone_data.core.records import value_at
from touchstone_data.core.spec import Model, PipelineSpec, Source, TokenReport
from touchstone_data.core.steps import Step

MAX_DISPATCH_ID_BYTES = 128
MAX_SOURCES, MAX_STEPS, MAX_MODELS = 32, 64, 8
MIN_SAMPLE, MAX_SAMPLE = 10, 10_000
MIN_SHARD, MAX_SHARD = 100, 1_000_000
SOURCE_SCHEMES = ("file", "pypi", "http", "https", "s3", "gs", "hf")
OUTPUT_SCHEMES = ("file", "s3", "gs")

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PATH = re.compile(r"[^.\s][^.]*(\.[^.]+)*")
_DEPLOYMENT = re.compile(r"[a-z0-9][-a-z0-9.]{0,252}/[a-z0-9][-a-z0-9.]{0,252}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def dispatch_faults(dispatch_id: str) -> Iterator[Violation]:
    """Check a dispatch id."""
    if not dispatch_id or len(dispatch_id.encode()) > MAX_DISPATCH_ID_BYTES:
        yield Violation("dispatch_id", f"Must be 1 to {MAX_DISPATCH_ID_BYTES} bytes, unique for each pipeline.")


def spec_faults(spec: PipelineSpec, steps: Mapping[str, Step]) -> Iterator[Violation]:
    """Check a specification; every fault is told, each with its field's path in the request."""
    yield from _label_faults(spec.name, "spec.name")
    if not 1 <= len(spec.sources) <= MAX_SOURCES:
        yield Violation("spec.sources", f"Must hold 1 to {MAX_SOURCES} sources.")
    for name, count in Counter(source.name for source in spec.sources).items():
        if count > 1:
            yield Violation("spec.sources", f"{count} sources are named {name!r}. Give each its own name.")
    for place, source in enumerate(spec.sources):
        yield from source_faults(source, f"spec.sources[{place}]")
    for place, path in enumerate(spec.text_fields):
        if not _PATH.fullmatch(path):
            yield Violation(f"spec.text_fields[{place}]", "Must be a path of names with dots between them.")
    if spec.output_uri:
        yield from _uri_faults(spec.output_uri, "spec.output_uri", OUTPUT_SCHEMES)
    yield from references.faults(spec.output_credentials, spec.output_uri, "spec.output_credentials")
    if not MIN_SHARD <= spec.shard_records <= MAX_SHARD:
        yield Violation("spec.shard_records", f"Must be {MIN_SHARD} to {MAX_SHARD}, or 0 for 10000.")
    if not MIN_SAMPLE <= spec.report.sample_records <= MAX_SAMPLE:
        yield Violation("spec.report.sample_records", f"Must be {MIN_SAMPLE} to {MAX_SAMPLE}, or 0 for 2000.")
    if spec.report.tokens is not None:
        yield from _token_faults(spec.report.tokens, "spec.report.tokens")
    yield from _step_faults(spec, steps)
    yield from _model_faults(spec, steps)


def _token_faults(tokens: TokenReport, path: str) -> Iterator[Violation]:
    yield from _uri_faults(tokens.tokenizer, f"{path}.tokenizer", SOURCE_SCHEMES)
    if tokens.chat_template:
        yield from _uri_faults(tokens.chat_template, f"{path}.chat_template", SOURCE_SCHEMES)
    if tokens.max_sequence_length < 0:
        yield Violation(f"{path}.max_sequence_length", "Must not be negative.")


def _step_faults(spec: PipelineSpec, steps: Mapping[str, Step]) -> Iterator[Violation]:
    if not 1 <= len(spec.steps) <= MAX_STEPS:
        yield Violation("spec.steps", f"Must hold 1 to {MAX_STEPS} steps.")
    for place, use in enumerate(spec.steps):
        path = f"spec.steps[{place}]"
        if use.name in steps:
            yield from steps[use.name].faults(use.parameters, f"{path}.parameters")
        else:
            yield Violation(f"{path}.name", f"{use.name!r} is not installed. Known: {', '.join(sorted(steps))}.")


def _model_faults(spec: PipelineSpec, steps: Mapping[str, Step]) -> Iterator[Violation]:
    if len(spec.models) > MAX_MODELS:
        yield Violation("spec.models", f"Must hold at most {MAX_MODELS} models.")
    known = Counter(model.name for model in spec.models)
    for name, count in known.items():
        if count > 1:
            yield Violation("spec.models", f"{count} models are named {name!r}. Give each its own name.")
    for place, model in enumerate(spec.models):
        yield from _one_model_faults(model, f"spec.models[{place}]")
    asked = set()
    for place, use in enumerate(spec.steps):
        for path in steps[use.name].models if use.name in steps else ():
            named = value_at(use.parameters, path)
            if isinstance(named, str):
                asked.add(named)
                if named not in known:
                    there = f"Known: {', '.join(known)}." if known else "There are none."
                    yield Violation(f"spec.steps[{place}].parameters.{path}", f"spec.models has no {named!r}. {there}")
    for place, model in enumerate(spec.models):
        if model.name not in asked:
            yield Violation(f"spec.models[{place}]", f"No step asks {model.name!r}. Remove it.")


def _one_model_faults(model: Model, path: str) -> Iterator[Violation]:
    yield from _label_faults(model.name, f"{path}.name")
    if not _DEPLOYMENT.fullmatch(model.deployment):
        yield Violation(f"{path}.deployment", "Must be NAMESPACE/NAME of a ModelDeployment.")
    if not model.revision or len(model.revision) > 253:
        yield Violation(f"{path}.revision", "Must be the name of a revision, at most 253 characters.")
    if not _DIGEST.fullmatch(model.digest):
        yield Violation(f"{path}.digest", "Must be sha256: and 64 lower-case hexadecimal digits.")


def source_faults(source: Source, path: str) -> Iterator[Violation]:
    """Check a source."""
    yield from _label_faults(source.name, f"{path}.name")
    yield from _uri_faults(source.uri, f"{path}.uri", SOURCE_SCHEMES)
    if source.digest and not _DIGEST.fullmatch(source.digest):
        yield Violation(f"{path}.digest", "Must be sha256: and 64 lower-case hexadecimal digits.")
    yield from references.faults(source.credentials, source.uri, f"{path}.credentials")
    if source.id_field and not _PATH.fullmatch(source.id_field):
        yield Violation(f"{path}.id_field", "Must be a path of names with dots between them.")


def _label_faults(name: str, path: str) -> Iterator[Violation]:
    if not _LABEL.fullmatch(name):
        yield Violation(path, "Must be lower-case letters, digits and dashes, at most 63.")


def _uri_faults(uri: str, path: str, schemes: tuple[str, ...]) -> Iterator[Violation]:
    scheme, separator, _ = uri.partition("://")
    if len(uri) > 2048 or not separator or scheme not in schemes:
        yield Violation(path, f"Must be an address of at most 2048 characters with one of {', '.join(schemes)}.")
        return
    try:
        has_password = urlsplit(uri).password is not None
    except ValueError as error:
        yield Violation(path, f"Not an address: {error}.")
        return
    if has_password:
        yield Violation(path, "Must not hold a password: it would be kept in manifests. Use a Secret.")
