"""Files of training data: Parquet and JSON lines, record by record, each with the place that a fault names."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from pyarrow import parquet

from touchstone_finetuning.core.outcome import Reason
from touchstone_finetuning.training.faults import TrainingFault

PARQUET = ".parquet"


class Record(NamedTuple):
    """A record and where it stands."""

    place: str
    fields: Mapping[str, object]


def read(paths: Sequence[str]) -> Iterator[Record]:
    """Read the records of files, in order.

    Raises:
        TrainingFault: DatasetInvalid; a file is missing or is not of its kind.
    """
    for path in map(Path, paths):
        if not path.is_file():
            raise invalid(path.name, "there is no such file")
        yield from _parquet(path) if path.suffix == PARQUET else _json_lines(path)


def invalid(place: str, cause: str) -> TrainingFault:
    """Say what is wrong with the data, and where."""
    return TrainingFault(Reason.DATASET_INVALID, f"{place}: {cause}")


def _json_lines(path: Path) -> Iterator[Record]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            place = f"{path.name}, line {number}"
            try:
                fields = json.loads(line)
            except ValueError as error:
                raise invalid(place, f"not JSON ({error})") from error
            if not isinstance(fields, dict):
                raise invalid(place, "not a JSON object")
            yield Record(place, fields)


def _parquet(path: Path) -> Iterator[Record]:
    try:
        number = 0
        for batch in parquet.ParquetFile(path).iter_batches():
            for fields in batch.to_pylist():
                number += 1
                yield Record(f"{path.name}, row {number}", fields)
    except (pa.ArrowException, OSError) as error:
        raise invalid(path.name, f"not a Parquet file that can be read ({error})") from error
