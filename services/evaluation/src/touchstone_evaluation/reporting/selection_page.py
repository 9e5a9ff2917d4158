"""The page of a selection: what was chosen, why, and what else could have been."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from touchstone_evaluation.core.selecting import Assessment, Choice, Objective
from touchstone_evaluation.core.spec import Subject
from touchstone_evaluation.reporting import drawings, templates
from touchstone_evaluation.reporting.drawings import Spot


class SelectionPage:
    """Writes the reports of selections."""

    def __init__(self) -> None:
        self._template = templates.environment().get_template("selection.html.jinja")

    def render(self, choice: Choice, objectives: Sequence[Objective], subjects: Mapping[str, Subject]) -> str:
        """Write one self-contained HTML page."""
        return self._template.render(
            choice=choice,
            objectives=objectives,
            subjects=subjects,
            placed=[one for one in choice.assessments if one.place],
            out=[one for one in choice.assessments if not one.place],
            frontier=Markup(_frontier(choice, objectives)),  # noqa: S704 - our own markup, its texts escaped
        )


def _frontier(choice: Choice, objectives: Sequence[Objective]) -> str:
    """Draw the second objective against the first; nothing where there is only one, or nobody to draw."""
    placed = [one for one in choice.assessments if one.place]
    if len(objectives) < 2 or not placed:
        return ""
    spots = [spot for one in placed if (spot := _spot(one, choice.chosen)) is not None]
    return drawings.frontier(spots, x_label=objectives[1].metric, y_label=objectives[0].metric)


def _spot(one: Assessment, chosen: str) -> Spot | None:
    first, second = one.readings[:2]
    if first.value is None or second.value is None:
        return None
    low, high = first.interval or (first.value, first.value)
    return Spot(one.name, second.value, first.value, low, high, one.name == chosen, not one.dominated_by)
