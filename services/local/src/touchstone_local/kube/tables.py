"""The server's tables as text, as kubectl shows them. Pure."""

from collections.abc import Iterable, Sequence

from touchstone_local import fields
from touchstone_local.fields import Object

GAP = 3


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with their cells under one another."""
    widths = [max((len(cell) for cell in column), default=0) + GAP for column in zip(*rows, strict=True)]
    return ["".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def render(table: Object, *, is_wide: bool = False, with_namespace: bool = False, prefix: str = "") -> list[str]:
    """Return a Table as lines, the header first; no lines if it has no rows.

    Args:
        table: The server's answer.
        is_wide: Whether columns of a lesser priority are shown too.
        with_namespace: Whether the namespace is shown.
        prefix: Put before each name: `evalrun.touchstone.dev/`.
    """
    rows = fields.items(table, "rows")
    if not rows:
        return []
    definitions = fields.items(table, "columnDefinitions")
    shown = [index for index, each in enumerate(definitions) if is_wide or fields.integer(each, "priority") == 0]
    header = [fields.text(definitions[index], "name").upper() for index in shown]
    body = [_row(row, shown, prefix) for row in rows]
    if with_namespace:
        header = ["NAMESPACE", *header]
        body = [
            [fields.namespace(fields.mapping(row, "object")), *cells] for row, cells in zip(rows, body, strict=True)
        ]
    return columns([header, *body])


def _row(row: Object, shown: Iterable[int], prefix: str) -> list[str]:
    cells = fields.sequence(row, "cells")
    found = [_cell(cells[index]) if index < len(cells) else "" for index in shown]
    return [f"{prefix}{found[0]}", *found[1:]] if found else found


def _cell(value: object) -> str:
    if value is None or value == "":
        return "<none>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
