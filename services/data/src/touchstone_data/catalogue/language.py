"""The language of a text, by py3langid (Lui and Baldwin, langid.py, 2012)."""

from functools import cache
from typing import NamedTuple

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from touchstone_data.core.records import Drop, Record, text_of
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, RecordWork, Step, Surroundings

OTHER, UNSURE = "other language", "language not sure"
MAX_CHARACTERS = 10_000
"""More of a text does not change what it is taken for."""


@cache
def identifier() -> LanguageIdentifier:
    """Load the model, once a process."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


class Told(NamedTuple):
    """What a text was taken for."""

    code: str
    probability: float


def told(text: str) -> Told:
    """Tell the language of a text."""
    code, probability = identifier().classify(text[:MAX_CHARACTERS])
    return Told(str(code), float(probability))


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Tell the language of a record."""
    paths = surroundings.fields(parameters)
    wanted, least = frozenset(parameters["languages"]), parameters["min_probability"]

    def work(record: Record) -> Record | Drop:
        found = told(text_of(record, paths))
        if found.code not in wanted:
            return Drop(reason=OTHER, score=found.probability, detail=found.code)
        if found.probability < least:
            return Drop(reason=UNSURE, score=found.probability, detail=found.code)
        return record

    return work


STEP = Step(
    name="language",
    version=1,
    description="Drops texts of other languages than those named, of 97 that are known.",
    parameters={
        "fields": FIELDS_SCHEMA,
        "languages": {
            "type": "array", "items": {"type": "string", "pattern": "^[a-z]{2}$"}, "minItems": 1,
            "description": "ISO 639-1 codes.",
        },
        "min_probability": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.0},
    },
    required=("languages",),
    by_record=make,
)  # fmt: skip
