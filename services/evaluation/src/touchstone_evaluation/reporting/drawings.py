"""Drawings of the report as inline SVG. Pure: numbers in, markup out; colours come from the page's style sheet."""

import math
from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

WIDTH = 720
LABELS = 210
ROW = 30
PAD = 16
COLUMNS = 344
"""As many as can be told apart."""


class Bar(NamedTuple):
    """One interval of the forest plot."""

    label: str
    estimate: float
    low: float
    high: float
    mark: float
    """The line that the interval is held against: a bound, or zero."""
    style: str
    """Passed, Failed, Inconclusive or Error."""


class Spot(NamedTuple):
    """One candidate of a frontier."""

    label: str
    x: float
    y: float
    low: float
    high: float
    """The interval of y."""
    is_chosen: bool
    is_on_frontier: bool


def frontier(spots: Sequence[Spot], *, x_label: str, y_label: str) -> str:
    """Draw candidates by two objectives, with the line through those that nobody beats in both.

    The horizontal scale is logarithmic where the largest value is more than twenty times the smallest.
    """
    height, base, top = 340, 290, 24
    positive = min(spot.x for spot in spots) > 0
    is_log = positive and max(spot.x for spot in spots) > 20 * min(spot.x for spot in spots)

    def across(value: float) -> float:
        return math.log10(value) if is_log else value

    left, right = min(across(spot.x) for spot in spots), max(across(spot.x) for spot in spots)
    low, high = min(spot.low for spot in spots), max(spot.high for spot in spots)
    width, rise = (right - left) or 1.0, (high - low) or 1.0

    def x(value: float) -> float:
        return LABELS / 3 + PAD + (across(value) - left) / width * (WIDTH - LABELS / 3 - 130)

    def y(value: float) -> float:
        return base - 14 - (value - low) / rise * (base - top - 28)

    line = sorted((spot for spot in spots if spot.is_on_frontier), key=lambda spot: spot.x)
    path = " ".join(f"{x(spot.x):.1f},{y(spot.y):.1f}" for spot in line)
    drawn = "".join(
        f'<line x1="{x(spot.x):.1f}" x2="{x(spot.x):.1f}" y1="{y(spot.low):.1f}" y2="{y(spot.high):.1f}" '
        f'class="interval {_spot_style(spot)}"/>'
        f'<circle cx="{x(spot.x):.1f}" cy="{y(spot.y):.1f}" r="{7 if spot.is_chosen else 5}" '
        f'class="point {_spot_style(spot)}"/>'
        f'<text x="{x(spot.x) + 11:.1f}" y="{y(spot.y) - 9:.1f}" class="label">{escape(spot.label)}</text>'
        for spot in spots
    )
    ticks = "".join(
        f'<text x="{LABELS / 3 - 4:.0f}" y="{y(value) + 4:.1f}" class="label end">{number(value)}</text>'
        for value in dict.fromkeys((low, high))
    ) + "".join(
        f'<text x="{x(value):.1f}" y="{base + 16}" class="label middle">{number(value)}</text>'
        for value in dict.fromkeys((min(spot.x for spot in spots), max(spot.x for spot in spots)))
    )
    axes = (
        f'<line x1="{LABELS / 3:.0f}" x2="{LABELS / 3:.0f}" y1="{top}" y2="{base}" class="axis"/>'
        f'<line x1="{LABELS / 3:.0f}" x2="{WIDTH - PAD}" y1="{base}" y2="{base}" class="axis"/>'
        f'<text x="{LABELS / 3:.0f}" y="{top - 8}" class="label">{escape(y_label)}</text>'
        f'<text x="{WIDTH - PAD}" y="{base + 36}" class="label end">{escape(x_label)}'
        f"{', logarithmic' if is_log else ''}</text>"
    )
    return _svg(
        height, f"{y_label} against {x_label}", f'<polyline points="{path}" class="frontier"/>{axes}{ticks}{drawn}'
    )


def _spot_style(spot: Spot) -> str:
    return "Passed" if spot.is_chosen else "subject" if spot.is_on_frontier else "baseline"


def forest(bars: Sequence[Bar]) -> str:
    """Draw intervals below each other, each on a scale of its own with its bound marked."""
    height = ROW * len(bars) + PAD
    rows = "".join(_bar(bar, ROW * number + ROW // 2 + 4) for number, bar in enumerate(bars))
    return _svg(height, "Intervals of the criteria, with the bound each is held against", rows)


def _bar(bar: Bar, y: int) -> str:
    values = (bar.low, bar.high, bar.estimate, bar.mark)
    low, high = min(values), max(values)
    span = (high - low) or abs(high) or 1.0
    low, high = low - 0.08 * span, high + 0.08 * span

    def x(value: float) -> float:
        return LABELS + (value - low) / (high - low) * (WIDTH - LABELS - 90)

    return (
        f'<text x="{LABELS - 12}" y="{y + 4}" class="label end">{escape(bar.label)}</text>'
        f'<line x1="{LABELS}" x2="{WIDTH - 90}" y1="{y}" y2="{y}" class="axis"/>'
        f'<line x1="{x(bar.mark):.1f}" x2="{x(bar.mark):.1f}" y1="{y - 11}" y2="{y + 11}" class="bound"/>'
        f'<line x1="{x(bar.low):.1f}" x2="{x(bar.high):.1f}" y1="{y}" y2="{y}" class="interval {bar.style}"/>'
        f'<circle cx="{x(bar.estimate):.1f}" cy="{y}" r="5" class="point {bar.style}"/>'
        f'<text x="{WIDTH - 80}" y="{y + 4}" class="label">{number(bar.estimate)}</text>'
    )


def differences(values: Sequence[float]) -> str:
    """Draw one column an item, sorted: below the line the subject did worse, above it better.

    Of more items than there is room for, neighbours share a column of their mean.
    """
    ordered = _thinned(sorted(values), COLUMNS)
    height, middle = 150, 75
    largest = max((abs(value) for value in ordered), default=0.0) or 1.0
    step = (WIDTH - 2 * PAD) / max(1, len(ordered))
    columns = "".join(
        f'<rect x="{PAD + step * place:.1f}" width="{max(1.0, step - 1):.1f}" '
        f'y="{middle - max(0.0, value) / largest * 60:.1f}" height="{max(1.0, abs(value) / largest * 60):.1f}" '
        f'class="{"Passed" if value > 0 else "Failed" if value < 0 else "flat"}"/>'
        for place, value in enumerate(ordered)
    )
    line = f'<line x1="{PAD}" x2="{WIDTH - PAD}" y1="{middle}" y2="{middle}" class="axis"/>'
    return _svg(height, "Difference of each item between subject and baseline, sorted", line + columns)


def _thinned(values: Sequence[float], most: int) -> list[float]:
    """Take means of neighbours where there are more values than wanted."""
    if len(values) <= most:
        return list(values)
    ends = [len(values) * place // most for place in range(most + 1)]
    return [sum(values[begin:end]) / (end - begin) for begin, end in pairwise(ends)]


def histogram(samples: dict[str, Sequence[float]], *, unit: str) -> str:
    """Draw the distributions of several samples over one another, on a logarithmic scale."""
    everything = [value for values in samples.values() for value in values if value > 0]
    if not everything:
        return ""
    low, high = math.log10(min(everything)), math.log10(max(everything))
    span = (high - low) or 0.1
    bins, height, base = 36, 170, 140
    width = (WIDTH - 2 * PAD) / bins
    counts = {name: [0] * bins for name in samples}
    for name, values in samples.items():
        for value in values:
            if value > 0:
                counts[name][min(bins - 1, int((math.log10(value) - low) / span * bins))] += 1
    tallest = max((count for row in counts.values() for count in row), default=1) or 1
    columns = "".join(
        f'<rect x="{PAD + place * width:.1f}" width="{width - 1:.1f}" y="{base - count / tallest * 120:.1f}" '
        f'height="{count / tallest * 120:.1f}" class="{name}"/>'
        for name, row in counts.items()
        for place, count in enumerate(row)
        if count
    )
    ticks = "".join(
        f'<text x="{PAD + share * (WIDTH - 2 * PAD):.1f}" y="{base + 18}" class="label {anchor}">'
        f"{number(10 ** (low + share * span))} {unit}</text>"
        for share, anchor in ((0.0, ""), (0.5, "middle"), (1.0, "end"))
    )
    axis = f'<line x1="{PAD}" x2="{WIDTH - PAD}" y1="{base}" y2="{base}" class="axis"/>'
    return _svg(height, f"Distribution of latencies in {unit}", columns + axis + ticks)


def _svg(height: float, title: str, content: str) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>{content}</svg>'
    )


def number(value: float | None) -> str:
    """Write a number for people: three significant places, large ones whole."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
