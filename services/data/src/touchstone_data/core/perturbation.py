"""Small changes of texts by rules (Wei and Zou, EDA, 2019, section 2; the noise of keyboards). Pure.

Words that hold what must stay, as numbers, addresses and placeholders, are never touched, nor are those that are named,
nor those of English that deny: without them a text says the contrary.
All draws come from the caller's generator.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from touchstone_data.core import verification

_PIECE = re.compile(r"\{\{.*?\}\}|\S+|\s+")
_CORE = re.compile(r"[^\W\d_](?:[\w'’-]*[^\W\d_])?")
_DENIES = re.compile(r"not|no|none|nor|neither|never|nobody|nothing|without|cannot|\w+n['’]t", re.IGNORECASE)
_SLOT = re.compile(r"<([A-Z][A-Z0-9_]*)>|\{(\w+)\}|\{\{\s*(\w+)\s*\}\}")
_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
MIN_TYPO_LETTERS = 4
"""Shorter words become others by a typing error."""


class Operation(StrEnum):
    """What is done to a text."""

    SWAP = "swap"
    """Two words change places."""
    DELETE = "delete"
    """Words are left out."""
    TYPO = "typo"
    """A key beside the right one, a letter left out, doubled, or in the place of the next."""
    CASE = "case"
    """All in lower case, all in capitals, or words capitalised."""
    SYNONYM = "synonym"
    """Words are replaced by others of the given lists."""
    INSERT = "insert"
    """Such a word is put in elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How much is changed, and what stays."""

    rate: float
    """Share of the words that an operation changes; one at least."""
    kept: frozenset[str] = frozenset()
    """Words that stay, in lower case."""
    synonyms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By word in lower case."""


def filled(text: str, slots: Mapping[str, Sequence[str]], rng: random.Random) -> str:
    """Fill placeholders, as `<NAME>` and `{name}`, with values that are given for them; others stay."""

    def value(found: re.Match[str]) -> str:
        name = next(group for group in found.groups() if group)
        return rng.choice(slots[name]) if name in slots else found[0]

    return _SLOT.sub(value, text)


def perturbed(text: str, operation: Operation, rules: Rules, rng: random.Random) -> str:
    """Change a text; one that has nothing to be changed comes back as it is."""
    pieces = _PIECE.findall(text)
    free = [place for place, piece in enumerate(pieces) if _is_free(piece, rules.kept)]
    if free:
        _OPERATIONS[operation](pieces, free, rules, rng)
    return "".join(pieces)


def _is_free(piece: str, kept: frozenset[str]) -> bool:
    core = _CORE.search(piece)
    if core is None or core[0].lower() in kept or _DENIES.fullmatch(core[0]):
        return False
    return not verification.spans(piece) and "{" not in piece


def _some(places: Sequence[int], words: int, rate: float, rng: random.Random) -> list[int]:
    return rng.sample(places, min(len(places), max(1, round(rate * words))))


def _swap(pieces: list[str], free: list[int], rules: Rules, rng: random.Random) -> None:
    for _ in range(max(1, round(rules.rate * len(free) / 2))):
        if len(free) > 1:
            one, other = rng.sample(free, 2)
            words = _core(pieces[one]), _core(pieces[other])
            pieces[one], pieces[other] = _replaced(pieces[one], words[1]), _replaced(pieces[other], words[0])


def _delete(pieces: list[str], free: list[int], rules: Rules, rng: random.Random) -> None:
    if len(free) < 2:  # a text of one word says nothing without it
        return
    for place in _some(free[:-1] if rng.random() < 0.5 else free[1:], len(free), rules.rate, rng):
        pieces[place] = ""
        gap = place + 1 if place + 1 < len(pieces) else place - 1
        if not pieces[gap].strip(" "):
            pieces[gap] = ""


def _typo(pieces: list[str], free: list[int], rules: Rules, rng: random.Random) -> None:
    long = [place for place in free if len(_core(pieces[place])) >= MIN_TYPO_LETTERS]
    for place in _some(long, len(free), rules.rate, rng):
        pieces[place] = _replaced(pieces[place], _mistyped(_core(pieces[place]), rng))


def _mistyped(word: str, rng: random.Random) -> str:
    place = rng.randrange(1, len(word) - 1)  # the first letter and the last are seldom wrong
    before, letter, after = word[:place], word[place], word[place + 1 :]
    kinds = [before + after, before + letter * 2 + after, before + after[0] + letter + after[1:]]
    if beside := _beside(letter):
        kinds.append(before + rng.choice(beside) + after)
    return rng.choice(kinds)


def _beside(letter: str) -> list[str]:
    for row, keys in enumerate(_ROWS):
        if (place := keys.find(letter.lower())) >= 0:
            near = [keys[place - 1 : place], keys[place + 1 : place + 2]]
            near += [other[place : place + 1] for other in _ROWS[max(0, row - 1) : row + 2] if other != keys]
            return [key.upper() if letter.isupper() else key for key in near if key]
    return []


def _case(pieces: list[str], free: list[int], rules: Rules, rng: random.Random) -> None:
    change = rng.choice((str.lower, str.upper, str.capitalize))
    for place in free:
        pieces[place] = change(pieces[place])


def _synonym(pieces: list[str], free: list[int], rules: Rules, rng: random.Random) -> None:
    known = [place for place in free if _core(pieces[place]).lower() in rules.synonyms]
    for place in _some(known, len(free), rules.rate, rng) if known else ():
        pieces[place] = _replaced(pieces[place], _other(pieces[place], rules, rng))


def _insert(pieces: list[str], free: list[int], rules: Rules, rng: random.Random) -> None:
    known = [place for place in free if _core(pieces[place]).lower() in rules.synonyms]
    others = [_other(pieces[place], rules, rng) for place in _some(known, len(free), rules.rate, rng)] if known else []
    for word in others:
        place = rng.choice(free)
        pieces[place] = f"{word} {pieces[place]}"


def _other(piece: str, rules: Rules, rng: random.Random) -> str:
    core = _core(piece)
    found = rng.choice(rules.synonyms[core.lower()])
    return found.capitalize() if core[0].isupper() else found


def _core(piece: str) -> str:
    found = _CORE.search(piece)
    return found[0] if found else ""


def _replaced(piece: str, core: str) -> str:
    return _CORE.sub(lambda _: core, piece, count=1)


_OPERATIONS: Mapping[Operation, Callable[[list[str], list[int], Rules, random.Random], None]] = {
    Operation.SWAP: _swap,
    Operation.DELETE: _delete,
    Operation.TYPO: _typo,
    Operation.CASE: _case,
    Operation.SYNONYM: _synonym,
    Operation.INSERT: _insert,
}
