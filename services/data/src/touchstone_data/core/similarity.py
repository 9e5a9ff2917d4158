"""Near duplicates by MinHash and locality-sensitive hashing. Pure.

A text is the set of its word n-grams. Two texts' signatures agree in one place with the probability of the sets'
Jaccard similarity s (Broder, On the resemblance and containment of documents, 1997); with b bands of r places each,
they share at least one band with probability 1 - (1 - s^r)^b (Leskovec, Rajaraman and Ullman, Mining of Massive
Datasets, section 3.4). Signatures are rensa's, over 32-bit places of n-grams' 64-bit hashes.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import rensa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from touchstone_data.core.steps import Corpus, Observations

Places = npt.NDArray[np.int64]

WINDOW = 16
"""Of a bucket of like records each is compared with the first and with this many that follow it."""
SEED = 1
BATCH = 256
"""Texts whose n-grams are in memory at once."""

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_WORD = re.compile(r"\w+")
_ASCII_GAPS = {code: " " for code in range(128) if not _WORD.fullmatch(chr(code))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Banding:
    """How signatures are made and cut. The defaults are FineWeb's (Penedo et al., 2024, section 3.4)."""

    ngram: int = 5
    """Words of an n-gram; a shorter text is one."""
    bands: int = 14
    rows: int = 8
    """Places of a band."""
    similarity: float = 0.7
    """Least share of equal places of two signatures that share a band; 0: sharing a band is enough."""

    def probability(self, jaccard: float) -> float:
        """The probability that two texts of a similarity share a band."""
        return float(1 - (1 - jaccard**self.rows) ** self.bands)


class Pairs(NamedTuple):
    """Records that are alike."""

    left: Places
    right: Places
    """Places in the corpus, each pair once, left before right."""


def words(text: str) -> list[str]:
    """Cut a text into words in lower case."""
    if text.isascii():  # the same, in half the time
        return text.lower().translate(_ASCII_GAPS).split()
    return _WORD.findall(text.lower())


def signatures(texts: Sequence[str], banding: Banding) -> npt.NDArray[np.uint32]:
    """Sign texts by their n-grams; of a text with fewer words, by all of it; [texts, bands * rows]."""
    places = banding.bands * banding.rows
    found = np.empty((len(texts), places), dtype=np.uint32)
    for start in range(0, len(texts), BATCH):
        batch = [words(text) for text in texts[start : start + BATCH]]
        hashes, begins = _gram_hashes(batch, banding.ngram)
        signed = rensa.RMinHash.digest_matrix_from_flat_token_hashes(hashes, begins, num_perm=places, seed=SEED)
        found[start : start + BATCH] = signed.to_rows()
    return found


def observe(texts: Sequence[str], banding: Banding) -> Observations:
    """Take from texts what finding pairs needs: a number a band, and the signature where pairs are verified."""
    signed = signatures(texts, banding)
    found: dict[str, npt.NDArray[Any]] = {
        f"band{band}": _keys(signed[:, band * banding.rows : (band + 1) * banding.rows])
        for band in range(banding.bands)
    }
    found["has_words"] = np.array([_WORD.search(text) is not None for text in texts], dtype=np.bool_)
    if banding.similarity:
        found["signature"] = signed
    return found


def pairs(corpus: Corpus, banding: Banding) -> Pairs:
    """Find records that are alike; one band is in memory at a time."""
    has_words = corpus.column("has_words")
    found = np.empty(0, dtype=np.int64)
    for band in range(banding.bands):
        left, right = buckets(corpus.column(f"band{band}"), has_words)
        found = np.union1d(found, left * corpus.size + right)
    alike = Pairs(found // max(1, corpus.size), found % max(1, corpus.size))
    if not banding.similarity or not len(found):
        return alike
    same = agreement(corpus, alike) >= banding.similarity
    return Pairs(alike.left[same], alike.right[same])


def near(texts: Sequence[str], banding: Banding) -> Pairs:
    """Find near duplicates among texts that are in memory."""
    return pairs(_Texts(observe(texts, banding)), banding)


def buckets(keys: npt.NDArray[np.uint64], has_words: npt.NDArray[np.bool_]) -> Pairs:
    """Pair records that have the same key."""
    present = np.flatnonzero(has_words)
    order = present[np.argsort(keys[present], kind="stable")]
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.empty(0, dtype=np.int64)
    first = np.repeat(order[starts], np.diff(np.r_[starts, len(ordered)]))
    left, right = [first[first != order]], [order[first != order]]
    for step in range(1, WINDOW + 1):
        same = ordered[:-step] == ordered[step:]
        if not same.any():
            break
        left.append(order[:-step][same])
        right.append(order[step:][same])
    return Pairs(np.concatenate(left).astype(np.int64), np.concatenate(right).astype(np.int64))


def agreement(corpus: Corpus, alike: Pairs) -> npt.NDArray[np.float32]:
    """Estimate the similarity of pairs: the share of equal places of their signatures."""
    wanted = np.unique(np.concatenate([alike.left, alike.right]))
    signed = np.concatenate(list(_rows(corpus, "signature", wanted)))
    left, right = np.searchsorted(wanted, alike.left), np.searchsorted(wanted, alike.right)
    shares = [(signed[a] == signed[b]).mean(axis=1) for a, b in _batches(left, right)]
    found: npt.NDArray[np.float32] = np.concatenate(shares).astype(np.float32)
    return found


def clusters(size: int, alike: Pairs) -> npt.NDArray[np.int32]:
    """Number the clusters that pairs connect; [size]."""
    links = coo_array((np.ones(len(alike.left), dtype=np.bool_), (alike.left, alike.right)), shape=(size, size))
    _, found = connected_components(links, directed=False)
    numbers: npt.NDArray[np.int32] = found
    return numbers


def keepers(cluster: npt.NDArray[np.int32], worth: npt.NDArray[np.int64]) -> Places:
    """Of each record say which of its cluster stays: that of most worth, of several the first; [records]."""
    order = np.lexsort((np.arange(len(cluster)), -worth, cluster))
    starts = np.r_[True, cluster[order][1:] != cluster[order][:-1]]
    best = np.empty(cluster.max(initial=-1) + 1, dtype=np.int64)
    best[cluster[order][starts]] = order[starts]
    return best[cluster]


def number(text: str) -> int:
    """A text as a number of 64 bits that is the same everywhere."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _gram_hashes(texts: Sequence[list[str]], size: int) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Hash the n-grams of texts without writing them: a polynomial over the hashes of their words.

    Returns:
        The hashes, one text's behind the other's, and where each text's begin and end, [texts + 1].
    """
    lengths = np.array([len(text) for text in texts], dtype=np.int64)
    padded = np.where(lengths > 0, np.maximum(lengths, size), 0)  # a short text is one n-gram, filled up with zeros
    begins = np.cumsum(padded) - padded
    hashes = np.zeros(int(padded.sum()), dtype=np.uint64)
    hashed = chain.from_iterable(rensa.RMinHash.hash_token_sets(texts))
    within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    hashes[np.repeat(begins, lengths) + within] = np.fromiter(hashed, dtype=np.uint64, count=int(lengths.sum()))
    grams = np.zeros(max(0, len(hashes) - size + 1), dtype=np.uint64)
    for place in range(size):
        grams = grams * _FACTOR + hashes[place : place + len(grams)]
    text = np.repeat(np.arange(len(texts)), padded)
    is_whole = text[: len(grams)] == text[size - 1 : size - 1 + len(grams)]
    counts = np.where(padded > 0, padded - size + 1, 0)
    return _mixed(grams[is_whole]), np.r_[0, np.cumsum(counts)].astype(np.uint64)


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread numbers over all bits (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _keys(band: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
    found = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in np.ascontiguousarray(band))
    return np.frombuffer(found, dtype=np.uint64)


def _rows(corpus: Corpus, name: str, wanted: Places) -> Iterator[npt.NDArray[np.uint32]]:
    """Read one observation of some records, shard by shard."""
    begin = 0
    for shard in corpus.shards(name):
        column = shard[name]
        here = wanted[(wanted >= begin) & (wanted < begin + len(column))] - begin
        yield column[here]
        begin += len(column)


def _batches(left: Places, right: Places, size: int = 100_000) -> Iterator[tuple[Places, Places]]:
    for start in range(0, len(left), size):
        yield left[start : start + size], right[start : start + size]


class _Texts:
    """A corpus of one shard."""

    def __init__(self, observed: Observations) -> None:
        self._observed = observed

    @property
    def size(self) -> int:
        return len(self._observed["has_words"])

    def column(self, name: str) -> npt.NDArray[Any]:
        return self._observed[name]

    def shards(self, *names: str) -> Iterator[Observations]:
        yield {name: self._observed[name] for name in names}
