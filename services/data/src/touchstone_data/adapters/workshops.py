"""Shards as files in a folder that all workers share. A file is written aside, synced, and renamed: whole or not there.

Records are Parquet with their fields as JSON, since they need not be alike; observations and decisions are NumPy's
archives, of which one column can be read without the others.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from touchstone_runtime import durable

from touchstone_data.adapters.answers import FileAnswers
from touchstone_data.core.records import Drop, Record
from touchstone_data.core.steps import NOBODY, Corpus, Decision, Observations
from touchstone_data.ports import Heard, Left, Wanted

RECORDS = pa.schema(
    [
        ("id", pa.string()), ("source", pa.string()), ("fields", pa.binary()), ("split", pa.string()),
        ("made_by", pa.string()), ("made_from", pa.string()),
    ]
)  # fmt: skip
LEFT = pa.schema(
    [
        ("id", pa.string()), ("source", pa.string()), ("step", pa.string()), ("reason", pa.string()),
        ("score", pa.float64()), ("detail", pa.string()), ("is_blocking", pa.bool_()),
    ]
)  # fmt: skip

VALUE = "value:"
"""Before the names of columns of a decision that go into records."""


class FolderWorkshops:
    """A folder with one folder a pipeline."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, dispatch_id: str) -> "FolderWorkshop":
        """Open the workshop of a pipeline."""
        return FolderWorkshop(self._folder / _name(dispatch_id))

    def tidy(self, unfinished: Sequence[str]) -> None:
        """Remove the workshops of all other pipelines."""
        if not self._folder.is_dir():
            return
        kept = {_name(dispatch_id) for dispatch_id in unfinished}
        for folder in self._folder.iterdir():
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)


def _name(dispatch_id: str) -> str:
    return hashlib.sha256(dispatch_id.encode()).hexdigest()[:32]


class FolderWorkshop:
    """The shards of one pipeline."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put_records(self, stage: int, shard: int, records: Iterable[Record]) -> None:
        """Write a shard."""
        rows = [
            (one.id, one.source, orjson.dumps(one.fields), one.split, one.made_by, one.made_from) for one in records
        ]
        columns = zip(*rows, strict=True) if rows else ((),) * len(RECORDS)
        table = pa.table([pa.array(column, kind.type) for column, kind in zip(columns, RECORDS, strict=True)], RECORDS)
        self._put_table(self._path(stage, shard, "records.parquet"), table)

    def records(self, stage: int, shard: int, *, wanted: Wanted | None = None) -> list[Record]:
        """Read a shard, or those records of it that are wanted."""
        # With the schema, a file of a version that made no records has their columns too, null.
        table = pq.read_table(self._path(stage, shard, "records.parquet"), schema=RECORDS, memory_map=True)
        if wanted is not None:
            names = zip(*(table.column(name).to_pylist() for name in ("source", "id")), strict=True)
            table = table.filter(pa.array([wanted(source, name) for source, name in names], pa.bool_()))
        columns = (table.column(name).to_pylist() for name in RECORDS.names)
        return [
            Record(
                id=name,
                source=source,
                fields=orjson.loads(fields),
                split=split,
                made_by=made_by or "",
                made_from=made_from or "",
            )
            for name, source, fields, split, made_by, made_from in zip(*columns, strict=True)
        ]

    def put_left(self, stage: int, shard: int, left: Sequence[Left]) -> None:
        """Write what a unit left out."""
        rows = [
            {
                "id": one.id, "source": one.source, "step": one.step, "reason": one.drop.reason,
                "score": one.drop.score, "detail": one.drop.detail, "is_blocking": one.drop.is_blocking,
            }
            for one in left
        ]  # fmt: skip
        self._put_table(self._path(stage, shard, "left.parquet"), pa.Table.from_pylist(rows, LEFT))

    def left(self, stages: Sequence[int], shards: int) -> Iterator[Left]:
        """Read what was left out."""
        for stage in stages:
            for shard in range(shards):
                for row in pq.read_table(self._path(stage, shard, "left.parquet")).to_pylist():
                    reason = {name: row[name] for name in ("reason", "score", "detail", "is_blocking")}
                    yield Left(row["id"], row["source"], row["step"], Drop(**reason))

    def put_observations(self, stage: int, shard: int, observations: Observations) -> None:
        """Write what was observed of a shard."""
        with durable.replacing(self._path(stage, shard, "observed.npz")) as file:
            np.savez(file, allow_pickle=False, **dict(observations))

    def corpus(self, stage: int, shards: int) -> Corpus:
        """Read what was observed of all shards."""
        return FileCorpus([self._path(stage, shard, "observed.npz") for shard in range(shards)])

    def put_decision(self, stage: int, observed: int, shards: int, decision: Decision) -> None:
        """Write a decision, shard by shard, with the ids of the records that stay in place of others."""
        sizes = [self._size(observed, shard) for shard in range(shards)]
        ends = np.cumsum([0, *sizes])
        names = self._ids(observed, ends, decision.kept[decision.kept != NOBODY])
        splits = np.array(decision.splits, dtype=np.str_)
        for shard in range(shards):
            part = slice(ends[shard], ends[shard + 1])
            kept = [names.get(int(place), "") for place in decision.kept[part]]
            columns: dict[str, npt.NDArray[Any]] = {
                "dropped": decision.dropped[part],
                "score": decision.score[part],
                "reason": np.array([decision.reason], dtype=np.str_),
                "detail": np.array(kept, dtype=np.str_),
            }
            if decision.split is not None:
                columns["split"] = splits[decision.split[part]]
            columns |= {f"{VALUE}{path}": values[part] for path, values in decision.values.items()}
            with durable.replacing(self._path(stage, shard, "decision.npz")) as file:
                np.savez(file, allow_pickle=False, **columns)

    def heard(self, stage: int, shard: int) -> list[Heard]:
        """Read what was decided of the records of a shard."""
        with np.load(self._path(stage, shard, "decision.npz"), allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
        reason = str(found["reason"][0])
        splits = found["split"].tolist() if "split" in found else [None] * len(found["dropped"])
        paths = [name for name in found if name.startswith(VALUE)]
        columns = zip(*(found[path].tolist() for path in paths), strict=True) if paths else repeat((), len(splits))
        rows = zip(
            found["dropped"].tolist(), found["score"].tolist(), found["detail"].tolist(), splits, columns, strict=True
        )
        return [
            Heard(
                Drop(reason=reason, score=None if np.isnan(score) else score, detail=detail) if dropped else None,
                split,
                dict(zip((path.removeprefix(VALUE) for path in paths), values, strict=True)),
            )
            for dropped, score, detail, split, values in rows
        ]

    def answers(self, stage: int, shard: int) -> FileAnswers:
        """Open what models answered to a shard."""
        return FileAnswers(self._path(stage, shard, "answers"))

    def discard_records(self, stage: int, shard: int) -> None:
        """Remove a shard."""
        self._path(stage, shard, "records.parquet").unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _size(self, stage: int, shard: int) -> int:
        return int(pq.read_metadata(self._path(stage, shard, "records.parquet")).num_rows)

    def _ids(self, stage: int, ends: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> dict[int, str]:
        """Name the records at some places of the corpus."""
        wanted = np.unique(places)
        found: dict[int, str] = {}
        for shard in range(len(ends) - 1):
            here = wanted[(wanted >= ends[shard]) & (wanted < ends[shard + 1])]
            if len(here):
                column = pq.read_table(self._path(stage, shard, "records.parquet"), columns=["id"]).column("id")
                ids = column.take(pa.array(here - ends[shard])).to_pylist()
                found.update(zip(here.tolist(), ids, strict=True))
        return found

    def _put_table(self, path: Path, table: pa.Table) -> None:
        with durable.replacing(path) as file:
            pq.write_table(table, file, compression="zstd", compression_level=1)

    def _path(self, stage: int, shard: int, kind: str) -> Path:
        return self._folder / str(stage) / f"{shard:06d}.{kind}"


class FileCorpus:
    """Observations in files; a column is read when it is asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self._size: int | None = None

    @property
    def size(self) -> int:
        """How many records there are."""
        if self._size is None:
            self._size = sum(_rows(path) for path in self._paths)
        return self._size

    def column(self, name: str) -> npt.NDArray[Any]:
        """Read one observation of all records."""
        return np.concatenate([shard[name] for shard in self.shards(name)])

    def shards(self, *names: str) -> Iterator[Observations]:
        """Read some observations shard by shard."""
        for path in self._paths:
            with np.load(path, allow_pickle=False) as archive:
                yield {name: archive[name] for name in names}


def _rows(path: Path) -> int:
    with np.load(path, allow_pickle=False) as archive:
        return len(archive[archive.files[0]])
