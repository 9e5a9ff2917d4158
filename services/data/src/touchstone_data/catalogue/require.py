"""Records that are as they must be: fields that are there, labels that are known, a JSON Schema that holds."""

import jsonschema

from touchstone_data.core.records import Drop, Record, value_at
from touchstone_data.core.steps import Parameters, RecordWork, Step, Surroundings

MISSING, UNKNOWN_LABEL, NOT_BY_SCHEMA = "field missing", "label not known", "schema violated"


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Check a record."""
    wanted = tuple(parameters["fields"])
    labels = {path: frozenset(values) for path, values in parameters["labels"].items()}
    validator = jsonschema.Draft202012Validator(parameters["schema"]) if parameters["schema"] else None

    def work(record: Record) -> Record | Drop:
        for path in wanted:
            value = value_at(record.fields, path)
            if value is None or (isinstance(value, str) and not value.strip()):
                return Drop(reason=MISSING, detail=path)
        for path, known in labels.items():
            value = value_at(record.fields, path)
            if not isinstance(value, str) or value not in known:
                return Drop(reason=UNKNOWN_LABEL, detail=f"{path}: {value!r}"[:200])
        if validator and (error := next(validator.iter_errors(record.fields), None)):
            return Drop(reason=NOT_BY_SCHEMA, detail=f"{error.json_path}: {error.message}"[:200])
        return record

    return work


def check(parameters: Parameters) -> str:
    """Say what is wrong with the schema, or that nothing is asked."""
    if not any(parameters[name] for name in ("fields", "labels", "schema")):
        return "Nothing is required. Name fields, labels or a schema."
    try:
        jsonschema.Draft202012Validator.check_schema(parameters["schema"])
    except jsonschema.SchemaError as error:
        return f"The schema is no JSON Schema: {error.message}."
    return ""


STEP = Step(
    name="require",
    version=1,
    description="Drops records without the fields, labels or form that they must have.",
    parameters={
        "fields": {
            "type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 64, "default": [],
            "description": "Paths of fields that must be there and, where they are texts, not be blank.",
        },
        "labels": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "default": {},
            "description": "The values that fields may have, by path.",
        },
        "schema": {"type": "object", "default": {}, "description": "A JSON Schema of the whole record."},
    },
    by_record=make,
    check=check,
)  # fmt: skip
