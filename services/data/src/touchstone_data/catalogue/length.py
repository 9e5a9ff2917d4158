"""Texts that are neither too short nor too long."""

from touchstone_data.core.records import Drop, Record, text_of
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, RecordWork, Step, Surroundings

TOO_SHORT, TOO_LONG = "too short", "too long"
_BOUND = {"type": "integer", "minimum": 0, "default": 0}


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Measure a record; a bound of 0 is none."""
    paths = surroundings.fields(parameters)
    low_characters, high_characters = parameters["min_characters"], parameters["max_characters"]
    low_words, high_words = parameters["min_words"], parameters["max_words"]

    def work(record: Record) -> Record | Drop:
        text = text_of(record, paths)
        characters, words = len(text), len(text.split())
        for measured, low, high, unit in (
            (characters, low_characters, high_characters, "characters"),
            (words, low_words, high_words, "words"),
        ):
            if measured < low:
                return Drop(reason=TOO_SHORT, score=measured, detail=unit)
            if high and measured > high:
                return Drop(reason=TOO_LONG, score=measured, detail=unit)
        return record

    return work


def check(parameters: Parameters) -> str:
    """Say which bounds contradict each other, or that there are none."""
    bounds = {name: parameters[name] for name in ("min_characters", "max_characters", "min_words", "max_words")}
    if not any(bounds.values()):
        return "There is no bound. Set at least one of min_characters, max_characters, min_words and max_words."
    for unit in ("characters", "words"):
        if 0 < bounds[f"max_{unit}"] < bounds[f"min_{unit}"]:
            return f"max_{unit} is below min_{unit}."
    return ""


STEP = Step(
    name="length",
    version=1,
    description="Drops texts that are too short or too long, in characters or in words that white space separates.",
    parameters={
        "fields": FIELDS_SCHEMA,
        **dict.fromkeys(("min_characters", "max_characters", "min_words", "max_words"), _BOUND),
    },
    by_record=make,
    check=check,
)
