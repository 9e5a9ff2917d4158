"""Judges choose between two answers, in both orders; meters beside it tell how far the choice can be believed."""

from collections.abc import Generator, Mapping
from typing import cast

from touchstone_evaluation.core import judging, rubrics
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.judging import Preference
from touchstone_evaluation.core.rubrics import Rubric
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import OTHER_SIDE, Ask, LoadShape, Mean, Metric, Outcome, Prompt, Seat, Steps


def _mean(name: str, goal: Goal, lowest: float, description: str, *, is_main: bool = False) -> Metric:
    return Metric(
        name=name,
        goal=goal,
        aggregate=Mean(of=name),
        description=description,
        lowest=lowest,
        highest=1,
        has_worst=is_main,
        is_main=is_main,
        is_match=is_main,  # the win rate
    )


_METRICS = (
    _mean(
        "win_rate",
        Goal.MAXIMIZE,
        0,
        "Share of comparisons that the answer wins, ties as half ones, over judges and both orders; 0 to 1, of equals "
        "one half.",
        is_main=True,
    ),
    _mean(
        "order_consistency",
        Goal.MAXIMIZE,
        0,
        "Share of judgements that stay the same when the answers change places; 0 to 1.",
    ),
    _mean(
        "position_bias",
        Goal.MINIMIZE,
        -1,
        "How much more often the first place wins than the second, over both orders; -1 to 1, without bias 0.",
    ),
    _mean(
        "repeat_noise",
        Goal.MINIMIZE,
        0,
        "Share of repetitions that differ from the judge's most frequent choice; 0 to 1. Of two or more samples.",
    ),
    _mean(
        "panel_disagreement",
        Goal.MINIMIZE,
        0,
        "Mean distance between the judges' win rates on an item; 0 to 1. Of two or more judges.",
    ),
    _mean(
        "verbosity_bias",
        Goal.MINIMIZE,
        -1,
        "How much more often an answer that is said twice wins against itself than it loses; -1 to 1, without bias 0 "
        "or less. With the probe Verbosity.",
    ),
    _mean(
        "self_preference",
        Goal.MINIMIZE,
        -1,
        "How much more often a judge prefers its own answer than the other judges do; -1 to 1. Where one side is one "
        "of several judges.",
    ),
)

Games = list[list[tuple[Preference, Preference]]]
"""For each judge and sample: what was preferred with the answer first, and with it second."""


class JudgePairwise:
    """Asks both sides, or takes the item's answer as the other one, and lets each judge choose in both orders."""

    name = "judge-pairwise"
    version = "1"
    description = (
        "Measures which of two answers judges prefer. Each pair is shown in both orders, so that a judge who prefers a "
        "place decides nothing. Answers that are equal to the letter are ties and are not judged."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["rubric"],
        "properties": {
            "rubric": rubrics.schema(
                "A rubric by name and version, or criteria of your own; its scale takes no part.", has_scale=False
            ),
            "against": {
                "enum": ["Baseline", "Reference"],
                "description": "The other answer: the baseline's, or the item's first answer. Default: Baseline.",
            },
            "samples": {
                "type": "integer",
                "minimum": 1,
                "maximum": judging.MAX_SAMPLES,
                "description": "How often each judge is asked in each order. Default: 1, greedily.",
            },
            "probes": {
                "type": "array",
                "uniqueItems": True,
                "items": {"enum": ["Verbosity"]},
                "description": "Verbosity: each answer is compared with itself, said twice.",
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
        """It needs a judge and, unless golds are the other side, a baseline."""
        if not judges:
            return "judge-pairwise needs a judge: name at least one"
        if parameters.get("against", "Baseline") == "Baseline" and not has_baseline:
            return "judge-pairwise compares with the baseline: set spec.baseline, or the parameter against to Reference"
        return ""

    def steps(self, item: Item, parameters: Parameters, judges: tuple[Seat, ...]) -> Steps:
        """Ask, judge in both orders, probe."""
        rubric = rubrics.rubric_of(parameters)
        samples = cast("int", parameters.get("samples", 1))
        if parameters.get("against") == "Reference":
            (own,) = yield (Prompt(question=item.question),)
            other = item.answers[0]
        else:
            own, theirs = yield (Prompt(question=item.question), Prompt(question=item.question, of=OTHER_SIDE))
            other = theirs.text
        values: dict[str, float] = {}
        if own.text.strip() == other.strip():
            values["win_rate"] = 0.5
        else:
            games = yield from _play(item, (own.text, other), rubric, judges, samples)
            values |= _told(games, judges)
        if "Verbosity" in cast("list[str]", parameters.get("probes", [])):
            games = yield from _play(item, (judging.padded(own.text), own.text), rubric, judges, samples)
            values["verbosity_bias"] = 2 * judging.mean([_win_rate(one) for one in games]) - 1
        return values


def _play(
    item: Item, answers: tuple[str, str], rubric: Rubric, judges: tuple[Seat, ...], samples: int
) -> Generator[tuple[Ask, ...], tuple[Outcome, ...], Games]:
    reference = rubrics.reference_of(item, rubric)
    asks = tuple(
        judging.compare(
            seat.name, item.question, *ordered, rubric.criteria, reference=reference, sample=sample,
            is_sampled=samples > 1,
        )
        for seat in judges
        for sample in range(samples)
        for ordered in (answers, answers[::-1])
    )  # fmt: skip
    outcomes = yield asks
    found = [judging.preference_of(outcome) for outcome in outcomes]
    pairs = list(zip(found[::2], found[1::2], strict=True))
    return [pairs[begin : begin + samples] for begin in range(0, len(pairs), samples)]


def _win_rate(games: list[tuple[Preference, Preference]]) -> float:
    """One judge's win rate of the answer that stands first in the first order."""
    return judging.mean([(judging.points(begun) + 1 - judging.points(turned)) / 2 for begun, turned in games])


def _told(games: Games, judges: tuple[Seat, ...]) -> dict[str, float]:
    rates = [_win_rate(one) for one in games]
    pairs = [pair for one in games for pair in one]
    values = {
        "win_rate": judging.mean(rates),
        "order_consistency": judging.mean(
            [float(judging.points(begun) == 1 - judging.points(turned)) for begun, turned in pairs]
        ),
        "position_bias": judging.mean([judging.lean(preference) for pair in pairs for preference in pair]),
    }
    if len(games[0]) > 1:
        values["repeat_noise"] = judging.mean([_noise([pair[n] for pair in one]) for one in games for n in (0, 1)])
    if len(judges) > 1:
        values["panel_disagreement"] = max(rates) - min(rates)
    neutral = [rate for rate, seat in zip(rates, judges, strict=True) if not (seat.is_self or seat.is_other)]
    gains = [
        (rate - judging.mean(neutral)) * (1 if seat.is_self else -1)
        for rate, seat in zip(rates, judges, strict=True)
        if neutral and seat.is_self != seat.is_other
    ]
    if gains:
        values["self_preference"] = judging.mean(gains)
    return values


def _noise(choices: list[Preference]) -> float:
    return 1 - max(choices.count(choice) for choice in choices) / len(choices)


TASK = JudgePairwise()
