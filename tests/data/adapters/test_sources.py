"""Sources in every format, and the places that they may not name."""

import bz2
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from touchstone_data import errors
from touchstone_data.adapters.sources import SourceFiles
from touchstone_data.adapters.tools import ResolverTools
from touchstone_data.core.records import Drop, Record
from touchstone_data.core.spec import Source, SourceFormat
from touchstone_runtime.artefacts import Resolver, UriInvalid
from touchstone_runtime.testing import FakeSecrets

ROWS = [{"id": "a", "text": "one, \u00fcber"}, {"id": "b", "text": "two"}]
TABLE = 'id,text\na,"one, \u00fcber"\nb,two\n'
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


@pytest.fixture
def files(tmp_path: Path) -> SourceFiles:
    return SourceFiles(Resolver(tmp_path / "cache"), FakeSecrets(), file_root=tmp_path)


def write(folder: Path, name: str) -> Path:
    path = folder / name
    match path.suffixes:
        case [".jsonl"]:
            path.write_bytes(LINES)
        case [".jsonl", ".gz"]:
            path.write_bytes(gzip.compress(LINES))
        case [".jsonl", ".bz2"]:
            path.write_bytes(bz2.compress(LINES))
        case [".jsonl", ".xz"]:
            path.write_bytes(lzma.compress(LINES))
        case [".jsonl", ".zst"]:
            half = LINES.index(b"\n") + 1
            frames = [pa.compress(part, codec="zstd", asbytes=True) for part in (LINES[:half], LINES[half:])]
            path.write_bytes(b"".join(frames))  # as parallel compressors and `cat` write it
        case [".parquet"]:
            pq.write_table(pa.Table.from_pylist(ROWS), path)
        case [".csv"]:
            path.write_text(TABLE, encoding="utf-8-sig")
        case [".csv", ".zst"]:
            path.write_bytes(pa.compress(TABLE.encode(), codec="zstd", asbytes=True))
    return path


def read(files: SourceFiles, path: Path, **changes: Any) -> list[Record | Drop]:
    return list(files.open(Source(name="raw", uri=f"file://{path}", **changes)).records)


@pytest.mark.parametrize(
    "name",
    [
        "in.jsonl", "in.jsonl.gz", "in.jsonl.bz2", "in.jsonl.xz", "in.jsonl.zst", "in.parquet", "in.csv", "in.csv.zst",
    ],
)  # fmt: skip
def test_the_format_is_told_by_the_extension(files: SourceFiles, tmp_path: Path, name: str) -> None:
    found = read(files, write(tmp_path, name))
    assert found == [Record(id=row["id"], source="raw", fields=row) for row in ROWS]


def test_a_line_of_text_is_a_record(files: SourceFiles, tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text("one\n\ntwo\r\n")
    found = read(files, path, format=SourceFormat.TEXT)
    assert [(one.id, one.fields["text"]) for one in found if isinstance(one, Record)] == [("0", "one"), ("1", "two")]


def test_records_are_named_by_the_field_that_is_asked_for(files: SourceFiles, tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"meta": {"key": 7}, "id": "x"}\n{"id": "y"}\n')
    assert [one.id for one in read(files, path, id_field="meta.key") if isinstance(one, Record)] == ["7", "1"]


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("in.parquet", b"not parquet", "cannot be read"),
        ("in.jsonl.gz", b"not gzip", "cannot be read"),
        ("in.jsonl.zst", b"not zstd", "cannot be read"),
        ("in.txt.zst", pa.compress(LINES, codec="zstd", asbytes=True)[:-5], "cannot be read"),
        ("in.csv", "text\n\xff".encode("latin-1"), "cannot be read"),
        ("in.unknown", b"x", "does not say its format"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused(
    files: SourceFiles, tmp_path: Path, name: str, content: bytes, cause: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(errors.SourceInvalid, match=cause):
        read(files, path)


def test_files_outside_the_root_are_refused_also_by_links(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    secret = write(tmp_path, "in.jsonl")
    (inside / "link.jsonl").symlink_to(secret)
    files = SourceFiles(Resolver(tmp_path / "cache"), FakeSecrets(), file_root=inside)
    for path in (secret, inside / "link.jsonl", inside / ".." / "in.jsonl", f"{inside}/%2e%2e/in.jsonl"):
        with pytest.raises(errors.SourceInvalid, match="must lie below"):
            read(files, Path(path))


def test_the_store_is_read_also_where_files_must_lie_elsewhere(tmp_path: Path) -> None:
    for folder in ("files", "store/exports", "store/datasets/tickets/0a"):
        (tmp_path / folder).mkdir(parents=True)
    store = f"file://{tmp_path}/store"
    files = SourceFiles(Resolver(tmp_path / "cache"), FakeSecrets(), file_root=tmp_path / "files", artefacts_uri=store)
    tools = ResolverTools(Resolver(tmp_path / "cache"), file_root=tmp_path / "files", artefacts_uri=store)
    for place in ("store/exports", "store/datasets/tickets/0a"):
        path = write(tmp_path / place, "in.jsonl")
        assert len(read(files, path)) == 2
        assert tools.fetch(f"file://{path}") == str(path)
    for place in ("", "store/../"):
        path = write(tmp_path / place, "in.jsonl")
        with pytest.raises(errors.SourceInvalid, match="must lie below"):
            read(files, path)
        with pytest.raises(UriInvalid, match="must lie below"):
            tools.fetch(f"file://{path}")
