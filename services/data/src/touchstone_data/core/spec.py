"""What a pipeline is asked to do. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from touchstone_runtime.cluster.references import SecretReference

DEFAULT_SHARD_RECORDS = 10_000
DEFAULT_SAMPLE_RECORDS = 2000
DEFAULT_TEXT_FIELDS = ("text",)


class SourceFormat(StrEnum):
    """How a file is read."""

    BY_EXTENSION = "ByExtension"
    JSON_LINES = "JsonLines"
    PARQUET = "Parquet"
    CSV = "Csv"
    TEXT = "Text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file of records."""

    name: str
    uri: str
    digest: str = ""
    """Empty: whatever is found."""
    format: SourceFormat = SourceFormat.BY_EXTENSION
    id_field: str = ""
    """Empty: `id` where a record has one, else its place."""
    licence: str = ""
    credentials: SecretReference | None = None
    """The Secret with the keys of the store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepUse:
    """A step with its parameters."""

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A revision that steps may ask."""

    name: str
    """What steps call it."""
    deployment: str
    """`NAMESPACE/NAME` of the ModelDeployment."""
    revision: str
    digest: str
    """The revision's digest: an answer of another one ends the pipeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReport:
    """By which tokenizer the report counts tokens."""

    tokenizer: str
    """Address of its folder or of its tokenizer.json."""
    chat_template: str = ""
    """Address of what has the chat template; empty: in the tokenizer's folder."""
    max_sequence_length: int = 0
    """What the trainer will read of a record; 0: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the report should look at."""

    label_field: str = ""
    """Path of the field that a model is to learn; empty: labels are not judged."""
    sample_records: int = DEFAULT_SAMPLE_RECORDS
    tokens: TokenReport | None = None
    """None: tokens are not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSpec:
    """Sources, steps, and where the result goes."""

    name: str
    sources: tuple[Source, ...]
    text_fields: tuple[str, ...] = DEFAULT_TEXT_FIELDS
    steps: tuple[StepUse, ...]
    output_uri: str = ""
    """Empty: the platform's artefact store."""
    output_credentials: SecretReference | None = None
    """The Secret with the keys of the store of `output_uri`."""
    licence: str = ""
    shard_records: int = DEFAULT_SHARD_RECORDS
    report: Report = Report()
    models: tuple[Model, ...] = ()
