"""Where snapshots are written and kept, and what is told of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from touchstone_data.core.inspection import Inspection
from touchstone_data.core.manifest import Snapshot, SnapshotFile
from touchstone_data.core.records import Record
from touchstone_data.core.spec import PipelineSpec, TokenReport
from touchstone_data.ports.workshops import Left


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
