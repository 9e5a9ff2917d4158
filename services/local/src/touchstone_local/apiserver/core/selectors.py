"""Label and field selectors: parsed once a request, matched against many objects. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core import metadata


class Selectable(NamedTuple):
    """What selectors see of an object."""

    labels: Mapping[str, str]
    fields: Mapping[str, str]


class Requirement(NamedTuple):
    """One term of a selector."""

    key: str
    operator: str
    """`=`, `!=`, `in`, `notin`, `exists`, `absent`, `>` or `<`."""
    values: tuple[str, ...] = ()

    def holds(self, values: Mapping[str, str]) -> bool:
        """Whether the term holds of a map."""
        return _OPERATORS[self.operator](values.get(self.key), self.values)


class Selector(NamedTuple):
    """A label selector and a field selector, both to be met."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()

    def matches(self, subject: Selectable) -> bool:
        """Whether an object is selected."""
        return all(term.holds(subject.labels) for term in self.labels) and all(
            term.holds(subject.fields) for term in self.fields
        )

    @property
    def is_empty(self) -> bool:
        """Whether everything is selected."""
        return not self.labels and not self.fields


_TERM = re.compile(
    r"\s*(?:"
    r"!\s*(?P<absent>[^\s=!,()<>]+)"
    r"|(?P<set_key>[^\s=!,()<>]+)\s+(?P<set_operator>in|notin)\s*\((?P<values>[^()]*)\)"
    r"|(?P<key>[^\s=!,()<>]+)\s*(?:(?P<operator>==|=|!=|>|<)\s*(?P<value>[^\s=!,()<>]*))?"
    r")\s*(?:,|$)"
)


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Parse a label selector.

    Raises:
        BadRequest: It is not one.
    """
    terms: list[Requirement] = []
    position = 0
    while position < len(text.rstrip()):
        found = _TERM.match(text, position)
        if found is None or found.end() == position:
            message = f'unable to parse requirement: found "{text[position:].strip()}", expected: a label selector'
            raise errors.BadRequest(message)
        terms.append(_label_term(found))
        position = found.end()
    return tuple(terms)


def parse_fields(text: str, *, known: Mapping[str, str], kind: str) -> tuple[Requirement, ...]:
    """Parse a field selector for a kind; `known` maps the names that it has to the paths that are matched.

    Raises:
        BadRequest: It is not one, or the kind does not have the field.
    """
    terms: list[Requirement] = []
    for term in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"([^=!]+?)\s*(==|=|!=)\s*(.*)", term)
        if found is None:
            raise errors.BadRequest(f"invalid selector: '{text}'; can't understand '{term}'")
        key, operator, value = found.groups()
        if key not in known:
            raise errors.BadRequest(f'field label not supported: "{key}" (of {kind})')
        terms.append(Requirement(known[key], "!=" if operator == "!=" else "=", (value,)))
    return tuple(terms)


def _label_term(found: re.Match[str]) -> Requirement:
    if found["absent"]:
        requirement = Requirement(found["absent"], "absent")
    elif found["set_key"]:
        values = tuple(value.strip() for value in found["values"].split(","))
        requirement = Requirement(found["set_key"], found["set_operator"], values)
    elif found["operator"]:
        operator = "=" if found["operator"] == "==" else found["operator"]
        requirement = Requirement(found["key"], operator, (found["value"],))
    else:
        requirement = Requirement(found["key"], "exists")
    if why := metadata.qualified(requirement.key):
        raise errors.BadRequest(f'unable to parse requirement: key: Invalid value: "{requirement.key}": {why}')
    for value in requirement.values:
        if why := metadata.label_value(value):
            raise errors.BadRequest(f'unable to parse requirement: values[0]: Invalid value: "{value}": {why}')
    return requirement


def _compare(value: str | None, bound: str, *, is_greater: bool) -> bool:
    try:
        return value is not None and (int(value) > int(bound) if is_greater else int(value) < int(bound))
    except ValueError:
        return False


_OPERATORS: Mapping[str, Callable[[str | None, tuple[str, ...]], bool]] = {
    "=": lambda value, wanted: value == wanted[0],
    "!=": lambda value, wanted: value != wanted[0],
    "in": lambda value, wanted: value in wanted,
    "notin": lambda value, wanted: value not in wanted,
    "exists": lambda value, wanted: value is not None,
    "absent": lambda value, wanted: value is None,
    ">": lambda value, wanted: _compare(value, wanted[0], is_greater=True),
    "<": lambda value, wanted: _compare(value, wanted[0], is_greater=False),
}
