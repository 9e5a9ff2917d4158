"""Sentence embeddings in this process, in batches that fit the memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from touchstone_runtime import revisions
from touchstone_runtime.encoders import Encoder, EncoderInvalid
from touchstone_runtime.revisions import Digest

from touchstone_retrieval import errors
from touchstone_retrieval.adapters import heap, splitting
from touchstone_retrieval.core import batches
from touchstone_retrieval.core.spec import Chunking, Embedding
from touchstone_retrieval.ports import Splitter, Vectors

BATCH_SIZE = 8
"""Texts of a batch; larger ones are slower on a CPU."""

MAX_PADDED_TOKENS = 2048
"""Tokens of a padded batch, so that a batch of long texts does not take the memory of eight."""


class OnnxEmbedder:
    """A sentence encoder in this process."""

    def __init__(
        self, model: Path, tokenizer: Path, *, embedding: Embedding, digests: Sequence[Digest], threads: int
    ) -> None:
        """Read the tokenizer; the weights are read at the first use.

        Args:
            model: The ONNX file, as `touchstone_runtime.encoders` takes it.
            tokenizer: The `tokenizer.json`.
            embedding: What the specification says of it.
            digests: Of the model file and of the tokenizer file.
            threads: Threads of one inference.
        """
        self._embedding = embedding
        self._digest = revisions.digest_json([*digests, embedding.max_tokens])
        self._is_checked = False
        try:
            self._encoder = Encoder(model, tokenizer, threads=threads)
        except EncoderInvalid as error:
            raise errors.EmbedderInvalid(error.message) from error

    @property
    def digest(self) -> str:
        """Digest of the model, the tokenizer and the limit of tokens."""
        return self._digest

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, each cut at `max_tokens`, as vectors of length 1."""
        self._check()
        encodings = self._encoder.tokenize(texts, max_tokens=self._embedding.max_tokens)
        vectors = np.empty((len(texts), self._embedding.dimensions), dtype=np.float32)
        lengths = [len(encoding.ids) for encoding in encodings]
        for batch in batches.by_length(lengths, size=BATCH_SIZE, max_padded=MAX_PADDED_TOKENS):
            vectors[batch] = self._encoder.sentences([encodings[i] for i in batch])
        return vectors

    def splitter(self, chunking: Chunking) -> Splitter:
        """Make a splitter that counts this tokenizer's tokens and leaves room for the special ones."""
        limit = self._embedding.max_tokens - self._encoder.special_tokens
        return splitting.by_tokenizer(self._encoder.tokenizer, chunking, limit=limit)

    def _check(self) -> None:
        """Hold the model against the specification once, which reads the weights."""
        if self._is_checked:
            return
        try:
            found = self._encoder.dimensions
        except EncoderInvalid as error:
            raise errors.EmbedderInvalid(error.message) from error
        if found != self._embedding.dimensions:
            raise errors.EmbedderInvalid(f"it gives {found} dimensions. Set spec.embedding.dimensions to {found}.")
        self._is_checked = True
        heap.trim()
