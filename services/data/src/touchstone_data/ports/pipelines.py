"""The record of pipelines, and how their work is sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol

from touchstone_runtime.jobs import Job, JobState

from touchstone_data.core.accounts import UnitAccount
from touchstone_data.core.manifest import Snapshot
from touchstone_data.core.spec import PipelineSpec


class JobKind(StrEnum):
    """The kinds of jobs; also the names of their tasks."""

    UNIT = "data.unit"


class Unit(NamedTuple):
    """One piece of work of a pipeline: repeating it does no harm."""

    dispatch_id: str
    stage: int
    shard: int
    """0 for a stage that is not by shard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A pipeline as it is recorded."""

    dispatch_id: str
    spec: PipelineSpec
    state: JobState
    stage: int
    """Number of the stage that is being worked on."""
    shards: int
    """0 until the sources are read."""
    error: Mapping[str, str] | None
    snapshot: Snapshot | None
    snapshot_uri: str
    created_at: datetime
    finished_at: datetime | None


class Pipelines(Protocol):
    """The record of pipelines. Blocking."""

    def create(self, dispatch_id: str, spec: PipelineSpec) -> Pipeline:
        """Record a pipeline; the same dispatch id returns the recorded one."""
        ...

    def get(self, dispatch_id: str) -> Pipeline:
        """Read a pipeline. Raises PipelineNotFound."""
        ...

    def unfinished(self) -> Sequence[str]:
        """Name the pipelines that have not ended, oldest first."""
        ...

    def begin_stage(self, dispatch_id: str, stage: int) -> bool:
        """Go from the stage before to this one; tell whether this call did it."""
        ...

    def record(self, unit: Unit, account: UnitAccount) -> None:
        """Note that a unit is done, and of reading how many shards there are. The first note stays."""
        ...

    def done(self, dispatch_id: str, stage: int) -> Sequence[int]:
        """Name the shards of a stage that are done."""
        ...

    def accounts(self, dispatch_id: str) -> Iterator[tuple[Unit, UnitAccount]]:
        """Read what was done, by stage and shard."""
        ...

    def succeed(self, dispatch_id: str, snapshot: Snapshot, uri: str) -> None:
        """End a pipeline with its snapshot."""
        ...

    def end(self, dispatch_id: str, state: JobState, error: Mapping[str, str] | None = None) -> None:
        """End a pipeline without one; one that has ended stays as it is."""
        ...


class Sender(Protocol):
    """What is needed of `touchstone_runtime.jobs.Dispatcher`."""

    def send(self, job: Job) -> bool:
        """Send a job to the workers; a broker that is away is no error."""
        ...
