"""Judges give each answer a score by a rubric; meters beside it tell how far the judges can be believed."""

import math
import statistics
from collections.abc import Generator, Mapping
from typing import cast

import numpy as np

from touchstone_evaluation.core import judging, rubrics
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.rubrics import Rubric
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.statistics import Floats
from touchstone_evaluation.core.task import Ask, Corpus, LoadShape, Mean, Metric, Outcome, Prompt, Seat, Steps

_SUMS = ("items", "length", "share", "length_squared", "share_squared", "length_share")


def _correlation(sums: Floats) -> Floats:
    """Pearson's correlation from the sums of 1, x, y, x², y², xy; 0 where either does not vary."""
    n, x, y, xx, yy, xy = sums.T
    spread = np.sqrt(np.clip(n * xx - x * x, 0, None) * np.clip(n * yy - y * y, 0, None))
    with np.errstate(divide="ignore", invalid="ignore"):
        result: Floats = np.where(spread > 1e-12, (n * xy - x * y) / spread, 0.0)
    return result


_METRICS = (
    Metric(
        name="rating",
        goal=Goal.MAXIMIZE,
        aggregate=Mean(of="rating"),
        description="Mean of the judges' scores, as the place on the rubric's scale; 0 to 1.",
        lowest=0,
        highest=1,
        has_worst=True,
        is_main=True,
    ),
    Metric(
        name="panel_disagreement",
        goal=Goal.MINIMIZE,
        aggregate=Mean(of="panel_disagreement"),
        description="Mean distance between the kindest and the harshest judge, in shares of the scale; 0 to 1. Of two "
        "or more judges.",
        lowest=0,
        highest=1,
    ),
    Metric(
        name="repeat_noise",
        goal=Goal.MINIMIZE,
        aggregate=Mean(of="repeat_noise"),
        description="Mean standard deviation of one judge's scores of one answer, in shares of the scale; 0 to 1. Of "
        "two or more samples.",
        lowest=0,
        highest=1,
    ),
    Metric(
        name="verbosity_bias",
        goal=Goal.MINIMIZE,
        aggregate=Mean(of="verbosity_bias"),
        description="What an answer gains by being said twice, in shares of the scale; -1 to 1, without bias 0 or "
        "less. With the probe Verbosity.",
        lowest=-1,
        highest=1,
    ),
    Metric(
        name="length_correlation",
        goal=Goal.MINIMIZE,
        aggregate=Corpus(of=_SUMS, combine=_correlation),
        description="Pearson's correlation of ratings with the logarithm of the answers' lengths; -1 to 1. Longer "
        "answers may also be better: read it beside verbosity_bias.",
    ),
    Metric(
        name="self_preference",
        goal=Goal.MINIMIZE,
        aggregate=Mean(of="self_preference"),
        description="How much more a judge gives its own answers than the other judges do, in shares of the scale; -1 "
        "to 1. Where the measured revision is one of several judges.",
        lowest=-1,
        highest=1,
    ),
)


class JudgeRating:
    """Asks the question, then each judge for a score of the answer."""

    name = "judge-rating"
    version = "1"
    description = (
        "Measures what judges think of answers. A judge is a model with biases of its own: the meters show some of "
        "them, and `judge-agreement` how often it agrees with people. It is no measure of truth."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["rubric"],
        "properties": {
            "rubric": rubrics.schema(
                "A rubric by name and version, or one of your own. Those with a reference take the "
                "item's first answer as it."
            ),
            "samples": {
                "type": "integer",
                "minimum": 1,
                "maximum": judging.MAX_SAMPLES,
                "description": "How often each judge is asked; the mean counts. Default: 1, greedily.",
            },
            "probes": {
                "type": "array",
                "uniqueItems": True,
                "items": {"enum": ["Verbosity"]},
                "description": "Verbosity: each answer is judged once more, said twice.",
            },
        },
    }
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = True
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics; meters that were not asked for have no values."""
        return _METRICS

    def unfit(self, item: Item) -> str:
        """Any question can be judged."""
        return ""

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def fault(self, parameters: Parameters, judges: int, *, has_baseline: bool) -> str:
        """It needs a judge."""
        return "" if judges else "judge-rating needs a judge: name at least one"

    def steps(self, item: Item, parameters: Parameters, judges: tuple[Seat, ...]) -> Steps:
        """Ask, judge, probe."""
        rubric = rubrics.rubric_of(parameters)
        samples = cast("int", parameters.get("samples", 1))
        (outcome,) = yield (Prompt(question=item.question),)
        answer = outcome.text
        scores = yield from _shares(item, answer, rubric, judges, samples)
        means = [judging.mean(one) for one in scores]
        share, length = judging.mean(means), math.log1p(len(answer))
        sums = (1.0, length, share, length * length, share * share, length * share)
        values = {"rating": share, **dict(zip(_SUMS, sums, strict=True))}
        if len(judges) > 1:
            values["panel_disagreement"] = max(means) - min(means)
        if samples > 1:
            values["repeat_noise"] = min(1.0, judging.mean([statistics.stdev(one) for one in scores]))
        if "Verbosity" in cast("list[str]", parameters.get("probes", [])):
            longer = yield from _shares(item, judging.padded(answer), rubric, judges, samples)
            values["verbosity_bias"] = judging.mean([judging.mean(one) for one in longer]) - share
        own = [mean for mean, seat in zip(means, judges, strict=True) if seat.is_self]
        others = [mean for mean, seat in zip(means, judges, strict=True) if not seat.is_self]
        if own and others:
            values["self_preference"] = judging.mean(own) - judging.mean(others)
        return values


def _shares(
    item: Item, answer: str, rubric: Rubric, judges: tuple[Seat, ...], samples: int
) -> Generator[tuple[Ask, ...], tuple[Outcome, ...], list[list[float]]]:
    """Each judge's scores of an answer, as shares of the scale: judges x samples."""
    reference = rubrics.reference_of(item, rubric)
    asks = tuple(
        judging.rate(
            seat.name, item.question, answer, rubric, reference=reference, sample=sample, is_sampled=samples > 1
        )
        for seat in judges
        for sample in range(samples)
    )
    outcomes = yield asks
    shares = [rubric.share(judging.score_of(outcome, rubric)) for outcome in outcomes]
    return [shares[begin : begin + samples] for begin in range(0, len(shares), samples)]


TASK = JudgeRating()
