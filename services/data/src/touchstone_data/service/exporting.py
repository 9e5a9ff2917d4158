"""Feedback and annotations as files that a pipeline reads. Blocking."""

from touchstone_data import errors
from touchstone_data.core import consent, reliability
from touchstone_data.core.feedback import Filter, Layout
from touchstone_data.ports import Exporting, Exports, ExportStore, Queues


class Exporter:
    """Writes exports under their digests: the same rows give the same file."""

    def __init__(self, exports: Exports, store: ExportStore, queues: Queues) -> None:
        self._exports = exports
        self._store = store
        self._queues = queues

    def feedback(self, chosen: Filter, layout: Layout) -> Exporting:
        """Export feedback as training records.

        Raises:
            FeedbackInvalid: The filter has faults.
            ExportTooLarge: There is too much.
            ExportEmpty: There is nothing.
            ExportForgotten: Something was forgotten meanwhile.
            ArtefactUnavailable: The store did not take it.
        """
        if faults := list(consent.filter_faults(chosen, "filter")):
            raise errors.FeedbackInvalid(faults)
        return self._written(self._exports.of_feedback(chosen, layout, self._store.uri))

    def queue(self, name: str, *, allow_low_agreement: bool) -> Exporting:
        """Export the complete items of a queue.

        Raises:
            QueueNotFound: There is no such queue.
            AgreementTooLow: Annotators agree less than the queue asks.
        """
        spec = self._queues.get(name).spec
        if spec.min_alpha is not None and not allow_low_agreement:
            found = reliability.judge(spec, self._queues.annotations(name)).alpha
            if found is None or found < spec.min_alpha:
                raise errors.AgreementTooLow(name, found, spec.min_alpha)
        return self._written(self._exports.of_queue(name, self._store.uri))

    def _written(self, export: Exporting) -> Exporting:
        self._store.put(export.digest, export.content)
        if not self._exports.is_valid(export.digest):
            self._store.delete(export.digest)
            raise errors.ExportForgotten
        return export
