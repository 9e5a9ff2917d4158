"""What an answer says, taken out of its words: a number, a letter, or what a pattern finds. Pure.

Each kind has a strict rule, the form that was asked for, and a flexible one, the likeliest reading of anything else.
The distance between both is format, not knowledge, so both are told. The rules for numbers are those that
lm-evaluation-harness reports for GSM8K: after `####`, or the last number there is.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import regex

from touchstone_evaluation.core.normalising import normalise

PATTERN_SECONDS = 0.5
"""A pattern that has not decided by then costs its item: patterns can take time without end."""

_NUMBER = r"[-+]?\$?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?|[-+]?\$?\.\d+"
_STRICT_NUMBER = regex.compile(rf"(?:####|\b(?:answer|result)(?: is|:)|=)\s*\**({_NUMBER})(?=\W*$)", regex.IGNORECASE)
_ONLY_NUMBER = regex.compile(rf"\W*?({_NUMBER})\W*")
_ANY_NUMBER = regex.compile(rf"(?<![\w.])({_NUMBER})")
_STRICT_LETTER = regex.compile(r"\(?([A-Z])\)?[.:]?(?:\s.*)?", regex.DOTALL)
_SAID_LETTER = regex.compile(r"\b(?:answer|option|choice)(?:\s+is)?\s*:?\s*\**\(?([A-Z])\b", regex.IGNORECASE)
_ANY_LETTER = regex.compile(r"(?<![\w'])\(?([A-Z])\)?(?=[\s.,:;!?)*]|$)")


class Kind(StrEnum):
    """What is taken out of an answer."""

    NUMBER = "Number"
    LETTER = "Letter"
    PATTERN = "Pattern"


class Extracted(NamedTuple):
    """What an answer says by either rule; None: nothing of the kind."""

    strict: str | None
    flexible: str | None


def number(text: str) -> Extracted:
    """Take a number out: strictly the text itself, or what stands after `####` or "the answer is" at its end."""
    bare = text.strip()
    strict = _ONLY_NUMBER.fullmatch(bare) or _STRICT_NUMBER.search(bare)
    found = _ANY_NUMBER.findall(bare)
    flexible = strict.group(1) if strict else found[-1] if found else None
    return Extracted(strict.group(1) if strict else None, flexible)


def letter(text: str, choices: tuple[str, ...]) -> Extracted:
    """Take the letter of a choice out: strictly what the text begins with.

    Flexibly the one that it calls its answer, the last one that stands alone, or the only choice whose words it has.
    """
    letters = [chr(ord("A") + place) for place in range(len(choices))]
    bare = text.strip()
    begun = _STRICT_LETTER.fullmatch(bare)
    strict = begun.group(1) if begun and begun.group(1) in letters and not _is_word(bare) else None
    said = [found.upper() for found in _SAID_LETTER.findall(bare) if found.upper() in letters]
    alone = [found for found in _ANY_LETTER.findall(bare) if found in letters and not (found == "A" and _is_word(bare))]
    worded = [name for name, choice in zip(letters, choices, strict=True) if _has_words(bare, choice)]
    flexible = strict or (said[-1] if said else None) or (alone[-1] if alone else None)
    return Extracted(strict, flexible or (worded[0] if len(worded) == 1 else None))


def pattern(text: str, expression: str) -> Extracted:
    """Take out what a pattern's first group finds first; strictly where the pattern fits the whole text.

    Raises:
        TimeoutError: The pattern takes too long on this text.
    """
    compiled = regex.compile(expression)
    bare = text.strip()
    whole = compiled.fullmatch(bare, timeout=PATTERN_SECONDS)
    found = whole or compiled.search(bare, timeout=PATTERN_SECONDS)
    return Extracted(whole.group(1) if whole else None, found.group(1) if found else None)


def pattern_fault(expression: str) -> str:
    """Say why a pattern cannot be used; empty: it can."""
    try:
        groups = regex.compile(expression).groups
    except regex.error as error:
        return f"is no regular expression: {error}"
    return "" if groups == 1 else f"must have one group, the part that is compared, and has {groups}"


def same_number(one: str | None, gold: str) -> bool:
    """Whether two numerals mean the same number, whatever their thousands, currency and trailing zeros."""
    try:
        return one is not None and _value(one) == _value(gold)
    except ValueError:
        return False


def same_text(one: str | None, gold: str) -> bool:
    """Whether two texts are the same by the rules of SQuAD."""
    return one is not None and normalise(one) == normalise(gold)


COMPARE: dict[Kind, Callable[[str | None, str], bool]] = {
    Kind.NUMBER: same_number,
    Kind.LETTER: same_text,
    Kind.PATTERN: same_text,
}
"""How what was taken out is compared with a gold."""


def _value(numeral: str) -> float:
    return float(numeral.replace(",", "").replace("$", ""))


def _is_word(text: str) -> bool:
    """Whether a text begins with the article or the pronoun: `A cat`, `I think`."""
    return bool(regex.match(r"[AI]\s+[a-z]", text))


def _has_words(text: str, choice: str) -> bool:
    wanted = normalise(choice)
    return bool(wanted) and f" {wanted} " in f" {normalise(text)} "
