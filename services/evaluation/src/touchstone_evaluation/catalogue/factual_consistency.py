"""Whether answers agree with what is known: by judges who see the knowledge, or with what the model says elsewhere.

By judges it is grounded entailment in the manner of Honovich et al. (TRUE, NAACL 2022) with a model as the judge; the
check of a model by itself is that of SelfCheckGPT (Manakul et al., EMNLP 2023): what a model makes up differs from
sample to sample. How far a sample supports the answer is measured here by the share of the answer's words that it has;
words of the question are left out, for restating it claims nothing.
"""

import math
from collections.abc import Generator, Mapping
from typing import cast

from touchstone_evaluation.core import judging, normalising, rubrics
from touchstone_evaluation.core.items import Item, label_fault
from touchstone_evaluation.core.rubrics import Rubric
from touchstone_evaluation.core.spec import Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import Ask, LoadShape, Metric, Outcome, Prompt, Seat, Steps, detection, share

DEFAULT_SAMPLES = 4

_METRICS = (
    share("consistency", "Mean of how far answers agree with what is known", is_main=True),
    detection(
        "auroc",
        "Probability that a consistent response gets a higher score than one that is not, ties as a half; 0 to 1, by "
        "chance one half. Of items with labelled responses",
        of="consistency",
    ),
    detection(
        "length_auroc",
        "The same of a detector that only sees how short a response is: what auroc has to beat",
        of="shortness",
    ),
)


class FactualConsistency:
    """Asks, or takes a response that somebody labelled, and says how far it agrees with what is known."""

    name = "factual-consistency"
    version = "1"
    description = (
        "Measures agreement with the knowledge that is shown, or with the model's own samples. It is no measure of "
        "truth: what the knowledge leaves out counts as unsupported, and a model may make up the same thing each time."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["method"],
        "properties": {
            "method": {
                "enum": ["Judge", "SelfCheck"],
                "description": "Judge: judges see the knowledge. SelfCheck: the model is sampled; no judge is asked.",
            },
            "knowledge": {
                "enum": ["Item", "Citations"],
                "description": "What judges see: the item's relevant texts, or the passages that the answer cites. "
                "Default: Item.",
            },
            "samples": {
                "type": "integer",
                "minimum": 2,
                "maximum": 10,
                "description": f"Of SelfCheck: how often the model is sampled. Default: {DEFAULT_SAMPLES}.",
            },
        },
    }
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = True
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics; those of labelled responses have no values where there are none."""
        return _METRICS

    def unfit(self, item: Item) -> str:
        """Labelled items have one response, and the label 0 or 1."""
        return label_fault(item)

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def fault(self, parameters: Parameters, judges: int, *, has_baseline: bool) -> str:
        """Judges judge where the method is theirs."""
        if parameters.get("method") == "Judge":
            return "" if judges else "factual-consistency by judges needs a judge: name at least one"
        return "SelfCheck asks no judges: leave them out" if judges else ""

    def steps(self, item: Item, parameters: Parameters, judges: tuple[Seat, ...]) -> Steps:
        """Answer or take the response, then check it."""
        passages: tuple[str, ...] = ()
        if item.responses:
            answer = item.responses[0]
        else:
            (outcome,) = yield (Prompt(question=item.question),)
            answer, passages = outcome.text, tuple(passage.text for passage in outcome.passages)
        if parameters["method"] == "SelfCheck":
            found = yield from _checked_by_itself(item, answer, cast("int", parameters.get("samples", DEFAULT_SAMPLES)))
        else:
            knowledge = passages if parameters.get("knowledge") == "Citations" else item.relevant_texts
            found = yield from _judged(item, answer, knowledge, judges)
        values = {"consistency": found}
        if item.responses:
            values |= {"label": float(item.answers[0]), "shortness": -math.log1p(len(answer))}
        return values


def _judged(
    item: Item, answer: str, knowledge: tuple[str, ...], judges: tuple[Seat, ...]
) -> Generator[tuple[Ask, ...], tuple[Outcome, ...], float]:
    """The mean of the judges' scores, as shares of the scale."""
    if not knowledge:
        raise LookupError("there is no knowledge to hold the answer against: no relevant text, or nothing was cited")
    rubric: Rubric = rubrics.RUBRICS["consistency@1"]
    reference = "\n\n".join(knowledge)
    outcomes = yield tuple(
        judging.rate(seat.name, item.question, answer, rubric, reference=reference) for seat in judges
    )
    return judging.mean([rubric.share(judging.score_of(outcome, rubric)) for outcome in outcomes])


def _checked_by_itself(item: Item, answer: str, samples: int) -> Generator[tuple[Ask, ...], tuple[Outcome, ...], float]:
    """How far samples of the model's own say what the answer says."""
    outcomes = yield tuple(
        Prompt(question=item.question, temperature=1.0, sample=number) for number in range(1, samples + 1)
    )
    return judging.mean([normalising.said(answer, outcome.text, known=item.question) for outcome in outcomes])


TASK = FactualConsistency()
