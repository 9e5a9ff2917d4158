"""The report of a snapshot as one page of HTML that needs nothing else."""

from collections.abc import Sequence
from functools import cache

import jinja2
from markupsafe import Markup

from touchstone_data.core.inspection import Inspection
from touchstone_data.core.manifest import Snapshot, StepAccount
from touchstone_data.reporting import drawings
from touchstone_data.reporting.drawings import Bar, Dot


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
            funnel=Markup(drawings.bars(_funnel(snapshot), most=_read(snapshot), title="Records that are left")),  # noqa: S704 - drawings escape what they draw
            lengths=Markup(drawings.lengths(report.before.lengths, report.after.lengths)),  # noqa: S704
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


def _read(snapshot: Snapshot) -> int:
    return sum(source.records for source in snapshot.sources)


def _funnel(snapshot: Snapshot) -> list[Bar]:
    left = _read(snapshot)
    rows = [Bar("read", left, drawings.number(left), "before")]
    unreadable = sum(snapshot.unreadable.values())
    if unreadable:
        left -= unreadable
        rows.append(Bar("readable", left, f"{drawings.number(left)}, {drawings.number(unreadable)} out"))
    for step in snapshot.steps:
        dropped = sum(step.dropped.values())
        left -= dropped
        told = [f"{drawings.number(dropped)} out"] if dropped else []
        told += [f"{drawings.number(step.changed)} changed"] if step.changed else []
        rows.append(Bar(step.name, left, ", ".join([drawings.number(left), *told])))
    return rows


def _pillars(report: Inspection) -> list[Bar]:
    return [
        Bar(pillar.name, pillar.score or 0.0, "not measured" if pillar.score is None else f"{pillar.score:.1%}",
            "flat" if pillar.score is None else "after")
        for pillar in report.pillars
    ]  # fmt: skip


def _curve(report: Inspection) -> str:
    points = [(point.records, max(0.0, point.nearest)) for point in report.diversity.curve]
    return drawings.line(points, x_label="records", y_label="mean cosine of held-out records to the nearest one")


def _reasons(steps: Sequence[StepAccount]) -> list[tuple[str, str, int]]:
    return [(step.name, reason, count) for step in steps for reason, count in step.dropped.items()]
