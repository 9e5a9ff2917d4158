"""The report of a snapshot, as values. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from touchstone_data.core.coverage import Point
from touchstone_data.core.pillars import Pillar
from touchstone_data.core.profiling import Profile
from touchstone_data.core.tokens import TokenProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Records that are about the same."""

    words: str
    """That stand more often in it than elsewhere."""
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """A record on the map."""

    id: str
    x: float
    y: float
    cluster: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """How different records are."""

    vendi: float
    """The effective number of different records."""
    variance: float
    """Share of the variance that the map shows."""
    clusters: Sequence[Cluster]
    spots: Sequence[Spot]
    curve: Sequence[Point]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found, of samples of the records before and after the steps."""

    before: Profile
    after: Profile
    pillars: Sequence[Pillar]
    diversity: Diversity
    splits: Mapping[str, int]
    """Records of each split, all of them."""
    tokens: TokenProfile | None = None
    """None: no tokenizer was named."""
