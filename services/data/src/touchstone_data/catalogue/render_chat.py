"""From the turns of a conversation to the one text that a model reads, by its own chat template."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from touchstone_data.catalogue import chat_templates
from touchstone_data.core.chat_templates import ChatRenderer, Refused
from touchstone_data.core.records import Drop, Record, value_at, with_value
from touchstone_data.core.steps import Parameters, RecordWork, Step, Surroundings

NO_MESSAGES, REFUSED = "no messages", "chat template refuses it"


def turns(record: Record, path: str) -> list[Mapping[str, Any]]:
    """Return the turns at a path; empty if there are none.

    Columns hold a null for what a turn does not have, which templates take for something: it is left out again, except
    for `content`, whose null says that a turn only calls tools.
    """
    given = value_at(record.fields, path)
    if not isinstance(given, Sequence) or isinstance(given, str) or not all(isinstance(one, Mapping) for one in given):
        return []
    return [
        {name: value for name, value in one.items() if value is not None or name == "content"}
        for one in given
        if isinstance(one, Mapping)
    ]


def rendered(renderer: ChatRenderer, record: Record, parameters: Parameters) -> str:
    """Render the conversation of a record; empty if it has none. Raises Refused."""
    found = turns(record, parameters["messages"])
    tools: Any = value_at(record.fields, parameters["tools"])
    return renderer.text(found, tools or None, is_asking=parameters["add_generation_prompt"]) if found else ""


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Render a record."""
    found = chat_templates.read(Path(surroundings.tools.fetch(parameters["tokenizer"])))
    return partial(_work, renderer=chat_templates.renderer(found, parameters), parameters=parameters)


def _work(record: Record, *, renderer: ChatRenderer, parameters: Parameters) -> Record | Drop:
    try:
        text = rendered(renderer, record, parameters)
    except Refused as error:
        return Drop(reason=REFUSED, detail=str(error)[:200])
    return with_value(record, parameters["field"], text) if text else Drop(reason=NO_MESSAGES)


STEP = Step(
    name="render-chat",
    version=1,
    description="Writes conversations as the text that a model reads, by the model's own chat template.",
    parameters={
        "tokenizer": {
            "type": "string", "minLength": 1,
            "description": "Address, with its digest, of the tokenizer's folder, of its tokenizer_config.json, of a "
            "template (.jinja) or of a model (.gguf).",
        },
        "messages": {"type": "string", "minLength": 1, "default": "messages", "description": "Path of the turns."},
        "tools": {
            "type": "string", "minLength": 1, "default": "tools",
            "description": "Path of the list of functions that may be called, as JSON Schemas.",
        },
        "field": {"type": "string", "minLength": 1, "default": "text", "description": "Path that gets the text."},
        "add_generation_prompt": {
            "type": "boolean", "default": False, "description": "Whether the text ends where an answer begins.",
        },
        **chat_templates.SCHEMA,
    },
    required=("tokenizer",),
    by_record=make,
    check=chat_templates.check,
)  # fmt: skip
