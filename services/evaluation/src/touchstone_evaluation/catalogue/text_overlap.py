"""Generated text against reference texts, by the words and characters they share. Not by what they mean."""

from collections.abc import Mapping
from functools import partial

from touchstone_evaluation.core import overlap
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import Aggregate, Corpus, LoadShape, Mean, Metric, Outcome, Prompt, Ratio, share

_BLEU = (
    *(f"bleu_matches_{order}" for order in range(1, overlap.MAX_ORDER + 1)),
    *(f"bleu_totals_{order}" for order in range(1, overlap.MAX_ORDER + 1)),
    "bleu_length",
    "bleu_gold_length",
)


_share = partial(share, scale="mean over items of the best gold; 0 to 1")


def _number(name: str, goal: Goal, aggregate: Aggregate, description: str) -> Metric:
    return Metric(name=name, goal=goal, aggregate=aggregate, description=description, lowest=0)


_METRICS = (
    _share("rouge_l", "F1 of the longest common subsequence of words (ROUGE-L)", is_main=True),
    _share("rouge_1", "F1 of shared words (ROUGE-1)"),
    _share("rouge_2", "F1 of shared pairs of words (ROUGE-2)"),
    _share("rouge_lsum", "F1 of common subsequences over lines (ROUGE-Lsum)"),
    _share("edit_similarity", "1 less the edits of characters over the longer text's length"),
    _number(
        "bleu",
        Goal.MAXIMIZE,
        Corpus(of=_BLEU, combine=overlap.bleu),
        "BLEU of all items as one corpus, 0 to 100: sacrebleu's, 13a tokens, exp smoothing. Failed items have none.",
    ),
    _number(
        "chrf",
        Goal.MAXIMIZE,
        Mean(of="chrf"),
        "Mean over items of chrF (characters up to 6, beta 2), 0 to 100: sacrebleu's, by item. Failed items have none.",
    ),
    _number(
        "ter",
        Goal.MINIMIZE,
        Ratio(of="ter_edits", per="ter_gold_length"),
        "Edits and shifts of words over the golds' words (TER), of all items as one corpus; 0 or more. Failed items "
        "have none.",
    ),
)


class TextOverlap:
    """Asks each question and compares the answer with the references."""

    name = "text-overlap"
    version = "1"
    description = (
        "Compares answers with reference texts by shared n-grams, subsequences and edits: for summaries and "
        "translations. Two texts that mean the same in other words share little; one that negates the other shares "
        "nearly all."
    )
    parameters_schema: Mapping[str, Json] = {"type": "object", "additionalProperties": False}
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = True
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics; they do not depend on parameters."""
        return _METRICS

    def unfit(self, item: Item) -> str:
        """An item needs a reference with a word in it."""
        return "" if any(overlap.tokens(answer) for answer in item.answers) else "no reference text"

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def ask(self, item: Item, parameters: Parameters) -> Prompt:
        """Ask the question as it stands."""
        return Prompt(question=item.question)

    def score(self, item: Item, outcome: Outcome, parameters: Parameters) -> Mapping[str, float]:
        """Score against the best reference, and count what corpora are scored by."""
        text, golds = outcome.text, [answer for answer in item.answers if overlap.tokens(answer)]
        counts, edits = overlap.bleu_counts(text, golds), overlap.ter_counts(text, golds)
        numbers = (*counts.matches, *counts.totals, counts.length, counts.gold_length)
        return {
            "rouge_1": max(overlap.rouge_n(text, gold, 1) for gold in golds),
            "rouge_2": max(overlap.rouge_n(text, gold, 2) for gold in golds),
            "rouge_l": max(overlap.rouge_l(text, gold) for gold in golds),
            "rouge_lsum": max(overlap.rouge_lsum(text, gold) for gold in golds),
            "edit_similarity": max(overlap.edit_similarity(text, gold) for gold in golds),
            "chrf": overlap.chrf(text, golds),
            "ter_edits": edits.edits,
            "ter_gold_length": edits.gold_length,
            **dict(zip(_BLEU, map(float, numbers), strict=True)),
        }


TASK = TextOverlap()
