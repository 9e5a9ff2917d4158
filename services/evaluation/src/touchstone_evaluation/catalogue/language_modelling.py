"""How well a model predicts text: cross entropy, perplexity, bits per byte. It generates nothing.

Definitions, with p the model's probability of each token after all before it, natural logarithms, sums over all items:
cross entropy is -sum(log p) / tokens; perplexity is e to the power of it; bits per byte is -sum(log2 p) / bytes of the
text in UTF-8 (Gao et al., The Pile, 2020, section 3.1). The first token is predicted after the begin marker.
"""

import math
from collections.abc import Mapping

from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import LoadShape, Metric, Outcome, Ratio, Scoring

_METRICS = (
    Metric(
        name="bits_per_byte",
        goal=Goal.MINIMIZE,
        aggregate=Ratio(of="bits", per="bytes"),
        description="Bits that the model needs for a byte of the text; 0 or more. Comparable between tokenizers.",
        lowest=0,
    ),
    Metric(
        name="cross_entropy",
        goal=Goal.MINIMIZE,
        aggregate=Ratio(of="nats", per="tokens"),
        description="Nats a token; 0 or more. Not comparable between models with different tokenizers.",
        lowest=0,
    ),
    Metric(
        name="perplexity",
        goal=Goal.MINIMIZE,
        aggregate=Ratio(of="nats", per="tokens", is_exponent=True),
        description="e to the power of the cross entropy: among how many equally probable tokens the model hesitates; "
        "1 or more. Not comparable between models with different tokenizers.",
        lowest=1,
    ),
    Metric(
        name="word_perplexity",
        goal=Goal.MINIMIZE,
        aggregate=Ratio(of="nats", per="words", is_exponent=True),
        description="The same a word, split at white space; 1 or more. Comparable between tokenizers.",
        lowest=1,
    ),
)
_ENTROPY = Metric(
    name="entropy",
    goal=Goal.MINIMIZE,
    aggregate=Ratio(of="entropy", per="tokens"),
    description="Mean entropy of what the model expects at each token's place, in nats; 0 or more. Equal to the cross "
    "entropy where the model is as sure as it is right. Not comparable between models with different tokenizers.",
    lowest=0,
)


class LanguageModelling:
    """Scores each item's text as it is; the subject's prompt template takes no part."""

    name = "language-modelling"
    version = "1"
    description = (
        "Measures how probable given texts are to the model. A lower number means that the texts are like what it was "
        "trained on, and may mean that it was trained on them: it says nothing about the quality of answers."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "entropy": {"type": "boolean", "description": "Adds the metric entropy; it is slower. Default: false."}
        },
    }
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = True
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics, with entropy where it is asked for."""
        return (*_METRICS, _ENTROPY) if parameters.get("entropy") else _METRICS

    def unfit(self, item: Item) -> str:
        """A text needs a word."""
        return "" if item.question.split() else "its text has no word"

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def ask(self, item: Item, parameters: Parameters) -> Scoring:
        """Score the whole text after nothing."""
        return Scoring(prompt="", continuations=(item.question,), has_distributions=bool(parameters.get("entropy")))

    def score(self, item: Item, outcome: Outcome, parameters: Parameters) -> Mapping[str, float]:
        """Tell what the sums are made of."""
        (found,) = outcome.likelihoods
        entropy = {"entropy": math.fsum(place.entropy for place in found.places)} if found.places else {}
        return {
            **entropy,
            "nats": -found.logprob,
            "bits": -found.logprob / math.log(2),
            "tokens": float(found.tokens),
            "bytes": float(len(item.question.encode())),
            "words": float(len(item.question.split())),
        }


TASK = LanguageModelling()
