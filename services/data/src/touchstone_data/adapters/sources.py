"""Sources as files: fetched and verified by the runtime's resolver, read as a stream."""

import csv
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import fsspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ArrowException
from touchstone_runtime.artefacts import Resolver, places
from touchstone_runtime.cluster.references import Secrets
from touchstone_runtime.errors import DomainError

from touchstone_data import errors
from touchstone_data.core.records import Drop, Json, Record, value_at
from touchstone_data.core.spec import Source, SourceFormat
from touchstone_data.ports import Opened

NOT_JSON, NOT_AN_OBJECT = "not JSON", "not a JSON object"
BATCH_ROWS = 1000

_BY_EXTENSION = {
    ".jsonl": SourceFormat.JSON_LINES,
    ".ndjson": SourceFormat.JSON_LINES,
    ".parquet": SourceFormat.PARQUET,
    ".csv": SourceFormat.CSV,
    ".txt": SourceFormat.TEXT,
}
_COMPRESSED = {".gz", ".bz2", ".xz", ".zst"}
_BUFFER_BYTES = 2**20


class SourceFiles:
    """Opens sources by their address."""

    def __init__(self, resolver: Resolver, secrets: Secrets, *, file_root: Path, artefacts_uri: str = "") -> None:
        """Prepare.

        Args:
            resolver: Fetches and verifies.
            secrets: Reads the keys of stores.
            file_root: `file://` sources must lie below it, …
            artefacts_uri: … or below the artefact store, if that is a folder: exports, and snapshots of pipelines.
        """
        self._resolver = resolver
        self._secrets = secrets
        self._roots = places.readable(file_root, artefacts_uri)

    def open(self, source: Source) -> Opened:
        """Fetch a source and begin to read it."""
        path, digest = self._fetched(source)
        rows = _rows(path, source)
        return Opened(digest=digest, records=_records(rows, source))

    def _fetched(self, source: Source) -> tuple[Path, str]:
        try:
            places.check(source.uri, *self._roots)
            credentials = self._secrets.read(source.credentials)
            found = self._resolver.resolve_sync(source.uri, digest=source.digest, credentials=credentials)
        except DomainError as error:
            if error.is_retryable:
                raise errors.SourceUnreachable(source.name, error.message) from error
            raise errors.SourceInvalid(source.name, error.message) from error
        if found.path.is_dir():
            raise errors.SourceInvalid(source.name, "the address is a folder; name one file.")
        return found.path, found.digest


def _rows(path: Path, source: Source) -> Iterator[Any]:
    readers = {
        SourceFormat.JSON_LINES: _json_lines,
        SourceFormat.PARQUET: _parquet,
        SourceFormat.CSV: _csv,
        SourceFormat.TEXT: _text,
    }
    try:
        yield from readers[_format(path, source)](path)
    except (OSError, UnicodeDecodeError, EOFError, csv.Error, ArrowException) as error:
        raise errors.SourceInvalid(source.name, f"it cannot be read: {error}") from error


def _format(path: Path, source: Source) -> SourceFormat:
    if source.format is not SourceFormat.BY_EXTENSION:
        return source.format
    suffixes = [suffix for suffix in path.suffixes if suffix not in _COMPRESSED]
    found = _BY_EXTENSION.get(suffixes[-1] if suffixes else "")
    if found is None:
        raise errors.SourceInvalid(source.name, f"{path.name} does not say its format. Set `format`.")
    return found


def _records(rows: Iterator[Any], source: Source) -> Iterator[Record | Drop]:
    for place, row in enumerate(rows):
        if isinstance(row, Drop):
            yield Drop(reason=row.reason, detail=str(place))
            continue
        named = value_at(row, source.id_field or "id")
        has_name = isinstance(named, str | int) and named != ""
        yield Record(id=str(named) if has_name else str(place), source=source.name, fields=row)


def _json_lines(path: Path) -> Iterator[Any]:
    with _decompressed(path) as file:
        for line in file:
            if not line.strip():
                continue
            try:
                row: Json = orjson.loads(line)
            except orjson.JSONDecodeError:
                yield Drop(reason=NOT_JSON)
            else:
                yield row if isinstance(row, dict) else Drop(reason=NOT_AN_OBJECT)


def _parquet(path: Path) -> Iterator[Any]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS):
            yield from batch.to_pylist()


def _csv(path: Path) -> Iterator[Any]:
    csv.field_size_limit(sys.maxsize)
    with _decompressed(path) as file, io.TextIOWrapper(file, newline="", encoding="utf-8-sig") as lines:
        yield from csv.DictReader(lines)


def _text(path: Path) -> Iterator[Any]:
    with _decompressed(path) as file, io.TextIOWrapper(file, encoding="utf-8") as lines:
        for line in lines:
            if text := line.rstrip("\r\n"):
                yield {"text": text}


@contextmanager
def _decompressed(path: Path) -> Iterator[IO[bytes]]:
    """Open a file as a stream, decompressed where its extension says that it is compressed."""
    if path.suffix == ".zst":  # fsspec reads it only with one more package; Arrow brings its own
        with io.BufferedReader(pa.input_stream(str(path), compression="zstd"), _BUFFER_BYTES) as file:
            yield file
    else:
        with fsspec.open(str(path), "rb", compression="infer") as file:
            yield file
