"""What units of work did, counted. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from touchstone_data.core.records import Json

BLOCKING_EXAMPLES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCount:
    """What a step did with the records that came to it."""

    records: int = 0
    changed: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    """By reason."""
    made: int = 0
    """Records that it made, those among them that it then left out too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCount:
    """What a source held."""

    name: str
    digest: str
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitAccount:
    """What one unit of a stage did."""

    steps: Mapping[int, StepCount] = field(default_factory=dict)
    """By place in the specification."""
    shards: int = 0
    """Of reading: how many shards there are."""
    sources: tuple[SourceCount, ...] = ()
    """Of reading."""
    unreadable: Mapping[str, int] = field(default_factory=dict)
    """Of reading: records that could not be read, by reason."""
    facts: Mapping[str, Json] = field(default_factory=dict)
    """Of deciding: what else the step found."""
    blocking: int = 0
    """How many records must not be there."""
    examples: tuple[str, ...] = ()
    """Up to BLOCKING_EXAMPLES of them, in words."""

    @property
    def dropped(self) -> int:
        """How many records were left out."""
        return sum(sum(count.dropped.values()) for count in self.steps.values()) + sum(self.unreadable.values())


def total(counts: Iterable[StepCount]) -> StepCount:
    """Add what shards counted."""
    records = changed = made = 0
    dropped: Counter[str] = Counter()
    for count in counts:
        records += count.records
        changed += count.changed
        made += count.made
        dropped.update(count.dropped)
    return StepCount(records=records, changed=changed, dropped=dict(sorted(dropped.items())), made=made)
