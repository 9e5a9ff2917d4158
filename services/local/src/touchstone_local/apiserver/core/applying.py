"""Server-side apply: merge a configuration, find conflicts, drop what is no longer applied. Pure."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.core import fieldsets, merging, objects, ownership, takeover
from touchstone_local.apiserver.core.faults import join
from touchstone_local.apiserver.core.fieldsets import FieldSet, Path
from touchstone_local.apiserver.core.objects import JsonObject, JsonValue
from touchstone_local.apiserver.core.ownership import Share, Writer
from touchstone_local.apiserver.core.schema import Schema


class Door(NamedTuple):
    """Through what an apply comes in: which part of the object it can reach."""

    schema: Schema
    subresource: str
    has_status: bool

    def owned(self, obj: JsonObject) -> dict[Path, JsonValue]:
        """Return the paths of an object that can be owned through this door."""
        return ownership.owned(obj, self.schema, subresource=self.subresource, has_status=self.has_status)


class Applied(NamedTuple):
    """The outcome of an apply."""

    obj: JsonObject
    shares: list[Share]


def apply(live: JsonObject, config: JsonObject, door: Door, writer: Writer, *, is_forced: bool, time: str) -> Applied:
    """Return the object and its shares after a configuration was applied; nothing given is changed.

    Raises:
        Conflict: Another manager owns a field with another value, and the apply is not forced.
        Undeclared: The configuration holds fields that the schema does not know.
    """
    check_declared(config, door.schema, identity=f"{objects.namespace(config)}/{objects.name(config)}")
    shares = ownership.read(live)
    wanted = door.owned(config)
    before = next((share.fields for share in shares if share.writer == writer), fieldsets.EMPTY)
    others = [share for share in shares if share.writer != writer]
    merged: JsonObject = merging.merge(live, config, door.schema)
    kept = frozenset(wanted).union(*(share.fields for share in others))
    merged = merging.remove(merged, _removable(before - kept, kept), door.schema)
    forgiven = fieldsets.EMPTY
    if writer.manager == takeover.MANAGER and not door.subresource:
        forgiven = takeover.forgiven(live, door.schema, has_status=door.has_status)
    others = _settle_conflicts(others, door.owned(live), door.owned(merged), forgiven=forgiven, is_forced=is_forced)
    if writer.manager == takeover.MANAGER:
        takeover.remember(merged, config)
    mine = frozenset(wanted)
    previous = next((share for share in shares if share.writer == writer), None)
    stamp = previous.time if previous is not None and previous.fields == mine else time
    return Applied(merged, [*others, Share(writer, mine, stamp)])


def check_declared(value: JsonValue, schema: Schema, *, identity: str) -> None:
    """Refuse a configuration with fields that its schema does not know.

    Raises:
        Undeclared: It has some.
    """
    unknown = list(_undeclared(value, schema, ""))
    if unknown:
        listed = ", ".join(f".{field}: field not declared in schema" for field in unknown)
        raise errors.Undeclared(f"failed to create typed patch object ({identity}): {listed}")


def _undeclared(value: JsonValue, schema: Schema, field: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, entry in value.items():
            if not schema.knows(key) and not schema.is_embedded:
                yield join(field, key)
            else:
                yield from _undeclared(entry, schema.child(key), join(field, key))
    elif isinstance(value, list) and schema.items is not None:
        for index, entry in enumerate(value):
            yield from _undeclared(entry, schema.items, f"{field}[{index}]")


def _removable(dropped: FieldSet, kept: FieldSet) -> set[Path]:
    """Return the dropped paths below which nobody keeps anything."""
    occupied = {path[:length] for path in kept for length in range(1, len(path))}
    return {path for path in dropped if path not in occupied}


def _settle_conflicts(
    others: Sequence[Share],
    before: dict[Path, JsonValue],
    after: dict[Path, JsonValue],
    *,
    forgiven: FieldSet,
    is_forced: bool,
) -> list[Share]:
    changed = {path for path, value in after.items() if path not in before or not objects.is_equal(before[path], value)}
    disputed = changed - forgiven
    contested = [(share.writer, sorted(share.fields & disputed)) for share in others if share.fields & disputed]
    if contested and not is_forced:
        raise _conflict(contested)
    lost = changed | (before.keys() - after.keys())
    return [share._replace(fields=share.fields - lost) if share.fields & lost else share for share in others]


def _conflict(contested: Sequence[tuple[Writer, list[Path]]]) -> errors.Conflict:
    causes = [
        errors.Cause("FieldManagerConflict", _conflict_text(writer), fieldsets.show(path))
        for writer, paths in contested
        for path in paths
    ]
    listed = "; ".join(
        f"{_conflict_text(writer)}: {', '.join(fieldsets.show(path) for path in paths)}"
        if len(paths) == 1
        else f"{_conflict_text(writer, plural=True)}:\n" + "\n".join(f"- {fieldsets.show(path)}" for path in paths)
        for writer, paths in contested
    )
    number = len(causes)
    noun = "conflict" if number == 1 else "conflicts"
    return errors.Conflict(f"Apply failed with {number} {noun}: {listed}", causes=causes)


def _conflict_text(writer: Writer, *, plural: bool = False) -> str:
    door = f' with subresource "{writer.subresource}"' if writer.subresource else ""
    return f'{"conflicts" if plural else "conflict"} with "{writer.manager}"{door} using {writer.api_version}'
