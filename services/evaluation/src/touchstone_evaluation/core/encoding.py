"""An encoder among a task's parameters. Pure."""

from collections.abc import Mapping
from typing import cast

from touchstone_evaluation.core.spec import Json
from touchstone_evaluation.core.task import EncoderFiles

DEFAULT_MAX_TOKENS = 256
_ADDRESS: dict[str, Json] = {
    "type": "string",
    "pattern": "^(file|pypi|s3|gs|hf|https?)://.+",
    "maxLength": 2048,
}


def schema(description: str) -> dict[str, Json]:
    """The JSON Schema of a parameter that names an encoder."""
    return {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "required": ["model", "tokenizer"],
        "properties": {
            "model": _ADDRESS,
            "tokenizer": _ADDRESS,
            "maxTokens": {"type": "integer", "minimum": 8, "maximum": 8192},
        },
    }


def files(given: Json) -> EncoderFiles:
    """Read such a parameter."""
    named = cast("Mapping[str, Json]", given)
    return EncoderFiles(
        model=str(named["model"]),
        tokenizer=str(named["tokenizer"]),
        max_tokens=cast("int", named.get("maxTokens", DEFAULT_MAX_TOKENS)),
    )
