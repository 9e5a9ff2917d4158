"""The bounds of requests, as the protos state them. Pure: collects every violation, then refuses once."""

import json
from collections.abc import Iterator, Sequence

import jsonschema
from touchstone_runtime.errors import Invalid, Violation

from touchstone_inference.router.core.generation import Question, Role, Sampling, Scoring, Turn

CONTENT_BYTES = 1 << 20
MESSAGES = 256
SCHEMA_BYTES = 1 << 16
SESSION_BYTES = 128
STOPS, STOP_BYTES = 8, 256
LOGPROBS = 20
INPUTS = 256
CONTINUATIONS = 64
PAGE_SIZE, DEFAULT_PAGE_SIZE = 1000, 100
WINDOW_SECONDS, DEFAULT_WINDOW_SECONDS = 3600, 300


def check_question(question: Question) -> None:
    """Check what Generate is asked.

    Raises:
        Invalid: A field is out of its bounds; lists all faults.
    """
    _refuse(
        *_model(question.model),
        *_turns(question.turns),
        *_sampling(question.sampling),
        *_schema(question.json_schema),
        *_at_most_bytes("session_id", question.session_id, SESSION_BYTES),
        *_between("logprobs", question.logprobs, 0, LOGPROBS),
    )


def check_conversation(model: str, turns: Sequence[Turn]) -> None:
    """Check what CountTokens is asked. Raises Invalid."""
    _refuse(*_model(model), *_turns(turns))


def check_inputs(model: str, inputs: Sequence[str]) -> None:
    """Check what Embed is asked. Raises Invalid."""
    _refuse(*_model(model), *_texts("inputs", inputs, INPUTS))


def check_scoring(model: str, scoring: Scoring) -> None:
    """Check what Score is asked. Raises Invalid."""
    _refuse(
        *_model(model),
        *_at_most_bytes("prompt", scoring.prompt, CONTENT_BYTES),
        *_texts("continuations", scoring.continuations, CONTINUATIONS),
    )


def check_name(model: str) -> None:
    """Check a model's name. Raises Invalid."""
    _refuse(*_model(model))


def page_size(asked: int) -> int:
    """Give the size of a page: 0 means the default, too large is cut. Raises Invalid for a negative one."""
    _refuse(*_between("page_size", asked, 0, None))
    return min(asked, PAGE_SIZE) or DEFAULT_PAGE_SIZE


def window_seconds(asked: int) -> int:
    """Give a window: 0 means the default. Raises Invalid outside 1 to an hour."""
    _refuse(*_between("window_seconds", asked, 0, WINDOW_SECONDS))
    return asked or DEFAULT_WINDOW_SECONDS


def _refuse(*violations: Violation) -> None:
    if violations:
        raise Invalid(violations)


def _model(name: str) -> Iterator[Violation]:
    if not name:
        yield Violation("model", "is required: NAMESPACE/NAME of a ModelDeployment")
    yield from _at_most_bytes("model", name, 256)


def _turns(turns: Sequence[Turn]) -> Iterator[Violation]:
    if not 1 <= len(turns) <= MESSAGES:
        yield Violation("messages", f"must hold 1 to {MESSAGES} messages, not {len(turns)}")
    for index, turn in enumerate(turns):
        yield from _at_most_bytes(f"messages[{index}].content", turn.content, CONTENT_BYTES)
    if turns and turns[-1].role is not Role.USER:
        yield Violation(f"messages[{len(turns) - 1}].role", "the last message must be the user's")


def _sampling(sampling: Sampling) -> Iterator[Violation]:
    yield from _between("sampling.max_output_tokens", sampling.max_output_tokens, 1, None)
    yield from _between("sampling.temperature", sampling.temperature, 0, 2)
    yield from _between("sampling.top_k", sampling.top_k, 0, None)
    if sampling.top_p is not None and not 0 < sampling.top_p <= 1:
        yield Violation("sampling.top_p", "must be above 0 and at most 1")
    if len(sampling.stop) > STOPS:
        yield Violation("sampling.stop", f"must hold at most {STOPS} texts, not {len(sampling.stop)}")
    for index, stop in enumerate(sampling.stop):
        if not stop:
            yield Violation(f"sampling.stop[{index}]", "must not be empty")
        yield from _at_most_bytes(f"sampling.stop[{index}]", stop, STOP_BYTES)


def _schema(text: str) -> Iterator[Violation]:
    if not text:
        return
    yield from _at_most_bytes("json_schema", text, SCHEMA_BYTES)
    try:
        schema = json.loads(text)
        jsonschema.validators.validator_for(schema, jsonschema.Draft202012Validator).check_schema(schema)
    except (ValueError, RecursionError):
        yield Violation("json_schema", "is not a JSON document")
    except jsonschema.SchemaError as error:
        path = "/".join(str(step) for step in error.absolute_path)
        yield Violation("json_schema", f"is not a JSON Schema: fault at '/{path}' against '{error.validator}'")
    else:
        if not isinstance(schema, dict):
            yield Violation("json_schema", "must be a JSON object")


def _texts(field: str, texts: Sequence[str], most: int) -> Iterator[Violation]:
    if not 1 <= len(texts) <= most:
        yield Violation(field, f"must hold 1 to {most} texts, not {len(texts)}")
    for index, text in enumerate(texts):
        if not text:
            yield Violation(f"{field}[{index}]", "must not be empty")
        yield from _at_most_bytes(f"{field}[{index}]", text, CONTENT_BYTES)


def _at_most_bytes(field: str, text: str, most: int) -> Iterator[Violation]:
    # A character has at most four bytes: most texts need no encoding to be measured.
    if len(text) * 4 > most and (size := len(text.encode())) > most:
        yield Violation(field, f"must have at most {most} bytes, not {size}")


def _between(field: str, value: float | None, least: float, most: float | None) -> Iterator[Violation]:
    if value is None or (value >= least and (most is None or value <= most)):
        return  # NaN fails every comparison and is refused below
    yield Violation(field, f"must be at least {least}" + (f" and at most {most}" if most is not None else ""))
