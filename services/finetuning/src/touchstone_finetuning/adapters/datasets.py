"""Data sets as files of records: JSON lines, Parquet, or the folder of a snapshot with its own split."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet
from touchstone_runtime import durable, snapshots

from touchstone_finetuning import errors
from touchstone_finetuning.ports import Fetched, Split

BATCH_ROWS = 1024


class FileDatasets:
    """The datasets port."""

    def split(self, data: Fetched, *, share: float, folder: Path) -> Split:
        """Divide a data set.

        A snapshot keeps the split that it was made with. The records of a file are divided by the digest of their
        contents: the same record always falls on the same side, however often and wherever it occurs.
        """
        if data.path.is_dir():
            made = snapshots.read(data.path)
            if "train" not in made.splits:
                raise errors.DatasetInvalid(f"the snapshot {data.path.name} has no split named train.")
            return Split(made.digest, made.splits["train"], made.splits.get("validation", ()))
        train, validation = folder / "train.jsonl", folder / "validation.jsonl"
        counts = {train: 0, validation: 0}
        # Whole at once: a trainer of an earlier attempt may read what is there.
        with durable.replacing(train) as ours, durable.replacing(validation) as held_out:
            for line in _lines(data.path):
                path, file = (validation, held_out) if _is_held_out(line, share) else (train, ours)
                file.write(f"{line}\n".encode())
                counts[path] += 1
        if not counts[train]:
            raise errors.DatasetInvalid(f"{data.path.name} holds no records to train on.")
        return Split(data.digest, (train,), (validation,) if counts[validation] else ())


def _lines(data: Path) -> Iterator[str]:
    """Yield each record as one line of JSON with sorted keys, so that equal records give equal lines."""
    for place, record in _records(data):
        if not isinstance(record, dict):
            raise errors.DatasetInvalid(f"{data.name}, {place} is not an object.")
        yield json.dumps(record, sort_keys=True, ensure_ascii=False)


def _records(data: Path) -> Iterator[tuple[str, Any]]:
    if data.suffix == ".parquet":
        yield from _rows(data)
        return
    with data.open(encoding="utf-8") as file:
        try:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"line {number}", json.loads(line)
        except UnicodeDecodeError as error:
            raise errors.DatasetInvalid(f"{data.name} is neither JSON lines in UTF-8 nor *.parquet.") from error
        except ValueError as error:
            raise errors.DatasetInvalid(f"{data.name}, line {number} is not JSON: {error}") from error


def _rows(data: Path) -> Iterator[tuple[str, Any]]:
    try:
        with parquet.ParquetFile(data) as file:
            row = 0
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                for record in batch.to_pylist():
                    row += 1
                    yield f"row {row}", record
    except pyarrow.ArrowInvalid as error:
        raise errors.DatasetInvalid(f"{data.name} is not Parquet: {error}") from error


def _is_held_out(line: str, share: float) -> bool:
    return int.from_bytes(hashlib.sha256(line.encode()).digest()[:8], "big") < share * 2**64
