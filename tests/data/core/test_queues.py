"""What a queue may ask, and what its labels must be."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from touchstone_data.core import queues
from touchstone_data.core.queues import QueueSpec

SCHEMA = {
    "type": "object",
    "properties": {"queue": {"enum": ["billing", "shipping"]}, "urgent": {"type": "boolean"}},
    "required": ["queue"],
    "additionalProperties": False,
}
CHOICES = QueueSpec(name="tickets", guideline="Say which.", choices=("billing", "shipping"))
OBJECTS = QueueSpec(name="tickets", guideline="Say which.", json_schema=json.dumps(SCHEMA))


@pytest.mark.parametrize(
    ("spec", "label", "fields"),
    [
        (CHOICES, "billing", []),
        (CHOICES, "Billing", ["label"]),
        (CHOICES, "", ["label"]),
        (OBJECTS, '{"queue": "billing", "urgent": true}', []),
        (OBJECTS, '{"urgent": 1}', ["label", "label.urgent"]),
        (OBJECTS, '{"queue": "other"}', ["label.queue"]),
        (OBJECTS, '{"queue": NaN}', ["label"]),
        (OBJECTS, "[]", ["label"]),
        (OBJECTS, "{", ["label"]),
        (OBJECTS, '{"queue": "' + "x" * 8192 + '"}', ["label"]),
    ],
)
def test_labels_are_held_to_the_queue_by_field(spec: QueueSpec, label: str, fields: list[str]) -> None:
    assert [fault.field for fault in queues.label_faults(spec, label)] == fields


def test_equal_objects_are_equal_labels() -> None:
    written = [
        queues.canonical(OBJECTS, text) for text in ('{"urgent":true,"queue":"a"}', '{ "queue": "a", "urgent": true }')
    ]
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Tickets"}, "spec.name"),
        ({"guideline": ""}, "spec.guideline"),
        ({"choices": ()}, "spec"),
        ({"json_schema": "{}"}, "spec"),
        ({"choices": ("one",)}, "spec.choices"),
        ({"choices": ("one", "one")}, "spec.choices"),
        ({"choices": ("one", " two")}, "spec.choices[1]"),
        ({"choices": (), "json_schema": "{"}, "spec.json_schema"),
        ({"choices": (), "json_schema": '{"type": "string"}'}, "spec.json_schema"),
        (
            {"choices": (), "json_schema": '{"type": "object", "properties": {"a": {"type": "none"}}}'},
            "spec.json_schema",
        ),
        (
            {"choices": (), "json_schema": '{"type": "object", "properties": {"a": {"$ref": "http://x/y"}}}'},
            "spec.json_schema",
        ),
        ({"annotators_per_item": 17}, "spec.annotators_per_item"),
        ({"overlap": 1.5}, "spec.overlap"),
        ({"overlap": float("nan")}, "spec.overlap"),
        ({"min_alpha": 2.0}, "spec.min_alpha"),
        ({"lease_seconds": 5}, "spec.lease_seconds"),
    ],
)
def test_a_queue_that_cannot_be_worked_on_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    assert list(queues.spec_faults(CHOICES)) == []
    assert list(queues.spec_faults(OBJECTS)) == []
    assert [fault.field for fault in queues.spec_faults(replace(CHOICES, **change))] == [field]


def test_the_overlap_is_the_share_of_items_that_several_annotate() -> None:
    spec = replace(CHOICES, annotators_per_item=3, overlap=0.25)
    wanted = Counter(spec.wanted(str(number)) for number in range(4000))
    assert set(wanted) == {1, 3}
    assert wanted[3] / 4000 == pytest.approx(0.25, abs=0.03)
    assert {replace(CHOICES, overlap=1.0).wanted(str(n)) for n in range(100)} == {3}
    assert {replace(CHOICES, overlap=0.0).wanted(str(n)) for n in range(100)} == {1}
