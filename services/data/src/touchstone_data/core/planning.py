"""From steps to stages. Pure.

A pipeline reads its sources into shards, then works through stages, then writes the snapshot. Steps that need one
record at a time are done together, shard by shard, in any number of workers at once; a step that needs all records
observes each shard at the end of such a stage, decides once, and is heard at the beginning of the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

READING, WRITING = "Reading", "Writing"


class StageKind(StrEnum):
    """What a stage does."""

    READ = "read"
    """Cuts the sources into shards: one unit."""
    WORK = "work"
    """Works on a shard: a unit each."""
    DECIDE = "decide"
    """Decides over all shards: one unit."""
    WRITE = "write"
    """Writes the snapshot: one unit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage. Steps are places in the specification."""

    number: int
    kind: StageKind
    steps: tuple[int, ...] = ()
    """Of WORK: done with each record. Of DECIDE: the step that decides."""
    hears: int | None = None
    """Of WORK: the step whose decision is applied at its beginning; it was made in the stage before."""
    observes: int | None = None
    """Of WORK: the step that observes at its end."""

    @property
    def is_by_shard(self) -> bool:
        """Whether there is a unit a shard."""
        return self.kind is StageKind.WORK

    @property
    def input(self) -> int:
        """Number of the stage whose records it reads."""
        return self.number - 1 if self.hears is None else self.number - 2


def stages(is_per_corpus: Sequence[bool]) -> tuple[Stage, ...]:
    """Plan the stages of a pipeline, given which of its steps need all records."""
    found = [Stage(number=0, kind=StageKind.READ)]
    waiting: list[int] = []
    hears: int | None = None
    for step, needs_all in enumerate(is_per_corpus):
        if not needs_all:
            waiting.append(step)
            continue
        found.append(
            Stage(number=len(found), kind=StageKind.WORK, steps=tuple(waiting), hears=hears, observes=step),
        )
        found.append(Stage(number=len(found), kind=StageKind.DECIDE, steps=(step,)))
        waiting, hears = [], step
    found.append(Stage(number=len(found), kind=StageKind.WORK, steps=tuple(waiting), hears=hears))
    found.append(Stage(number=len(found), kind=StageKind.WRITE))
    return tuple(found)


def title(stage: Stage, names: Sequence[str]) -> str:
    """Say what a stage does, given the names of the steps."""
    if stage.kind is StageKind.READ:
        return READING
    if stage.kind is StageKind.WRITE:
        return WRITING
    observing = () if stage.observes is None else (stage.observes,)
    return ", ".join(names[step] for step in (*stage.steps, *observing)) or WRITING
