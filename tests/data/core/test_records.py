"""Paths of texts: to fields, and through lists."""

from typing import Any

import pytest
from touchstone_data.core.records import Record, text_of, texts_at, with_texts, with_texts_at

FIELDS: dict[str, Any] = {
    "body": "One.",
    "ticket": {
        "tags": ["red", 7, "", "blue"],
        "turns": [{"said": "Two."}, {"said": None}, "loose", {"said": "Three."}],
    },
}


def record(fields: Any = None) -> Record:
    return Record(id="1", source="raw", fields=FIELDS if fields is None else fields)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("body", "One."),
        ("ticket.tags[]", "red\nblue"),
        ("ticket.turns[].said", "Two.\nThree."),
        ("ticket.turns.said", ""),
        ("body[]", ""),
        ("nothing[].at.all", ""),
    ],
)
def test_texts_are_found_through_lists(path: str, text: str) -> None:
    assert text_of(record(), [path]) == text


def test_texts_are_edited_where_they_stand_and_all_else_stays() -> None:
    edited = with_texts(with_texts(record(), "ticket.turns[].said", str.upper), "ticket.tags[]", str.title)
    assert edited.fields["ticket"] == {
        "tags": ["Red", 7, "", "Blue"],
        "turns": [{"said": "TWO."}, {"said": None}, "loose", {"said": "THREE."}],
    }
    assert edited.fields["body"] == FIELDS["body"]
    assert FIELDS["ticket"]["tags"][0] == "red"


def test_texts_are_named_by_their_places_and_put_back_there() -> None:
    paths = ["body", "ticket.tags[]", "ticket.turns[].said", "nothing"]
    found = texts_at(record(), paths)
    assert found == {
        "body": "One.", "ticket.tags[0]": "red", "ticket.tags[3]": "blue",
        "ticket.turns[0].said": "Two.", "ticket.turns[3].said": "Three.",
    }  # fmt: skip
    edited = with_texts_at(record(), paths, {place: text.upper() for place, text in found.items()})
    assert texts_at(edited, paths) == {place: text.upper() for place, text in found.items()}
    assert with_texts_at(record(), paths, {"elsewhere": "x"}) == record()


@pytest.mark.parametrize("path", ["body", "ticket.turns[].said", "nothing[].here", "nothing"])
def test_a_record_that_does_not_change_is_the_same_record(path: str) -> None:
    one = record()
    assert with_texts(one, path, str) is one


def test_lists_within_lists_are_gone_through() -> None:
    nested = record({"groups": [{"turns": [{"content": "a"}, {"content": "b"}]}, {"turns": [{"content": "c"}]}]})
    assert text_of(nested, ["groups[].turns[].content"]) == "a\nb\nc"
