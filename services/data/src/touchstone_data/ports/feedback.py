"""The record of feedback, and of the exports that hold it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple, Protocol

from touchstone_data.core.feedback import Feedback, Filter, Layout, Recorded, Signal


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
