"""Records with the same text: the first stays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from touchstone_data.core import similarity
from touchstone_data.core.records import Record, text_of
from touchstone_data.core.steps import (
    FIELDS_SCHEMA,
    NOBODY,
    Corpus,
    CorpusWork,
    Decision,
    Observations,
    Parameters,
    Step,
    Surroundings,
)

DUPLICATE = "same text as another"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactWork:
    """Compares texts by 128 bits of their hash; texts without a character are not compared."""

    paths: tuple[str, ...]
    is_normalising: bool

    def observe(self, records: Sequence[Record]) -> Observations:
        """Hash the texts of a shard."""
        texts = [self._view(record) for record in records]
        return {
            "high": np.array([similarity.number(text) for text in texts], dtype=np.uint64),
            "low": np.array([similarity.number(f"\0{text}") for text in texts], dtype=np.uint64),
            "has_text": np.array([bool(text.strip()) for text in texts], dtype=np.bool_),
        }

    def decide(self, corpus: Corpus) -> Decision:
        """Keep the first of each text."""
        high, low, has_text = (corpus.column(name) for name in ("high", "low", "has_text"))
        order = np.lexsort((np.arange(corpus.size), low, high))
        same = (high[order][1:] == high[order][:-1]) & (low[order][1:] == low[order][:-1])
        starts = np.r_[True, ~same][: corpus.size]
        first = np.empty(corpus.size, dtype=np.int64)
        first[order] = order[starts][np.cumsum(starts) - 1]
        dropped = (first != np.arange(corpus.size)) & has_text
        return Decision(
            reason=DUPLICATE,
            dropped=dropped,
            score=np.where(dropped, 1.0, np.nan).astype(np.float32),
            kept=np.where(dropped, first, NOBODY),
        )

    def _view(self, record: Record) -> str:
        text = text_of(record, self.paths)
        return " ".join(text.split()).casefold() if self.is_normalising else text


def make(parameters: Parameters, surroundings: Surroundings) -> CorpusWork:
    """Compare some fields."""
    return ExactWork(paths=surroundings.fields(parameters), is_normalising=parameters["normalise"])


STEP = Step(
    name="deduplicate-exact",
    version=1,
    description="Keeps the first of the records with the same text.",
    parameters={
        "fields": FIELDS_SCHEMA,
        "normalise": {"type": "boolean", "default": True, "description": "Case and white space do not count."},
    },
    by_corpus=make,
)
