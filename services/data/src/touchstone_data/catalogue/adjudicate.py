"""One label out of those that several people gave."""

from collections import Counter
from functools import partial

from touchstone_data.catalogue import annotations
from touchstone_data.core.records import Drop, Record, with_value
from touchstone_data.core.steps import Parameters, RecordWork, Step, Surroundings

TOO_FEW, DISPUTED = "too few annotations", "annotators disagree"


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Take the label that most gave."""
    return partial(_work, parameters=parameters)


def _work(record: Record, *, parameters: Parameters) -> Record | Drop:
    labels = annotations.labels(record, parameters)
    if len(labels) < parameters["min_annotations"]:
        return Drop(reason=TOO_FEW, score=len(labels))
    ((label, votes), *others) = Counter(labels).most_common(2)
    share = votes / len(labels)
    if share < parameters["min_share"] or (others and others[0][1] == votes):
        return Drop(reason=DISPUTED, score=share, detail=", ".join(sorted(set(labels)))[:200])
    return with_value(record, parameters["into"], label)


STEP = Step(
    name="adjudicate",
    version=1,
    description="Takes the label that most annotators gave, and drops records on which they disagree.",
    parameters={
        **annotations.SCHEMA,
        "into": {"type": "string", "minLength": 1, "default": "label", "description": "Path that gets the label."},
        "min_annotations": {"type": "integer", "minimum": 1, "maximum": 16, "default": 2},
        "min_share": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5},
    },
    by_record=make,
)
