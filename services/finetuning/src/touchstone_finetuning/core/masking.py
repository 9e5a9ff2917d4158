"""Which tokens the loss is of. Pure: knows places of tokens in a text, not how the text came to be."""

from collections.abc import Sequence
from typing import NamedTuple

IGNORED = -100
"""The label of a token that the loss leaves out, as torch's cross entropy has it."""


class Span(NamedTuple):
    """A part of a text, in characters; the end is not in it."""

    start: int
    end: int


def common(first: str, second: str) -> int:
    """Count the characters that two texts begin with alike."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((i for i, (one, other) in pairs if one != other), min(len(first), len(second)))


def labels(
    ids: Sequence[int], places: Sequence[Span], answers: Sequence[Span], special_ids: frozenset[int]
) -> list[int]:
    """Keep the ids of tokens that lie in an answer, and ignore all others.

    An answer ends with its last special token, which is the end of its turn: what a template writes behind that (a
    line feed, most often) is never generated. A token that begins before an answer is the prompt's.

    Args:
        ids: The tokens.
        places: Where each lies in the text.
        answers: Where the answers lie, in order.
        special_ids: The tokens that are markers.
    """
    result = [IGNORED] * len(ids)
    for answer in answers:
        inside = [i for i, place in enumerate(places) if answer.start <= place.start and place.end <= answer.end]
        ends = [i for i in inside if ids[i] in special_ids]
        for i in inside:
            if not ends or i <= ends[-1]:
                result[i] = ids[i]
    return result
