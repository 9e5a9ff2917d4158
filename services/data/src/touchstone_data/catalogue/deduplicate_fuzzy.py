"""Records with nearly the same text: of each cluster one stays. See `core.similarity` for the method."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from touchstone_data.core import similarity
from touchstone_data.core.records import Record, text_of
from touchstone_data.core.similarity import Banding, Pairs
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

NEAR_DUPLICATE = "nearly the same text as another"
BANDING = {
    "ngram": {"type": "integer", "minimum": 1, "maximum": 20, "default": 5, "description": "Words of an n-gram."},
    "bands": {"type": "integer", "minimum": 1, "maximum": 256, "default": 14},
    "rows": {"type": "integer", "minimum": 1, "maximum": 64, "default": 8},
    "similarity": {
        "type": "number", "minimum": 0, "maximum": 1, "default": 0.7,
        "description": "Least Jaccard similarity, as estimated of the signatures, of two that share a band. 0: any.",
    },
}  # fmt: skip


def banding(parameters: Parameters) -> Banding:
    """Read how signatures are cut."""
    return Banding(**{name: parameters[name] for name in BANDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzyWork:
    """Finds near duplicates and keeps one of each cluster."""

    paths: tuple[str, ...]
    banding: Banding
    is_longest: bool

    def observe(self, records: Sequence[Record]) -> Observations:
        """Sign the texts of a shard."""
        texts = [text_of(record, self.paths) for record in records]
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        return {**similarity.observe(texts, self.banding), "length": lengths}

    def decide(self, corpus: Corpus) -> Decision:
        """Keep the first, or the longest, of each cluster."""
        alike = similarity.pairs(corpus, self.banding)
        cluster = similarity.clusters(corpus.size, alike)
        worth = corpus.column("length") if self.is_longest else np.zeros(corpus.size, dtype=np.int64)
        kept = similarity.keepers(cluster, worth)
        dropped = kept != np.arange(corpus.size)
        return Decision(
            reason=NEAR_DUPLICATE,
            dropped=dropped,
            score=self._scores(corpus, kept, dropped),
            kept=np.where(dropped, kept, NOBODY),
            facts={"clusters": len(np.unique(cluster[dropped])), "pairs": len(alike.left)},
        )

    def _scores(
        self, corpus: Corpus, kept: npt.NDArray[np.int64], dropped: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float32]:
        """Estimate the similarity to the record that stays; of one that a chain connects it may be low."""
        scores = np.full(corpus.size, np.nan, dtype=np.float32)
        if self.banding.similarity and dropped.any():
            scores[dropped] = similarity.agreement(corpus, Pairs(np.flatnonzero(dropped), kept[dropped]))
        return scores


def make(parameters: Parameters, surroundings: Surroundings) -> CorpusWork:
    """Compare some fields."""
    return FuzzyWork(
        paths=surroundings.fields(parameters), banding=banding(parameters), is_longest=parameters["keep"] == "longest"
    )


STEP = Step(
    name="deduplicate-fuzzy",
    version=2,
    description="Keeps one of each cluster of records with nearly the same text (MinHash and LSH over word n-grams).",
    parameters={
        "fields": FIELDS_SCHEMA,
        **BANDING,
        "keep": {"enum": ["first", "longest"], "default": "first", "description": "Which of a cluster stays."},
    },
    by_corpus=make,
)
