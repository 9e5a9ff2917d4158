"""From fetched files to passages: parse, check, cut, count. What is left out keeps its reason."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from touchstone_retrieval.core import passages
from touchstone_retrieval.core.manifest import Counts
from touchstone_retrieval.core.passages import Document, Failure, FailureReason, Passage
from touchstone_retrieval.core.spec import IndexSpec, Source
from touchstone_retrieval.ports import Fetched, Parser, Splitter


class Corpus:
    """Reads all documents of an index once, and counts."""

    def __init__(self, spec: IndexSpec, *, parser: Parser, splitter: Splitter) -> None:
        self._spec = spec
        self._parser = parser
        self._splitter = splitter
        self._texts: dict[str, bytes] = {}
        self._failures: Counter[str] = Counter()
        self._chunks = 0
        self._duplicates = 0

    @property
    def counts(self) -> Counts:
        """What was read so far."""
        return Counts(
            documents=len(self._texts),
            chunks=self._chunks,
            failed_documents=self._failures.total(),
            failures=dict(sorted(self._failures.items())),
            duplicate_documents=self._duplicates,
        )

    def read(self, fetched: Mapping[str, Fetched], *, tick: Callable[[], None]) -> Iterator[list[Passage]]:
        """Read every document and cut it.

        Args:
            fetched: The sources by name.
            tick: Called after each file's record; may raise to stop.
        """
        for source in self._spec.sources:
            for file in fetched[source.name].files():
                for found in self._parser.parse(source, file):
                    cut = self._take(found, source)
                    if cut:
                        yield cut
                    tick()

    def _take(self, found: Document | Failure, source: Source) -> list[Passage]:
        if isinstance(found, Failure):
            self._failures[found.reason] += 1
            return []
        if self._spec.tenant_field and not found.metadata.get(self._spec.tenant_field):
            self._failures[FailureReason.MISSING_TENANT] += 1
            return []
        digest = hashlib.sha256(found.text.encode()).digest()
        known = self._texts.get(found.name)
        if known is not None:
            self._duplicates += known == digest
            self._failures[FailureReason.DUPLICATE_ID] += known != digest
            return []
        cut = passages.cut(found, self._splitter.split(found.text))
        if not cut:
            self._failures[FailureReason.EMPTY] += 1
            return []
        self._texts[found.name] = digest
        self._chunks += len(cut)
        return cut
