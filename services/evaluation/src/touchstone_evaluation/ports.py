"""What the use cases need of the outside."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Protocol, TypeVar

from touchstone_runtime.jobs import Job

from touchstone_evaluation.core.items import Item, ItemDigest
from touchstone_evaluation.core.planning import Shard
from touchstone_evaluation.core.results import Conclusion
from touchstone_evaluation.core.runs import Artifact, Run, SuitePlan
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.selecting import Choice, Objective
from touchstone_evaluation.core.spec import Dataset, RunSpec, Sampling, Subject
from touchstone_evaluation.core.task import Classification, Metric, Outcome, Program, Question, Similarity

T = TypeVar("T")


class JobKind(StrEnum):
    """The kinds of work that a worker does; also the names of the Celery tasks."""

    PLAN = "evaluation.plan"
    SHARD = "evaluation.shard"
    CONCLUDE = "evaluation.conclude"
    SELECT = "evaluation.select"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What planning a run found out."""

    suites: Mapping[str, SuitePlan]
    items: Mapping[str, Sequence[Item]]
    shards: Sequence[Shard]
    suite_digest: str
    scores: Sequence[Score] = ()
    """What is known already, by answers of earlier runs."""


class PredictionKey(NamedTuple):
    """What an answer is kept by."""

    subject: str
    """Digest of the revision."""
    item: ItemDigest
    how: str
    """Digest of what was asked and of the sampling."""
    repeat: int


class Runs(Protocol):
    """The record of runs. Blocking. Each method is one transaction."""

    def create(self, dispatch_id: str, spec: RunSpec) -> Run:
        """Record a run; one of the same id and specification is returned as it is. Raises DispatchIdTaken."""
        ...

    def get(self, dispatch_id: str) -> Run:
        """Read a run. Raises RunNotFound."""
        ...

    def unfinished(self) -> list[str]:
        """List the dispatch ids of the runs that have not ended, oldest first."""
        ...

    def plan(self, dispatch_id: str, plan: Plan) -> None:
        """Record a plan; a run that has one already, or has ended, is left as it is."""
        ...

    def begin(self, dispatch_id: str) -> None:
        """Note that the first item was taken; later calls change nothing."""
        ...

    def start_shards(
        self, dispatch_id: str, choose: Callable[[Sequence[Shard], Sequence[Shard]], Sequence[Shard]]
    ) -> list[Shard]:
        """Mark the shards as started that `choose` picks of the first that wait, given those at work."""
        ...

    def at_work(self, dispatch_id: str) -> list[Shard]:
        """List the shards that were started and have not ended."""
        ...

    def shard(self, dispatch_id: str, number: int) -> Shard:
        """Read a shard."""
        ...

    def end_shard(self, dispatch_id: str, number: int) -> None:
        """Mark a shard as ended."""
        ...

    def is_worked_off(self, dispatch_id: str) -> bool:
        """Tell whether the run is planned and all its shards have ended."""
        ...

    def items(self, dispatch_id: str, suite: str, digests: Sequence[ItemDigest]) -> list[Item]:
        """Read items of a suite, in the order of the digests."""
        ...

    def scored(self, dispatch_id: str, suite: str, items: Collection[ItemDigest]) -> set[Asking]:
        """List the askings about items of a suite that are scored."""
        ...

    def record(self, dispatch_id: str, scores: Sequence[Score]) -> None:
        """Record scores, all or none; what is scored already keeps its score. A run that has ended takes none."""
        ...

    def scores(self, dispatch_id: str) -> list[Score]:
        """Read all scores, in the order of suites, items, sides and repeats."""
        ...

    def order(self, dispatch_id: str, suite: str) -> list[ItemDigest]:
        """List all items of a suite in the order in which they are asked."""
        ...

    def suite_items(self, dispatch_id: str, suite: str) -> list[Item]:
        """Read all items of a suite, in that order."""
        ...

    def settle(self, dispatch_id: str, items: Mapping[str, int]) -> None:
        """Note how many items of each suite made the verdict certain; what was noted first stays."""
        ...

    def stop(self, dispatch_id: str, why: str, *, is_budget: bool = False) -> None:
        """Note why a run goes no further; the first reason stays."""
        ...

    def cancel(self, dispatch_id: str) -> Run:
        """Cancel a run at once; one that has ended stays as it is."""
        ...

    def finish(self, dispatch_id: str, conclusion: Conclusion, artifacts: Sequence[Artifact]) -> None:
        """Complete a run; one that has ended stays as it is."""
        ...

    def forget(self, before: datetime) -> None:
        """Delete the items, shards and scores of runs that ended before a time, and predictions made before it."""
        ...


class Predictions(Protocol):
    """Answers that were paid for. Blocking."""

    def find(self, key: PredictionKey) -> Outcome | None:
        """Return an answer, or None."""
        ...

    def find_all(self, subjects: Collection[str], items: Collection[ItemDigest]) -> Mapping[PredictionKey, Outcome]:
        """Return all answers of revisions about items."""
        ...

    def keep(self, key: PredictionKey, outcome: Outcome) -> None:
        """Keep an answer; the first one stays."""
        ...


class Datasets(Protocol):
    """Where datasets come from."""

    def fetch(self, suite: str, dataset: Dataset) -> bytes:
        """Read a dataset's file, verified. Blocking. Raises DatasetUnreachable, DatasetInvalid."""
        ...


class Subjects(Protocol):
    """The revisions that are measured."""

    async def ask(self, subject: Subject, ask: Question, sampling: Sampling, *, is_patient: bool) -> Outcome:
        """Ask a revision; a patient asking waits for one that is away for a while. Raises DomainError."""
        ...


class Trials(Protocol):
    """Where code that a model wrote is run."""

    async def run(self, asked: Program) -> Outcome:
        """Run a program against its tests, confined. Raises DomainError."""
        ...


class Encoders(Protocol):
    """What encoders say of texts."""

    async def compare(self, asked: Similarity) -> Outcome:
        """Compare a text with others. Raises DomainError."""
        ...

    async def classify(self, asked: Classification) -> Outcome:
        """Say how probable it is that a text is of a kind. Raises DomainError."""
        ...


class Sender(Protocol):
    """What is needed of `touchstone_runtime.jobs.Dispatcher`."""

    def send(self, job: Job) -> bool:
        """Send a job to the workers, unless it was sent a short while ago. Blocking."""
        ...

    def resend_overdue(self, kind: str) -> int:
        """Send what nobody works on again. Blocking."""
        ...


class Artefacts(Protocol):
    """Where reports are kept."""

    def put(self, path: str, content: bytes) -> str:
        """Store a file and return its address. Blocking. Raises DomainError."""
        ...


class Documents(Protocol):
    """Values as JSON documents and back."""

    def write(self, value: object) -> Any:
        """Write a value as what JSON can hold."""
        ...

    def read(self, document: Any, kind: type[T]) -> T:
        """Read a value that `write` wrote."""
        ...


class SelectionReporter(Protocol):
    """Writes the report of a selection for people."""

    def render(self, choice: Choice, objectives: Sequence[Objective], subjects: Mapping[str, Subject]) -> str:
        """Write one self-contained HTML page; `subjects` are the revisions by the candidates' names."""
        ...


class Reporter(Protocol):
    """Writes a report for people."""

    def render(
        self,
        run: Run,
        conclusion: Conclusion,
        scores: Sequence[Score],
        metrics: Mapping[str, Mapping[str, Metric]],
        items: Mapping[str, Mapping[ItemDigest, Item]],
    ) -> str:
        """Write one self-contained HTML page."""
        ...
