"""Answers that are to be JSON of a schema: whether they are, and whether their fields are right."""

import json
from collections.abc import Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator

from touchstone_evaluation.core import json_answers
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import Lack, LoadShape, Metric, Outcome, Prompt, share

_METRICS = (
    share(
        "schema_valid",
        "Share of answers that are one JSON document which the schema accepts",
        is_binary=True,
        is_main=True,
    ),
    share("json_valid", "Share of answers that are one JSON document and nothing else", is_binary=True),
    share("json_found", "Share of answers that hold a JSON object or array among other words", is_binary=True),
    share(
        "field_accuracy",
        "Mean share of the gold's fields that the answer has with an equal value; of an answer that is no JSON 0",
    ),
    share("exact", "Share of answers that have all fields of the gold with equal values", is_binary=True),
)


class StructuredOutput:
    """Asks each question, constrained or not, and reads the answer as JSON."""

    name = "structured-output"
    version = "1"
    description = (
        "Measures whether answers are JSON of a schema and whether their fields are those of a gold document. With "
        "`constrained` the engine can say nothing else, so that only the fields are measured."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["schema"],
        "properties": {
            "schema": {
                "type": "object",
                "$ref": Draft202012Validator.META_SCHEMA["$id"],
                "description": "JSON Schema (2020-12) of an answer.",
            },
            "constrained": {
                "type": "boolean",
                "description": "Whether the engine is held to the schema while it generates. Default: false.",
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
        """The first answer is the gold document."""
        gold = json_answers.strict(item.answers[0]) if item.answers else json_answers.ABSENT
        return "its first answer is no JSON document" if gold is json_answers.ABSENT else ""

    def lack(self, values: Mapping[str, float]) -> Lack | None:
        """What the schema refuses lacks form; what it takes, with other values than the gold's, knowledge."""
        if values["exact"]:
            return None
        return Lack.KNOWLEDGE if values["schema_valid"] else Lack.FORM

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Item by item."""
        return None

    def ask(self, item: Item, parameters: Parameters) -> Prompt:
        """Ask the question as it stands."""
        schema = json.dumps(parameters["schema"]) if parameters.get("constrained") else ""
        return Prompt(question=item.question, json_schema=schema)

    def score(self, item: Item, outcome: Outcome, parameters: Parameters) -> Mapping[str, float]:
        """Read, validate, compare."""
        found, gold = json_answers.strict(outcome.text.strip()), json_answers.strict(item.answers[0])
        is_json = found is not json_answers.ABSENT
        schema = cast("Mapping[str, Any]", parameters["schema"])
        accuracy = json_answers.field_accuracy(found, gold) if is_json else 0.0
        return {
            "json_valid": float(is_json),
            "json_found": float(json_answers.find(outcome.text) is not json_answers.ABSENT),
            "schema_valid": float(is_json and Draft202012Validator(schema).is_valid(found)),
            "field_accuracy": accuracy,
            "exact": float(accuracy == 1),
        }


TASK = StructuredOutput()
