"""How rankings are scored: recall, precision, reciprocal rank, nDCG with binary relevance. Pure.

A ranking is a list of passages; what should be found are targets: documents by id, or texts. A passage may hit several
targets, several passages may hit the same target. A target counts once, at the first passage that hits it, so that a
document in many pieces does not count many times. nDCG: Järvelin and Kekäläinen, ACM TOIS 2002, gain 1 for a passage
that hits a target not hit before, discount log2(rank + 1), ideal: one new target at each rank.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from touchstone_evaluation.core.normalising import normalise


class Passage(NamedTuple):
    """One hit of a search."""

    document_id: str
    text: str


Hits = Sequence[frozenset[int]]
"""For each rank, best first, the numbers of the targets that the passage hits."""


def hits(passages: Sequence[Passage], documents: Sequence[str], texts: Sequence[str]) -> Hits:
    """Find which targets each passage hits: documents are numbered first, then texts.

    A document is hit by its id, with or without the name of its source before it. A text is hit when, normalised, it
    is part of the passage or the passage is part of it; so a very short passage hits easily.
    """
    wanted = [f" {normalise(text)} " for text in texts]
    found = []
    for passage in passages:
        own = f" {normalise(passage.text)} "
        ids = {passage.document_id, passage.document_id.partition("/")[2]}
        by_id = (number for number, document in enumerate(documents) if document in ids)
        by_text = (
            len(documents) + number
            for number, text in enumerate(wanted)
            if own.strip() and text.strip() and (text in own or own in text)
        )
        found.append(frozenset([*by_id, *by_text]))
    return found


def recall_at(k: int, ranking: Hits, targets: int) -> float:
    """The share of the targets that the first k passages hit."""
    return len(frozenset[int]().union(*ranking[:k])) / targets


def precision_at(k: int, ranking: Hits) -> float:
    """The share of the first k ranks whose passage hits a target; ranks that were not filled count as misses."""
    return sum(1 for passage in ranking[:k] if passage) / k


def reciprocal_rank(ranking: Hits) -> float:
    """1 over the rank of the first passage that hits a target; 0 when none does."""
    return next((1 / rank for rank, passage in enumerate(ranking, start=1) if passage), 0.0)


def ndcg_at(k: int, ranking: Hits, targets: int) -> float:
    """The discounted gain of the first k passages over the best possible one."""
    seen: set[int] = set()
    gained = 0.0
    for rank, passage in enumerate(ranking[:k], start=1):
        if passage - seen:
            gained += 1 / math.log2(rank + 1)
            seen |= passage
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, targets) + 1))
    return gained / ideal
