"""Sentence embeddings by onnxruntime: mean over the tokens, then length 1, as sentence-transformers does.

The weights are read at the first use and shared by all threads. Without the allocation arena the process stays small
between batches (see heap.py); at these sizes it costs no time.
"""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Encoding, Tokenizer
from touchstone_runtime import revisions
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
        """Read the tokenizer.

        Args:
            model: The ONNX file; inputs `input_ids`, `attention_mask` and perhaps `token_type_ids`; the first output
                is [batch, tokens, dimensions] or [batch, dimensions].
            tokenizer: The `tokenizer.json`.
            embedding: What the specification says of it.
            digests: Of the model file and of the tokenizer file.
            threads: Threads of one inference.
        """
        self._model = model
        self._embedding = embedding
        self._threads = threads
        self._digest = revisions.digest_json([*digests, embedding.max_tokens])
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the Rust library raises bare Exception
            raise errors.EmbedderInvalid(f"tokenizer_uri is not a tokenizer.json: {error}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._special_tokens = self._tokenizer.num_special_tokens_to_add(is_pair=False)
        self._session: onnxruntime.InferenceSession | None = None
        self._loading = threading.Lock()

    @property
    def digest(self) -> str:
        """Digest of the model, the tokenizer and the limit of tokens."""
        return self._digest

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts, each cut at `max_tokens`, as vectors of length 1."""
        encodings = self._tokenizer.encode_batch(list(texts))
        for encoding in encodings:
            encoding.truncate(self._embedding.max_tokens)
        vectors = np.empty((len(texts), self._embedding.dimensions), dtype=np.float32)
        lengths = [len(encoding.ids) for encoding in encodings]
        for batch in batches.by_length(lengths, size=BATCH_SIZE, max_padded=MAX_PADDED_TOKENS):
            vectors[batch] = self._infer([encodings[i] for i in batch])
        return vectors

    def splitter(self, chunking: Chunking) -> Splitter:
        """Make a splitter that counts this tokenizer's tokens and leaves room for the special ones."""
        return splitting.by_tokenizer(
            self._tokenizer, chunking, limit=self._embedding.max_tokens - self._special_tokens
        )

    def _infer(self, encodings: Sequence[Encoding]) -> Vectors:
        longest = max(len(encoding.ids) for encoding in encodings)
        ids = np.zeros((len(encodings), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        session = self._loaded()
        offered = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = session.run(None, {i.name: offered[i.name] for i in session.get_inputs()})[0]
        if hidden.ndim == 3:  # [batch, tokens, dimensions] → [batch, dimensions]
            hidden = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        norms = np.maximum(np.linalg.norm(hidden, axis=1, keepdims=True), 1e-12)
        normed: Vectors = (hidden / norms).astype(np.float32)
        return normed

    def _loaded(self) -> onnxruntime.InferenceSession:
        with self._loading:
            if self._session is None:
                self._session = self._load()
                heap.trim()
            return self._session

    def _load(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(self._model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the C++ library has a class for each status
            raise errors.EmbedderInvalid(f"model_uri is not an ONNX model that can be loaded: {error}") from error
        unknown = {i.name for i in session.get_inputs()} - {"input_ids", "attention_mask", "token_type_ids"}
        if unknown:
            raise errors.EmbedderInvalid(f"the model wants inputs that a text encoder has not: {sorted(unknown)}.")
        found = session.get_outputs()[0].shape[-1]
        if found != self._embedding.dimensions:
            raise errors.EmbedderInvalid(f"it gives {found} dimensions. Set spec.embedding.dimensions to {found}.")
        return session
