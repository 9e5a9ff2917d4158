"""Of which kind a text is, by an ONNX classifier of this process; comes with the extra `encoders`."""

import itertools
import sys

import numpy as np

from touchstone_runtime.encoders import Encoder, EncoderInvalid, Numbers


def probability(encoder: Encoder, text: str, *, label: int, max_tokens: int) -> float:
    """Say how probable it is that a text is of a kind: of a long text, of its most probable part.

    Args:
        encoder: Its first output is logits of [texts, kinds], or of [texts, 1].
        text: Of any length.
        label: Number of the kind.
        max_tokens: What the encoder reads at once, special tokens among them.

    Raises:
        EncoderInvalid: The model cannot be loaded, is no classifier, or knows no such kind.
    """
    return max(
        _probability(encoder, part, label=label, max_tokens=max_tokens) for part in parts(encoder, text, max_tokens)
    )


def parts(encoder: Encoder, text: str, max_tokens: int) -> list[str]:
    """Cut a text into parts that the encoder can read whole; a short one is one part."""
    room = max_tokens - encoder.special_tokens
    (encoding,) = encoder.tokenize([text], max_tokens=sys.maxsize)
    offsets = [
        span for span, special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True) if not special
    ]
    starts = [0, *(offsets[place][0] for place in range(room, len(offsets), room)), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(starts)]


def share(logits: Numbers, label: int) -> float:
    """Softmax of several logits, or the sigmoid of one, which is that of kind 1; [kinds]."""
    if len(logits) == 1:
        logits = np.array([0.0, logits[0]], dtype=np.float32)
    shares = np.exp(logits - logits.max())
    return float(shares[label] / shares.sum())


def _probability(encoder: Encoder, text: str, *, label: int, max_tokens: int) -> float:
    logits, _ = encoder.states(encoder.tokenize([text], max_tokens=max_tokens))
    if logits.ndim != 2 or not 0 <= label < max(2, logits.shape[1]):
        shape = list(logits.shape)
        raise EncoderInvalid(
            "model", f"gives outputs of shape {shape}, and [texts, kinds] is needed, with a kind number {label}."
        )
    return share(logits[0], label)
