"""Where records come from, and where they lie while a pipeline works on them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from touchstone_data.core.generation import Reply
from touchstone_data.core.records import Drop, Record
from touchstone_data.core.spec import Source
from touchstone_data.core.steps import Corpus, Decision, Observations


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A source that lies on this machine."""

    digest: str
    records: Iterator[Record | Drop]
    """In order; a Drop for each record that cannot be read."""


class Sources(Protocol):
    """Where records come from."""

    def open(self, source: Source) -> Opened:
        """Bring a source here.

        Raises:
            SourceUnreachable: It did not answer.
            SourceInvalid: It is not what the specification says.
        """
        ...


class Left(NamedTuple):
    """A record that was left out."""

    id: str
    source: str
    step: str
    drop: Drop


class Heard(NamedTuple):
    """What was decided of one record."""

    drop: Drop | None
    split: str | None
    values: Mapping[str, int]
    """To be written into the record, by path."""


Wanted = Callable[[str, str], bool]
"""Says by source and id whether a record is wanted."""


class Workshops(Protocol):
    """Where pipelines are worked on: a folder that all workers share."""

    def of(self, dispatch_id: str) -> "Workshop":
        """Open the workshop of a pipeline."""
        ...

    def tidy(self, unfinished: Sequence[str]) -> None:
        """Remove the workshops of all other pipelines."""
        ...


class Workshop(Protocol):
    """Where the shards of one pipeline lie between stages. Each file is there whole, or not at all."""

    def put_records(self, stage: int, shard: int, records: Iterable[Record]) -> None:
        """Write a shard."""
        ...

    def records(self, stage: int, shard: int, *, wanted: Wanted | None = None) -> list[Record]:
        """Read a shard, or those records of it that are wanted: the others cost next to nothing."""
        ...

    def discard_records(self, stage: int, shard: int) -> None:
        """Remove a shard."""
        ...

    def put_left(self, stage: int, shard: int, left: Sequence[Left]) -> None:
        """Write what a unit left out."""
        ...

    def left(self, stages: Sequence[int], shards: int) -> Iterator[Left]:
        """Read what was left out, by stage and shard."""
        ...

    def put_observations(self, stage: int, shard: int, observations: Observations) -> None:
        """Write what was observed of a shard."""
        ...

    def corpus(self, stage: int, shards: int) -> Corpus:
        """Read what was observed of all shards."""
        ...

    def put_decision(self, stage: int, observed: int, shards: int, decision: Decision) -> None:
        """Write a decision, shard by shard.

        Args:
            stage: Number of the stage that decides.
            observed: Number of the stage that observed.
            shards: How many there are.
            decision: Over all records, in order.
        """
        ...

    def heard(self, stage: int, shard: int) -> list[Heard]:
        """Read what was decided of the records of a shard."""
        ...

    def answers(self, stage: int, shard: int) -> "Answers":
        """Open what models answered to a shard."""
        ...

    def remove(self) -> None:
        """Remove all of it."""
        ...


class Answers(Protocol):
    """What models answered to a shard: a worker that takes the shard up finds what was paid for."""

    def read(self) -> Mapping[str, Reply]:
        """Read all answers by their keys."""
        ...

    def keep(self, key: str, reply: Reply) -> None:
        """Keep one."""
        ...
