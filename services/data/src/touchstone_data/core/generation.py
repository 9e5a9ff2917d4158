"""Records made of records: what is asked of models for them, and what comes of it. Pure.

A made record is of the source and the split of its origin, and names it. It may be an origin itself to no step: what is
made of what was made drifts. Nor may what is held out: it stands for what the world writes.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from touchstone_data.core.records import TRAIN, Drop, Json, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a model of the pipeline is asked. All of it is told, so that the same question has the same answer."""

    model: str
    """The pipeline's name of it."""
    text: str
    json_schema: str
    """The answer is held to it while it is generated."""
    temperature: float
    seed: int
    max_output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model answered."""

    text: str = ""
    refusal: str = ""
    """Why the prompt was not taken, as being too long; empty: it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Python with the tests that it is to pass."""

    program: str
    tests: tuple[str, ...]
    timeout_seconds: int
    memory_bytes: int


class Made(NamedTuple):
    """What a step made of a record."""

    origin: Record
    fields: Mapping[str, Json]
    drop: Drop | None = None
    """Why it is left out; None: verification found nothing against it."""


class Aid(Protocol):
    """What steps that make records may call on while they work on a shard."""

    def beat(self) -> None:
        """Say that the work goes on; raises when it must stop."""
        ...

    def ask(self, prompts: Sequence[Prompt]) -> Sequence[Reply]:
        """Ask models, several at once; what was answered to the shard before is not asked again.

        Raises:
            DomainError: A model is away, refuses all prompts, or is of another revision.
        """
        ...

    def run(self, programs: Sequence[Program]) -> Sequence[str]:
        """Run programs against their tests, confined; return why each did not pass, empty where it did."""
        ...


class GenerationWork(Protocol):
    """What a step makes of the records of a shard."""

    def __call__(self, records: Sequence[Record], aid: Aid) -> Iterator[Made]:
        """Make records, those that verification rejects too; the ones of an origin always come in the same order."""
        ...


def may_be_origin(record: Record) -> bool:
    """Whether records may be made of a record: it was read, and is not held out."""
    return not record.made_by and record.split == TRAIN


def derived(made: Made, step: str, number: int) -> Record:
    """Make the record.

    Args:
        made: What a step made.
        step: Names the use of the step, unique in the pipeline.
        number: Of those that the use made of the origin, from 1.
    """
    origin = made.origin
    return Record(
        id=f"{origin.id}~{step}-{number}",
        source=origin.source,
        fields=made.fields,
        split=origin.split,
        made_by=step,
        made_from=origin.id,
    )


def use_names(steps: Sequence[str]) -> list[str]:
    """Name the uses of steps: `augment`, and where it is used again `augment.2`."""
    counts = [steps[: place + 1].count(name) for place, name in enumerate(steps)]
    return [name if count == 1 else f"{name}.{count}" for name, count in zip(steps, counts, strict=True)]


def seed_for(seed: int, record: Record, number: int) -> int:
    """The seed of one of the records that are made of a record, the same on every machine."""
    key = f"{seed}:{record.source}/{record.id}:{number}".encode(errors="surrogatepass")
    return int.from_bytes(hashlib.blake2b(key, digest_size=4).digest(), "little") >> 1  # engines take 31 bits
