"""What a kind does beyond its schema: fill in, forbid, hold back a deletion. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from touchstone_local.apiserver.core.faults import Fault
from touchstone_local.apiserver.core.objects import JsonObject

Prepare = Callable[[JsonObject, JsonObject | None], None]
"""Fills in an object, in place, before its defaults; the second argument is the live one, None for a new one."""
Validate = Callable[[JsonObject, JsonObject | None], Iterator[Fault]]
"""Yields the faults of an object that fits its schema."""


def _nothing(obj: JsonObject, live: JsonObject | None) -> None:
    """Leave the object as it is."""


def _no_fault(obj: JsonObject, live: JsonObject | None) -> Iterator[Fault]:
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The rules of one kind."""

    prepare: Prepare = _nothing
    validate: Validate = _no_fault
    finish: Prepare = _nothing
    """Fills in what depends on a valid object, just before it is stored."""
    mark_deleted: Prepare = _nothing
    """Fills in what a deletion that has to wait shows."""
    holds_deletion: Callable[[JsonObject], bool] = lambda obj: False
    """Whether an object without finalizers must stay all the same."""


PLAIN = Behaviour()
