"""What the use cases need from outside, in the domain's words. Adapters implement it; tests bring fakes."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from touchstone_runtime.cluster.references import SecretReference

from touchstone_finetuning.core.outcome import Fault, Result
from touchstone_finetuning.core.resources import Resources
from touchstone_finetuning.core.spec import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """An artefact on this machine."""

    path: Path
    """A file or a folder; nobody writes to it."""
    digest: str


class Sources(Protocol):
    """Brings bases and data sets here."""

    def fetch(self, source: Source) -> Fetched:
        """Bring an artefact here. Raises errors of `touchstone_runtime.artefacts`, and of `Secrets.read`."""
        ...

    def own_file(self, uri: str) -> Path:
        """Return the path of a `file://` address that may be written to. Raises UriInvalid."""
        ...


class Split(NamedTuple):
    """The records of a data set, by their use."""

    digest: str
    train: tuple[Path, ...]
    validation: tuple[Path, ...]


class Datasets(Protocol):
    """Reads data sets."""

    def split(self, data: Fetched, *, share: float, folder: Path) -> Split:
        """Divide a data set; what has to be written goes into the folder.

        Raises:
            DatasetInvalid: It holds no records, or one that cannot be read.
            SnapshotBroken: It is the folder of a snapshot, and not what its manifest says.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The folder of one run, held by nobody else."""

    folder: Path


class Workspaces(Protocol):
    """Room for trainings. It outlives them, so that a later attempt goes on."""

    def enter(self, run: str) -> AbstractContextManager[Workspace]:
        """Hold the workspace of a run; waits until nobody else does."""
        ...

    def retire(self, workspace: Workspace) -> None:
        """Have a workspace whose training is done swept before long, and not at once.

        Until the end is on record, a worker that dies leaves the training to another one, which finds it done.
        """
        ...

    def sweep(self) -> int:
        """Remove workspaces that nobody has used for long; return how many."""
        ...


class Ending(NamedTuple):
    """How a trainer ended."""

    code: int
    """0: a result; 75: stopped after a checkpoint; negative: killed by that signal."""
    result: Result | None
    fault: Fault | None


class Training(Protocol):
    """A trainer at work."""

    def wait(self, seconds: float) -> Ending | None:
        """Wait for its end; None when it goes on.

        Raises:
            TrainerLost: It is gone, and nobody saw its end.
            TrainerNotStarted: It could not begin for too long.
        """
        ...

    def events(self) -> Sequence[Mapping[str, Any]]:
        """Return what it has told since the last call."""
        ...

    def leave(self, seconds: float) -> None:
        """Give it up to the next worker, where one can take it over; else have it save a checkpoint and end.

        Args:
            seconds: How long saving may take; then it is killed.
        """
        ...

    def kill(self) -> None:
        """End it at once, with all that it has started. One that has ended or was left is left alone."""
        ...


class Trainer(Protocol):
    """Starts trainers."""

    def start(self, workspace: Workspace, resources: Resources) -> Training:
        """Start one on the recipe in a workspace, or take over the one that is at work on it.

        Raises:
            TrainerMissing: None can be started here.
        """
        ...


class Published(NamedTuple):
    """An artefact that others can read."""

    uri: str
    """With its digest."""
    digest: str
    size_bytes: int


class Outputs(Protocol):
    """Puts artefacts where they are kept."""

    def check(self, uri: str, credentials: SecretReference | None) -> None:
        """See that an address can be published to, before anything is trained.

        Args:
            uri: The address.
            credentials: The Secret with the keys of its store; None: as the worker.

        Raises:
            UriInvalid: It may not be written to, or what its scheme needs is not installed.
            OutputPushFailed: Its store does not take the credentials.
            CredentialsUnusable: The Secret has not what the store needs.
            DomainError: Of `Secrets.read`.
        """
        ...

    def publish(self, folder: Path, uri: str, credentials: SecretReference | None) -> Published:
        """Copy a folder into one of its own below an address; the same contents are published once.

        Raises:
            OutputPushFailed: It could not be written.
            DomainError: Of `check`.
        """
        ...
