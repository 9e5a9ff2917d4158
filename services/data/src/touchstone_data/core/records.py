"""Records: the one noun. Pure.

A record is a JSON object with an id and the name of where it came from. Fields are named by paths: `body`,
`ticket.subject`. Paths of texts may go through lists: `messages[].content`; all others do not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None

TRAIN = "train"
EACH = "[]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One record."""

    id: str
    """Unique in its source."""
    source: str
    """Name of the source."""
    fields: Mapping[str, Json]
    split: str = TRAIN
    """What it is for: train, validation or test."""
    made_by: str = ""
    """The use of the step that made it; empty: it was read."""
    made_from: str = ""
    """Id of the record that it was made of, in the same source; empty: it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Why a record is left out."""

    reason: str
    """A few words, the same for all records of the kind: `too short`."""
    score: float | None = None
    """What was measured, where something was."""
    detail: str = ""
    """What it was compared with: the id of the record that stays, the field, the value."""
    is_blocking: bool = False
    """Whether the pipeline must not succeed with such a record in its input."""


def value_at(fields: Mapping[str, Json], path: str) -> Json:
    """Return what is at a path; None where there is nothing."""
    found: Json = fields
    for name in path.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found


def text_of(record: Record, paths: Sequence[str]) -> str:
    """Return the texts at some paths as one, a line between them; what is no text is left out."""
    return "\n".join(text for path in paths for _, text in _texts(record.fields, path))


def with_value(record: Record, path: str, value: Json) -> Record:
    """Put a value at a path; objects on the way are made where there are none."""
    return replace(record, fields=_put(record.fields, path.split("."), value))


def with_texts(record: Record, path: str, edit: Callable[[str], str]) -> Record:
    """Edit the texts at a path; the same record where nothing changes."""
    fields = _edited(record.fields, path, lambda _, text: edit(text))
    return record if fields is record.fields else replace(record, fields=fields)


def texts_at(record: Record, paths: Sequence[str]) -> dict[str, str]:
    """Return the texts at some paths by their places: `messages[0].content`."""
    return {place: text for path in paths for place, text in _texts(record.fields, path)}


def with_texts_at(record: Record, paths: Sequence[str], texts: Mapping[str, str]) -> Record:
    """Put texts in the places where `texts_at` found those of the same paths; others stay."""
    fields = record.fields
    for path in paths:
        fields = _edited(fields, path, texts.get)
    return replace(record, fields=fields)


def _texts(fields: Mapping[str, Json], path: str, above: str = "") -> Iterator[tuple[str, str]]:
    head, is_list, rest = path.partition(EACH)
    value = value_at(fields, head)
    if not is_list:
        if isinstance(value, str) and value:
            yield above + head, value
        return
    for number, one in enumerate(value if isinstance(value, Sequence) and not isinstance(value, str) else ()):
        place = f"{above}{head}[{number}]"
        if isinstance(one, Mapping):
            yield from _texts(one, rest.removeprefix("."), f"{place}.")
        elif isinstance(one, str) and one and not rest:
            yield place, one


def _edited(
    fields: Mapping[str, Json], path: str, edit: Callable[[str, str], str], above: str = ""
) -> Mapping[str, Json]:
    """Edit each text, given its place."""
    head, is_list, rest = path.partition(EACH)
    value = value_at(fields, head)
    changed = value
    if not is_list:
        changed = edit(above + head, value) if isinstance(value, str) else value
    elif isinstance(value, Sequence) and not isinstance(value, str):
        changed = [
            _edited_one(one, rest.removeprefix("."), edit, f"{above}{head}[{number}]")
            for number, one in enumerate(value)
        ]
    return fields if changed == value else _put(fields, head.split("."), changed)


def _edited_one(one: Json, path: str, edit: Callable[[str, str], str], place: str) -> Json:
    if isinstance(one, Mapping):
        return _edited(one, path, edit, f"{place}.")
    return edit(place, one) if isinstance(one, str) and not path else one


def _put(fields: Mapping[str, Json], path: Sequence[str], value: Json) -> Mapping[str, Json]:
    name, *rest = path
    if not rest:
        return {**fields, name: value}
    below = fields.get(name)
    return {**fields, name: _put(below if isinstance(below, Mapping) else {}, rest, value)}
