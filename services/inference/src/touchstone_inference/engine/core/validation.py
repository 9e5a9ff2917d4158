"""Bounds of requests, as the protos state them. Pure."""

import json
from collections.abc import Sequence

from touchstone_runtime.errors import Invalid, Violation

from touchstone_inference.engine.core.generation import Generation, Sampling, Turn

MAX_CONTENT_BYTES = 1024 * 1024
MAX_STOPS = 8
MAX_STOP_BYTES = 256
MAX_LOGPROBS = 20
MAX_CONTINUATIONS = 64
MAX_INPUTS = 256


def check_turns(turns: Sequence[Turn]) -> list[Violation]:
    """Find what is wrong with a conversation."""
    if not turns:
        return [Violation("conversation.messages", "is empty; send at least one message")]
    return [
        Violation(f"conversation.messages[{index}].content", f"is longer than {MAX_CONTENT_BYTES} bytes; shorten it")
        for index, turn in enumerate(turns)
        if len(turn.content.encode()) > MAX_CONTENT_BYTES
    ]


def check_generation(request: Generation) -> list[Violation]:
    """Find what is wrong with a request for a continuation."""
    violations = check_sampling(request.sampling)
    if len(request.prompt.encode()) > MAX_CONTENT_BYTES * 4:
        violations.append(Violation("prompt", f"is longer than {MAX_CONTENT_BYTES * 4} bytes; shorten it"))
    if request.logprobs is not None and not 0 <= request.logprobs <= MAX_LOGPROBS:
        violations.append(Violation("logprobs", f"must lie between 0 and {MAX_LOGPROBS}"))
    if request.json_schema:
        try:
            is_object = isinstance(json.loads(request.json_schema), dict)
        except ValueError as error:
            violations.append(Violation("json_schema", f"is not JSON: {error}"))
        else:
            if not is_object:
                violations.append(Violation("json_schema", "must be a JSON object that is a JSON Schema"))
    return violations


def check_sampling(sampling: Sampling) -> list[Violation]:
    """Find what is wrong with a choice of sampling."""
    checks = (
        (
            "max_output_tokens",
            sampling.max_output_tokens is None or sampling.max_output_tokens >= 1,
            "must be 1 or more",
        ),
        ("temperature", 0.0 <= sampling.temperature <= 2.0, "must lie between 0 and 2"),
        ("top_p", 0.0 < sampling.top_p <= 1.0, "must be above 0 and at most 1"),
        ("top_k", sampling.top_k >= 0, "must be 0 or more; 0 keeps all"),
        ("repetition_penalty", 1.0 <= sampling.repetition_penalty <= 2.0, "must lie between 1 and 2"),
        ("stop", len(sampling.stop) <= MAX_STOPS, f"must hold at most {MAX_STOPS} texts"),
        (
            "stop",
            all(0 < len(text.encode()) <= MAX_STOP_BYTES for text in sampling.stop),
            f"each text must have 1 to {MAX_STOP_BYTES} bytes",
        ),
    )
    return [Violation(f"sampling.{field}", message) for field, holds, message in checks if not holds]


def check_count(field: str, count: int, most: int) -> list[Violation]:
    """Find whether a list has from one to a number of items."""
    return [] if 1 <= count <= most else [Violation(field, f"must hold 1 to {most} items; it holds {count}")]


def refuse(violations: Sequence[Violation]) -> None:
    """Raise what was found.

    Raises:
        Invalid: Something was.
    """
    if violations:
        raise Invalid(violations)
