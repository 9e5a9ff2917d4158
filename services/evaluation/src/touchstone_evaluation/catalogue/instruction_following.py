"""Instructions whose following a program can check: lengths, formats, words, languages."""

from collections.abc import Iterator, Mapping

from touchstone_evaluation.core import instructions
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import Lack, LoadShape, Metric, Outcome, Prompt, share, share_among


class InstructionFollowing:
    """Asks the question as it is; it names the instructions itself."""

    name = "instruction-following"
    version = "1"
    description = (
        "Measures whether answers follow instructions that a program can check, as IFEval does. It does not look at "
        "what is said: nonsense of the right length follows."
    )
    parameters_schema: Mapping[str, Json] = {"type": "object", "additionalProperties": False, "properties": {}}
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = True
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics: by question and by instruction, strictly and loosely read."""
        return (
            share("prompt_strict", "Share of answers that follow all instructions", is_binary=True, is_main=True),
            share(
                "prompt_loose",
                "The same where the answer may do so without its first line, its last, or its asterisks",
                is_binary=True,
            ),
            *(
                share_among(
                    f"instruction_{reading}",
                    f"Share of all instructions that are followed, {reading}ly read; 0 to 1. Answers that failed have "
                    "none",
                    of=f"followed_{reading}",
                    per="instructions",
                )
                for reading in ("strict", "loose")
            ),
        )

    def unfit(self, item: Item) -> str:
        """An item needs instructions, all of them known."""
        named, arguments = item.checks.get("instructions"), item.checks.get("arguments")
        if not isinstance(named, list) or not isinstance(arguments, list) or not 0 < len(named) == len(arguments):
            return "checks.instructions and checks.arguments are not two lists of one length"
        return next(filter(None, (instructions.fault(kind, given) for kind, given in _wanted(item))), "")

    def lack(self, values: Mapping[str, float]) -> Lack | None:
        """Instructions are about form only."""
        return None if values["prompt_strict"] else Lack.FORM

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def ask(self, item: Item, parameters: Parameters) -> Prompt:
        """Ask the question as it is."""
        return Prompt(question=item.question)

    def score(self, item: Item, outcome: Outcome, parameters: Parameters) -> Mapping[str, float]:
        """Check each instruction."""
        strict = [instructions.is_followed(kind, given, outcome.text) for kind, given in _wanted(item)]
        readings = list(instructions.loose(outcome.text))
        loose = [
            any(instructions.is_followed(kind, given, reading) for reading in readings) for kind, given in _wanted(item)
        ]
        return {
            "prompt_strict": float(all(strict)),
            "prompt_loose": float(all(loose)),
            "followed_strict": float(sum(strict)),
            "followed_loose": float(sum(loose)),
            "instructions": float(len(strict)),
        }


def _wanted(item: Item) -> Iterator[tuple[str, Mapping[str, Json]]]:
    named, arguments = item.checks["instructions"], item.checks["arguments"]
    if isinstance(named, list) and isinstance(arguments, list):
        for kind, given in zip(named, arguments, strict=True):
            yield str(kind), given if isinstance(given, dict) else {}


TASK = InstructionFollowing()
