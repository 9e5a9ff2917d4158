"""What encoders in this process say of texts: how alike they are, and of which kind.

Their files are fetched and verified like a dataset.
"""

import asyncio
import itertools
import sys
import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
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
        encoder = self._loaded(asked.classifier)
        parts = windows(encoder, asked.text, asked.classifier.max_tokens)
        found = []
        for part in parts:
            logits, _ = encoder.states(encoder.tokenize([part], max_tokens=asked.classifier.max_tokens))
            if logits.ndim != 2 or not 0 <= asked.label < max(2, logits.shape[1]):
                raise EncoderInvalid(
                    "classifier", f"gives outputs of shape {list(logits.shape)}, and [texts, kinds] is needed, "
                    f"with a kind number {asked.label}.",
                )  # fmt: skip
            found.append(probability(logits[0], asked.label))
        return Outcome(probability=max(found))

    def _loaded(self, files: EncoderFiles) -> Encoder:
        with self._loading:
            return self._encoder(files)

    def _load(self, files: EncoderFiles) -> Encoder:
        model, tokenizer = (self._fetched(uri) for uri in (files.model, files.tokenizer))
        return Encoder(model, tokenizer, threads=THREADS)

    def _fetched(self, uri: str) -> Path:
        places.check(uri, *self._roots)
        return self._resolver.resolve_sync(uri).path


def windows(encoder: Encoder, text: str, max_tokens: int) -> list[str]:
    """Cut a text into parts that the encoder can read whole; a short one is one part."""
    room = max_tokens - encoder.special_tokens
    (encoding,) = encoder.tokenize([text], max_tokens=sys.maxsize)
    offsets = [
        span for span, special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True) if not special
    ]
    starts = [0, *(offsets[place][0] for place in range(room, len(offsets), room)), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(starts)]


def probability(logits: Numbers, label: int) -> float:
    """Softmax of several logits, or the sigmoid of one, which is that of kind 1."""
    if len(logits) == 1:
        logits = np.array([0.0, logits[0]], dtype=np.float32)
    shares = np.exp(logits - logits.max())
    return float(shares[label] / shares.sum())


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
