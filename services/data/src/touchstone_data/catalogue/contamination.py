"""Records in which items of evaluation sets stand: trained on them, a model's score says nothing.

A hit blocks the pipeline, unless the step is told to leave such records out. See `core.ngrams` for the rules.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jmespath
import orjson
from jmespath.exceptions import JMESPathError

from touchstone_data.core.ngrams import Wanted
from touchstone_data.core.records import Drop, Record, text_of
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, RecordWork, Step, Surroundings

CONTAMINATED = "holds an item of an evaluation set"


def texts(path: Path, expression: str) -> Iterator[str]:
    """Read the texts of an evaluation set of JSON lines, or of one JSON document.

    Args:
        path: The file.
        expression: JMESPath of the texts within a line, or within the document.

    Raises:
        ValueError: It cannot be read, or holds no text.
    """
    content = path.read_bytes()
    try:
        documents = [orjson.loads(content)]
    except orjson.JSONDecodeError:
        try:
            documents = [orjson.loads(line) for line in content.splitlines() if line.strip()]
        except orjson.JSONDecodeError as error:
            raise ValueError(f"{path.name} is neither JSON nor JSON lines: {error}") from error
    found = False
    for document in documents:
        try:
            selected = jmespath.search(expression, document)
        except JMESPathError as error:
            raise ValueError(f"{expression!r} does not fit {path.name}: {error}") from error
        for value in selected if isinstance(selected, list) else [selected]:
            if isinstance(value, str) and value:
                found = True
                yield value
    if not found:
        raise ValueError(f"{expression!r} selects no text of {path.name}. Correct `texts`.")


def make(parameters: Parameters, surroundings: Surroundings) -> RecordWork:
    """Look for the items of some files."""
    found: list[str] = []
    origins: list[str] = []
    for against in parameters["against"]:
        path = Path(surroundings.tools.fetch(against["uri"], against.get("digest", "")))
        for text in texts(path, against.get("texts", "question")):
            found.append(text)
            origins.append(against.get("name", path.name))
    wanted = Wanted(found)
    paths = surroundings.fields(parameters)
    is_blocking = parameters["on_hit"] == "fail"

    def work(record: Record) -> Record | Drop:
        hit = wanted.hit(text_of(record, paths))
        if hit is None:
            return record
        detail = f"{origins[hit.text]}: {found[hit.text][:80]}"
        return Drop(reason=CONTAMINATED, score=hit.share, detail=detail, is_blocking=is_blocking)

    return work


def check(parameters: Parameters) -> str:
    """Say which expression cannot be read."""
    for against in parameters["against"]:
        if fault := _fault(against):
            return fault
    return ""


def _fault(against: Mapping[str, Any]) -> str:
    try:
        jmespath.compile(against.get("texts", "question"))
    except JMESPathError as error:
        return f"`texts` of {against['uri']} is no JMESPath expression: {error}."
    return ""


STEP = Step(
    name="contamination",
    version=1,
    description="Finds records in which items of evaluation sets stand (13-grams, or 70 % of an item's 8-grams).",
    parameters={
        "fields": FIELDS_SCHEMA,
        "against": {
            "type": "array", "minItems": 1, "maxItems": 32,
            "items": {
                "type": "object",
                "properties": {
                    "uri": {"type": "string", "minLength": 1},
                    "digest": {"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
                    "name": {"type": "string"},
                    "texts": {
                        "type": "string", "minLength": 1,
                        "description": "JMESPath of the texts in a line or document. Left out: `question`.",
                    },
                },
                "required": ["uri"],
                "additionalProperties": False,
            },
        },
        "on_hit": {
            "enum": ["fail", "drop"], "default": "fail",
            "description": "fail: the pipeline fails when a record is hit. drop: such records are left out.",
        },
    },
    required=("against",),
    by_record=make,
    check=check,
)  # fmt: skip
