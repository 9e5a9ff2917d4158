"""Generated short answers: numbers, letters of choices, or what a pattern finds; strictly and flexibly read."""

from collections.abc import Mapping
from typing import cast

import numpy as np

from touchstone_evaluation.core import extracting
from touchstone_evaluation.core.extracting import Extracted, Kind
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.statistics import Floats
from touchstone_evaluation.core.task import Corpus, Lack, LoadShape, Metric, Prompt, Seat, Steps, share

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_TEMPLATES = 10
TEMPLATES = {
    Kind.NUMBER: "{question}\nEnd with the answer as a number after ####.",
    Kind.LETTER: "{question}\n\n{choices}\n\nAnswer with the letter of the right choice.",
    Kind.PATTERN: "{question}",
}


def _spread(sums: Floats) -> Floats:
    """The widest distance between the templates' shares: sums of hits by template, and of items last."""
    shares = sums[:, :-1] / sums[:, -1:]
    result: Floats = np.max(shares, axis=1) - np.min(shares, axis=1)
    return result


class ShortAnswer:
    """Asks each question, in one or several wordings, and takes the short answer out of what is written."""

    name = "short-answer"
    version = "1"
    description = (
        "Measures whether the number, letter or part that an answer gives is right, read strictly and flexibly. It "
        "does not look at the reasoning: a right number may come from wrong steps."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["kind"],
        "properties": {
            "kind": {
                "enum": [str(kind) for kind in Kind],
                "description": "What is taken out: a Number, the Letter of one of the item's choices, or what the "
                "Pattern finds.",
            },
            "pattern": {
                "type": "string",
                "description": "For Pattern: a regular expression with one group, the part that is compared.",
            },
            "templates": {
                "type": "array",
                "minItems": 1,
                "maxItems": MAX_TEMPLATES,
                "uniqueItems": True,
                "items": {"type": "string", "pattern": r"\{question\}"},
                "description": "Wordings: {question}, and {choices} for the lettered choices. Each item is asked in "
                "each; of two or more, template_spread tells how much the wording decides.",
            },
        },
    }
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = True
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics; of several templates also how far they lie apart."""
        count = len(_templates(parameters))
        is_binary = count == 1
        found = (
            share(
                "flexible_match",
                "Share of answers that are right however they put it",
                is_binary=is_binary,
                is_main=True,
            ),
            share("strict_match", "Share that are right in the form that was asked for", is_binary=is_binary),
            share("extracted", "Share that give anything of the kind at all", is_binary=is_binary),
        )
        if is_binary:
            return found
        spread = Metric(
            name="template_spread",
            goal=Goal.MINIMIZE,
            aggregate=Corpus(of=(*(f"template_{number}" for number in range(count)), "items"), combine=_spread),
            description="The best template's flexible_match less the worst one's; 0 to 1. Of equally good templates it "
            "is above 0, too: the fewer the items, the more.",
        )
        return (*found, spread)

    def unfit(self, item: Item) -> str:
        """An item needs an answer."""
        return "" if item.answers else "it has no answer"

    def lack(self, values: Mapping[str, float]) -> Lack | None:
        """What is right only if read flexibly, or gives nothing of the kind, lacks form."""
        if values["strict_match"] == 1:
            return None
        has_content = values["flexible_match"] == 1 or values["extracted"] < 1
        return Lack.FORM if has_content else Lack.KNOWLEDGE

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def fault(self, parameters: Parameters, judges: int, *, has_baseline: bool) -> str:
        """A pattern goes with its kind; nobody judges."""
        if judges:
            return "short-answer asks no judges: leave them out"
        expression = cast("str | None", parameters.get("pattern"))
        if (parameters.get("kind") == Kind.PATTERN) != (expression is not None):
            return "the parameter pattern belongs to the kind Pattern, and to no other"
        fault = extracting.pattern_fault(expression) if expression is not None else ""
        return f"the parameter pattern {fault}" if fault else ""

    def steps(self, item: Item, parameters: Parameters, judges: tuple[Seat, ...]) -> Steps:
        """Ask in each wording."""
        listed = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, item.choices, strict=False))
        templates = _templates(parameters)
        outcomes = yield tuple(
            Prompt(question=template.replace("{choices}", listed).replace("{question}", item.question))
            for template in templates
        )
        found = [_extract(outcome.text, item, parameters) for outcome in outcomes]
        flexible = [_is_right(one.flexible, item, parameters) for one in found]
        values = {
            "flexible_match": sum(flexible) / len(found),
            "strict_match": sum(_is_right(one.strict, item, parameters) for one in found) / len(found),
            "extracted": sum(one.flexible is not None for one in found) / len(found),
        }
        if len(found) > 1:
            values |= {f"template_{number}": hit for number, hit in enumerate(flexible)} | {"items": 1.0}
        return values


def _templates(parameters: Parameters) -> tuple[str, ...]:
    given = cast("list[str] | None", parameters.get("templates"))
    return tuple(given) if given else (TEMPLATES[Kind(str(parameters.get("kind", Kind.NUMBER)))],)


def _extract(text: str, item: Item, parameters: Parameters) -> Extracted:
    match Kind(str(parameters["kind"])):
        case Kind.NUMBER:
            return extracting.number(text)
        case Kind.LETTER:
            return extracting.letter(text, item.choices or ("",) * len(LETTERS))
        case Kind.PATTERN:
            return extracting.pattern(text, str(parameters["pattern"]))


def _is_right(found: str | None, item: Item, parameters: Parameters) -> float:
    kind = Kind(str(parameters["kind"]))
    return float(any(extracting.COMPARE[kind](found, gold) for gold in _golds(item, kind)))


def _golds(item: Item, kind: Kind) -> tuple[str, ...]:
    """What is right: of choices the letters of the right ones, of worked solutions the number they end with."""
    if kind is Kind.NUMBER:
        return tuple(extracting.number(answer).flexible or answer for answer in item.answers)
    if kind is Kind.LETTER and item.choices:
        return tuple(LETTERS[place] for place, choice in enumerate(item.choices) if choice in item.answers)
    return item.answers


TASK = ShortAnswer()
