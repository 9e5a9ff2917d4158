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


def ngrams(text: str, size: int) -> set[tuple[str, ...]]:
    """The n-grams of a text, naively; of one with fewer words, all of it."""
    words = text.lower().split()
    return {tuple(words[at : at + size]) for at in range(max(1, len(words) - size + 1))} if words else set()


@pytest.mark.parametrize("size", [1, 2, 5])
def test_signatures_agree_as_often_as_the_sets_of_ngrams_are_alike(size: int) -> None:
    rng = np.random.default_rng(7)
    banding = Banding(ngram=size, bands=200, rows=10)
    texts = [" ".join(f"w{word}" for word in rng.integers(0, 30, rng.integers(1, 60))) for _ in range(40)]
    texts += [" ".join([*text.split()[: rng.integers(1, 60)], "end"]) for text in texts]
    signed = similarity.signatures(texts, banding)
    for left, right in zip(range(40), range(40, 80), strict=True):
        one, two = ngrams(texts[left], size), ngrams(texts[right], size)
        exact = len(one & two) / len(one | two)
        agreed = int((signed[left] == signed[right]).sum())
        interval = binomtest(agreed, 2000).proportion_ci(confidence_level=0.99999)
        assert interval.low <= exact <= interval.high


def test_a_text_is_signed_the_same_beside_others() -> None:
    banding = Banding(ngram=3)
    texts = ["Two words", "", "a b c", "a b c d e", "--", "two", "Über Straße a b", "two words"]
    together = similarity.signatures(texts, banding)
    alone = np.concatenate([similarity.signatures([text], banding) for text in texts])
    assert (together == alone).all()
    assert (together[0] == together[7]).all()
    assert not (together[0] == together[5]).all()


@pytest.mark.parametrize("text", ["".join(map(chr, range(128))), "A-b_c 1.5\x1f\x85", "don't STOP"])
def test_words_of_ascii_are_cut_as_all_others_are(text: str) -> None:
    assert similarity.words(text) == similarity.words(f"{text} é")[:-1]
