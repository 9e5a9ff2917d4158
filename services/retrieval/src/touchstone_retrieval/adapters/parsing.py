"""Files into documents, by format. What cannot be read is a failure with a reason, never an error."""

import json
from collections.abc import Iterator
from pathlib import PurePosixPath

from touchstone_retrieval.adapters import html, markdown
from touchstone_retrieval.adapters.records import RecordReader
from touchstone_retrieval.core.passages import Document, Failure, FailureReason
from touchstone_retrieval.core.spec import Source, SourceFormat
from touchstone_retrieval.ports import SourceFile

_FORMATS = {
    ".txt": SourceFormat.TEXT,
    ".text": SourceFormat.TEXT,
    ".rst": SourceFormat.TEXT,
    ".md": SourceFormat.MARKDOWN,
    ".markdown": SourceFormat.MARKDOWN,
    ".html": SourceFormat.HTML,
    ".htm": SourceFormat.HTML,
    ".jsonl": SourceFormat.JSON_LINES,
    ".ndjson": SourceFormat.JSON_LINES,
    ".json": SourceFormat.JSON,
}


class FileParser:
    """Reads files of every format."""

    def __init__(self, *, max_file_bytes: int) -> None:
        self._max_file_bytes = max_file_bytes

    def parse(self, source: Source, file: SourceFile) -> Iterator[Document | Failure]:
        """Read a file."""
        kind = source.format
        if kind is SourceFormat.BY_EXTENSION:
            kind = _FORMATS.get(PurePosixPath(file.path).suffix.lower(), kind)
        if kind is SourceFormat.BY_EXTENSION:
            yield Failure(document=file.path, reason=FailureReason.UNKNOWN_FORMAT)
            return
        if file.size_bytes > self._max_file_bytes:
            yield Failure(document=file.path, reason=FailureReason.TOO_LARGE)
            return
        try:
            text = file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            yield Failure(document=file.path, reason=FailureReason.NOT_TEXT)
            return
        except OSError:
            yield Failure(document=file.path, reason=FailureReason.UNREADABLE)
            return
        yield from _read(source, kind, file.path, text.replace("\r\n", "\n"))


def _read(source: Source, kind: SourceFormat, path: str, text: str) -> Iterator[Document | Failure]:
    match kind:
        case SourceFormat.JSON_LINES:
            yield from _json_lines(source, path, text)
        case SourceFormat.JSON:
            try:
                document = json.loads(text)
            except (ValueError, RecursionError):
                yield Failure(document=path, reason=FailureReason.NOT_JSON)
                return
            yield from RecordReader(source).read_all(document, path)
        case SourceFormat.MARKDOWN | SourceFormat.HTML:
            page = markdown.read(text) if kind is SourceFormat.MARKDOWN else html.read(text)
            yield _document(source, path, page.text, page.title)
        case _:
            yield _document(source, path, text, "")


def _json_lines(source: Source, path: str, text: str) -> Iterator[Document | Failure]:
    reader = RecordReader(source)
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            yield Failure(document=where, reason=FailureReason.NOT_JSON)
            continue
        if not source.records:
            yield reader.read(record, where)
        else:
            yield from reader.read_all(record, where)


def _document(source: Source, path: str, text: str, title: str) -> Document:
    return Document(source=source.name, id=path, text=text, title=title, metadata=source.metadata)
