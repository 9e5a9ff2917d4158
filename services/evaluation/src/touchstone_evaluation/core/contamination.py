"""Items that stand in texts which a model may have been trained on. Pure. Evidence, never proof.

Two rules, by words in lower case without punctuation. An item is contaminated if one of its 13-grams stands in the
corpus (Brown et al., Language Models are Few-Shot Learners, 2020, appendix C), or if at least 70 % of its 8-grams do
(Chowdhery et al., PaLM, 2022, section 8). Of an item with fewer words, all of them are its one n-gram; one of fewer
than eight words is not told of: short texts stand anywhere.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from touchstone_evaluation.core import datasets, formats
from touchstone_evaluation.core.datasets import Drawn
from touchstone_evaluation.core.formats import Unreadable
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import CONTAMINATION, Dataset

LONG, SHORT = 13, 8
SHORT_SHARE = 0.7
"""Share of the 8-grams that must stand in the corpus."""
CLEAN, CONTAMINATED, TOO_SHORT = "clean", "contaminated", "too short to tell"

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Overlap:
    """How much of an item stands in the corpus."""

    long: float
    """Share of its 13-grams."""
    short: float
    """Share of its 8-grams."""
    words: int

    @property
    def told(self) -> str:
        """What that makes of the item."""
        if self.words < SHORT:
            return TOO_SHORT
        return CONTAMINATED if self.long > 0 or self.short >= SHORT_SHARE else CLEAN


def texts(content: bytes, corpus: Dataset) -> Iterator[str]:
    """Read a corpus: a list of texts, or of records with a `text`.

    Raises:
        Unreadable: The content is not what the dataset says.
    """
    document = formats.read(content, corpus.layout)
    number = 0
    for number, record in enumerate(datasets.selected(corpus.records, document), start=1):
        yield _text(record, number)
    if not number:
        raise Unreadable("it holds no text. Check `records`.")


def marked(drawn: Drawn, corpus: Iterable[str]) -> Drawn:
    """Note on each item what of it stands in a corpus, as metadata to slice by."""
    items = tuple(
        replace(
            item,
            metadata={
                **item.metadata,
                CONTAMINATION: overlap.told,
                "overlap_13_grams": round(overlap.long, 4),
                "overlap_8_grams": round(overlap.short, 4),
            },
        )
        for item, overlap in zip(drawn.items, overlaps([text_of(item) for item in drawn.items], corpus), strict=True)
    )
    return replace(drawn, items=items)


def overlaps(items: Sequence[str], corpus: Iterable[str]) -> list[Overlap]:
    """Compare texts with a corpus; memory is in the size of the texts, not of the corpus."""
    words = [_words(text) for text in items]
    wanted = {size: {gram for text in words for gram in _grams(text, size)} for size in _sizes(words)}
    found: set[tuple[str, ...]] = set()
    for text in corpus:
        document = _words(text)
        for size, grams in wanted.items():
            found.update(gram for gram in _windows(document, size) if gram in grams)
    return [Overlap(_share(text, LONG, found), _share(text, SHORT, found), len(text)) for text in words]


def text_of(item: Item) -> str:
    """What of an item a model may have seen: the question, its choices and its golds."""
    return " ".join((item.question, *item.choices, *item.answers))


def _sizes(words: Sequence[Sequence[str]]) -> set[int]:
    """The lengths of n-grams that are looked for: fewer than wanted where a text has no more words."""
    return {min(size, len(text)) for text in words for size in (LONG, SHORT) if len(text) >= SHORT}


def _share(words: Sequence[str], size: int, found: set[tuple[str, ...]]) -> float:
    grams = list(_grams(words, size))
    return sum(gram in found for gram in grams) / len(grams) if grams and len(words) >= SHORT else 0.0


def _grams(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    """The n-grams of a text; of one that is shorter, all of it."""
    yield from _windows(words, min(size, len(words)))


def _windows(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    for begin in range(len(words) - size + 1):
        yield tuple(words[begin : begin + size])


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _text(record: Any, number: int) -> str:
    found = record.get("text") if isinstance(record, dict) else record
    if not isinstance(found, str):
        raise Unreadable(f"record {number} of the corpus is no text and has none. Name it in `records`, as [].body.")
    return found
