"""Engine arguments of a revision: known, typed, bounded. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from touchstone_runtime.errors import Invalid, Violation


class Argument(NamedTuple):
    """A whole number with its bounds and default."""

    default: int
    minimum: int
    maximum: int


LLAMACPP: Mapping[str, Argument] = {
    "threads": Argument(1, 1, 256),
    "parallel": Argument(4, 1, 64),
    "batch-size": Argument(512, 32, 8192),
}
SCRIPTED: Mapping[str, Argument] = {
    "time-to-first-token-millis": Argument(5, 0, 60_000),
    "time-per-output-token-millis": Argument(1, 0, 60_000),
    "slots": Argument(8, 1, 1024),
    "output-tokens": Argument(256, 1, 100_000),
    "dimensions": Argument(64, 2, 4096),
}


class Rule(NamedTuple):
    """An answer for prompts that a pattern is found in."""

    pattern: re.Pattern[str]
    answer: str


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of an engine's arguments."""

    values: Mapping[str, int]

    def __getitem__(self, name: str) -> int:
        return self.values[name]


def numbers(given: Mapping[str, str], known: Mapping[str, Argument], *, others: tuple[str, ...] = ()) -> Numbers:
    """Read an engine's arguments.

    Raises:
        Invalid: An argument is unknown, not a whole number, or out of bounds; all faults are listed.
    """
    violations: list[Violation] = []
    values = {name: argument.default for name, argument in known.items()}
    for name, text in sorted(given.items()):
        field = f"spec.engine.args[{name}]"
        if name in others:
            continue
        if name not in known:
            allowed = ", ".join(sorted((*known, *others)))
            violations.append(Violation(field, f"is not an argument of this engine. It takes: {allowed}"))
            continue
        low, high = known[name].minimum, known[name].maximum
        if not text.isdecimal() or not low <= int(text) <= high:
            violations.append(Violation(field, f"{text!r} is not a whole number from {low} to {high}"))
            continue
        values[name] = int(text)
    if violations:
        raise Invalid(violations)
    return Numbers(values)


def rules(text: str) -> tuple[Rule, ...]:
    """Read the scripted engine's `rules`: a JSON list of {"pattern": REGEX, "answer": TEXT}.

    Raises:
        Invalid: The text is not such a list.
    """
    if not text:
        return ()
    try:
        parsed: Any = json.loads(text)
        return tuple(Rule(re.compile(entry["pattern"], re.DOTALL), str(entry["answer"])) for entry in parsed)
    except (ValueError, TypeError, KeyError, re.error) as error:
        description = f'is not a JSON list like [{{"pattern": "capital of (\\\\w+)", "answer": "Paris"}}]: {error}'
        raise Invalid([Violation("spec.engine.args[rules]", description)]) from error
