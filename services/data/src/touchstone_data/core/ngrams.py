"""Records in which texts stand that must not be trained on. Pure. Evidence, never proof.

Two rules, by words in lower case without punctuation. A record holds a text if one of the text's 13-grams stands in it
(Brown et al., Language Models are Few-Shot Learners, 2020, appendix C), or at least 70 % of its 8-grams (Chowdhery et
al., PaLM, 2022, section 8). Of a text with fewer words than that, all of them are its one n-gram; one of fewer than
eight words is not looked for: short texts stand anywhere.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from touchstone_data.core import similarity

LONG, SHORT = 13, 8
SHORT_SHARE = 0.7

Gram = tuple[str, ...]


class Hit(NamedTuple):
    """A text that stands in a record."""

    text: int
    """Its place among those that are looked for."""
    share: float
    """Of its 8-grams, how many stand in the record."""


class Wanted:
    """Texts that are looked for; memory is in the size of these."""

    def __init__(self, texts: Sequence[str]) -> None:
        found = [similarity.words(text) for text in texts]
        self._long: dict[Gram, int] = {}
        self._short: dict[Gram, list[int]] = defaultdict(list)
        self._totals: dict[int, int] = {}
        for place, text in enumerate(found):
            if len(text) < SHORT:
                continue
            for gram in _windows(text, min(LONG, len(text))):
                self._long.setdefault(gram, place)
            grams = set(_windows(text, SHORT))
            self._totals[place] = len(grams)
            for gram in grams:
                self._short[gram].append(place)
        self._sizes = sorted({len(gram) for gram in self._long})

    def __len__(self) -> int:
        """How many texts are long enough to be looked for."""
        return len(self._totals)

    def hit(self, text: str) -> Hit | None:
        """Return the text that stands most in a record, by either rule; None if none does."""
        words = similarity.words(text)
        counts: Counter[int] = Counter()
        for gram in set(_windows(words, SHORT)):
            counts.update(self._short.get(gram, ()))
        if not counts:
            return None  # a text with a long n-gram in the record has its short ones there too
        shares = {place: count / self._totals[place] for place, count in counts.items()}
        marked = {place for place, share in shares.items() if share >= SHORT_SHARE}
        for size in self._sizes:
            marked.update(self._long[gram] for gram in _windows(words, size) if gram in self._long)
        if not marked:
            return None
        best = max(sorted(marked), key=lambda place: shares[place])
        return Hit(best, shares[best])


def _windows(words: Sequence[str], size: int) -> Iterator[Gram]:
    for begin in range(len(words) - size + 1):
        yield tuple(words[begin : begin + size])
