"""Rules of large corpora for web texts; see `core.quality` for their sources."""

from touchstone_data.core import quality
from touchstone_data.core.records import Drop, Record, text_of, with_texts
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, RecordWork, Step, Surroundings


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Check a record; the first rule that it breaks is the reason."""
    paths = surroundings.fields(parameters)
    rules = [quality.RULES[name] for name in parameters["rules"]]

    def work(record: Record) -> Record | Drop:
        if parameters["keep_prose_lines"]:
            for path in paths:
                record = with_texts(record, path, quality.c4_lines)
        text = text_of(record, paths)
        for rule in rules:
            if fault := next(rule(text), None):
                return Drop(reason=fault.rule, score=fault.measured)
        return record

    return work


STEP = Step(
    name="quality",
    version=2,
    description="Drops texts that break the rules of Gopher, C4 or FineWeb. Made for English web pages.",
    parameters={
        "fields": FIELDS_SCHEMA,
        "rules": {
            "type": "array",
            "items": {"enum": sorted(quality.RULES)},
            "minItems": 1,
            "uniqueItems": True,
            "default": ["gopher", "gopher-repetition"],
        },
        "keep_prose_lines": {
            "type": "boolean",
            "default": False,
            "description": "First keep only the lines that C4 keeps.",
        },
    },
    by_record=make,
)
