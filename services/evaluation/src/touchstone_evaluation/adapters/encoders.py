"""What encoders in this process say of texts: how alike they are, and of which kind.

Their files are fetched and verified like a dataset.
"""

import asyncio
import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
from touchstone_runtime import classifying
from touchstone_runtime.artefacts import Resolver, places
from touchstone_runtime.encoders import Encoder, EncoderInvalid, Numbers, normed, pooled

from touchstone_evaluation.core.task import Classification, EncoderFiles, Likeness, Outcome, Similarity

CAPACITY = 2
"""Encoders in memory; a MiniLM takes about 100 MB."""
THREADS = 1


class OnnxEncoders:
    """Compares texts by their embeddings and those of their tokens, and classifies them."""

    def __init__(self, resolver: Resolver, *, roots: tuple[Path, ...]) -> None:
        """Prepare.

        Args:
            resolver: Fetches and verifies.
            roots: Folders, resolved: a `file://` address must lie below one.
        """
        self._resolver = resolver
        self._roots = roots
        self._loading = threading.Lock()
        self._encoder = lru_cache(maxsize=CAPACITY)(self._load)

    async def compare(self, asked: Similarity) -> Outcome:
        """Compare a text with others."""
        return await asyncio.to_thread(self._compare, asked)

    def _compare(self, asked: Similarity) -> Outcome:
        encoder = self._loaded(asked.encoder)
        encodings = encoder.tokenize((asked.text, *asked.others), max_tokens=asked.encoder.max_tokens)
        hidden, mask = encoder.states(encodings)
        if hidden.ndim != 3:
            raise EncoderInvalid("model", "gives vectors of texts, and those of their tokens are needed.")
        vectors = pooled(hidden, mask)
        tokens = [
            normed(hidden[row, np.flatnonzero(np.array(encoding.special_tokens_mask) == 0)])
            for row, encoding in enumerate(encodings)
        ]
        return Outcome(
            likenesses=tuple(
                matching(tokens[0], other, cosine=float(vectors[0] @ vectors[row]))
                for row, other in enumerate(tokens[1:], start=1)
            )
        )

    async def classify(self, asked: Classification) -> Outcome:
        """Say how probable it is that a text is of a kind: of a long text, of its most probable part."""
        return await asyncio.to_thread(self._classify, asked)

    def _classify(self, asked: Classification) -> Outcome:
        files = asked.classifier
        found = classifying.probability(self._loaded(files), asked.text, label=asked.label, max_tokens=files.max_tokens)
        return Outcome(probability=found)

    def _loaded(self, files: EncoderFiles) -> Encoder:
        with self._loading:
            return self._encoder(files)

    def _load(self, files: EncoderFiles) -> Encoder:
        model, tokenizer = (self._fetched(uri) for uri in (files.model, files.tokenizer))
        return Encoder(model, tokenizer, threads=THREADS)

    def _fetched(self, uri: str) -> Path:
        places.check(uri, *self._roots)
        return self._resolver.resolve_sync(uri).path


def matching(text: Numbers, other: Numbers, *, cosine: float) -> Likeness:
    """Match each token with the most alike one of the other text (Zhang et al., BERTScore, ICLR 2020, section 3).

    Args:
        text: The embeddings of its tokens, of length 1; [tokens, dimensions].
        other: Those of what it is held against.
        cosine: Of the texts as wholes.
    """
    if not len(text) or not len(other):
        same = float(len(text) == len(other))
        return Likeness(cosine, same, same, same)
    alike = text @ other.T
    precision, recall = float(alike.max(axis=1).mean()), float(alike.max(axis=0).mean())
    total = precision + recall
    return Likeness(cosine, precision, recall, 2 * precision * recall / total if total > 0 else 0.0)
