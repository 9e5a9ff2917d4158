"""Generated Python, run against its tests: pass@k."""

from collections.abc import Mapping
from typing import cast

from touchstone_evaluation.core import programs
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.programs import Form
from touchstone_evaluation.core.spec import Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import LoadShape, Metric, Program, Prompt, Seat, Steps, Trial, share

MAX_SAMPLES = 100
DEFAULT_SECONDS = 10
DEFAULT_MEBIBYTES = 512
TEMPLATES = {
    Form.BLOCK: "{question}\n\nAnswer with one block of Python code and nothing else.",
    Form.COMPLETION: "{question}",
}


class CodeGeneration:
    """Asks for programs and runs them, each in processes of its own that may do nothing but compute."""

    name = "code-generation"
    version = "1"
    description = (
        "Measures whether Python that the model writes passes an item's tests. It says nothing of style, of speed, or "
        "of what the tests do not ask; programs get no files, no network and no packages but Python's own."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "form": {
                "enum": [str(form) for form in Form],
                "description": "Block: the first fenced block of the answer. Completion: the answer continues the "
                "question, for models without a chat template. Default: Block.",
            },
            "template": {
                "type": "string",
                "pattern": r"\{question\}",
                "description": "What is asked: {question}, and {tests} for the item's tests. Default: the question, "
                "and for Block that one block of Python is wanted.",
            },
            "preamble": {
                "type": "string",
                "description": "Python that stands before each program, as imports that the question takes as given.",
            },
            "samples": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_SAMPLES,
                "description": "Answers to each question; above 1 the suite's temperature should be, too. Default: 1.",
            },
            "passAt": {
                "type": "array",
                "minItems": 1,
                "maxItems": 4,
                "uniqueItems": True,
                "items": {"type": "integer", "minimum": 1, "maximum": MAX_SAMPLES},
                "description": "The numbers k of pass@k, each at most samples. Default: [1].",
            },
            "timeoutSeconds": {
                "type": "integer",
                "minimum": 1,
                "maximum": 60,
                "description": f"A program's time with its tests. Default: {DEFAULT_SECONDS}.",
            },
            "memoryMebibytes": {
                "type": "integer",
                "minimum": 64,
                "maximum": 8192,
                "description": f"A program's address space. Default: {DEFAULT_MEBIBYTES}.",
            },
        },
    }
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = True
    runs_code = True

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics: one a k."""
        return (
            *(
                share(
                    f"pass_at_{k}",
                    f"Probability that one of {k} programs passes all tests, without bias (Chen et al., 2021)"
                    if k > 1
                    else "Share of programs that pass all tests",
                    is_binary=_samples(parameters) == 1,
                    is_main=k == min(_ks(parameters)),
                )
                for k in _ks(parameters)
            ),
            share(
                "loaded",
                "Share of programs that run as far as their tests: it parses, and nothing raises before",
                is_binary=_samples(parameters) == 1,
            ),
        )

    def unfit(self, item: Item) -> str:
        """An item needs tests."""
        tests = item.checks.get("tests")
        is_list = isinstance(tests, list) and bool(tests) and all(isinstance(test, str) for test in tests)
        return "" if is_list else "checks.tests is no list of texts"

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def fault(self, parameters: Parameters, judges: int, *, has_baseline: bool) -> str:
        """No k is above the number of samples; nobody judges."""
        if judges:
            return "code-generation asks no judges: leave them out"
        if max(_ks(parameters)) > _samples(parameters):
            return f"passAt must be at most samples, which is {_samples(parameters)}"
        return ""

    def steps(self, item: Item, parameters: Parameters, judges: tuple[Seat, ...]) -> Steps:
        """Ask for programs, then run them."""
        form = Form(str(parameters.get("form", Form.BLOCK)))
        tests = tuple(cast("list[str]", item.checks["tests"]))
        template = str(parameters.get("template", TEMPLATES[form]))
        question = template.replace("{tests}", "\n".join(tests)).replace("{question}", item.question)
        answers = yield tuple(Prompt(question=question, sample=number) for number in range(_samples(parameters)))
        preamble = str(parameters.get("preamble", ""))
        outcomes = yield tuple(
            Program(
                program=f"{preamble}\n{programs.program(answer.text, item.question, form)}",
                tests=tests,
                timeout_seconds=cast("int", parameters.get("timeoutSeconds", DEFAULT_SECONDS)),
                memory_bytes=cast("int", parameters.get("memoryMebibytes", DEFAULT_MEBIBYTES)) << 20,
            )
            for answer in answers
        )
        trials: list[Trial] = [outcome.trial for outcome in outcomes if outcome.trial]
        passed = sum(trial.passed for trial in trials)
        return {f"pass_at_{k}": programs.pass_at(k, len(trials), passed) for k in _ks(parameters)} | {
            "loaded": sum(trial.loaded for trial in trials) / len(trials)
        }


def _samples(parameters: Parameters) -> int:
    return cast("int", parameters.get("samples", 1))


def _ks(parameters: Parameters) -> list[int]:
    return cast("list[int]", parameters.get("passAt", [1]))


TASK = CodeGeneration()
