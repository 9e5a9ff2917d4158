"""Near duplicates: the S-curve is that of theory, and the vectorised search finds what a naive one finds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest
from touchstone_data.core import similarity
from touchstone_data.core.similarity import Banding

PAIRS = 3000
SIZE = 120


@dataclass(frozen=True)
class MemoryCorpus:
    """Observations of shards in memory."""

    parts: list[dict[str, Any]]

    @property
    def size(self) -> int:
        return sum(len(part["has_words"]) for part in self.parts)

    def column(self, name: str) -> Any:
        return np.concatenate([part[name] for part in self.parts])

    def shards(self, *names: str) -> Iterator[dict[str, Any]]:
        for part in self.parts:
            yield {name: part[name] for name in names}


def corpus(texts: list[str], banding: Banding, shard: int = 1000) -> MemoryCorpus:
    return MemoryCorpus(
        [dict(similarity.observe(texts[start : start + shard], banding)) for start in range(0, len(texts), shard)]
    )


def planted(jaccard: float, pairs: int) -> tuple[list[str], float]:
    """Pairs of texts of a similarity, unlike all others; single words are the n-grams."""
    shared = round(2 * SIZE * jaccard / (1 + jaccard))
    texts = []
    for pair in range(pairs):
        common = [f"w{pair}x{word}" for word in range(shared)]
        texts += [" ".join([*common, *(f"{side}{pair}x{word}" for word in range(SIZE - shared))]) for side in "ab"]
    return texts, shared / (2 * SIZE - shared)


@pytest.mark.parametrize("jaccard", [0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
@pytest.mark.parametrize(("bands", "rows"), [(14, 8), (28, 4)])
def test_the_share_of_pairs_found_is_that_of_theory(jaccard: float, bands: int, rows: int) -> None:
    banding = Banding(ngram=1, bands=bands, rows=rows, similarity=0)
    texts, exact = planted(jaccard, PAIRS)
    found = similarity.pairs(corpus(texts, banding), banding)
    hits = sum(right == left + 1 and left % 2 == 0 for left, right in zip(found.left, found.right, strict=True))
    interval = binomtest(hits, PAIRS).proportion_ci(confidence_level=0.9999)
    assert interval.low <= banding.probability(exact) <= interval.high


def test_probabilities_are_those_of_the_textbook() -> None:
    # Mining of Massive Datasets, figure 3.8: b = 20, r = 5.
    banding = Banding(bands=20, rows=5)
    table = {0.2: 0.006, 0.3: 0.047, 0.4: 0.186, 0.5: 0.470, 0.6: 0.802, 0.7: 0.975, 0.8: 0.9996}
    assert {s: banding.probability(s) for s in table} == pytest.approx(table, abs=0.0006)


def test_verified_pairs_are_as_alike_as_was_asked() -> None:
    banding = Banding(ngram=1, bands=28, rows=4, similarity=0.7)
    texts = [text for jaccard in (0.4, 0.5, 0.9) for text in planted(jaccard, 200)[0]]
    # The three groups use the same words: tell them apart.
    texts = [text.replace("x", f"{'uvw'[place // 400]}") for place, text in enumerate(texts)]
    found = similarity.pairs(corpus(texts, banding, shard=77), banding)
    assert set(found.left // 400) == {2}
    assert len(found.left) == 200


def test_buckets_connect_what_a_naive_search_connects() -> None:
    rng = np.random.default_rng(3)
    keys = rng.integers(0, 40, 500).astype(np.uint64)
    present = rng.random(500) < 0.8
    alike = similarity.buckets(keys, present)
    naive = {(a, b) for a in range(500) for b in range(a + 1, 500) if keys[a] == keys[b] and present[a] and present[b]}
    assert set(zip(alike.left.tolist(), alike.right.tolist(), strict=True)) <= naive
    connected = similarity.clusters(500, alike)
    assert all(connected[a] == connected[b] for a, b in naive)
    assert len(np.unique(connected)) == 500 - present.sum() + len(np.unique(keys[present]))


def test_of_a_cluster_the_worthiest_stays_and_of_equals_the_first() -> None:
    cluster = np.array([0, 1, 0, 1, 2, 0], dtype=np.int32)
    assert similarity.keepers(cluster, np.zeros(6, dtype=np.int64)).tolist() == [0, 1, 0, 1, 4, 0]
    assert similarity.keepers(cluster, np.array([1, 5, 9, 2, 0, 9])).tolist() == [2, 1, 2, 1, 4, 2]


def test_texts_without_words_are_like_nothing() -> None:
    banding = Banding()
    assert len(similarity.pairs(corpus(["", "...", " \n", "?!"], banding), banding).left) == 0


def test_a_text_shorter_than_an_ngram_is_one_ngram() -> None:
    assert similarity.shingles("Two words", 5) == {"two words"}
    assert similarity.shingles("a b c", 2) == {"a b", "b c"}
    assert similarity.shingles("--", 2) == set()
