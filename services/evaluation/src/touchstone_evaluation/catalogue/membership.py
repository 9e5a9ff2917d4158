"""Whether a model finds texts more familiar than others of their kind: evidence that it was trained on them.

Min-K% Prob is that of Shi et al. (Detecting Pretraining Data from Large Language Models, 2023), Min-K%++ that of Zhang
et al. (2024). It generates nothing.
"""

from collections.abc import Mapping
from typing import cast

from touchstone_evaluation.core import membership
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import LoadShape, Mean, Metric, Outcome, Scoring, detection

SUSPECTED, REFERENCE = "suspected", "reference"
DEFAULT_PERCENT = 20


def _auroc(name: str, of: str, description: str) -> Metric:
    return detection(
        name,
        "Probability that a suspected text is more familiar than a reference, ties as a half, by "
        f"{description}; 0 to 1, one half where there is no evidence",
        of=of,
        label="suspected",
        goal=Goal.MINIMIZE,
    )


_METRICS = (
    _auroc("auroc", "min_k_plus_plus", "Min-K%++ (Zhang et al. 2024)"),
    _auroc("min_k_auroc", "min_k", "Min-K% Prob (Shi et al. 2023)"),
    _auroc("loss_auroc", "mean_logprob", "the mean log-probability of its tokens"),
    _auroc("length_auroc", "bytes", "its length alone: far from one half, the two sets are not of one kind"),
    Metric(
        name="min_k_plus_plus",
        goal=Goal.MINIMIZE,
        aggregate=Mean(of="min_k_plus_plus"),
        description="Mean of Min-K%++ in standard deviations; the higher, the more familiar are the texts.",
    ),
)


class Membership:
    """Scores suspected texts and references; the subject's prompt template takes no part."""

    name = "membership"
    version = "1"
    description = (
        "Compares how familiar texts are to the model with references of the same kind that it cannot have seen. It is "
        "evidence, never proof: texts of another time or style differ without having been trained on."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "percent": {
                "type": "integer",
                "minimum": 1,
                "maximum": 100,
                "description": f"Share of a text's tokens that count, the least expected. Default: {DEFAULT_PERCENT}.",
            },
        },
    }
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = True
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics; they do not depend on parameters."""
        return _METRICS

    def unfit(self, item: Item) -> str:
        """A text is suspected or a reference."""
        if item.answers not in ((SUSPECTED,), (REFERENCE,)):
            return f"its answer is not {SUSPECTED!r} or {REFERENCE!r}"
        return "" if item.question.split() else "its text has no word"

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def ask(self, item: Item, parameters: Parameters) -> Scoring:
        """Score the whole text after nothing."""
        return Scoring(prompt="", continuations=(item.question,), has_distributions=True)

    def score(self, item: Item, outcome: Outcome, parameters: Parameters) -> Mapping[str, float]:
        """Tell how familiar the text is."""
        (found,) = outcome.likelihoods
        percent = cast("int", parameters.get("percent", DEFAULT_PERCENT))
        return {
            "min_k_plus_plus": membership.min_k_plus_plus(found.places, percent),
            "min_k": membership.min_k(found.places, percent),
            "mean_logprob": found.logprob / found.tokens,
            "bytes": float(len(item.question.encode())),
            "suspected": float(item.answers == (SUSPECTED,)),
        }


TASK = Membership()
