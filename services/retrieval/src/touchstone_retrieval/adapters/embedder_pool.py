"""Encoders of this process, by what the specification says of them."""

import threading
from collections import OrderedDict
from pathlib import Path

from touchstone_runtime.errors import DomainError

from touchstone_retrieval import errors
from touchstone_retrieval.adapters import splitting
from touchstone_retrieval.adapters.onnx_embedder import OnnxEmbedder
from touchstone_retrieval.adapters.sources import FileResolver, ResolvedFile
from touchstone_retrieval.core.spec import Chunking, Embedding
from touchstone_retrieval.ports import Embedder, Splitter

CAPACITY = 2
"""Encoders in memory; a MiniLM takes about 100 MB."""


class EmbedderPool:
    """Loads encoders and keeps those last used."""

    def __init__(self, resolver: FileResolver, *, threads: int) -> None:
        self._resolver = resolver
        self._threads = threads
        self._loaded: OrderedDict[Embedding, OnnxEmbedder] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, embedding: Embedding) -> Embedder:
        """Load an encoder; its weights are read at its first use."""
        with self._lock:
            found = self._loaded.get(embedding)
            if found is None:
                model = self._resolve(embedding.model_uri)
                tokenizer = self._resolve(embedding.tokenizer_uri)
                found = OnnxEmbedder(
                    Path(model.path),
                    Path(tokenizer.path),
                    embedding=embedding,
                    digests=[model.digest, tokenizer.digest],
                    threads=self._threads,
                )
                self._loaded[embedding] = found
                while len(self._loaded) > CAPACITY:
                    self._loaded.popitem(last=False)
            self._loaded.move_to_end(embedding)
            return found

    def words(self, chunking: Chunking) -> Splitter:
        """Make a splitter that counts words."""
        return splitting.by_words(chunking)

    def _resolve(self, uri: str) -> ResolvedFile:
        try:
            return self._resolver.resolve_sync(uri)
        except DomainError as error:
            if error.is_retryable:
                raise errors.EmbedderUnavailable(error.message) from error
            raise errors.EmbedderInvalid(error.message) from error
