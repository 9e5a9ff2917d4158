"""Text encoders of this process, by onnxruntime; comes with the extra `encoders`.

The weights are read at the first use and shared by all threads. Without the allocation arena the process stays small
between batches; at these sizes it costs no time.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from touchstone_runtime.errors import Invalid, Violation

if TYPE_CHECKING:
    import onnxruntime

Numbers: TypeAlias = npt.NDArray[np.float32]

INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


class EncoderInvalid(Invalid):
    """The files are not those of a text encoder."""

    reason = "ENCODER_INVALID"

    def __init__(self, field: str, cause: str) -> None:
        super().__init__([Violation(field, cause)], message=f"{field} {cause}")


class Encoder:
    """A transformer that encodes texts."""

    def __init__(self, model: Path, tokenizer: Path, *, threads: int) -> None:
        """Read the tokenizer.

        Args:
            model: The ONNX file; inputs `input_ids`, `attention_mask` and perhaps `token_type_ids`; the first output
                is [batch, tokens, dimensions] or [batch, dimensions].
            tokenizer: The `tokenizer.json`.
            threads: Threads of one inference.

        Raises:
            EncoderInvalid: The tokenizer is none.
        """
        self._model = model
        self._threads = threads
        try:
            self.tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the Rust library raises bare Exception
            raise EncoderInvalid("tokenizer", f"is not a tokenizer.json: {error}") from error
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self._session: onnxruntime.InferenceSession | None = None
        self._loading = threading.Lock()

    @property
    def special_tokens(self) -> int:
        """How many tokens are put round a text."""
        return int(self.tokenizer.num_special_tokens_to_add(is_pair=False))

    @property
    def dimensions(self) -> int:
        """How many dimensions a vector has. Raises EncoderInvalid."""
        return int(self._loaded().get_outputs()[0].shape[-1])

    def tokenize(self, texts: Sequence[str], *, max_tokens: int) -> list[Encoding]:
        """Cut texts into tokens, at most so many of each, special ones among them."""
        encodings: list[Encoding] = self.tokenizer.encode_batch(list(texts))
        for encoding in encodings:
            encoding.truncate(max_tokens)
        return encodings

    def states(self, encodings: Sequence[Encoding]) -> tuple[Numbers, Numbers]:
        """Encode a batch.

        Returns:
            The first output of the model, [batch, tokens, dimensions] or [batch, dimensions], and which tokens are
            there, [batch, tokens] of 0 and 1.

        Raises:
            EncoderInvalid: The model cannot be loaded, or is no text encoder.
        """
        longest = max(len(encoding.ids) for encoding in encodings)
        ids = np.zeros((len(encodings), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        session = self._loaded()
        offered = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden: Numbers = session.run(None, {i.name: offered[i.name] for i in session.get_inputs()})[0]
        return hidden, mask.astype(np.float32)

    def sentences(self, encodings: Sequence[Encoding]) -> Numbers:
        """Embed a batch: mean over the tokens, then length 1, as sentence-transformers does; [batch, dimensions]."""
        return pooled(*self.states(encodings))

    def _loaded(self) -> "onnxruntime.InferenceSession":
        with self._loading:
            if self._session is None:
                self._session = self._load()
            return self._session

    def _load(self) -> "onnxruntime.InferenceSession":
        import onnxruntime  # noqa: PLC0415 - a process that encodes nothing starts without it

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.log_severity_level = 3  # errors; it warns of each node that it does not fold
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(str(self._model), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the C++ library has a class for each status
            raise EncoderInvalid("model", f"is not an ONNX model that can be loaded: {error}") from error
        unknown = {i.name for i in session.get_inputs()} - INPUTS
        if unknown:
            raise EncoderInvalid("model", f"wants inputs that a text encoder has not: {sorted(unknown)}.")
        return session


def pooled(hidden: Numbers, mask: Numbers) -> Numbers:
    """Make one vector a text of a model's output: the mean over the tokens that are there, then length 1."""
    if hidden.ndim == 3:
        hidden = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return normed(hidden)


def normed(vectors: Numbers) -> Numbers:
    """Make the vectors of the last axis of length 1."""
    lengths = np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    result: Numbers = (vectors / lengths).astype(np.float32)
    return result
