"""Records that say the same in other words: of each cluster the first stays. See `core.meaning` for the method.

All embeddings are in memory when it decides: 768 bytes a record at 384 dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from touchstone_runtime.encoders import Encoder

from touchstone_data.catalogue import encoding
from touchstone_data.core import meaning, similarity
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

SAME_MEANING = "same meaning as another"


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticWork:
    """Compares embeddings."""

    paths: tuple[str, ...]
    encoder: Encoder
    max_tokens: int
    least: float

    def observe(self, records: Sequence[Record]) -> Observations:
        """Embed the texts of a shard."""
        texts = [text_of(record, self.paths) for record in records]
        vectors = encoding.embed(self.encoder, texts, max_tokens=self.max_tokens)
        has_words = np.array([bool(similarity.words(text)) for text in texts], dtype=np.bool_)
        return {"vector": np.where(has_words[:, None], vectors, 0).astype(np.float16)}  # nothing is like zero

    def decide(self, corpus: Corpus) -> Decision:
        """Keep the first of each cluster of like meaning."""
        vectors = corpus.column("vector")
        cluster = similarity.clusters(corpus.size, meaning.alike(vectors, self.least))
        kept = similarity.keepers(cluster, np.zeros(corpus.size, dtype=np.int64))
        dropped = kept != np.arange(corpus.size)
        score = np.full(corpus.size, np.nan, dtype=np.float32)
        score[dropped] = (vectors[dropped].astype(np.float32) * vectors[kept[dropped]]).sum(axis=1)
        return Decision(reason=SAME_MEANING, dropped=dropped, score=score, kept=np.where(dropped, kept, NOBODY))


def make(parameters: Parameters, surroundings: Surroundings) -> CorpusWork:
    """Compare some fields."""
    return SemanticWork(
        paths=surroundings.fields(parameters),
        encoder=encoding.load(parameters, surroundings),
        max_tokens=parameters["max_tokens"],
        least=parameters["cosine"],
    )


STEP = Step(
    name="deduplicate-semantic",
    version=1,
    description="Keeps the first of the records that say nearly the same, by the cosine of their embeddings.",
    parameters={
        "fields": FIELDS_SCHEMA,
        **encoding.FILES,
        "cosine": {"type": "number", "minimum": 0.5, "maximum": 1, "default": 0.95},
    },
    required=("model", "tokenizer"),
    by_corpus=make,
)
