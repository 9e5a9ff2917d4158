"""Answers from an index, and which part failed where they are wrong: the search, the model, or the form."""

from collections.abc import Mapping
from typing import cast

from touchstone_evaluation.core import extracting, normalising, ranking
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import Lack, LoadShape, Mean, Metric, Prompt, Seat, Steps, share, share_among

_PARTS = {
    "right_with_passage": (Goal.MAXIMIZE, "right, and a relevant passage was before the model"),
    "right_without_passage": (Goal.MAXIMIZE, "right without one: the model knew, or guessed"),
    "wrong_with_passage": (Goal.MINIMIZE, "wrong although a relevant passage was before the model: the model's part"),
    "wrong_without_passage": (Goal.MINIMIZE, "wrong, and no relevant passage was found: the search's part"),
    "malformed": (Goal.MINIMIZE, "empty, or not of the form that the pattern asks for: neither right nor wrong"),
}


class GroundedAnswer:
    """Asks the question as the user's only turn, and looks at the passages that the answer came with."""

    name = "grounded-answer"
    version = "1"
    description = (
        "Asks each question of a model with an index and tells apart what failed: the search, the model, or the form. "
        "A passage that answers but is not the dataset's counts as not found, so the search's part is the most it can "
        "be."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "pattern": {
                "type": "string",
                "description": "A regular expression with one group, the part of the answer that is compared; an "
                "answer in which it is not found is malformed. Default: the whole answer.",
            },
        },
    }
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = True
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics; the parts add up to 1."""
        return (
            share("right", "Share of answers that contain a gold answer as whole words", is_binary=True, is_main=True),
            share(
                "passage_found", "Share of answers with a relevant passage among those in the prompt", is_binary=True
            ),
            share_among(
                "right_given_passage",
                "Share of right answers among those with a relevant passage: what the model makes of what the search "
                "finds; 0 to 1",
                of="right_with_passage",
                per="passage_found",
            ),
            *(
                Metric(
                    name=name,
                    goal=goal,
                    aggregate=Mean(of=name),
                    description=f"Share of answers that are {meaning}; 0 to 1. Items that failed have none.",
                    is_binary=True,
                    lowest=0,
                    highest=1,
                )
                for name, (goal, meaning) in _PARTS.items()
            ),
        )

    def unfit(self, item: Item) -> str:
        """An item needs a gold answer, and to say what a search should find."""
        if not any(normalising.normalise(answer) for answer in item.answers):
            return "no gold answer"
        return "" if item.relevant_texts or item.relevant_documents else "no relevant text or document"

    def lack(self, values: Mapping[str, float]) -> Lack | None:
        """The part that an answer was sorted into says it."""
        parts = {
            "malformed": Lack.FORM,
            "wrong_with_passage": Lack.READING,
            "wrong_without_passage": Lack.SEARCH,
        }
        return next((lack for name, lack in parts.items() if values[name]), None)

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def fault(self, parameters: Parameters, judges: int, *, has_baseline: bool) -> str:
        """The pattern has one group; nobody judges."""
        if judges:
            return "grounded-answer asks no judges: leave them out"
        expression = cast("str | None", parameters.get("pattern"))
        fault = extracting.pattern_fault(expression) if expression is not None else ""
        return f"the parameter pattern {fault}" if fault else ""

    def steps(self, item: Item, parameters: Parameters, judges: tuple[Seat, ...]) -> Steps:
        """Ask once; sort the answer into its part."""
        (outcome,) = yield (Prompt(question=item.question),)
        expression = cast("str | None", parameters.get("pattern"))
        answer = extracting.pattern(outcome.text, expression).flexible if expression else outcome.text.strip() or None
        golds = [gold for gold in item.answers if normalising.normalise(gold)]
        is_right = answer is not None and bool(normalising.best(normalising.contains, answer, golds))
        is_found = any(ranking.hits(outcome.passages, item.relevant_documents, item.relevant_texts))
        part = "malformed"
        if answer is not None:
            part = f"{'right' if is_right else 'wrong'}_{'with' if is_found else 'without'}_passage"
        return {
            "right": float(is_right),
            "passage_found": float(is_found),
            **{name: float(name == part) for name in _PARTS},
        }


TASK = GroundedAnswer()
