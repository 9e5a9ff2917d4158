"""Settings from the environment: typed, read once, all faults reported together.

A process declares a frozen dataclass; `load` fills it. Field `listen` is read from `TOUCHSTONE_LISTEN` unless the field
names another variable. A fault names the variable, what is wrong and an example; secret values are never shown.
"""

import dataclasses
import os
import types
import typing
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from touchstone_runtime import errors
from touchstone_runtime.errors import Violation

PREFIX = "TOUCHSTONE_"
_METADATA = "touchstone"
_UNSET: Any = dataclasses.MISSING

T = TypeVar("T")


class SettingsInvalid(errors.Invalid):
    """The environment does not hold what the process needs."""

    reason = "SETTINGS_INVALID"

    def __init__(self, violations: list[Violation]) -> None:
        lines = "\n".join(f"  {violation.field}: {violation.description}" for violation in violations)
        super().__init__(violations, message=f"The environment is not right:\n{lines}")


class _Options(NamedTuple):
    env: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    secret: bool = False
    example: str = ""


def setting(
    *,
    default: Any = _UNSET,
    env: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    secret: bool = False,
    example: str = "",
) -> Any:
    """Declare a field that needs more than a type.

    Args:
        default: The value when the variable is unset. Left out: the variable is required.
        env: The variable's whole name. Left out: `TOUCHSTONE_` and the field's name in capitals.
        minimum: The least number allowed.
        maximum: The greatest number allowed.
        secret: The value is never shown.
        example: A value for the message of a fault.
    """
    options = _Options(env, minimum, maximum, secret, example)
    return dataclasses.field(default=default, metadata={_METADATA: options}, repr=not secret)


def load(cls: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Fill a settings dataclass from the environment.

    An empty variable counts as unset.

    Raises:
        SettingsInvalid: A variable is missing or wrong; all faults are listed.
    """
    environ = os.environ if environ is None else environ
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    violations: list[Violation] = []
    for field in dataclasses.fields(cls):  # type: ignore[arg-type] # T is a dataclass; typeshed cannot say so for a TypeVar
        options: _Options = field.metadata.get(_METADATA, _Options())
        variable = options.env or f"{PREFIX}{field.name.upper()}"
        text = environ.get(variable, "")
        if not text:
            if field.default is _UNSET and field.default_factory is _UNSET:
                example = options.example or _example(hints[field.name])
                violations.append(Violation(variable, f"is required; for example {variable}={example}"))
            continue
        try:
            values[field.name] = _bounded(_parse(text, hints[field.name]), options)
        except ValueError as error:
            shown = "" if options.secret else f" {text!r}"
            violations.append(Violation(variable, f"the value{shown} {error}"))
    if violations:
        raise SettingsInvalid(violations)
    return cls(**values)


def _parse(text: str, hint: Any) -> Any:
    """Read a value of a type.

    Raises:
        ValueError: The text does not fit; the message completes a sentence that begins with the value.
    """
    hint = _without_none(hint)
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        return tuple(_parse(part.strip(), item) for part in text.split(",") if part.strip())
    choices = _choices(hint)
    if choices:
        if text not in choices:
            raise ValueError(f"is not one of {', '.join(choices)}")
        return hint(text) if isinstance(hint, type) else text
    return _PARSERS[hint](text)


def _boolean(text: str) -> bool:
    values = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if text.lower() not in values:
        raise ValueError("is not true or false")
    return values[text.lower()]


def _number(kind: Callable[[str], Any], noun: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return kind(text)
        except ValueError as error:
            raise ValueError(f"is not {noun}") from error

    return parse


_PARSERS: Mapping[Any, Callable[[str], Any]] = {
    str: str,
    bool: _boolean,
    int: _number(int, "a whole number"),
    float: _number(float, "a number"),
    Path: lambda text: Path(text).expanduser(),
}


def _without_none(hint: Any) -> Any:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        (hint,) = (option for option in typing.get_args(hint) if option is not types.NoneType)
    return hint


def _bounded(value: Any, options: _Options) -> Any:
    if options.minimum is not None and value < options.minimum:
        raise ValueError(f"is below {options.minimum:g}")
    if options.maximum is not None and value > options.maximum:
        raise ValueError(f"is above {options.maximum:g}")
    return value


def _choices(hint: Any) -> tuple[str, ...]:
    """Return the values of an enumeration or a Literal; nothing for other types."""
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return tuple(hint)
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


def _example(hint: Any) -> str:
    hint = _without_none(hint)
    if choices := _choices(hint):
        return choices[0]
    return {int: "1", float: "1.5", bool: "true", Path: "/var/lib/touchstone"}.get(hint, "VALUE")
