"""Conversations as the text that a model reads, by the model's own chat template. Pure.

Templates are Jinja2 with what Hugging Face's tokenizers add: `tojson` without escapes of HTML, `raise_exception`,
`strftime_now`, `break` and `continue`, and blocks of `generation`, which mark answers and write nothing themselves.
They come with models, so they run in a sandbox. Tests hold that texts are those of `apply_chat_template`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import jinja2
from jinja2 import meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

DEFAULT, TOOL_USE = "default", "tool_use"
"""Names of the templates that are taken unless another is asked for; the second where there are tools."""


class Refused(ValueError):
    """A template does not take a conversation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTemplates:
    """What a model says of how it is spoken to."""

    templates: Mapping[str, str]
    """Jinja2 by name."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Special tokens by the names that templates have for them, as `bos_token`."""


class ChatRenderer:
    """Renders conversations by a model's templates."""

    def __init__(
        self,
        found: ChatTemplates,
        *,
        name: str = "",
        variables: Mapping[str, Any] | None = None,
        date: datetime | None = None,
    ) -> None:
        """Compile the templates.

        Args:
            found: The model's templates.
            name: Of the one to take; empty: `tool_use` where there are tools and one of that name, else `default`.
            variables: What templates may ask for, as `enable_thinking`; they outrule special tokens.
            date: What templates are told when they ask for today's.

        Raises:
            ValueError: There is no template of that name, one is not Jinja2, or one asks for the date.
        """
        wanted = [name] if name else [one for one in (DEFAULT, TOOL_USE) if one in found.templates]
        if not wanted or wanted[0] not in found.templates:
            raise ValueError(
                f"there is no chat template {name or DEFAULT!r}. The tokenizer has: "
                f"{', '.join(sorted(found.templates)) or 'none'}."
            )
        environment = _environment(date)
        self._compiled = {one: _compiled(environment, found.templates[one], date) for one in wanted}
        self._first = wanted[0]
        self._variables = {**found.tokens, **(variables or {})}

    def text(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None = None,
        *,
        is_asking: bool = False,
    ) -> str:
        """Render a conversation.

        Args:
            messages: Its turns, with `role`, `content` and whatever else the template knows.
            tools: JSON Schemas of functions that the model may call.
            is_asking: Whether the beginning of an answer follows: transformers' `add_generation_prompt`.

        Raises:
            Refused: The template does not take it.
        """
        name = TOOL_USE if tools is not None and TOOL_USE in self._compiled else self._first
        given = {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": is_asking}
        try:
            return self._compiled[name].render({**given, **self._variables})
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
            raise Refused(str(error)) from error


class _Generation(Extension):
    """The tag round what a model writes; what is in it is rendered as it stands."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's way of declaring them

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


def _environment(date: datetime | None) -> jinja2.Environment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, autoescape=False, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise
    if date is not None:
        environment.globals["strftime_now"] = date.strftime
    return environment


def _compiled(environment: jinja2.Environment, text: str, date: datetime | None) -> jinja2.Template:
    try:
        names = meta.find_undeclared_variables(environment.parse(text))
        template = environment.from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"the chat template is no template: {error}") from error
    if "strftime_now" in names and date is None:
        raise ValueError("the chat template writes today's date. Set `date`, so that each run gives the same texts.")
    return template


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)
