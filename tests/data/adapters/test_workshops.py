"""Shards on the disk."""

from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from touchstone_data.adapters.workshops import FolderWorkshops
from touchstone_data.core.generation import Reply
from touchstone_data.core.records import Record


def test_a_shard_keeps_all_of_its_records(tmp_path: Path) -> None:
    records = [
        Record(id="1", source="raw", fields={"text": "a", "n": [1, None]}, split="test"),
        Record(id="1~augment-1", source="raw", fields={"text": "b"}, made_by="augment", made_from="1"),
    ]
    shop = FolderWorkshops(tmp_path).of("run-1")
    shop.put_records(1, 0, records)
    shop.put_records(1, 1, [])
    assert shop.records(1, 0) == records
    assert shop.records(1, 1) == []


def test_a_shard_of_a_version_that_made_no_records_is_read(tmp_path: Path) -> None:
    """Workers are replaced while pipelines are under way."""
    shop = FolderWorkshops(tmp_path).of("run-1")
    shop.put_records(0, 0, [])
    (path,) = tmp_path.rglob("*.records.parquet")
    row = {"id": "1", "source": "raw", "fields": orjson.dumps({"text": "a"}), "split": "train"}
    pq.write_table(pa.Table.from_pylist([row]), path)
    assert shop.records(0, 0) == [Record(id="1", source="raw", fields={"text": "a"})]


def test_answers_of_all_workers_are_found_and_half_a_line_is_none(tmp_path: Path) -> None:
    shop = FolderWorkshops(tmp_path).of("run-1")
    shop.answers(1, 0).keep("a", Reply(text="one\nline"))
    shop.answers(1, 0).keep("b", Reply(refusal="too long"))
    shop.answers(1, 1).keep("c", Reply(text="of another shard"))
    path = next(tmp_path.rglob("*.jsonl"))
    path.write_bytes(path.read_bytes() + b'{"key": "d", "te')
    assert shop.answers(1, 0).read() == {"a": Reply(text="one\nline"), "b": Reply(refusal="too long")}
