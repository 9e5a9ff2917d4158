"""The expression language of prompt templates: a small, safe part of Jinja. Pure.

Templates come from whoever may write a ConfigMap and run in a process that serves everyone. So the language is a list
of what is allowed: output, `if`, `for`, literals, comparisons, slices, attributes of passages, and a few filters. There
are no calls, no assignments, no arithmetic beyond + and - on numbers; loops have a fuel and the output a bound.
Undefined names are refused when the template is read, not when it is used.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

OUTPUT_CHARACTERS = 1 << 20
"""The most that one turn may render to."""

LOOP_STEPS = 10_000
"""The most steps that all loops of one rendering take together."""

SOURCE_CHARACTERS = 1 << 18
"""The longest template."""

FILTERS = ("capitalize", "d", "default", "first", "last", "length", "count", "lower", "map", "reverse",
           "title", "trim", "truncate", "upper", "wordcount")  # fmt: skip
"""Jinja's own filters that are allowed: none makes its output much longer than its input. join, round and tojson are
ours, bounded."""

_ALLOWED_NODES: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.CondExpr, nodes.Name, nodes.Const,
    nodes.List, nodes.Tuple, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Compare, nodes.Operand, nodes.And,
    nodes.Or, nodes.Not, nodes.Neg, nodes.Add, nodes.Sub, nodes.Filter, nodes.Test, nodes.Keyword,
)  # fmt: skip

Value: TypeAlias = "str | int | float | Mapping[str, Value] | list[Value]"
"""What a template may be given."""


class TemplateFault(Exception):
    """A template cannot be read or rendered. Carries the line, never the content."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        """From 1, within the template's text."""
        self.message = message


class Expression:
    """A template that was read and found safe."""

    def __init__(self, template: Template, names: frozenset[str]) -> None:
        self._template = template
        self.names = names
        """The variables that it reads."""

    def render(self, variables: Mapping[str, Value]) -> str:
        """Render to text.

        Raises:
            TemplateFault: A value is missing, or a bound was passed.
        """
        pieces: list[str] = []
        room = OUTPUT_CHARACTERS
        try:
            for piece in self._template.generate(variables, _fuel=_Fuel()):
                pieces.append(piece)
                room -= len(piece)
                if room < 0:
                    raise _BoundPassed(f"it renders to more than {OUTPUT_CHARACTERS} characters")
        except _BoundPassed as error:
            raise TemplateFault(_line_of(error), str(error)) from None
        except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
            # The library's message may quote values: only its kind and its place are told.
            raise TemplateFault(_line_of(error), f"{type(error).__name__} while rendering") from None
        return "".join(pieces)


def compile_expression(source: str, variables: Iterable[str]) -> Expression:
    """Read a template.

    Args:
        source: Its text.
        variables: The names that it may use.

    Raises:
        TemplateFault: It is too long, does not parse, or uses what is not allowed.
    """
    if len(source) > SOURCE_CHARACTERS:
        raise TemplateFault(1, f"it is longer than {SOURCE_CHARACTERS} characters")
    try:
        tree = _ENVIRONMENT.parse(source)
        _refuse_what_is_not_allowed(tree)
        names = frozenset(meta.find_undeclared_variables(tree))
        _refuse_unknown_names(tree, names - set(variables))
        _feed_loops(tree)
        return Expression(_ENVIRONMENT.from_string(tree), names)
    except TemplateSyntaxError as error:
        raise TemplateFault(error.lineno, error.message or "syntax error") from None
    except (RecursionError, SyntaxError):
        # Python's compiler has its own limit of nested blocks.
        raise TemplateFault(1, "it is nested too deeply") from None


class _BoundPassed(Exception):
    """A loop or the output passed its bound."""


class _Fuel:
    """Counts down the steps of one rendering."""

    def __init__(self) -> None:
        self._steps_left = LOOP_STEPS

    def take(self) -> None:
        self._steps_left -= 1
        if self._steps_left < 0:
            raise _BoundPassed(f"its loops take more than {LOOP_STEPS} steps")


def _metered(values: Iterable[Value], fuel: _Fuel) -> list[Value]:
    """Take the fuel for a loop over values before it begins."""
    items: list[Value] = []
    for value in values:
        fuel.take()
        items.append(value)
    return items


def _join(values: Iterable[Value], separator: str = "", attribute: str | None = None) -> str:
    """Join texts, as Jinja's filter of the same name, to at most the bound of the output."""
    pieces: list[str] = []
    room = OUTPUT_CHARACTERS
    for value in values:
        piece = str(value[attribute] if attribute is not None and isinstance(value, Mapping) else value)
        room -= len(piece) + len(separator)
        if room < 0:
            raise _BoundPassed(f"it renders to more than {OUTPUT_CHARACTERS} characters")
        pieces.append(piece)
    return separator.join(pieces)


def _round(value: float, digits: int = 0) -> float:
    """Round a number to at most 12 digits after the point."""
    return round(value, max(0, min(digits, 12)))


def _json(value: Value) -> str:
    """Write a value as one line of JSON."""
    return json.dumps(value, ensure_ascii=False)


_OWN_FILTERS = {"join": _join, "round": _round, "tojson": _json, "_metered": _metered}


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja with nothing but the allowed filters, and + and - for numbers only."""

    intercepted_binops = frozenset({"+", "-"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)
        self.filters = {name: self.filters[name] for name in FILTERS} | _OWN_FILTERS
        self.globals = {}

    def getattr(self, obj: object, attribute: str) -> object:
        """Give an entry of a mapping, or what a loop tells of itself; no other object has attributes."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        if isinstance(obj, LoopContext):
            return super().getattr(obj, attribute)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: object, argument: object) -> object:
        """Give an entry of a mapping, a list or a text."""
        if isinstance(obj, Mapping | list | tuple | str):
            try:
                return obj[argument]  # type: ignore[index,call-overload]  # a wrong type is the error caught here
            except (LookupError, TypeError):
                pass
        return self.undefined(obj=obj, name=str(argument)[:40])

    def call_binop(self, context: object, operator: str, left: object, right: object) -> int | float:
        if not isinstance(left, int | float) or not isinstance(right, int | float):
            raise TypeError(operator)
        return left + right if operator == "+" else left - right


_ENVIRONMENT = _Environment()


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


def _refuse_what_is_not_allowed(tree: nodes.Template) -> None:
    for node in _walk(tree):
        if not isinstance(node, _ALLOWED_NODES):
            raise TemplateSyntaxError(f"{type(node).__name__} is not allowed in a prompt template", node.lineno)
        if isinstance(node, nodes.Filter) and (node.name not in _ENVIRONMENT.filters or node.name.startswith("_")):
            raise TemplateSyntaxError(f"the filter {node.name!r} is not allowed in a prompt template", node.lineno)
        if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            raise TemplateSyntaxError("an attribute must not begin with an underscore", node.lineno)


def _refuse_unknown_names(tree: nodes.Template, unknown: frozenset[str]) -> None:
    for node in tree.find_all(nodes.Name):
        if node.name in unknown:
            raise TemplateSyntaxError(f"there is no variable {node.name!r}", node.lineno)


def _feed_loops(tree: nodes.Template) -> None:
    for loop in list(tree.find_all(nodes.For)):
        fuel = nodes.Name("_fuel", "load", lineno=loop.lineno)
        loop.iter = nodes.Filter(loop.iter, "_metered", [fuel], [], None, None, lineno=loop.lineno)
        loop.set_environment(_ENVIRONMENT)


def _line_of(error: BaseException) -> int:
    """Give the line of the template in which an error arose; Jinja maps its frames to the template's lines."""
    line = 1
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
