"""Rank fusion. Pure: knows rankings, not where they came from."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

RANK_CONSTANT = 60
"""k of Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and individual rank learning
methods", SIGIR 2009, with ranks from 1. Qdrant counts ranks from 0, so its k is one more: 61."""

Key = TypeVar("Key", bound=Hashable)


class Fused(NamedTuple, Generic[Key]):
    """One item of a fused ranking."""

    key: Key
    score: float
    ranks: Mapping[str, int]
    """The item's rank from 1 in each arm that returned it."""


class Arm(NamedTuple, Generic[Key]):
    """One ranking with its weight."""

    name: str
    ranking: Sequence[Key]
    """Best first, without duplicates."""
    weight: float = 1.0
    """0 or more; an arm of weight 0 adds nothing to a score, and its items alone are not hits."""


def reciprocal_rank(arms: Sequence[Arm[Key]], *, k: int = RANK_CONSTANT) -> list[Fused[Key]]:
    """Fuse rankings by weighted reciprocal rank: score(d) = Σ weight / (k + rank(d)).

    Ties are broken by the better rank in the first arm, then in the next; what no arm tells apart keeps the order of
    first appearance. An item that only arms of weight 0 returned is left out.
    """
    ranks: dict[Key, dict[str, int]] = {}
    scores: dict[Key, float] = {}
    for arm in arms:
        for rank, key in enumerate(arm.ranking, start=1):
            ranks.setdefault(key, {})[arm.name] = rank
            scores[key] = scores.get(key, 0.0) + arm.weight / (k + rank)
    last = 1 + max((len(arm.ranking) for arm in arms), default=0)

    def order(key: Key) -> tuple[float, ...]:
        return (-scores[key], *(ranks[key].get(arm.name, last) for arm in arms))

    return [Fused(key, scores[key], ranks[key]) for key in sorted(ranks, key=order) if scores[key] > 0]
