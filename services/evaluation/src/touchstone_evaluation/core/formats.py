"""Files as records: JSON lines, JSON, CSV and Arrow streams, each also gzipped. Pure."""

import csv
import gzip
import io
import json
from typing import Any

from touchstone_evaluation.core.spec import Layout

GZIP = b"\x1f\x8b"
MAX_UNPACKED_BYTES = 2 << 30
"""A gzipped file that unpacks to more is taken for a bomb."""
MAX_FIELD_CHARACTERS = 1 << 24


class Unreadable(ValueError):
    """The content is not what the dataset says; the message completes a sentence that begins with the dataset."""


def read(content: bytes, layout: Layout) -> Any:
    """Read a file's content: a list of records, or for JSON and SQuAD whatever document it is.

    Raises:
        Unreadable: It is not of the layout.
    """
    content = _unpacked(content)
    match layout:
        case Layout.JSON_LINES:
            lines = content.splitlines()
            return [_json(line, f"line {number}") for number, line in enumerate(lines, start=1) if line.strip()]
        case Layout.JSON | Layout.SQUAD:
            return _json(content, "it")
        case Layout.CSV:
            return _csv(content)
        case Layout.ARROW:
            return _arrow(content)


def _unpacked(content: bytes) -> bytes:
    if not content.startswith(GZIP):
        return content
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            found = file.read(MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError) as error:
        raise Unreadable(f"it begins like gzip and is damaged: {error}") from error
    if len(found) > MAX_UNPACKED_BYTES:
        raise Unreadable(f"it unpacks to more than {MAX_UNPACKED_BYTES >> 30} GiB.")
    return found


def _json(text: bytes, place: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except ValueError as error:
        raise Unreadable(f"{place} is no JSON: {error}") from error


def _csv(content: bytes) -> list[dict[str, str]]:
    """Read a table with a header; lines that begin with # before it are comments. All values are texts."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    try:
        text = content.decode("utf-8-sig")
        while text.startswith("#"):
            text = text.partition("\n")[2]
        rows = list(csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Unreadable(f"it is no CSV: {error}") from error
    for number, row in enumerate(rows, start=1):
        if "" in row or None in row.values():
            raise Unreadable(f"row {number} has not as many values as the header has names.")
    return rows


def _arrow(content: bytes) -> list[dict[str, Any]]:
    """Read an Arrow IPC stream, as the files of the datasets library are."""
    import nanoarrow  # noqa: PLC0415 - only this layout needs it
    from nanoarrow import ipc  # noqa: PLC0415

    try:
        with ipc.InputStream.from_readable(io.BytesIO(content)) as stream:
            return list(nanoarrow.Array(stream).iter_py())
    except Exception as error:
        raise Unreadable(f"it is no Arrow stream: {error}") from error
