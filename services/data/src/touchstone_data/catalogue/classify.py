"""Texts that a classifier takes for something that is not wanted: toxic, an attack, off topic.

Which classifier is the pipeline's choice: any ONNX text classifier with its tokenizer. Of a long text each part of
`max_tokens` is classified, and the most probable one counts.
"""

import numpy as np
from touchstone_runtime.encoders import Encoder, EncoderInvalid

from touchstone_data.catalogue import encoding
from touchstone_data.core.records import Drop, Record, text_of
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, RecordWork, Step, Surroundings


def probability(encoder: Encoder, text: str, *, label: int, max_tokens: int) -> float:
    """The probability of a kind: softmax over several outputs, or the sigmoid of one, which is that of kind 1."""
    (whole,) = encoder.tokenize([text], max_tokens=max_tokens)
    parts = [whole, *whole.overflowing]
    most = 0.0
    for start in range(0, len(parts), encoding.BATCH):
        logits, _ = encoder.states(parts[start : start + encoding.BATCH])
        if logits.ndim != 2 or not 0 <= label < max(2, logits.shape[1]):
            shape = list(logits.shape)
            raise EncoderInvalid(
                "model", f"gives outputs of shape {shape}; [texts, kinds] with kind {label} is needed."
            )
        if logits.shape[1] == 1:
            logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        most = max(most, float((shares[:, label] / shares.sum(axis=1)).max()))
    return most


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Classify a record."""
    paths, encoder = surroundings.fields(parameters), encoding.load(parameters, surroundings)
    label, max_tokens = parameters["label"], parameters["max_tokens"]

    def work(record: Record) -> Record | Drop:
        found = probability(encoder, text_of(record, paths), label=label, max_tokens=max_tokens)
        return Drop(reason=parameters["reason"], score=found) if found >= parameters["threshold"] else record

    return work


STEP = Step(
    name="classify",
    version=1,
    description="Drops texts that an ONNX classifier takes for what is not wanted, as toxic ones.",
    parameters={
        "fields": FIELDS_SCHEMA,
        **encoding.FILES,
        "label": {"type": "integer", "minimum": 0, "default": 1, "description": "Number of the kind to drop."},
        "threshold": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.5},
        "reason": {"type": "string", "minLength": 1, "maxLength": 60, "default": "toxic"},
    },
    required=("model", "tokenizer"),
    by_record=make,
)
