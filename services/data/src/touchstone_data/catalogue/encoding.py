"""Encoders that steps use: ONNX files by address, loaded once a step."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from touchstone_runtime.encoders import Encoder, Numbers

from touchstone_data.core.steps import Parameters, Surroundings

BATCH = 8
"""Texts encoded at once; on a CPU larger batches are slower."""
THREADS = 2
FILES: dict[str, Any] = {
    "model": {"type": "string", "minLength": 1, "description": "Address of the ONNX file."},
    "tokenizer": {"type": "string", "minLength": 1, "description": "Address of its tokenizer.json."},
    "max_tokens": {"type": "integer", "minimum": 8, "maximum": 8192, "default": 256},
}


def load(parameters: Parameters, surroundings: Surroundings) -> Encoder:
    """Fetch an encoder and read its tokenizer."""
    model, tokenizer = (Path(surroundings.tools.fetch(parameters[name])) for name in ("model", "tokenizer"))
    return Encoder(model, tokenizer, threads=THREADS)


def embed(encoder: Encoder, texts: Sequence[str], *, max_tokens: int) -> Numbers:
    """Embed texts, [texts, dimensions] of length 1; those of like length are encoded together."""
    encodings = encoder.tokenize(texts, max_tokens=max_tokens)
    order = sorted(range(len(texts)), key=lambda place: len(encodings[place].ids))
    found = np.zeros((len(texts), encoder.dimensions), dtype=np.float32)
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        found[batch] = encoder.sentences([encodings[place] for place in batch])
    return found
