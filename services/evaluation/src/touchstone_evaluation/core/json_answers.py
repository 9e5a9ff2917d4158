"""JSON in answers: read strictly, or found among other words; compared field by field with a gold document. Pure."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from touchstone_evaluation.core.spec import Json

ABSENT = object()
"""What `strict` and `find` return where there is none: null is a document."""
MAX_TRIES = 64
"""Places of an answer at which a document may begin."""


def strict(text: str) -> Any:
    """Read a text that is one JSON document and nothing else; NaN and Infinity are none."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return ABSENT


def find(text: str) -> Any:
    """Read the first object or array that a text holds, whatever is around it."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    places = [place for place, letter in enumerate(text) if letter in "{["][:MAX_TRIES]
    for place in places:
        try:
            return decoder.raw_decode(text, place)[0]
        except (ValueError, RecursionError):
            continue
    return ABSENT


def field_accuracy(found: Any, gold: Json) -> float:
    """The share of the gold's leaves that are found at the same path with an equal value; 0 to 1.

    Numbers are equal within a billionth, as 1 and 1.0; lists are compared place by place. Fields that the gold does not
    have cost nothing.
    """
    leaves = dict(_leaves(gold))
    if not leaves:
        return float(_equal(found, gold))
    present = dict(_leaves(found)) if found is not ABSENT else {}
    return sum(path in present and _equal(present[path], value) for path, value in leaves.items()) / len(leaves)


def _leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, (*path, name))
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            yield from _leaves(inner, (*path, place))
    elif path or not isinstance(value, Mapping | list):
        yield path, value


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")
