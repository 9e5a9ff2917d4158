"""CEL rules by Google's own library; the compiled programs are kept by expression.

Kubernetes' list and regex functions that CEL itself lacks are added here: isSorted, sum, min, max, find, findAll,
isURL. Values are dynamically typed: what a schema knows of types is not used to check an expression.
"""

import functools
import itertools
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

from touchstone_local.apiserver.core.objects import JsonValue
from touchstone_local.apiserver.core.rules import Verdict
from touchstone_local.apiserver.core.schema import MISSING, Rule


class CelJudge:
    """Computes rules with `self` and `oldSelf`."""

    def __init__(self) -> None:
        self._environment = _environment()
        self._compile: Callable[[str], Any] = functools.lru_cache(maxsize=4096)(self._environment.compile)

    def fault(self, expression: str) -> str:
        """Return why an expression cannot be compiled; empty if it can."""
        try:
            self._compile(expression)
        except RuntimeError as error:
            return f"compilation failed: {_first_line(str(error))}"
        return ""

    def judge(self, rule: Rule, value: JsonValue, old: JsonValue) -> Verdict:
        """Return whether a rule holds."""
        values = {"self": value} if old is MISSING else {"self": value, "oldSelf": old}
        result = self._evaluate(rule.expression, values)
        if result.error or not isinstance(result.value, bool):
            return Verdict(holds=False, message=f"rule could not be computed: {result.error or 'it is not a boolean'}")
        if result.value:
            return Verdict(holds=True)
        return Verdict(holds=False, message=self._message(rule, values))

    def _message(self, rule: Rule, values: Mapping[str, JsonValue]) -> str:
        if not rule.message_expression:
            return ""
        result = self._evaluate(rule.message_expression, values)
        return result.value.strip() if isinstance(result.value, str) and not result.error else ""

    def _evaluate(self, expression: str, values: Mapping[str, JsonValue]) -> "_Result":
        try:
            outcome = self._compile(expression).eval(data=values)
        except RuntimeError as error:
            return _Result(None, _first_line(str(error)))
        if outcome.type() == cel.Type.ERROR:
            return _Result(None, _first_line(str(outcome.value())))
        return _Result(outcome.plain_value(), "")


class _Result(NamedTuple):
    value: JsonValue
    error: str


def _environment() -> Any:
    functions = [_member(name, arguments, result, impl) for name, arguments, result, impl in _FUNCTIONS]
    functions.append(_function("isURL", cel.Type.BOOL, _is_url))
    return cel.NewEnv(
        variables={"self": cel.Type.DYN, "oldSelf": cel.Type.DYN},
        extensions=[
            ext_strings.ExtStrings(),
            ext_math.ExtMath(),
            ext_optional.ExtOptional(),
            ext_bindings.ExtBindings(),
            ext_encoders.ExtEncoders(),
        ],
        functions=functions,
    )


def _member(name: str, arguments: list[Any], result: Any, impl: Callable[..., Any]) -> Any:
    overload = cel.Overload(f"touchstone_{name}", return_type=result, parameters=arguments, is_member=True, impl=impl)
    return cel.FunctionDecl(name, [overload])


def _function(name: str, result: Any, impl: Callable[..., Any]) -> Any:
    overload = cel.Overload(f"touchstone_{name}", return_type=result, parameters=[cel.Type.STRING], impl=impl)
    return cel.FunctionDecl(name, [overload])


def _is_sorted(values: list[Any]) -> bool:
    plain = _plain(values)
    return all(left <= right for left, right in itertools.pairwise(plain))


def _find(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found.group(0) if found else ""


def _find_all(text: str, pattern: str) -> list[str]:
    return [found.group(0) for found in re.finditer(pattern, text)]


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return bool(parts.scheme) and (bool(parts.netloc) or parts.path.startswith("/"))


def _plain(values: list[Any]) -> list[Any]:
    return [value.plain_value() if isinstance(value, cel.Value) else value for value in values]


_LIST, _TEXT, _DYN = cel.Type.List(cel.Type.DYN), cel.Type.STRING, cel.Type.DYN
_FUNCTIONS: list[tuple[str, list[Any], Any, Callable[..., Any]]] = [
    ("isSorted", [_LIST], cel.Type.BOOL, _is_sorted),
    ("sum", [_LIST], _DYN, lambda values: sum(_plain(values))),
    ("min", [_LIST], _DYN, lambda values: min(_plain(values))),
    ("max", [_LIST], _DYN, lambda values: max(_plain(values))),
    ("find", [_TEXT, _TEXT], _TEXT, _find),
    ("findAll", [_TEXT, _TEXT], cel.Type.List(_TEXT), _find_all),
]


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0].strip()
