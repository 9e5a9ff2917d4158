"""Feedback as its givers and its readers see it: recorded once, looked at, counted, forgotten. Blocking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from touchstone_runtime.errors import Violation

from touchstone_data import errors
from touchstone_data.core import consent
from touchstone_data.core import feedback as core
from touchstone_data.core.feedback import Feedback, Filter, Recorded, Share, Signal
from touchstone_data.ports import Exports, ExportStore, FeedbackRecord, Forgotten

DEFAULT_PAGE, MAX_PAGE = 20, 50
"""Of feedback at its largest, MAX_PAGE pieces fit into a message."""
BATCH = 500
"""Pieces that are forgotten in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The feedback of one revision, counted."""

    revision_digest: str
    counts: Mapping[Signal, int]
    up_share: Share | None
    """Of thumbs; None without any."""


class Page(NamedTuple):
    """Some feedback."""

    entries: Sequence[Recorded]
    has_more: bool


class FeedbackDesk:
    """Takes feedback, tells of it, and forgets it."""

    def __init__(self, record: FeedbackRecord, exports: Exports, store: ExportStore, *, retention_days: int) -> None:
        """Prepare.

        Args:
            record: Where feedback is.
            exports: What was exported.
            store: Where exports lie.
            retention_days: How long feedback stays that does not say it.
        """
        self._record = record
        self._exports = exports
        self._store = store
        self._retention_days = retention_days

    def record(self, feedback: Feedback) -> Recorded:
        """Record feedback; the same again returns what is recorded.

        Raises:
            FeedbackInvalid: With every fault.
            FeedbackIdTaken: The id belongs to different feedback.
        """
        if faults := list(consent.feedback_faults(feedback)):
            raise errors.FeedbackInvalid(faults)
        return self._record.record(feedback, timedelta(days=feedback.retention_days or self._retention_days))

    def page(self, chosen: Filter, size: int, after: str) -> Page:
        """Read a page, oldest recorded first. Raises FeedbackInvalid."""
        faults = list(consent.filter_faults(chosen, "filter"))
        if size < 0:
            faults.append(Violation("page_size", "Must not be negative."))
        if faults:
            raise errors.FeedbackInvalid(faults)
        most = min(size or DEFAULT_PAGE, MAX_PAGE)
        found = self._record.page(chosen, most + 1, after)  # one more tells whether it goes on
        return Page(found[:most], has_more=len(found) > most)

    def summarise(self, chosen: Filter) -> Sequence[Summary]:
        """Count the feedback of revisions. Raises FeedbackInvalid."""
        faults = list(consent.filter_faults(chosen, "filter"))
        if chosen.signals:
            faults.append(Violation("filter.kinds", "Must be empty: all kinds are counted."))
        if faults:
            raise errors.FeedbackInvalid(faults)
        return [_summary(digest, counts) for digest, counts in self._record.counts(chosen).items()]

    def forget(self, *, end_user: str = "", feedback_id: str = "") -> Forgotten:
        """Forget one piece of feedback, or all of an end user.

        Raises:
            FeedbackInvalid: Not exactly one of the two is named, or it cannot be one.
        """
        if bool(end_user) == bool(feedback_id):
            raise errors.FeedbackInvalid([Violation("end_user", "Set either end_user or feedback_id.")])
        if faults := list(consent.id_faults(end_user or feedback_id, "end_user" if end_user else "feedback_id")):
            raise errors.FeedbackInvalid(faults)
        ids = [feedback_id] if feedback_id else self._record.ids(Filter(end_user=end_user))
        forgotten = self._forget(ids)
        self._remove_withdrawn()
        return forgotten

    def sweep(self) -> None:
        """Forget what has been kept for its time, and remove the files of withdrawn exports."""
        while ids := self._record.expired(BATCH):
            self._record.forget(ids)
        self._remove_withdrawn()

    def _forget(self, ids: Sequence[str]) -> Forgotten:
        parts = [self._record.forget(ids[start : start + BATCH]) for start in range(0, len(ids), BATCH)]
        return Forgotten(
            sum(part.feedback for part in parts),
            sum(part.items for part in parts),
            tuple(sorted({uri for part in parts for uri in part.exports})),
        )

    def _remove_withdrawn(self) -> None:
        for digest in self._exports.withdrawn():
            self._store.delete(digest)
            self._exports.remove(digest)


def _summary(digest: str, counts: Mapping[Signal, int]) -> Summary:
    up, down = counts.get(Signal.THUMB_UP, 0), counts.get(Signal.THUMB_DOWN, 0)
    return Summary(revision_digest=digest, counts=counts, up_share=core.share(up, up + down))
