"""Steps: the one verb. A step makes of each record another, or leaves it out. Pure.

Of a record alone: `RecordWork`. Of all records together, as finding duplicates: `CorpusWork`, which first observes each
shard where it lies and then decides once over what was observed; what it holds in memory is a few numbers a record.
Steps that make records of records, shard by shard, are `GenerationWork`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import jsonschema
import numpy as np
import numpy.typing as npt
from touchstone_runtime.errors import Violation

from touchstone_data.core.generation import GenerationWork
from touchstone_data.core.records import Drop, Json, Record

Parameters: TypeAlias = Mapping[str, Any]
Observations: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Numbers of the records of a shard by name; the first axis is the records'."""

NOBODY = -1
FIELDS_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "minItems": 1,
    "maxItems": 32,
    "description": "Paths of the fields; left out: the pipeline's text_fields.",
}


class RecordWork(Protocol):
    """What a step does with one record."""

    def __call__(self, record: Record) -> Record | Drop:
        """Return the record, changed or not, or say why it is left out."""
        ...


class Corpus(Protocol):
    """What was observed of all records, in their order."""

    @property
    def size(self) -> int:
        """How many records there are."""
        ...

    def column(self, name: str) -> npt.NDArray[Any]:
        """Return one observation of all records."""
        ...

    def shards(self, *names: str) -> Iterator[Observations]:
        """Return some observations shard by shard, to hold one shard's only."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a step says of all records."""

    reason: str = ""
    """Why those that are left out are."""
    dropped: npt.NDArray[np.bool_]
    """[records]"""
    score: npt.NDArray[np.float32]
    """What was measured, [records]; not a number where nothing was."""
    kept: npt.NDArray[np.int64]
    """Place of the record that stays in its stead, [records]; NOBODY where there is none."""
    split: npt.NDArray[np.int16] | None = None
    """Place in `splits` of each record, [records]."""
    splits: tuple[str, ...] = ()
    values: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    """Numbers to write into the records that stay, by path; [records] each."""
    facts: Mapping[str, Json] = field(default_factory=dict)
    """What else the manifest should say."""

    @classmethod
    def keeping_all(cls, size: int) -> "Decision":
        """Leave out none of so many records; `dataclasses.replace` says what else is decided of them."""
        return cls(
            dropped=np.zeros(size, dtype=np.bool_),
            score=np.full(size, np.nan, dtype=np.float32),
            kept=np.full(size, NOBODY, dtype=np.int64),
        )


class CorpusWork(Protocol):
    """What a step does with all records."""

    def observe(self, records: Sequence[Record]) -> Observations:
        """Take from the records of a shard what the decision needs."""
        ...

    def decide(self, corpus: Corpus) -> Decision:
        """Decide over all records."""
        ...


class Tools(Protocol):
    """What a step may need of the world."""

    def fetch(self, uri: str, digest: str = "") -> str:
        """Bring a file or folder to this machine, verified, and return its path."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a step works."""

    text_fields: tuple[str, ...]
    tools: Tools

    def fields(self, parameters: Parameters) -> tuple[str, ...]:
        """The fields that a step is to work on."""
        return tuple(parameters.get("fields") or self.text_fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step as it is installed: an entry point of the group `touchstone.data.steps` gives one."""

    name: str
    version: int
    """Rises when the same input gives another result: part of every snapshot's digest."""
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """JSON Schemas of the parameters by name, each with its `default` unless it is required."""
    required: tuple[str, ...] = ()
    by_record: Callable[[Parameters, Surroundings], RecordWork] | None = None
    """Makes what is done with a record; one of the three is set. Raises ValueError: they do not fit."""
    by_corpus: Callable[[Parameters, Surroundings], CorpusWork] | None = None
    by_generation: Callable[[Parameters, Surroundings], GenerationWork] | None = None
    models: tuple[str, ...] = ()
    """Paths of the parameters that name a model of the pipeline."""
    check: Callable[[Parameters], str] = lambda _: ""
    """Says what is wrong with parameters that fit the schema; empty if nothing is."""

    @property
    def schema(self) -> Mapping[str, Any]:
        """The JSON Schema of the parameters."""
        return {
            "type": "object",
            "properties": dict(self.parameters),
            "required": list(self.required),
            "additionalProperties": False,
        }

    def filled(self, parameters: Parameters) -> Parameters:
        """Fill in defaults."""
        defaults = {name: schema["default"] for name, schema in self.parameters.items() if "default" in schema}
        return {**defaults, **parameters}

    def faults(self, parameters: Parameters, path: str) -> Iterator[Violation]:
        """Check parameters."""
        found = sorted(jsonschema.Draft202012Validator(self.schema).iter_errors(parameters), key=lambda e: e.json_path)
        for error in found:
            yield Violation(f"{path}{error.json_path.removeprefix('$')}", f"{error.message}.")
        if not found and (fault := self.check(self.filled(parameters))):
            yield Violation(path, fault)
