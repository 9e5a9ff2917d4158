"""Annotation queues as teams and annotators see them. Blocking."""

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import orjson
from touchstone_runtime.errors import Violation

from touchstone_data import errors
from touchstone_data.core import consent, queues, reliability, similarity
from touchstone_data.core.feedback import Filter
from touchstone_data.core.queues import Annotation, Item, Progress, QueueSpec
from touchstone_data.core.records import Drop, Record
from touchstone_data.core.reliability import Reliability
from touchstone_data.core.spec import Source
from touchstone_data.core.validation import source_faults
from touchstone_data.ports import ClaimedItem, FeedbackRecord, Queue, Queues, Sources

MAX_ADDED_BYTES = 128 * 1024 * 1024
"""Of the records that are taken of one file: they are in memory at once."""
NO_ID = "the id is not 1 to 256 characters"


class Chosen(NamedTuple):
    """Which of several are taken."""

    sample: int
    """0: all."""
    seed: int


class Added(NamedTuple):
    """What became of items."""

    added: int
    present: int
    left_out: Mapping[str, int]


class Standing(NamedTuple):
    """A queue and how it stands."""

    queue: Queue
    progress: Progress


class Look(NamedTuple):
    """A queue looked at closely."""

    standing: Standing
    reliability: Reliability
    annotations: Sequence[Annotation]
    """All of them, by item and annotator."""


class AnnotationDesk:
    """Keeps queues, gives items out and takes labels."""

    def __init__(self, record: Queues, feedback: FeedbackRecord, sources: Sources) -> None:
        self._record = record
        self._feedback = feedback
        self._sources = sources

    def create(self, spec: QueueSpec) -> Standing:
        """Make a queue; the same specification again returns the same queue.

        Raises:
            QueueInvalid: With every fault.
            QueueNameTaken: The name belongs to a different queue.
        """
        if faults := list(queues.spec_faults(spec)):
            raise errors.QueueInvalid(faults)
        queue = self._record.create(spec)
        if queue.spec != spec:
            raise errors.QueueNameTaken(spec.name)
        return Standing(queue, self._record.progress(spec.name))

    def add_feedback(self, name: str, filter_: Filter, chosen: Chosen) -> Added:
        """Put feedback into a queue.

        Raises:
            QueueInvalid: What is asked has faults.
            QueueNotFound: There is no such queue.
            QueueFull: It would hold too many items.
        """
        _check(consent.filter_faults(filter_, "feedback"), chosen)
        ids = self._feedback.ids(filter_)
        if chosen.sample:
            ids = heapq.nsmallest(chosen.sample, ids, key=lambda one: _drawn(one, chosen.seed))
        if len(ids) > queues.MAX_ITEMS:
            raise errors.QueueFull(name, queues.MAX_ITEMS)
        added = self._record.add_feedback(name, ids)
        return Added(added, len(ids) - added, {})

    def add_source(self, name: str, source: Source, chosen: Chosen) -> Added:
        """Put the records of a file into a queue.

        Raises:
            QueueInvalid: What is asked has faults.
            QueueNotFound: There is no such queue.
            QueueFull: It would hold too many items.
            SourceUnreachable: The file could not be fetched.
            SourceInvalid: It is not what `source` says.
        """
        _check(source_faults(source, "source"), chosen)
        self._record.get(name)
        opened, left_out = self._sources.open(source), Counter[str]()
        most = chosen.sample or queues.MAX_ITEMS + 1  # one more tells that there are too many
        taken: list[tuple[int, str, bytes]] = []
        size = 0
        for record, content in _contents(opened.records, left_out):
            entry = (-_drawn(record.id, chosen.seed) if chosen.sample else 0, record.id, content)
            size += len(content)
            if len(taken) < most:
                heapq.heappush(taken, entry)
            else:
                size -= len(heapq.heappushpop(taken, entry)[2])
            if size > MAX_ADDED_BYTES:
                fault = f"The records take more than {MAX_ADDED_BYTES} bytes. Take a smaller sample."
                raise errors.QueueInvalid([Violation("sample", fault)])
        lineage = {"feedback_id": "", "revision_digest": "", "source_digest": opened.digest}
        items = [Item(id=found, fields=orjson.loads(content), lineage=lineage) for _, found, content in taken]
        added = self._record.add(name, items)
        return Added(added, len(items) - added, dict(sorted(left_out.items())))

    def claim(self, name: str, annotator: str) -> ClaimedItem | None:
        """Give an item; None where nothing is left for this person. Raises QueueInvalid, QueueNotFound."""
        _check(consent.id_faults(annotator, "annotator"))
        return self._record.claim(name, annotator)

    def submit(self, name: str, item_id: str, annotator: str, label: str) -> Annotation:
        """Take a label.

        Raises:
            QueueInvalid: With every fault of the label.
            QueueNotFound: There is no such queue.
            ItemNotFound: There is no such item.
            NotClaimed: The annotator does not hold it.
            AnnotationTaken: He has given it another label.
        """
        spec = self._record.get(name).spec
        _check(itertools.chain(consent.id_faults(annotator, "annotator"), queues.label_faults(spec, label)))
        annotation = Annotation(item_id=item_id, annotator=annotator, label=queues.canonical(spec, label))
        self._record.submit(name, annotation)
        return annotation

    def skip(self, name: str, item_id: str, annotator: str, reason: str) -> None:
        """Give an item back to the others. Raises as `submit`."""
        if not 0 < len(reason.strip()) <= queues.MAX_REASON_CHARACTERS or "\0" in reason:
            fault = f"Must be 1 to {queues.MAX_REASON_CHARACTERS} characters: why it cannot be told."
            raise errors.QueueInvalid([Violation("reason", fault)])
        _check(consent.id_faults(annotator, "annotator"))
        self._record.skip(name, item_id, annotator, reason)

    def standings(self) -> Sequence[Standing]:
        """List the queues by name."""
        return [Standing(self._record.get(name), self._record.progress(name)) for name in self._record.names()]

    def look(self, name: str) -> Look:
        """Read a queue with how far annotators agree. Raises QueueNotFound."""
        queue = self._record.get(name)
        annotations = self._record.annotations(name)
        standing = Standing(queue, self._record.progress(name))
        return Look(standing, reliability.judge(queue.spec, annotations), annotations)


def _check(faults: Iterator[Violation], chosen: Chosen | None = None) -> None:
    found = list(faults)
    if chosen and not 0 <= chosen.sample <= queues.MAX_ITEMS:
        found.append(Violation("sample", f"Must be 1 to {queues.MAX_ITEMS}, or 0 for all."))
    if found:
        raise errors.QueueInvalid(found)


def _drawn(item_id: str, seed: int) -> int:
    return similarity.number(f"{seed}:{item_id}")


def _contents(records: Iterator[Record | Drop], left_out: Counter[str]) -> Iterator[tuple[Record, bytes]]:
    """Write the fields of records, and count those that cannot be taken."""
    for record in records:
        if isinstance(record, Drop):
            left_out[record.reason] += 1
            continue
        content = orjson.dumps(record.fields, default=str)
        if not 0 < len(record.id) <= 256 or "\0" in record.id:
            left_out[NO_ID] += 1
        elif len(content) > queues.MAX_ITEM_BYTES:
            left_out[queues.TOO_LARGE] += 1
        else:
            yield record, content
