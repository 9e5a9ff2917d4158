"""The record of annotation queues."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from touchstone_data.core.queues import Annotation, Item, Progress, QueueSpec


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
