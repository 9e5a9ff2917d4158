"""What the use cases need of the world, in the words of data."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from touchstone_runtime.jobs import Job, JobState

from touchstone_data.core.accounts import UnitAccount
from touchstone_data.core.feedback import Feedback, Filter, Layout, Recorded, Signal
from touchstone_data.core.generation import Program, Prompt, Reply
from touchstone_data.core.inspection import Inspection
from touchstone_data.core.manifest import Snapshot, SnapshotFile
from touchstone_data.core.queues import Annotation, Item, Progress, QueueSpec
from touchstone_data.core.records import Drop, Record
from touchstone_data.core.spec import Model, PipelineSpec, Source, TokenReport
from touchstone_data.core.steps import Corpus, Decision, Observations


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A source that lies on this machine."""

    digest: str
    records: Iterator[Record | Drop]
    """In order; a Drop for each record that cannot be read."""


class Sources(Protocol):
    """Where records come from."""

    def open(self, source: Source) -> Opened:
        """Bring a source here.

        Raises:
            SourceUnreachable: It did not answer.
            SourceInvalid: It is not what the specification says.
        """
        ...


class Left(NamedTuple):
    """A record that was left out."""

    id: str
    source: str
    step: str
    drop: Drop


class Heard(NamedTuple):
    """What was decided of one record."""

    drop: Drop | None
    split: str | None
    values: Mapping[str, int]
    """To be written into the record, by path."""


Wanted = Callable[[str, str], bool]
"""Says by source and id whether a record is wanted."""


class Workshops(Protocol):
    """Where pipelines are worked on: a folder that all workers share."""

    def of(self, dispatch_id: str) -> "Workshop":
        """Open the workshop of a pipeline."""
        ...

    def tidy(self, unfinished: Sequence[str]) -> None:
        """Remove the workshops of all other pipelines."""
        ...


class Workshop(Protocol):
    """Where the shards of one pipeline lie between stages. Each file is there whole, or not at all."""

    def put_records(self, stage: int, shard: int, records: Iterable[Record]) -> None:
        """Write a shard."""
        ...

    def records(self, stage: int, shard: int, *, wanted: Wanted | None = None) -> list[Record]:
        """Read a shard, or those records of it that are wanted: the others cost next to nothing."""
        ...

    def discard_records(self, stage: int, shard: int) -> None:
        """Remove a shard."""
        ...

    def put_left(self, stage: int, shard: int, left: Sequence[Left]) -> None:
        """Write what a unit left out."""
        ...

    def left(self, stages: Sequence[int], shards: int) -> Iterator[Left]:
        """Read what was left out, by stage and shard."""
        ...

    def put_observations(self, stage: int, shard: int, observations: Observations) -> None:
        """Write what was observed of a shard."""
        ...

    def corpus(self, stage: int, shards: int) -> Corpus:
        """Read what was observed of all shards."""
        ...

    def put_decision(self, stage: int, observed: int, shards: int, decision: Decision) -> None:
        """Write a decision, shard by shard.

        Args:
            stage: Number of the stage that decides.
            observed: Number of the stage that observed.
            shards: How many there are.
            decision: Over all records, in order.
        """
        ...

    def heard(self, stage: int, shard: int) -> list[Heard]:
        """Read what was decided of the records of a shard."""
        ...

    def answers(self, stage: int, shard: int) -> "Answers":
        """Open what models answered to a shard."""
        ...

    def remove(self) -> None:
        """Remove all of it."""
        ...


class Answers(Protocol):
    """What models answered to a shard: a worker that takes the shard up finds what was paid for."""

    def read(self) -> Mapping[str, Reply]:
        """Read all answers by their keys."""
        ...

    def keep(self, key: str, reply: Reply) -> None:
        """Keep one."""
        ...


class Question(NamedTuple):
    """What a revision is asked."""

    model: Model
    prompt: Prompt


class Inference(Protocol):
    """The models of pipelines."""

    def ask(self, questions: Sequence[Question], beat: Callable[[], None]) -> Iterator[tuple[int, Reply]]:
        """Ask, several at once; replies come with the places of their questions, as soon as they are there.

        Args:
            questions: Each is asked until it is answered.
            beat: Called every second or so; when it raises, what is under way is given up.

        Raises:
            ModelUnavailable: One was away for long; a later try may succeed.
            ModelRefused: One takes no prompts of ours.
            RevisionMismatch: Another revision answered.
        """
        ...


class Trials(Protocol):
    """Where programs are run that models wrote."""

    def run(self, programs: Sequence[Program], beat: Callable[[], None]) -> list[str]:
        """Run programs against their tests, confined; say why each did not pass, empty where it did.

        Raises:
            ConfinementUnavailable: This machine cannot confine them; nothing was run.
        """
        ...


class Written(NamedTuple):
    """The data of a snapshot as it was written."""

    files: tuple[SnapshotFile, ...]
    columns: Mapping[str, str]
    """Arrow types by name."""


class SnapshotFolder(Protocol):
    """A snapshot that is being written; nobody sees it before it is kept."""

    def put_data(self, shards: Callable[[], Iterable[Sequence[Record]]]) -> Written:
        """Write records, a file a split. Reads the shards twice. Raises ColumnsMixed."""
        ...

    def put_left(self, left: Iterable[Left]) -> SnapshotFile:
        """Write what was left out."""
        ...

    def put(self, path: str, content: bytes) -> None:
        """Write a file beside the data."""
        ...

    def keep(self, snapshot: Snapshot) -> str:
        """Write the manifest and put the folder under its digest; return its address.

        Raises:
            StoreUnavailable: The store did not take it.
        """
        ...


class Forgotten(NamedTuple):
    """What was forgotten."""

    feedback: int
    items: int
    """Of queues, with their annotations."""
    exports: tuple[str, ...]
    """Addresses of exports that held some of it."""


class FeedbackRecord(Protocol):
    """The record of feedback. Blocking."""

    def record(self, feedback: Feedback, retention: timedelta) -> Recorded:
        """Record feedback; the same again returns what is recorded.

        Raises:
            FeedbackIdTaken: The id belongs to different feedback.
        """
        ...

    def page(self, chosen: Filter, size: int, after: str) -> Sequence[Recorded]:
        """Read feedback in the order of recording.

        Args:
            chosen: Which.
            size: How much.
            after: Id of the last that was read; empty: from the beginning. One that is gone ends the pages.
        """
        ...

    def counts(self, chosen: Filter) -> Mapping[str, Mapping[Signal, int]]:
        """Count feedback by revision and signal."""
        ...

    def expired(self, most: int) -> Sequence[str]:
        """Name feedback whose time is over."""
        ...

    def ids(self, chosen: Filter) -> Sequence[str]:
        """Name feedback, in the order of ids."""
        ...

    def forget(self, ids: Sequence[str]) -> Forgotten:
        """Remove feedback with all that was made of it in the record, and withdraw the exports that hold it."""
        ...


class ClaimedItem(NamedTuple):
    """An item that an annotator holds."""

    item: Item
    until: datetime


class Queue(NamedTuple):
    """A queue as it is recorded."""

    spec: QueueSpec
    created_at: datetime


class Queues(Protocol):
    """The record of annotation queues. Blocking."""

    def create(self, spec: QueueSpec) -> Queue:
        """Record a queue; the same name returns the recorded one."""
        ...

    def get(self, name: str) -> Queue:
        """Read a queue. Raises QueueNotFound."""
        ...

    def names(self) -> Sequence[str]:
        """Name all queues, in order."""
        ...

    def add(self, name: str, items: Sequence[Item]) -> int:
        """Add items of records, and return how many are new.

        Raises:
            QueueNotFound: There is no such queue.
            QueueFull: It would hold too many.
        """
        ...

    def add_feedback(self, name: str, ids: Sequence[str]) -> int:
        """Add items of feedback; what was forgotten meanwhile is left out. Raises as `add`."""
        ...

    def claim(self, name: str, annotator: str) -> ClaimedItem | None:
        """Give an item; the one that the annotator holds, if he does. Raises QueueNotFound."""
        ...

    def submit(self, name: str, annotation: Annotation) -> None:
        """Take a label.

        Raises:
            ItemNotFound: There is no such item.
            NotClaimed: The annotator does not hold it.
            AnnotationTaken: He has given it another label.
        """
        ...

    def skip(self, name: str, item_id: str, annotator: str, reason: str) -> None:
        """Give an item back. Raises as `submit`."""
        ...

    def progress(self, name: str) -> Progress:
        """Count. Raises QueueNotFound."""
        ...

    def annotations(self, name: str) -> Sequence[Annotation]:
        """Read all annotations, by item and annotator."""
        ...


class Exporting(NamedTuple):
    """An export that is being written."""

    uri: str
    digest: str
    records: int
    left_out: Mapping[str, int]
    """What was chosen and cannot be exported, by reason."""
    content: bytes


class Exports(Protocol):
    """The record of exports: which feedback is in which, so that forgetting reaches them. Blocking."""

    def of_feedback(self, chosen: Filter, layout: Layout, uri: Callable[[str], str]) -> Exporting:
        """Read feedback as training records and record the export, in one transaction.

        Args:
            chosen: Which.
            layout: As what.
            uri: Gives the address for a digest.

        Raises:
            ExportTooLarge: There is too much.
            ExportEmpty: There is nothing.
        """
        ...

    def of_queue(self, name: str, uri: Callable[[str], str]) -> Exporting:
        """Read the complete items of a queue with their annotations and record the export. Raises as `of_feedback`."""
        ...

    def is_valid(self, digest: str) -> bool:
        """Say whether nothing of an export was forgotten."""
        ...

    def withdrawn(self) -> Sequence[str]:
        """Name, by digest, exports that hold something that was forgotten and may still lie in the store."""
        ...

    def remove(self, digest: str) -> None:
        """Forget a withdrawn export, when its file is gone."""
        ...


class ExportStore(Protocol):
    """Where exports lie. Blocking."""

    def uri(self, digest: str) -> str:
        """Say where a file of a digest lies."""
        ...

    def put(self, digest: str, content: bytes) -> None:
        """Write a file. Raises ArtefactUnavailable."""
        ...

    def delete(self, digest: str) -> None:
        """Remove a file; an absent one is fine. Raises ArtefactUnavailable."""
        ...


class Detectors(Protocol):
    """What can be told of a text."""

    def language(self, text: str) -> str:
        """Name its language by its ISO 639-1 code."""
        ...

    def personal(self, text: str) -> Sequence[str]:
        """Name the kinds of personal data in it."""
        ...


class TokenCounter(Protocol):
    """Counts tokens as one model reads them."""

    def records(self, records: Sequence[Record]) -> npt.NDArray[np.int64]:
        """Count those of records, [records]. Raises ValueError: of a conversation, and there is no chat template."""
        ...

    def texts(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Count those of texts with nothing round them, [texts]."""
        ...


class TokenCounters(Protocol):
    """Opens tokenizers."""

    def open(self, report: TokenReport, text_fields: tuple[str, ...]) -> TokenCounter:
        """Fetch a tokenizer. Raises TokenizerInvalid."""
        ...


class Reporter(Protocol):
    """Writes reports for people."""

    def page(self, report: Inspection, snapshot: Snapshot) -> str:
        """Write a page of HTML that needs nothing else."""
        ...


class Shelf(Protocol):
    """Where snapshots are kept."""

    def check(self, spec: PipelineSpec) -> None:
        """See that a snapshot can be kept, before anything is made.

        Raises:
            UriInvalid: Its place may not be written to, or what its scheme needs is not installed.
            StoreUnavailable: The store does not take the credentials.
            CredentialsUnusable: The Secret has not what the store needs.
            DomainError: Of reading the Secret.
        """
        ...

    def begin(self, spec: PipelineSpec) -> AbstractContextManager[SnapshotFolder]:
        """Begin a snapshot; what is not kept at the end is removed."""
        ...
