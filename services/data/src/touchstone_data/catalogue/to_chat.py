"""From fields to the turns of a conversation, by templates."""

from dataclasses import replace
from functools import partial
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from touchstone_data.core.records import Drop, Record, value_at, with_value
from touchstone_data.core.steps import Parameters, RecordWork, Step, Surroundings

NOT_RENDERED, BLANK = "template does not fit", "turn is blank"


def _environment() -> jinja2.Environment:
    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.globals.clear()  # templates need no functions, and `range` could fill the memory
    return environment


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Render the turns of a record; the fields are the templates' variables."""
    environment = _environment()
    turns = [(turn["role"], environment.from_string(turn["template"])) for turn in parameters["messages"]]
    return partial(_work, turns=turns, field=parameters["field"], keep=tuple(parameters["keep"]))


def _work(
    record: Record, *, turns: list[tuple[str, jinja2.Template]], field: str, keep: tuple[str, ...]
) -> Record | Drop:
    messages = []
    for role, template in turns:
        try:
            content = template.render(dict(record.fields)).strip()
        except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError) as error:
            return Drop(reason=NOT_RENDERED, detail=f"{role}: {error}"[:200])
        if not content:
            return Drop(reason=BLANK, detail=role)
        messages.append({"role": role, "content": content})
    kept = {path: value_at(record.fields, path) for path in keep}
    return with_value(replace(record, fields=kept), field, messages)


def check(parameters: Parameters) -> str:
    """Say which template cannot be read, or that there is nothing to learn."""
    for place, turn in enumerate(parameters["messages"]):
        try:
            _environment().from_string(turn["template"])
        except jinja2.TemplateSyntaxError as error:
            return f"messages[{place}].template is no template: {error}."
    if parameters["messages"][-1]["role"] != "assistant":
        return "The last message must be the assistant's: that is what a model learns to say."
    return ""


_TURN: dict[str, Any] = {
    "type": "object",
    "properties": {
        "role": {"enum": ["system", "user", "assistant", "tool"]},
        "template": {"type": "string", "minLength": 1, "description": "Jinja2, sandboxed, with the record's fields."},
    },
    "required": ["role", "template"],
    "additionalProperties": False,
}

STEP = Step(
    name="to-chat",
    version=1,
    description="Makes `messages` of a record's fields by a template a turn; the form that chat models are tuned on.",
    parameters={
        "messages": {"type": "array", "items": _TURN, "minItems": 1, "maxItems": 32},
        "field": {"type": "string", "minLength": 1, "default": "messages"},
        "keep": {
            "type": "array", "items": {"type": "string"}, "maxItems": 64, "default": [],
            "description": "Paths of fields to keep beside the messages; all others are left out.",
        },
    },
    required=("messages",),
    by_record=make,
    check=check,
)  # fmt: skip
