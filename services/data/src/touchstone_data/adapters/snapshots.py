"""Snapshots: written in a folder on this machine, then kept under their digest, here or in object storage.

Here the finished folder is renamed; in object storage the manifest comes last, so that a snapshot with a manifest is
whole.
"""

import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from touchstone_runtime import durable
from touchstone_runtime.artefacts import places, remote
from touchstone_runtime.artefacts.caching import digest_file
from touchstone_runtime.artefacts.remote import Place
from touchstone_runtime.cluster.references import Secrets
from touchstone_runtime.snapshots import MANIFEST

from touchstone_data import errors
from touchstone_data.core import manifest
from touchstone_data.core.manifest import Snapshot, SnapshotFile
from touchstone_data.core.records import Record
from touchstone_data.core.spec import PipelineSpec
from touchstone_data.ports import Left, Written

ID, SOURCE = "record_id", "record_source"
"""Columns that every data file has beside the records' fields."""
MADE_BY, MADE_FROM = "record_made_by", "record_made_from"
"""Columns that they have where steps made records; null in those that were read."""
LEFT_FILE, MANIFEST_FILE = "dropped.parquet", MANIFEST
LEFT_BATCH = 10_000


class SnapshotShelf:
    """Keeps snapshots below an address."""

    def __init__(self, artefacts_uri: str, work_dir: Path, secrets: Secrets, *, file_root: Path) -> None:
        """Prepare.

        Args:
            artefacts_uri: Where snapshots go whose specification names no place.
            work_dir: Where they are written before they are kept.
            secrets: Reads the keys of stores.
            file_root: `file://` outputs must lie below it.
        """
        self._artefacts_uri = artefacts_uri.rstrip("/")
        self._work_dir = work_dir
        self._secrets = secrets
        self._file_root = file_root.resolve()

    def check(self, spec: PipelineSpec) -> None:
        """See that a snapshot can be kept."""
        self._open(spec)

    @contextmanager
    def begin(self, spec: PipelineSpec) -> Iterator["Folder"]:
        """Begin a snapshot."""
        place = self._open(spec)
        uri = self._uri(spec)
        if uri.startswith("file://"):
            base = Path(uri.removeprefix("file://"))
            aside = base / f".partial-{uuid.uuid4().hex}"  # beside its place, so that it can be renamed
        else:
            aside = self._work_dir / f".partial-{uuid.uuid4().hex}"
        aside.mkdir(parents=True)
        try:
            yield Folder(aside, uri, place)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _open(self, spec: PipelineSpec) -> Place:
        uri = self._uri(spec)
        if spec.output_uri:
            places.check(uri, self._file_root)
        secret = self._secrets.read(spec.output_credentials)
        try:
            return remote.place(uri, secret)
        except OSError as error:
            raise errors.StoreUnavailable(uri, str(error)) from error

    def _uri(self, spec: PipelineSpec) -> str:
        return spec.output_uri.rstrip("/") or f"{self._artefacts_uri}/datasets/{spec.name}"


class Folder:
    """A snapshot that is being written."""

    def __init__(self, aside: Path, uri: str, place: Place) -> None:
        self._aside = aside
        self._uri = uri
        self._place = place

    def put_data(self, shards: Callable[[], Iterable[Sequence[Record]]]) -> Written:
        """Write records, a file a split, all with the same columns."""
        schema = _schema(shards())
        writers: dict[str, pq.ParquetWriter] = {}
        try:
            for records in shards():
                for split in sorted({record.split for record in records}):
                    if split not in writers:
                        writers[split] = pq.ParquetWriter(self._aside / f"{split}.parquet", schema, compression="zstd")
                    writers[split].write_batch(_batch([one for one in records if one.split == split], schema))
        finally:
            for writer in writers.values():
                writer.close()
        files = tuple(self._file(f"{split}.parquet", split) for split in sorted(writers))
        return Written(files, {field.name: str(field.type) for field in schema})

    def put_left(self, left: Iterable[Left]) -> SnapshotFile:
        """Write what was left out."""
        kinds = {"record_id": pa.string(), "record_source": pa.string(), "step": pa.string(), "reason": pa.string()}
        schema = pa.schema({**kinds, "score": pa.float64(), "detail": pa.string()}.items())
        with pq.ParquetWriter(self._aside / LEFT_FILE, schema, compression="zstd") as writer:
            rows = iter(left)
            while batch := list(islice(rows, LEFT_BATCH)):
                flat = [
                    (one.id, one.source, one.step, one.drop.reason, one.drop.score, one.drop.detail) for one in batch
                ]
                columns = [
                    pa.array(column, field.type) for column, field in zip(zip(*flat, strict=True), schema, strict=True)
                ]
                writer.write_batch(pa.record_batch(columns, schema))
        return self._file(LEFT_FILE, "")

    def put(self, path: str, content: bytes) -> None:
        """Write a file beside the data."""
        (self._aside / path).write_bytes(content)

    def keep(self, snapshot: Snapshot) -> str:
        """Write the manifest and put the folder in its place."""
        self.put(MANIFEST_FILE, orjson.dumps(manifest.manifest(snapshot), option=orjson.OPT_INDENT_2))
        name = snapshot.digest.removeprefix("sha256:")
        uri = f"{self._uri}/{name}"
        try:
            if uri.startswith("file://"):
                self._rename(Path(uri.removeprefix("file://")))
            else:
                self._upload(name)
        except OSError as error:
            raise errors.StoreUnavailable(uri, str(error)) from error
        return uri

    def _rename(self, place: Path) -> None:
        for path in self._aside.iterdir():
            durable.sync(path)
        if not (place / MANIFEST_FILE).exists():  # the same content may be there already
            self._aside.replace(place)
            durable.sync(place.parent)

    def _upload(self, name: str) -> None:
        filesystem, base = self._place
        place = f"{base.rstrip('/')}/{name}"
        with remote.os_errors():
            if filesystem.exists(f"{place}/{MANIFEST_FILE}"):
                return
            for path in sorted(self._aside.iterdir(), key=lambda path: path.name == MANIFEST_FILE):
                filesystem.put_file(str(path), f"{place}/{path.name}")

    def _file(self, path: str, split: str) -> SnapshotFile:
        place = self._aside / path
        rows = int(pq.read_metadata(place).num_rows)
        return SnapshotFile(
            path=path, split=split, records=rows, size_bytes=place.stat().st_size, digest=digest_file(place)
        )


def _schema(shards: Iterable[Sequence[Record]]) -> pa.Schema:
    """Find columns that hold all records."""
    found = pa.schema([(ID, pa.string()), (SOURCE, pa.string())])
    for records in shards:
        try:
            kind = pa.array([record.fields for record in records]).type if records else pa.struct([])
            lineage = [(MADE_BY, pa.string()), (MADE_FROM, pa.string())] if any(one.made_by for one in records) else []
            found = pa.unify_schemas([found, pa.schema(lineage), pa.schema(list(kind))], promote_options="permissive")
        except (pa.ArrowException, TypeError) as error:
            raise errors.ColumnsMixed(str(error)) from error
    return found


def _batch(records: Sequence[Record], schema: pa.Schema) -> pa.RecordBatch:
    rows = [
        {**one.fields, ID: one.id, SOURCE: one.source, MADE_BY: one.made_by or None, MADE_FROM: one.made_from or None}
        for one in records
    ]
    try:
        return pa.RecordBatch.from_struct_array(pa.array(rows, pa.struct(list(schema))))
    except (pa.ArrowException, TypeError) as error:
        raise errors.ColumnsMixed(str(error)) from error
