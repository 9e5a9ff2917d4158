"""Columns of tables: by JSONPath as in a CRD, and the ages that they show. Pure."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime

import jsonpath

from touchstone_local.apiserver.core import objects
from touchstone_local.apiserver.core.kinds import Column
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue

_ESCAPED = re.compile(r"\.((?:[^.\[\]\\]|\\.)*\\.(?:[^.\[\]\\]|\\.)*)")


def age(text: JsonValue, now: datetime) -> str:
    """Return how long ago a time was, in the short form of kubectl."""
    then = objects.parse_time(text)
    return "<unknown>" if then is None else human_duration((now - then).total_seconds())


def human_duration(duration_seconds: float) -> str:
    """Return a duration in the short form of kubectl: `95s`, `4m10s`, `3h`, `2d5h`."""
    seconds = max(0, int(duration_seconds))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    steps: Sequence[tuple[bool, str]] = (
        (seconds < 120, f"{seconds}s"),
        (minutes < 10, _pair(minutes, "m", seconds % 60, "s")),
        (minutes < 180, f"{minutes}m"),
        (hours < 8, _pair(hours, "h", minutes % 60, "m")),
        (hours < 48, f"{hours}h"),
        (hours < 192, _pair(days, "d", hours % 24, "h")),
        (days < 730, f"{days}d"),
        (days < 2920, _pair(days // 365, "y", days % 365, "d")),
    )
    return next((text for fits, text in steps if fits), f"{days // 365}y")


AGE = Column(
    name="Age",
    type="string",
    description="Time since the object was created.",
    read=lambda obj, now: age(objects.at(obj, "metadata", "creationTimestamp"), now),
)
NAME = Column(
    name="Name",
    type="string",
    format="name",
    description="Name of the object, unique in its namespace.",
    read=lambda obj, now: objects.name(obj),
)


def from_json_path(declared: JsonObject) -> Column:
    """Return the column that an entry of `additionalPrinterColumns` declares.

    Raises:
        ValueError: Its path is not a JSONPath.
    """
    kind = declared.get("type", "string")
    return Column(
        name=declared["name"],
        type=kind,
        format=declared.get("format", ""),
        description=declared.get("description") or f"From {declared['jsonPath']}.",
        priority=declared.get("priority", 0),
        read=_reader(declared["jsonPath"], kind),
    )


def compile_path(path: str) -> Callable[[JsonObject], list[JsonValue]]:
    r"""Compile a JSONPath of Kubernetes' dialect: it starts with a dot, and `\.` is a dot inside a name.

    Raises:
        ValueError: It is not one.
    """
    quoted = _ESCAPED.sub(lambda found: f"['{found[1].replace(chr(92), '')}']", path)
    try:
        compiled = jsonpath.compile(f"${quoted}")
    except jsonpath.JSONPathError as error:
        raise ValueError(f"'{path}' is not a JSONPath: {error}") from error
    return compiled.findall


def _reader(path: str, kind: str) -> Callable[[JsonObject, datetime], JsonValue]:
    find = compile_path(path)

    def read(obj: JsonObject, now: datetime) -> JsonValue:
        found = find(obj)
        if not found or found[0] is None:
            return None
        if kind == "date":
            return age(found[0], now)
        if kind in ("integer", "number", "boolean") and not isinstance(found[0], str | dict | list):
            return found[0]
        return " ".join(_shown(value) for value in found)

    return read


def _shown(value: JsonValue) -> str:
    return value if isinstance(value, str) else objects.encode(value).decode()


def _pair(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"
