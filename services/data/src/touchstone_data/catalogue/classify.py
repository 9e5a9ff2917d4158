"""Texts that a classifier takes for something that is not wanted: toxic, an attack, off topic.

Which classifier is the pipeline's choice: any ONNX text classifier with its tokenizer. Of a long text each part of
`max_tokens` is classified, and the most probable one counts.
"""

from touchstone_runtime import classifying

from touchstone_data.catalogue import encoding
from touchstone_data.core.records import Drop, Record, text_of
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, RecordWork, Step, Surroundings


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Classify a record."""
    paths, encoder = surroundings.fields(parameters), encoding.load(parameters, surroundings)
    label, max_tokens = parameters["label"], parameters["max_tokens"]

    def work(record: Record) -> Record | Drop:
        found = classifying.probability(encoder, text_of(record, paths), label=label, max_tokens=max_tokens)
        return Drop(reason=parameters["reason"], score=found) if found >= parameters["threshold"] else record

    return work


STEP = Step(
    name="classify",
    version=2,
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
