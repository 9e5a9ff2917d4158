"""The report of a snapshot as one page of HTML that needs nothing else."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from touchstone_data.core.inspection import Inspection
from touchstone_data.core.manifest import Snapshot, StepAccount
from touchstone_data.reporting import drawings
from touchstone_data.reporting.drawings import Bar, Dot, Group


class Making(NamedTuple):
    """What a step made, and what verification left of it."""

    step: str
    made: int
    kept: int
    rejected: Mapping[str, int]
    """By reason, most frequent first."""


class HtmlReporter:
    """Writes pages."""

    def page(self, report: Inspection, snapshot: Snapshot) -> str:
        """Write the page of a snapshot."""
        diversity = report.diversity
        dots = [
            Dot(spot.x, spot.y, f"c{spot.cluster % 8}", f"{spot.id}: {diversity.clusters[spot.cluster].words}")
            for spot in diversity.spots
        ]
        return _template().render(
            report=report,
            snapshot=snapshot,
            read=sum(source.records for source in snapshot.sources),
            funnel=Markup(_funnel(snapshot)),  # noqa: S704 - drawings escape what they draw
            making=_making(snapshot.steps),
            lengths=Markup(_lengths(report)),  # noqa: S704
            tokens=Markup(_tokens(report)),  # noqa: S704
            map=Markup(drawings.scatter(dots)),  # noqa: S704
            curve=Markup(_curve(report)),  # noqa: S704
            pillars=Markup(drawings.bars(_pillars(report), most=1, title="The six pillars")),  # noqa: S704
            reasons=_reasons(snapshot.steps),
        )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("touchstone_data", "reporting"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = drawings.number
    return environment.get_template("report.html.jinja")


def _funnel(snapshot: Snapshot) -> str:
    rows = _rows(snapshot)
    return drawings.bars(rows, most=max(row.value for row in rows), title="Records that are left")


def _rows(snapshot: Snapshot) -> list[Bar]:
    left = sum(source.records for source in snapshot.sources)
    rows = [Bar("read", left, drawings.number(left), "before")]
    unreadable = sum(snapshot.unreadable.values())
    if unreadable:
        left -= unreadable
        rows.append(Bar("readable", left, f"{drawings.number(left)}, {drawings.number(unreadable)} out"))
    for step in snapshot.steps:
        dropped = sum(step.dropped.values())
        left += step.made - dropped
        told = [f"{drawings.number(step.made)} made"] if step.made else []
        told += [f"{drawings.number(dropped)} out"] if dropped else []
        told += [f"{drawings.number(step.changed)} changed"] if step.changed else []
        rows.append(Bar(step.name, left, ", ".join([drawings.number(left), *told])))
    return rows


def _pillars(report: Inspection) -> list[Bar]:
    return [
        Bar(pillar.name, pillar.score or 0.0, "not measured" if pillar.score is None else f"{pillar.score:.1%}",
            "flat" if pillar.score is None else "after")
        for pillar in report.pillars
    ]  # fmt: skip


def _lengths(report: Inspection) -> str:
    groups = [Group("before", report.before.lengths), Group("after", report.after.lengths)]
    return drawings.histogram(groups, title="Words of a text, before and after")


def _tokens(report: Inspection) -> str:
    if report.tokens is None:
        return ""
    groups = [Group(f"c{place} see", found.counts) for place, found in enumerate(report.tokens.splits.values())]
    return drawings.histogram(groups, mark=report.tokens.max_sequence_length, title="Tokens of a record, by split")


def _curve(report: Inspection) -> str:
    points = [(point.records, max(0.0, point.nearest)) for point in report.diversity.curve]
    return drawings.line(points, x_label="records", y_label="mean cosine of held-out records to the nearest one")


def _making(steps: Sequence[StepAccount]) -> list[Making]:
    return [
        Making(
            step.name,
            step.made,
            step.made - sum(step.dropped.values()),
            dict(sorted(step.dropped.items(), key=lambda pair: (-pair[1], pair[0]))),
        )
        for step in steps
        if step.made
    ]


def _reasons(steps: Sequence[StepAccount]) -> list[tuple[str, str, int]]:
    return [(step.name, reason, count) for step in steps for reason, count in step.dropped.items()]
