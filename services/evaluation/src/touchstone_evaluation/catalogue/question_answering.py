"""Question answering against known answers. Measures words, not truth: a right answer in other words is a miss."""

from collections.abc import Mapping

from touchstone_evaluation.core import normalising
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import Lack, LoadShape, Mean, Metric, Outcome, Prompt

_METRICS = (
    Metric(
        name="contains",
        goal=Goal.MAXIMIZE,
        aggregate=Mean(of="contains"),
        description="Share of answers that contain a gold answer as whole words after SQuAD normalisation; 0 to 1. "
        "Rewards long answers: read it beside exact_match and output_tokens_mean.",
        is_binary=True,
        lowest=0,
        highest=1,
        has_worst=True,
        is_main=True,
    ),
    Metric(
        name="exact_match",
        goal=Goal.MAXIMIZE,
        aggregate=Mean(of="exact_match"),
        description="Share of answers that equal a gold answer after SQuAD normalisation; 0 to 1.",
        is_binary=True,
        lowest=0,
        highest=1,
        has_worst=True,
    ),
    Metric(
        name="token_f1",
        goal=Goal.MAXIMIZE,
        aggregate=Mean(of="token_f1"),
        description="Mean over items of the best F1 of shared words over the golds, as SQuAD defines it; 0 to 1.",
        lowest=0,
        highest=1,
        has_worst=True,
    ),
)


class QuestionAnswering:
    """Asks the question as the user's only turn; the subject's own prompt does the rest."""

    name = "question-answering"
    version = "1"
    description = (
        "Asks each question and compares the answer with the golds by words. It does not see whether a differently "
        "worded answer is right, nor whether a matching one is right for the right reason."
    )
    parameters_schema: Mapping[str, Json] = {"type": "object", "additionalProperties": False}
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = True
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics; they do not depend on parameters."""
        return _METRICS

    def unfit(self, item: Item) -> str:
        """An item without a gold answer cannot be scored."""
        return "" if any(normalising.normalise(answer) for answer in item.answers) else "no gold answer"

    def lack(self, values: Mapping[str, float]) -> Lack | None:
        """What holds a gold answer among other words lacks form."""
        if values["exact_match"]:
            return None
        return Lack.FORM if values["contains"] else Lack.KNOWLEDGE

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def ask(self, item: Item, parameters: Parameters) -> Prompt:
        """Ask the question as it stands."""
        return Prompt(question=item.question)

    def score(self, item: Item, outcome: Outcome, parameters: Parameters) -> Mapping[str, float]:
        """Score against the best gold."""
        golds = [answer for answer in item.answers if normalising.normalise(answer)]
        return {
            "contains": normalising.best(normalising.contains, outcome.text, golds),
            "exact_match": normalising.best(normalising.exact_match, outcome.text, golds),
            "token_f1": normalising.best(normalising.token_f1, outcome.text, golds),
        }


TASK = QuestionAnswering()
