"""Files to what the trainers take: tokens with labels, pairs, or blocks of text."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from datasets import Dataset

from touchstone_finetuning.core import masking, records
from touchstone_finetuning.core.outcome import Reason
from touchstone_finetuning.core.recipe import Format, Method, Recipe
from touchstone_finetuning.training import files
from touchstone_finetuning.training.faults import TrainingFault
from touchstone_finetuning.training.rendering import Renderer

T = TypeVar("T")
Row: TypeAlias = dict[str, list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A dataset that a trainer takes, and what became of the records."""

    dataset: Dataset
    digest: str
    """Of the tokens and labels, in their order."""
    longest: int
    """Tokens of the longest row that a step may see; of pairs, with the longer answer."""
    notes: tuple[str, ...]


class _Cuts:
    """Counts what was too long."""

    def __init__(self) -> None:
        self.truncated = 0
        self.dropped = 0

    def notes(self, name: str, length: int) -> Iterator[str]:
        if self.truncated:
            yield f"{self.truncated} records of {name} are longer than {length} tokens and were cut there."
        if self.dropped:
            yield f"{self.dropped} records of {name} were left out: within {length} tokens nothing is left to learn."


def prepare(recipe: Recipe, paths: Sequence[str], renderer: Renderer, *, name: str) -> Prepared:
    """Read, render and cut the records of files.

    Raises:
        TrainingFault: DatasetInvalid; a record is not of the format, or none is left.
    """
    if recipe.format is not Format.TEXT and not renderer.has_template:
        raise TrainingFault(
            Reason.BASE_MODEL_INVALID,
            "The base model's tokenizer has no chat template, so it does not say how a conversation is written. Take "
            "the instruction-tuned variant, or use the format Text.",
        )
    cuts = _Cuts()
    length = recipe.hyperparameters.max_sequence_length
    # int32: a corpus of lists of Python's numbers would be ten times as large
    rows = [_compact(row) for row in _rows(recipe, paths, renderer, cuts)]
    if not rows:
        raise files.invalid(
            name, f"no record is left to learn from within {length} tokens ({cuts.dropped} were left out)"
        )
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    return Prepared(
        dataset=Dataset.from_dict(columns),
        digest=_digest(columns),
        longest=length if recipe.hyperparameters.packing else max(map(_length, rows)),
        notes=tuple(cuts.notes(name, length)),
    )


def _length(row: Mapping[str, Sequence[int] | npt.NDArray[np.int32]]) -> int:
    if "input_ids" in row:
        return len(row["input_ids"])
    return len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))


def _compact(row: Row) -> dict[str, npt.NDArray[np.int32]]:
    return {key: np.asarray(values, np.int32) for key, values in row.items()}


def _rows(recipe: Recipe, paths: Sequence[str], renderer: Renderer, cuts: _Cuts) -> Iterator[Row]:
    length = recipe.hyperparameters.max_sequence_length
    if recipe.method is Method.CONTINUED_PRETRAINING:
        texts = (_read(record, lambda fields: renderer.text(records.text(fields))) for record in files.read(paths))
        return _blocks(texts, length)
    make = _pair if recipe.method is Method.DPO else _example
    return (row for record in files.read(paths) for row in make(recipe, record, renderer, cuts))


def _example(recipe: Recipe, record: files.Record, renderer: Renderer, cuts: _Cuts) -> Iterator[Row]:
    length = recipe.hyperparameters.max_sequence_length
    if recipe.format is Format.TEXT:
        ids = _read(record, lambda fields: renderer.text(records.text(fields)))
        labels = ids
    else:
        ids, labels = _read(record, lambda fields: renderer.conversation(records.conversation(fields, recipe.format)))
    is_long = len(ids) > length
    ids, labels = ids[:length], labels[:length]
    # The first token has nothing before it that it could be told from.
    if all(label == masking.IGNORED for label in labels[1:]):
        cuts.dropped += 1
        return
    cuts.truncated += is_long
    yield {"input_ids": ids, "labels": labels}


def _pair(recipe: Recipe, record: files.Record, renderer: Renderer, cuts: _Cuts) -> Iterator[Row]:
    example = _read(record, lambda fields: renderer.pair(records.pair(fields)))
    longest = len(example.prompt_ids) + max(len(example.chosen_ids), len(example.rejected_ids))
    if longest > recipe.hyperparameters.max_sequence_length:
        cuts.dropped += 1  # half an answer is not what was preferred
        return
    yield example._asdict()


def _blocks(texts: Iterator[list[int]], length: int) -> Iterator[Row]:
    """Write texts one behind the other and cut them into blocks; the last may be shorter."""
    held: list[int] = []
    for ids in texts:
        held += ids
        while len(held) >= length:
            yield {"input_ids": held[:length], "labels": held[:length]}
            held = held[length:]
    if len(held) > 1:
        yield {"input_ids": held, "labels": held}


def _read(record: files.Record, reader: Callable[[Mapping[str, object]], T]) -> T:
    try:
        return reader(record.fields)
    except records.RecordInvalid as error:
        raise files.invalid(record.place, str(error)) from error


def _digest(columns: Mapping[str, Sequence[npt.NDArray[np.int32]]]) -> str:
    digest = hashlib.sha256()
    for key in sorted(columns):
        digest.update(key.encode())
        for values in columns[key]:
            digest.update(len(values).to_bytes(8, "little") + values.tobytes())
    return digest.hexdigest()
