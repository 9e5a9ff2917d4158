"""A trace as a tree of text: service, span, duration, where it lies in the whole, and what is worth knowing. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from touchstone_local.collector.core.records import Attribute, Span

BAR_COLUMNS = 24
SHOWN_ATTRIBUTES = 4
HIDDEN_PREFIXES = ("rpc.", "network.", "server.", "client.", "net.", "otel.", "telemetry.", "url.", "http.")
"""Attributes that say what the span's name says already."""


class Line(NamedTuple):
    """One span of a rendered trace."""

    branch: str
    """The tree's lines, with the service and the span's name."""
    duration: str
    bar: str
    mark: str
    """`✗` for an error."""
    facts: str
    """A few attributes."""
    is_error: bool


def render(spans: Sequence[Span]) -> str:
    """Return a trace as text, one line a span; children stand below their parent, by time.

    A span whose parent is not among the spans is a root: the caller may send its own spans nowhere.
    """
    rows = lines(spans)
    width = max((len(row.branch) for row in rows), default=0)
    wide = max((len(row.duration) for row in rows), default=0)
    return "\n".join(
        f"{row.branch:<{width}}  {row.duration:>{wide}}  |{row.bar}| {row.mark} {row.facts}".rstrip() for row in rows
    )


def lines(spans: Sequence[Span]) -> list[Line]:
    """Return the lines of a trace, for whoever wants to lay them out."""
    if not spans:
        return []
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda each: (each.start_nanos, each.end_nanos, each.span_id)):
        children.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    start = min(span.start_nanos for span in spans)
    length = max(1, max(span.end_nanos for span in spans) - start)
    found: list[Line] = []
    for root in children.get("", []):
        _walk(root, children, "", "", start=start, length=length, found=found)
    return found


def _walk(
    span: Span, children: Mapping[str, list[Span]], lead: str, below: str, *, start: int, length: int, found: list[Line]
) -> None:
    found.append(
        Line(
            branch=f"{lead}{span.service}: {span.name}",
            duration=duration(span.duration_seconds),
            bar=_bar(span, start=start, length=length),
            mark="✗" if span.is_error else " ",
            facts=_facts(span),
            is_error=span.is_error,
        )
    )
    inner = children.get(span.span_id, [])
    for index, child in enumerate(inner):
        is_last = index == len(inner) - 1
        _walk(
            child,
            children,
            f"{below}{'└─ ' if is_last else '├─ '}",
            f"{below}{'   ' if is_last else '│  '}",
            start=start,
            length=length,
            found=found,
        )


def duration(seconds: float) -> str:
    """Return a duration in the unit that reads best."""
    if seconds >= 100:
        return f"{seconds:.0f} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    if seconds >= 0.001:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds * 1e6:.0f} µs"


def _bar(span: Span, *, start: int, length: int) -> str:
    """Return where the span lies in the trace, at least one column wide."""
    first = min(BAR_COLUMNS - 1, (span.start_nanos - start) * BAR_COLUMNS // length)
    last = max(first + 1, -((start - span.end_nanos) * BAR_COLUMNS // length))
    return " " * first + "█" * (min(last, BAR_COLUMNS) - first) + " " * (BAR_COLUMNS - min(last, BAR_COLUMNS))


def _facts(span: Span) -> str:
    shown = {key: value for key, value in span.attributes.items() if not key.startswith(HIDDEN_PREFIXES)}
    parts = [f"{key}={_text(value)}" for key, value in list(shown.items())[:SHOWN_ATTRIBUTES]]
    if span.is_error and span.message:
        parts.insert(0, span.message)
    return " ".join(parts)


def _text(value: Attribute) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if len(text) <= 48 else f"{text[:47]}…"
