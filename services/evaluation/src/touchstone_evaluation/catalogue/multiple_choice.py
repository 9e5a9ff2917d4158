"""Multiple choice by log-likelihood: which of the choices the model finds most probable. It generates nothing."""

import math
from collections.abc import Mapping
from typing import cast

from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import LoadShape, Mean, Metric, Outcome, Scoring

TEMPLATE = "Question: {question}\nAnswer:"
SEPARATOR = " "
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_METRICS = (
    Metric(
        name="accuracy",
        goal=Goal.MAXIMIZE,
        aggregate=Mean(of="accuracy"),
        description="Share of items whose right choice has the highest log-likelihood (acc of lm-evaluation-harness); "
        "0 to 1. Favours short choices.",
        is_binary=True,
        lowest=0,
        highest=1,
        has_worst=True,
        is_main=True,
    ),
    Metric(
        name="accuracy_normalised",
        goal=Goal.MAXIMIZE,
        aggregate=Mean(of="accuracy_normalised"),
        description="The same with each log-likelihood divided by the choice's length in bytes (acc_norm); 0 to 1.",
        is_binary=True,
        lowest=0,
        highest=1,
        has_worst=True,
    ),
    Metric(
        name="gold_probability",
        goal=Goal.MAXIMIZE,
        aggregate=Mean(of="gold_probability"),
        description="Mean share of the right choices in the probability of all choices; 0 to 1. Moves before accuracy "
        "does.",
        lowest=0,
        highest=1,
        has_worst=True,
    ),
)


class MultipleChoice:
    """Scores each choice after the question; the subject's prompt template takes no part."""

    name = "multiple-choice"
    version = "1"
    description = (
        "Compares the log-likelihoods of the choices. It says which choice the weights prefer, not what the service "
        "would answer: its prompt, its index and its sampling take no part."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "template": {
                "type": "string",
                "pattern": r"\{question\}",
                "description": "The prompt: {question}, and {choices} for a lettered list of the choices. "
                "Default: 'Question: {question}\\nAnswer:'.",
            },
            "continuations": {
                "enum": ["choices", "letters"],
                "description": "What is scored: the choices' texts (cloze), or their letters. Default: choices.",
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
        """An item needs two choices or more, and a right one among them."""
        if not 2 <= len(item.choices) <= len(LETTERS):
            return "it has not 2 to 26 choices"
        if not all(item.choices) or len(set(item.choices)) != len(item.choices):
            return "its choices are not all different and not empty"
        return "" if set(item.answers) & set(item.choices) else "no answer is one of its choices"

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def ask(self, item: Item, parameters: Parameters) -> Scoring:
        """Score each choice as a continuation of the rendered question."""
        template = cast("str", parameters.get("template", TEMPLATE))
        listed = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, item.choices, strict=False))
        prompt = template.replace("{choices}", listed).replace("{question}", item.question)
        return Scoring(prompt=prompt, continuations=tuple(SEPARATOR + text for text in _scored(item, parameters)))

    def score(self, item: Item, outcome: Outcome, parameters: Parameters) -> Mapping[str, float]:
        """Compare the choices; of equals the first one counts, as argmax takes it."""
        found = [likelihood.logprob for likelihood in outcome.likelihoods]
        lengths = [len(text.encode()) for text in _scored(item, parameters)]
        normalised = [logprob / length for logprob, length in zip(found, lengths, strict=True)]
        right = {place for place, choice in enumerate(item.choices) if choice in item.answers}
        highest = max(found)
        shares = [math.exp(logprob - highest) for logprob in found]
        return {
            "accuracy": float(found.index(highest) in right),
            "accuracy_normalised": float(normalised.index(max(normalised)) in right),
            "gold_probability": sum(shares[place] for place in right) / sum(shares),
        }


def _scored(item: Item, parameters: Parameters) -> tuple[str, ...]:
    return tuple(LETTERS[: len(item.choices)]) if parameters.get("continuations") == "letters" else item.choices


TASK = MultipleChoice()
