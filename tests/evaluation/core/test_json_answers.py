"""Answers that are to be JSON: reading them, and comparing their fields."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from touchstone_evaluation.catalogue.structured_output import TASK
from touchstone_evaluation.core import json_answers
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.task import Outcome

SCHEMA = {
    "type": "object",
    "required": ["team", "urgent"],
    "additionalProperties": False,
    "properties": {"team": {"enum": ["billing", "support"]}, "urgent": {"type": "boolean"}, "tags": {"type": "array"}},
}
GOLD = {"team": "billing", "urgent": True, "tags": ["refund", "card"]}
ITEM = Item(id="1", question="I was charged twice!", answers=(json.dumps(GOLD),))
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def score(text: str) -> dict[str, float]:
    return dict(TASK.score(ITEM, Outcome(text=text), {"schema": SCHEMA}))


def test_the_gold_itself_is_right_in_every_way() -> None:
    assert set(score(json.dumps(GOLD, indent=2) + "\n").values()) == {1.0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is billing.", {"json_valid": 0, "json_found": 0, "schema_valid": 0, "field_accuracy": 0, "exact": 0}),
        (f"Sure!\n```json\n{json.dumps(GOLD)}\n```", {"json_valid": 0, "json_found": 1, "field_accuracy": 0}),
        ('{"team": "sales", "urgent": true}', {"json_valid": 1, "schema_valid": 0, "field_accuracy": 0.25}),
        ('{"team": "billing", "urgent": true, "tags": []}', {"schema_valid": 1, "field_accuracy": 0.5, "exact": 0}),
        ('{"team": "billing", "urgent": NaN}', {"json_valid": 0, "json_found": 0}),
        ('{"team": "billing", "urgent": 1, "tags": ["refund", "card"]}', {"schema_valid": 0, "field_accuracy": 0.75}),
        ("[" * 100_000, {"json_valid": 0, "json_found": 0}),
    ],
    ids=["no JSON", "among words", "wrong value", "missing fields", "NaN", "1 is not true", "nested without end"],
)
def test_what_is_wrong_with_an_answer_is_told_apart(text: str, expected: dict[str, float]) -> None:
    found = score(text)
    assert {name: found[name] for name in expected} == expected


@given(DOCUMENTS)
def test_every_document_has_all_its_own_fields(document: Any) -> None:
    assert json_answers.field_accuracy(json.loads(json.dumps(document)), document) == 1


@given(DOCUMENTS, DOCUMENTS)
def test_accuracy_is_a_share(one: Any, other: Any) -> None:
    assert 0 <= json_answers.field_accuracy(one, other) <= 1


def test_numbers_are_equal_however_they_are_written() -> None:
    assert json_answers.field_accuracy({"n": 1}, {"n": 1.0}) == 1
    assert json_answers.field_accuracy({"n": True}, {"n": 1}) == 0


def test_the_first_document_among_words_is_found() -> None:
    assert json_answers.find('Set {x} to {"a": [1]} or {"b": 2}.') == {"a": [1]}


def test_the_engine_is_held_to_the_schema_only_when_told_to() -> None:
    assert TASK.ask(ITEM, {"schema": SCHEMA}).json_schema == ""
    assert json.loads(TASK.ask(ITEM, {"schema": SCHEMA, "constrained": True}).json_schema) == SCHEMA


def test_a_schema_that_is_none_is_refused_before_anything_is_asked() -> None:
    validator = jsonschema.Draft202012Validator(dict(TASK.parameters_schema))
    assert validator.is_valid({"schema": SCHEMA})
    assert not validator.is_valid({"schema": {"type": "telepathy"}})
    assert not validator.is_valid({})


def test_an_item_whose_gold_is_no_document_is_left_out() -> None:
    assert "no JSON document" in TASK.unfit(Item(id="1", question="q", answers=("billing",)))
