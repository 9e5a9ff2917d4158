"""Records of training data to conversations, pairs and texts. Pure: knows fields, not files or tokens."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from touchstone_finetuning.core.recipe import Format

ROLES = ("system", "user", "assistant", "tool")
ASSISTANT = "assistant"


class RecordInvalid(ValueError):
    """A record is not what its format says; the message says which field and what it must be."""


class Turn(NamedTuple):
    """What one side said."""

    role: str
    content: str


Conversation: TypeAlias = tuple[Turn, ...]


class Pair(NamedTuple):
    """One prompt and two answers, of which one is preferred."""

    prompt: Conversation
    chosen: Turn
    rejected: Turn


def text(fields: Mapping[str, object]) -> str:
    """Read a record of the format Text.

    Raises:
        RecordInvalid: `text` is missing, empty or no string.
    """
    return _string(fields, "text")


def conversation(fields: Mapping[str, object], layout: Format) -> Conversation:
    """Read a record of the formats ChatML and Alpaca; at least one turn is an answer.

    Raises:
        RecordInvalid: it is not of the format.
    """
    if layout is Format.ALPACA:
        asked = _string(fields, "instruction")
        given = _string(fields, "input") if fields.get("input") else ""
        question = f"{asked}\n\n{given}" if given else asked
        return (Turn("user", question), Turn(ASSISTANT, _string(fields, "output")))
    turns = _turns(fields, "messages")
    if not any(turn.role == ASSISTANT for turn in turns):
        raise RecordInvalid("`messages` holds no turn of the assistant, so there is nothing to learn.")
    return turns


def pair(fields: Mapping[str, object]) -> Pair:
    """Read a record of the format Preference.

    `chosen` and `rejected` are a string, one turn of the assistant, or the prompt's turns and then that one.

    Raises:
        RecordInvalid: it is not of the format, or both answers are the same.
    """
    is_text = isinstance(fields.get("prompt"), str)
    prompt = (Turn("user", _string(fields, "prompt")),) if is_text else _turns(fields, "prompt")
    chosen, rejected = _answer(fields, "chosen", prompt), _answer(fields, "rejected", prompt)
    if chosen == rejected:
        raise RecordInvalid("`chosen` and `rejected` are the same, so nothing is preferred.")
    return Pair(prompt, chosen, rejected)


def _answer(fields: Mapping[str, object], name: str, prompt: Conversation) -> Turn:
    if isinstance(fields.get(name), str):
        return Turn(ASSISTANT, _string(fields, name))
    turns = _turns(fields, name)
    if turns[: len(prompt)] == prompt:
        turns = turns[len(prompt) :]
    if len(turns) != 1 or turns[0].role != ASSISTANT:
        raise RecordInvalid(f"`{name}` must be a string or one turn of the assistant.")
    return turns[0]


def _turns(fields: Mapping[str, object], name: str) -> Conversation:
    given = fields.get(name)
    if not isinstance(given, list) or not given:
        raise RecordInvalid(f"`{name}` must be a list of {{role, content}} with at least one turn.")
    return tuple(_turn(each, f"{name}[{i}]") for i, each in enumerate(given))


def _turn(given: object, name: str) -> Turn:
    if not isinstance(given, dict):
        raise RecordInvalid(f"`{name}` must be {{role, content}}.")
    role, content = given.get("role"), given.get("content")
    if role not in ROLES:
        raise RecordInvalid(f"`{name}.role` must be one of {', '.join(ROLES)}, not {role!r}.")
    if not isinstance(content, str):
        raise RecordInvalid(f"`{name}.content` must be a string.")
    return Turn(role, content)


def _string(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise RecordInvalid(f"`{name}` must be a string that is not empty.")
    return value
