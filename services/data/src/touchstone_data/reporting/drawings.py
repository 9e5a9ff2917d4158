"""Drawings of the report as inline SVG. Pure: numbers in, markup out; colours come from the page's style sheet."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, PAD, LABELS = 720, 16, 190
ROW = 26
BINS = 40


class Bar(NamedTuple):
    """One row of a bar chart."""

    label: str
    value: float
    note: str
    style: str = "after"


class Dot(NamedTuple):
    """One point of a map."""

    x: float
    y: float
    style: str
    title: str


class Group(NamedTuple):
    """Numbers of one distribution."""

    style: str
    values: Sequence[int]


def bars(rows: Sequence[Bar], *, most: float, title: str) -> str:
    """Draw bars below each other, on one scale from 0 to `most`."""
    room = WIDTH - LABELS - 150
    drawn = "".join(
        f'<text x="{LABELS - 10}" y="{ROW * place + 19}" class="label end">{escape(row.label)}</text>'
        f'<rect x="{LABELS}" y="{ROW * place + 6}" height="16" rx="2" class="{row.style}" '
        f'width="{max(1.0, row.value / (most or 1) * room):.1f}"/>'
        f'<text x="{LABELS + max(1.0, row.value / (most or 1) * room) + 8:.1f}" y="{ROW * place + 19}" class="label">'
        f"{escape(row.note)}</text>"
        for place, row in enumerate(rows)
    )
    return _svg(ROW * len(rows) + 8, title, drawn)


def histogram(groups: Sequence[Group], *, title: str, mark: int = 0) -> str:
    """Draw distributions over one another, on a logarithmic scale, with a line at a mark above 0."""
    positive = [value for group in groups for value in group.values if value > 0]
    if not positive:
        return ""
    low, high = math.log10(min(positive)), math.log10(max(*positive, mark))
    span, base, width = (high - low) or 0.1, 150, (WIDTH - 2 * PAD) / BINS
    shares = {group.style: _shares(group.values, low, span) for group in groups}
    tallest = max(max(row) for row in shares.values()) or 1.0
    columns = "".join(
        f'<rect x="{PAD + place * width:.1f}" width="{width - 1:.1f}" y="{base - share / tallest * 130:.1f}" '
        f'height="{share / tallest * 130:.1f}" class="{style}"/>'
        for style, row in shares.items()
        for place, share in enumerate(row)
        if share
    )
    ticks = "".join(
        f'<text x="{PAD + share * (WIDTH - 2 * PAD):.0f}" y="{base + 18}" class="label {anchor}">'
        f"{number(10 ** (low + share * span))}</text>"
        for share, anchor in ((0.0, ""), (0.5, "middle"), (1.0, "end"))
    )
    axis = f'<line x1="{PAD}" x2="{WIDTH - PAD}" y1="{base}" y2="{base}" class="axis"/>'
    return _svg(180, title, columns + axis + ticks + (_mark(mark, (math.log10(mark) - low) / span) if mark else ""))


def scatter(dots: Sequence[Dot]) -> str:
    """Draw a map; the axes have no meaning but nearness."""
    if not dots:
        return ""
    left, right = min(dot.x for dot in dots), max(dot.x for dot in dots)
    low, high = min(dot.y for dot in dots), max(dot.y for dot in dots)
    height = 380
    drawn = "".join(
        f'<circle cx="{PAD + (dot.x - left) / ((right - left) or 1) * (WIDTH - 2 * PAD):.1f}" '
        f'cy="{height - PAD - (dot.y - low) / ((high - low) or 1) * (height - 2 * PAD):.1f}" r="3" '
        f'class="{dot.style}"><title>{escape(dot.title)}</title></circle>'
        for dot in dots
    )
    return _svg(height, "Records by their two principal components", drawn)


def line(points: Sequence[tuple[float, float]], *, x_label: str, y_label: str) -> str:
    """Draw a line of numbers of 0 to 1 over a logarithmic scale."""
    if len(points) < 2:
        return ""
    base, top, left = 190, 24, 56
    low, high = math.log10(points[0][0]), math.log10(points[-1][0])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - low) / ((high - low) or 1)
        return left + across * (WIDTH - left - 40), base - y * (base - top)

    spots = [place(x, y) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in spots)
    drawn = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="after"/>'
        f'<text x="{x:.1f}" y="{y - 9:.1f}" class="label middle">{value:.2f}</text>'
        f'<text x="{x:.1f}" y="{base + 17}" class="label middle">{number(size)}</text>'
        for (x, y), (size, value) in zip(spots, points, strict=True)
    )
    axes = (
        f'<line x1="{left}" x2="{WIDTH - 30}" y1="{base}" y2="{base}" class="axis"/>'
        f'<text x="{PAD}" y="14" class="label">{escape(y_label)}</text>'
        f'<text x="{WIDTH - 30}" y="{base + 36}" class="label end">{escape(x_label)}, logarithmic</text>'
    )
    return _svg(232, f"{y_label} against {x_label}", f'<polyline points="{path}" class="line"/>{axes}{drawn}')


def number(value: float) -> str:
    """Write a number for people: three significant places, large ones whole."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _shares(values: Sequence[int], low: float, span: float) -> list[float]:
    counts = [0] * BINS
    for value in values:
        if value > 0:
            counts[min(BINS - 1, int((math.log10(value) - low) / span * BINS))] += 1
    return [count / max(1, len(values)) for count in counts]


def _mark(value: int, share: float) -> str:
    x = PAD + share * (WIDTH - 2 * PAD)
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="12" y2="150" class="mark"/>'
        f'<text x="{x - 6:.1f}" y="22" class="label end">{number(value)}</text>'
    )


def _svg(height: float, title: str, content: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>{content}</svg>'
    )
