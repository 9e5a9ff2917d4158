"""Data sets: divided by content, snapshots as they were made, faults with their place."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet
from touchstone_finetuning.adapters.datasets import FileDatasets
from touchstone_finetuning.errors import DatasetInvalid
from touchstone_finetuning.ports import Fetched


def written(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def read(paths: tuple[Path, ...]) -> list[str]:
    return [line for path in paths for line in path.read_text().splitlines()]


def split(data: Path, folder: Path, share: float = 0.2) -> Any:
    return FileDatasets().split(Fetched(path=data, digest="sha256:1"), share=share, folder=folder)


def test_equal_records_fall_on_one_side_wherever_they_stand(tmp_path: Path) -> None:
    records = [{"text": f"number {n}"} for n in range(300)]
    found = split(written(tmp_path / "data.jsonl", records + records[::-1]), tmp_path)
    train, validation = read(found.train), read(found.validation)
    assert set(train).isdisjoint(validation)
    assert set(Counter(train + validation).values()) == {2}
    assert 60 <= len(validation) <= 180, "a fifth of 600, by digests"


def test_the_order_of_fields_does_not_matter(tmp_path: Path) -> None:
    one = split(written(tmp_path / "one.jsonl", [{"text": f"{n}", "id": n} for n in range(50)]), tmp_path)
    first = read(one.validation)
    two = split(written(tmp_path / "two.jsonl", [{"id": n, "text": f"{n}"} for n in range(50)]), tmp_path)
    assert read(two.validation) == first


def test_parquet_and_json_lines_are_divided_alike(tmp_path: Path) -> None:
    records = [{"text": f"number {n}"} for n in range(100)]
    by_lines = read(split(written(tmp_path / "data.jsonl", records), tmp_path).validation)
    parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / "data.parquet")
    assert read(split(tmp_path / "data.parquet", tmp_path).validation) == by_lines


def test_without_a_share_nothing_is_held_out(tmp_path: Path) -> None:
    assert split(written(tmp_path / "data.jsonl", [{"text": "a"}]), tmp_path, share=0).validation == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n{"text": \n', "line 2 is not JSON"),
        ('{"text": "a"}\n["b"]\n', "line 2 is not an object"),
        ("", "holds no records"),
    ],
)
def test_a_broken_file_says_where(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(content)
    with pytest.raises(DatasetInvalid, match=message):
        split(path, tmp_path)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.bin"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DatasetInvalid, match="neither JSON lines in UTF-8 nor"):
        split(path, tmp_path)
