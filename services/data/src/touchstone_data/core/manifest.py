"""A snapshot: what came of a pipeline, and its digest. Pure.

The digest is over what the snapshot is made of and what it holds, not over when it was made and where it lies: the same
sources, steps and parameters give the same digest on any machine with the same versions.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from touchstone_runtime import revisions
from touchstone_runtime.revisions import Digest

from touchstone_data.core.records import Json

FORMAT = "touchstone.data/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFile:
    """One file."""

    path: str
    """Relative to the snapshot's folder."""
    split: str
    """Empty for what was left out."""
    records: int
    size_bytes: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAccount:
    """What was read."""

    name: str
    uri: str
    digest: str
    records: int
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAccount:
    """The revision that answered where steps asked a model."""

    name: str
    """The pipeline's name of it."""
    revision: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAccount:
    """What was done."""

    name: str
    version: int
    parameters: Mapping[str, Any]
    records: int
    changed: int
    dropped: Mapping[str, int]
    made: int = 0
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The manifest of a snapshot."""

    name: str
    files: tuple[SnapshotFile, ...]
    sources: tuple[SourceAccount, ...]
    steps: tuple[StepAccount, ...]
    columns: Mapping[str, str]
    """Arrow types of the data's columns by name."""
    unreadable: Mapping[str, int] = field(default_factory=dict)
    """Records that could not be read, by reason."""
    licence: str = ""
    models: tuple[ModelAccount, ...] = ()
    created_at: datetime
    format: str = FORMAT

    @property
    def digest(self) -> Digest:
        """Digest of the content."""
        return revisions.digest_snapshot(self.to_document())

    @property
    def records(self) -> int:
        """How many records it holds."""
        return sum(file.records for file in self.files if file.split)

    @property
    def dropped(self) -> int:
        """How many records were left out."""
        return sum(file.records for file in self.files if not file.split)

    def to_document(self) -> dict[str, Any]:
        """Write it as JSON; `digest` is filled in by `manifest`. What nothing was made of does not speak of it."""
        found = {**asdict(self), "created_at": self.created_at.isoformat(), "digest": ""}
        found["steps"] = [
            {name: value for name, value in step.items() if name != "made" or value} for step in found["steps"]
        ]
        return found if self.models else {name: value for name, value in found.items() if name != "models"}


def manifest(snapshot: Snapshot) -> dict[str, Any]:
    """Write what `manifest.json` holds."""
    return {**snapshot.to_document(), "digest": snapshot.digest}
