"""Records of JSON documents by JMESPath."""

from collections.abc import Iterator
from typing import Any

import jmespath
import jmespath.exceptions
from touchstone_runtime import revisions

from touchstone_retrieval.core.passages import Document, Failure, FailureReason
from touchstone_retrieval.core.spec import Source


def fault(expression: str) -> str:
    """Say what is wrong with a JMESPath expression; empty if nothing is."""
    try:
        jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        return str(error).splitlines()[0]
    return ""


class RecordReader:
    """Reads one source's records; its expressions are compiled once."""

    def __init__(self, source: Source) -> None:
        fields = source.fields
        self._source = source
        self._records = jmespath.compile(source.records or "@")
        self._text = jmespath.compile(fields.text)
        self._title = jmespath.compile(fields.title) if fields.title else None
        self._id = jmespath.compile(fields.id) if fields.id else None
        self._metadata = {name: jmespath.compile(path) for name, path in fields.metadata.items()}

    def records(self, document: Any) -> list[Any] | None:
        """Select the records of a document; nothing if what is selected is not a list."""
        try:
            selected = self._records.search(document)
        except jmespath.exceptions.JMESPathError:
            return None
        return selected if isinstance(selected, list) else None

    def read(self, record: Any, where: str) -> Document | Failure:
        """Read a record; a value that is not a string is written as one where that is plain."""
        try:
            text = self._text.search(record)
            title = _plain(self._title.search(record)) if self._title else ""
            name = _plain(self._id.search(record)) if self._id else ""
            found = {key: _plain(path.search(record)) for key, path in self._metadata.items()}
        except jmespath.exceptions.JMESPathError:
            return Failure(document=where, reason=FailureReason.UNREADABLE)
        if not isinstance(text, str):
            return Failure(document=where, reason=FailureReason.NO_TEXT)
        metadata = {**self._source.metadata, **{key: value for key, value in found.items() if value}}
        text = _whole(text)
        digest = revisions.digest_bytes(text.encode()).removeprefix("sha256:")
        return Document(source=self._source.name, id=name or digest[:32], text=text, title=title, metadata=metadata)

    def read_all(self, document: Any, path: str) -> Iterator[Document | Failure]:
        """Read every record of a document."""
        records = self.records(document)
        if records is None:
            yield Failure(document=path, reason=FailureReason.NO_RECORDS)
            return
        for position, record in enumerate(records):
            yield self.read(record, f"{path}[{position}]")


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _whole(str(value)) if isinstance(value, (str, int, float)) else ""


def _whole(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
