"""Labels that several people gave to a record, in a field that holds a list of objects."""

from collections.abc import Mapping, Sequence
from typing import Any

from touchstone_data.core.records import Record, value_at
from touchstone_data.core.steps import Parameters

SCHEMA: dict[str, Any] = {
    "annotations": {
        "type": "string", "minLength": 1, "default": "annotations",
        "description": "Path of the list of objects, one an annotator.",
    },
    "label": {"type": "string", "minLength": 1, "default": "label", "description": "Path of the label in an object."},
}  # fmt: skip


def labels(record: Record, parameters: Parameters) -> Sequence[str]:
    """Return the labels of a record; what is no text is left out."""
    given = value_at(record.fields, parameters["annotations"])
    if not isinstance(given, Sequence) or isinstance(given, str):
        return []
    found = (value_at(one, parameters["label"]) for one in given if isinstance(one, Mapping))
    return [label for label in found if isinstance(label, str) and label]
