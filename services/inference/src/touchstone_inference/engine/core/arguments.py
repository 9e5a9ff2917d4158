"""Engine arguments of a revision: known, typed, bounded. Pure."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from touchstone_runtime.errors import Invalid, Violation


class Whole(NamedTuple):
    """A whole number with its default and bounds."""

    default: int
    minimum: int
    maximum: int


class Choice(NamedTuple):
    """One of several words, with its default."""

    default: str
    allowed: tuple[str, ...]


Argument = Whole | Choice
FLAG = ("true", "false")

LLAMACPP: Mapping[str, Argument] = {
    "threads": Whole(1, 1, 256),
    "parallel": Whole(4, 1, 64),
    "batch-size": Whole(512, 32, 8192),
}
SCRIPTED: Mapping[str, Argument] = {
    "time-to-first-token-millis": Whole(5, 0, 60_000),
    "time-per-output-token-millis": Whole(1, 0, 60_000),
    "slots": Whole(8, 1, 1024),
    "output-tokens": Whole(256, 1, 100_000),
    "dimensions": Whole(64, 2, 4096),
}
VLLM: Mapping[str, Argument] = {
    "max-num-seqs": Whole(64, 1, 1024),
    "max-num-batched-tokens": Whole(0, 0, 1_048_576),
    "gpu-memory-utilization-percent": Whole(90, 10, 98),
    "kv-cache-memory-mib": Whole(0, 0, 4_194_304),
    "num-speculative-tokens": Whole(0, 0, 16),
    "max-loras": Whole(4, 1, 64),
    "max-lora-rank": Whole(16, 1, 512),
    "runner": Choice("generate", ("generate", "pooling")),
    "dtype": Choice("auto", ("auto", "bfloat16", "float16", "float32")),
    "quantization": Choice(
        "none", ("none", "awq", "awq_marlin", "gptq", "gptq_marlin", "fp8", "compressed-tensors", "bitsandbytes")
    ),
    "kv-cache-dtype": Choice("auto", ("auto", "fp8", "fp8_e4m3", "fp8_e5m2")),
    "prefix-caching": Choice("true", FLAG),
    "chunked-prefill": Choice("true", FLAG),
    "enforce-eager": Choice("false", FLAG),
}
"""Names as on vLLM's command line, where it has them. 0 leaves a number to vLLM."""


class Rule(NamedTuple):
    """An answer for prompts that a pattern is found in."""

    pattern: re.Pattern[str]
    answer: str
    adapter: str = ""
    """The adapter whose requests it is for; empty: all requests."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of an engine, read."""

    values: Mapping[str, int | str]

    def number(self, name: str) -> int:
        """Take a number."""
        return int(self.values[name])

    def word(self, name: str) -> str:
        """Take one of several words."""
        return str(self.values[name])

    def flag(self, name: str) -> bool:
        """Take a switch."""
        return self.values[name] == "true"


def read(given: Mapping[str, str], known: Mapping[str, Argument], *, others: tuple[str, ...] = ()) -> Arguments:
    """Read an engine's arguments.

    Args:
        given: As the ModelDeployment names them.
        known: What the engine takes.
        others: Names that are read elsewhere.

    Raises:
        Invalid: An argument is unknown, not a whole number or a known word, or out of bounds; all faults are listed.
    """
    violations: list[Violation] = []
    values: dict[str, int | str] = {name: argument.default for name, argument in known.items()}
    for name, text in sorted(given.items()):
        if name in others:
            continue
        if name not in known:
            allowed = ", ".join(sorted((*known, *others)))
            fault = f"is not an argument of this engine. It takes: {allowed}"
        else:
            fault = _fault(text, known[name])
        if fault:
            violations.append(Violation(f"spec.engine.args[{name}]", fault))
        else:
            values[name] = int(text) if isinstance(known[name], Whole) else text
    if violations:
        raise Invalid(violations)
    return Arguments(values)


def _fault(text: str, argument: Argument) -> str:
    if isinstance(argument, Choice):
        return "" if text in argument.allowed else f"{text!r} is not one of {', '.join(argument.allowed)}"
    is_within = text.isdecimal() and argument.minimum <= int(text) <= argument.maximum
    return "" if is_within else f"{text!r} is not a whole number from {argument.minimum} to {argument.maximum}"


def rules(text: str) -> tuple[Rule, ...]:
    """Read the scripted engine's `rules`: a JSON list of {"pattern": REGEX, "answer": TEXT, "adapter": NAME}.

    Without an adapter a rule is for all requests.

    Raises:
        Invalid: The text is not such a list.
    """
    if not text:
        return ()
    try:
        parsed: Any = json.loads(text)
        return tuple(
            Rule(re.compile(entry["pattern"], re.DOTALL), str(entry["answer"]), str(entry.get("adapter", "")))
            for entry in parsed
        )
    except (ValueError, TypeError, KeyError, AttributeError, re.error) as error:
        description = f'is not a JSON list like [{{"pattern": "capital of (\\\\w+)", "answer": "Paris"}}]: {error}'
        raise Invalid([Violation("spec.engine.args[rules]", description)]) from error
