"""How often judges agree with people: a judge is itself measured before its scores move traffic."""

import statistics
from collections.abc import Generator, Mapping
from typing import TypeAlias

import numpy as np

from touchstone_evaluation.core import judging, rubrics
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.judging import Preference
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.statistics import Floats, Statistic
from touchstone_evaluation.core.task import Ask, Corpus, LoadShape, Metric, Outcome, Seat, Steps, share

Labelling: TypeAlias = Generator[tuple[Ask, ...], tuple[Outcome, ...], str]
"""Asks, and returns a label."""
LABELS = tuple(str(preference) for preference in Preference)


def kappa(count: int, *, is_weighted: bool) -> Statistic:
    """Agreement beyond chance from counts of (people's label, judge's label): resamples x count² to one a resample.

    Cohen's kappa (Educational and Psychological Measurement 20, 1960, eq. 1); weighted: by the squared distance of the
    labels (Cohen, Psychological Bulletin 70, 1968). 0 where either gives one label only: nothing is beyond chance then.
    """
    places = np.arange(count)
    distance = (places[:, None] - places[None, :]) ** 2 if is_weighted else (places[:, None] != places[None, :])
    cost = distance.astype(np.float64)

    def of(sums: Floats) -> Floats:
        table = sums.reshape(-1, count, count)
        total = table.sum(axis=(1, 2))
        seen = (table * cost).sum(axis=(1, 2)) / total
        chance = (table.sum(axis=2)[:, :, None] * table.sum(axis=1)[:, None, :] * cost).sum(axis=(1, 2)) / total**2
        with np.errstate(divide="ignore", invalid="ignore"):
            result: Floats = np.where(chance > 0, 1 - seen / chance, 0.0)
        return result

    return of


class JudgeAgreement:
    """Lets judges judge answers that people have labelled. The subject is not asked."""

    name = "judge-agreement"
    version = "1"
    description = (
        "Measures how often the panel's label is people's. It holds for this kind of question and these labels; people "
        "disagree among themselves, so 1 is not to be had."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["rubric"],
        "properties": {
            "rubric": rubrics.schema("As of judge-rating: what is to be calibrated.", has_reference=False),
            "mode": {
                "enum": ["Rating", "Pairwise"],
                "description": "Rating: items have one response, and the first answer is people's score. Pairwise: "
                "two, and it is first, second or tie. Default: Rating.",
            },
        },
    }
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = True
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics; kappa is weighted on a scale of more than two scores."""
        labels = _labels(parameters)
        is_weighted = not _is_pairwise(parameters) and len(labels) > 2
        weighed = " weighted by squared distance," if is_weighted else ""
        cells = tuple(f"cell_{row}_{column}" for row in range(len(labels)) for column in range(len(labels)))
        return (
            share("accuracy", "Share of items on which the panel gives people's label", is_binary=True, is_main=True),
            Metric(
                name="kappa",
                goal=Goal.MAXIMIZE,
                aggregate=Corpus(of=cells, combine=kappa(len(labels), is_weighted=is_weighted)),
                description=f"Cohen's kappa,{weighed} of the panel with people; -1 to 1, by chance 0.",
            ),
        )

    def unfit(self, item: Item) -> str:
        """An item needs a label and one or two responses."""
        if len(item.responses) not in (1, 2) or not item.answers:
            return "it has not one or two responses and a label as its first answer"
        is_label = item.answers[0] in LABELS if len(item.responses) == 2 else _is_whole(item.answers[0])
        return "" if is_label else "its label is no whole number, or for two responses none of first, second and tie"

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def fault(self, parameters: Parameters, judges: int, *, has_baseline: bool) -> str:
        """It needs a judge, and shows no references."""
        if judges and rubrics.rubric_of(parameters).needs_reference:
            return "judge-agreement has no references to show: take a rubric without one"
        return "" if judges else "judge-agreement needs a judge: name at least one"

    def steps(self, item: Item, parameters: Parameters, judges: tuple[Seat, ...]) -> Steps:
        """Judge, and count where the panel's label falls in the table."""
        labels = _labels(parameters)
        if len(item.responses) != (2 if _is_pairwise(parameters) else 1) or item.answers[0] not in labels:
            raise ValueError(f"the item's responses or its label {item.answers[0]!r} do not fit mode and rubric")
        found = yield from (_preferred if _is_pairwise(parameters) else _rated)(item, parameters, judges)
        values = {f"cell_{row}_{column}": 0.0 for row in range(len(labels)) for column in range(len(labels))}
        values[f"cell_{labels.index(item.answers[0])}_{labels.index(found)}"] = 1.0
        return {"accuracy": float(found == item.answers[0]), **values}


def _rated(item: Item, parameters: Parameters, judges: tuple[Seat, ...]) -> Labelling:
    """The panel's score: the median, of two in the middle the lower one."""
    rubric = rubrics.rubric_of(parameters)
    outcomes = yield tuple(judging.rate(seat.name, item.question, item.responses[0], rubric) for seat in judges)
    return str(statistics.median_low([judging.score_of(outcome, rubric) for outcome in outcomes]))


def _preferred(item: Item, parameters: Parameters, judges: tuple[Seat, ...]) -> Labelling:
    """The panel's preference: what wins more points over judges and both orders."""
    criteria = rubrics.rubric_of(parameters).criteria
    first, second = item.responses
    outcomes = yield tuple(
        judging.compare(seat.name, item.question, *ordered, criteria)
        for seat in judges
        for ordered in ((first, second), (second, first))
    )
    points = [judging.points(judging.preference_of(outcome)) for outcome in outcomes]
    lead = sum(points[::2]) - sum(points[1::2])
    return str(Preference.FIRST if lead > 0 else Preference.SECOND if lead < 0 else Preference.TIE)


def _labels(parameters: Parameters) -> tuple[str, ...]:
    if _is_pairwise(parameters):
        return LABELS
    if "rubric" not in parameters:  # ListTasks asks without parameters
        return ("0", "1")
    return tuple(str(score) for score in rubrics.rubric_of(parameters).scores)


def _is_pairwise(parameters: Parameters) -> bool:
    return parameters.get("mode") == "Pairwise"


def _is_whole(text: str) -> bool:
    return text.lstrip("-").isdecimal()


TASK = JudgeAgreement()
