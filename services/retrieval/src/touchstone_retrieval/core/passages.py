"""Documents, the passages they are cut into, and what could not be read. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, NewType

PointId = NewType("PointId", int)
"""The place of a passage in its revision, from 0."""


class Span(NamedTuple):
    """A piece of a text, in characters."""

    start: int
    end: int
    """Exclusive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text with its name."""

    source: str
    id: str
    """Unique within the source."""
    text: str
    title: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The document's name in the index: `SOURCE/ID`."""
        return f"{self.source}/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of a document; `text` is the document's text from `start` to `end`."""

    document_id: str
    """`SOURCE/ID`."""
    chunk_index: int
    text: str
    start: int
    end: int
    title: str
    source: str
    metadata: Mapping[str, str]


class FailureReason(StrEnum):
    """Why a document was left out."""

    NOT_TEXT = "NotText"
    NOT_JSON = "NotJson"
    NO_RECORDS = "NoRecords"
    NO_TEXT = "NoText"
    EMPTY = "Empty"
    TOO_LARGE = "TooLarge"
    UNKNOWN_FORMAT = "UnknownFormat"
    DUPLICATE_ID = "DuplicateId"
    MISSING_TENANT = "MissingTenant"
    UNREADABLE = "Unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A document that was left out."""

    document: str
    """Where it was found: a path, with the record's number where there are records. Never content."""
    reason: FailureReason


def cut(document: Document, spans: Sequence[Span]) -> list[Passage]:
    """Cut a document at spans."""
    return [
        Passage(
            document_id=document.name,
            chunk_index=index,
            text=document.text[span.start : span.end],
            start=span.start,
            end=span.end,
            title=document.title,
            source=document.source,
            metadata=document.metadata,
        )
        for index, span in enumerate(spans)
    ]
