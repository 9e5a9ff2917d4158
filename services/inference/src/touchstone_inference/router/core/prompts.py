"""Prompt templates: a model's instructions, examples, context and question made into a conversation. Pure.

The language is described in docs/prompts.md. A template is read once a revision; rendering it is cheap enough to try
several numbers of passages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, cast

import jsonschema
import yaml

from touchstone_inference.router.core.generation import Passage, Role, Turn
from touchstone_inference.router.core.templating import Expression, TemplateFault, Value, compile_expression

VARIABLES = ("question", "passages")
"""What a template may use."""

QUESTION = "{{ question }}"
"""The user turn of a template that has none."""

GROUNDED_QUESTION = """\
{% if passages %}
Answer from these passages.
{% for passage in passages %}
[{{ passage.index }}] {{ passage.title }}
{{ passage.text }}
{% endfor %}

{% endif %}
{{ question }}"""
"""The user turn of a template that has none, for a revision with an index."""

_TEXT = {"type": "string"}
_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "system": _TEXT,
        "user": _TEXT,
        "examples": {
            "type": "array",
            "maxItems": 64,
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["user", "assistant"],
                "properties": {"user": _TEXT, "assistant": _TEXT},
            },
        },
        "retrieval": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"topK": {"type": "integer", "minimum": 1, "maximum": 100}},
        },
        "budget": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "contextTokens": {"type": "integer", "minimum": 1},
                "historyTurns": {"type": "integer", "minimum": 0, "maximum": 256},
            },
        },
        "defaults": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "maxOutputTokens": {"type": "integer", "minimum": 1},
                "stop": {"type": "array", "maxItems": 8, "items": {"type": "string", "minLength": 1}},
            },
        },
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A rendered turn of a template, with the line that it begins on."""

    expression: Expression
    first_line: int

    def render(self, variables: Mapping[str, Value]) -> str:
        """Render the turn; a fault names the line of the whole template."""
        try:
            return self.expression.render(variables)
        except TemplateFault as fault:
            raise TemplateFault(self.first_line + fault.line - 1, fault.message) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A prompt template as read."""

    system: Part | str = ""
    """Instructions; a plain text is used as it is. Empty: none."""
    examples: tuple[Turn, ...] = ()
    """Few-shot turns, user and assistant in turn."""
    user: Part
    top_k: int = 0
    """Passages to ask for; 0 leaves it to the index."""
    context_tokens: int | None = None
    """The most tokens of the rendered prompt. None: what the engine's context leaves."""
    history_turns: int | None = None
    """The most turns of history. None: all."""
    max_output_tokens: int | None = None
    stop: tuple[str, ...] = ()

    @property
    def uses_passages(self) -> bool:
        """Whether any turn shows passages: if not, none are retrieved."""
        parts = (self.system, self.user)
        return any("passages" in part.expression.names for part in parts if isinstance(part, Part))


@lru_cache(maxsize=256)
def parse(text: str, *, is_structured: bool, has_index: bool) -> Template:
    """Read a template.

    Args:
        text: The template.
        is_structured: YAML with system, examples, user, retrieval, budget and defaults; otherwise the system turn.
        has_index: Whether the revision retrieves: decides the user turn of a template that has none.

    Raises:
        TemplateFault: It cannot be read.
    """
    default_user = Part(
        expression=compile_expression(GROUNDED_QUESTION if has_index else QUESTION, VARIABLES), first_line=1
    )
    if not is_structured:
        return Template(system=text.strip(), user=default_user)
    document, lines = _load(text)
    budget, defaults = _section(document, "budget"), _section(document, "defaults")
    examples = cast("Sequence[Mapping[str, str]]", document.get("examples", ()))
    return Template(
        system=_part(document, lines, "system") or "",
        examples=tuple(
            turn
            for example in examples
            for turn in (Turn(Role.USER, example["user"]), Turn(Role.ASSISTANT, example["assistant"]))
        ),
        user=_part(document, lines, "user") or default_user,
        top_k=cast("int", _section(document, "retrieval").get("topK", 0)),
        context_tokens=cast("int | None", budget.get("contextTokens")),
        history_turns=cast("int | None", budget.get("historyTurns")),
        max_output_tokens=cast("int | None", defaults.get("maxOutputTokens")),
        stop=tuple(cast("Sequence[str]", defaults.get("stop", ()))),
    )


def render(template: Template, turns: Sequence[Turn], passages: Sequence[Passage]) -> tuple[Turn, ...]:
    """Render a conversation.

    Args:
        template: The model's template.
        turns: The caller's conversation; the last turn is the user's.
        passages: What is shown of the retrieved passages, best first.

    Raises:
        TemplateFault: The template fails on these values.
    """
    question = turns[-1].content
    variables: dict[str, Value] = {"question": question, "passages": [_shown(i, p) for i, p in enumerate(passages, 1)]}
    system = template.system.render(variables) if isinstance(template.system, Part) else template.system
    more = [turn.content for turn in turns if turn.role is Role.SYSTEM]
    instructions = "\n\n".join(text for text in (system, *more) if text)
    return (
        *((Turn(Role.SYSTEM, instructions),) if instructions else ()),
        *template.examples,
        *_history(turns[:-1], template.history_turns),
        Turn(Role.USER, template.user.render(variables)),
    )


def _history(turns: Sequence[Turn], most: int | None) -> tuple[Turn, ...]:
    spoken = [turn for turn in turns if turn.role is not Role.SYSTEM]
    if most is None or len(spoken) <= most:
        return tuple(spoken)
    kept = spoken[len(spoken) - most :]
    # An answer without its question would mislead the model.
    return tuple(kept[1:] if kept and kept[0].role is Role.ASSISTANT else kept)


def _shown(index: int, passage: Passage) -> dict[str, Value]:
    return {
        "index": index,
        "title": passage.title,
        "text": passage.text,
        "score": passage.score,
        "document_id": passage.document_id,
        "source": passage.source,
    }


_Document: TypeAlias = Mapping[str, object]


def _load(text: str) -> tuple[_Document, Mapping[str, int]]:
    """Read the YAML and the line on which each top-level text begins."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        document = loader.construct_document(root) if root is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TemplateFault(line, f"not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise TemplateFault(1, "not YAML") from None
    finally:
        loader.dispose()
    fault = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(_SCHEMA).iter_errors(document))
    if fault is not None:
        lines = _lines(root)
        field = ".".join(str(step) for step in fault.absolute_path)
        line = lines.get(str(fault.absolute_path[0]), 1) if fault.absolute_path else 1
        raise TemplateFault(line, f"{field or 'the template'} does not fit: {_expectation(fault)}")
    return cast("_Document", document), _lines(root)


def _expectation(fault: jsonschema.ValidationError) -> str:
    """Say what was expected without quoting what was found."""
    if fault.validator == "additionalProperties":
        return f"it may hold only {', '.join(sorted(cast('Mapping[str, object]', fault.schema)['properties']))}"  # type: ignore[call-overload]  # the schema above
    return f"{fault.validator} must be {fault.validator_value}"


def _lines(root: yaml.Node | None) -> Mapping[str, int]:
    if not isinstance(root, yaml.MappingNode):
        return {}
    return {
        key.value: value.start_mark.line
        + (2 if isinstance(value, yaml.ScalarNode) and value.style in ("|", ">") else 1)
        for key, value in root.value
        if isinstance(key, yaml.ScalarNode)
    }


def _part(document: _Document, lines: Mapping[str, int], key: str) -> Part | None:
    source = document.get(key)
    if source is None:
        return None
    try:
        return Part(expression=compile_expression(cast("str", source), VARIABLES), first_line=lines[key])
    except TemplateFault as fault:
        raise TemplateFault(lines[key] + fault.line - 1, f"{key}: {fault.message}") from None


def _section(document: _Document, key: str) -> _Document:
    return cast("_Document", document.get(key, {}))
