"""Requests of the OpenAI API, read strictly: what changes the answer is honoured or refused, never ignored.

Fields that cannot change the answer (bookkeeping, hints) are tolerated. Unknown fields are refused as OpenAI does.
`top_k` and `adapter` are ours: OpenAI's clients send them by `extra_body`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jsonschema
from touchstone_runtime.errors import Invalid, Violation

from touchstone_inference.router.core.generation import Question, Role, Sampling, Turn

TOLERATED = frozenset({
    "metadata", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "safety_identifier", "service_tier", "store",
})  # fmt: skip
"""Fields of the OpenAI API that cannot change an answer here."""

NEUTRAL: Mapping[str, Sequence[Any]] = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "functions": ([],),
    "tool_choice": ("none", "auto"),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
}
"""Fields that are accepted with these values only, for they mean what happens anyway."""

_ROLES = {"system": Role.SYSTEM, "developer": Role.SYSTEM, "user": Role.USER, "assistant": Role.ASSISTANT}

_CONTENT = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["type", "text"],
                "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
            },
        },
    ]
}
_CHAT: dict[str, Any] = {
    "model": {"type": "string"},
    "messages": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["role", "content"],
            "properties": {"role": {"enum": [*_ROLES]}, "content": _CONTENT, "name": {"type": "string"}},
        },
    },
    "max_tokens": {"type": ["integer", "null"]},
    "max_completion_tokens": {"type": ["integer", "null"]},
    "temperature": {"type": ["number", "null"]},
    "top_p": {"type": ["number", "null"]},
    "top_k": {"type": ["integer", "null"]},
    "seed": {"type": ["integer", "null"], "minimum": -(2**63), "maximum": 2**63 - 1},
    "stop": {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": "string"}}]},
    "stream": {"type": ["boolean", "null"]},
    "stream_options": {
        "type": ["object", "null"],
        "properties": {"include_usage": {"type": "boolean"}, "include_obfuscation": {"const": False}},
        "additionalProperties": False,
    },
    "response_format": {
        "type": ["object", "null"],
        "required": ["type"],
        "properties": {
            "type": {"enum": ["text", "json_object", "json_schema"]},
            "json_schema": {
                "type": "object",
                "required": ["name", "schema"],
                "properties": {"schema": {"type": "object"}, "name": {"type": "string"}},
            },
        },
    },
    "logprobs": {"type": ["boolean", "null"]},
    "top_logprobs": {"type": ["integer", "null"]},
    "user": {"type": ["string", "null"]},
    "adapter": {"type": ["string", "null"]},
}
_EMBEDDINGS: dict[str, Any] = {
    "model": {"type": "string"},
    "input": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
    "encoding_format": {"enum": ["float", "base64"]},
    "user": {"type": ["string", "null"]},
}

PARAMETERS = {
    "messages": "messages", "model": "model", "json_schema": "response_format", "logprobs": "top_logprobs",
    "sampling.max_output_tokens": "max_completion_tokens", "sampling.temperature": "temperature",
    "sampling.top_p": "top_p", "sampling.top_k": "top_k", "sampling.stop": "stop", "inputs": "input",
}  # fmt: skip
"""The OpenAI API's names of our fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A request of /v1/chat/completions."""

    question: Question
    is_stream: bool
    includes_usage: bool
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingsRequest:
    """A request of /v1/embeddings."""

    model: str
    inputs: tuple[str, ...]
    is_base64: bool
    user: str


def chat(body: bytes, *, tenant: str) -> ChatRequest:
    """Read a chat request. Raises Invalid, with OpenAI's names of the fields."""
    document = _read(body, _CHAT, required=("model", "messages"))
    most = document.get("max_completion_tokens")
    most = document.get("max_tokens") if most is None else most
    stop = document.get("stop") or ()
    question = Question(
        model=document["model"],
        turns=tuple(Turn(_ROLES[message["role"]], _content(message["content"])) for message in document["messages"]),
        sampling=Sampling(
            max_output_tokens=most,
            temperature=document.get("temperature"),
            top_p=document.get("top_p"),
            top_k=document.get("top_k"),
            seed=document.get("seed"),
            stop=(stop,) if isinstance(stop, str) else tuple(stop),
        ),
        json_schema=_json_schema(document.get("response_format")),
        logprobs=_logprobs(document),
        tenant=tenant,
        adapter=document.get("adapter") or "",
    )
    options = document.get("stream_options") or {}
    return ChatRequest(
        question=question,
        is_stream=bool(document.get("stream")),
        includes_usage=bool(options.get("include_usage")),
        user=document.get("user") or "",
    )


def embeddings(body: bytes) -> EmbeddingsRequest:
    """Read an embeddings request. Raises Invalid, with OpenAI's names of the fields."""
    document = _read(body, _EMBEDDINGS, required=("model", "input"))
    given = document["input"]
    return EmbeddingsRequest(
        model=document["model"],
        inputs=(given,) if isinstance(given, str) else tuple(given),
        is_base64=document.get("encoding_format") == "base64",
        user=document.get("user") or "",
    )


def _read(body: bytes, properties: dict[str, Any], *, required: Sequence[str]) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise _invalid("body", "must be a JSON document") from None
    if not isinstance(document, dict):
        raise _invalid("body", "must be a JSON object")
    for name in required:
        if name not in document:
            raise _invalid(name, "is required")
    kept = {name: value for name, value in document.items() if name in properties}
    for name in document.keys() - kept.keys() - TOLERATED:
        _check_neutral(name, document[name])
    fault = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator({"type": "object", "properties": properties}).iter_errors(kept)
    )
    if fault is not None:
        raise _invalid(_path(fault.absolute_path), f"does not fit: {fault.validator} must be {fault.validator_value}")
    return kept


def _check_neutral(name: str, value: Any) -> None:
    if name not in NEUTRAL:
        raise _invalid(name, "is not a known argument")
    if value is not None and value not in NEUTRAL[name]:
        raise _invalid(name, f"is supported as {json.dumps(NEUTRAL[name][0])} only; leave it out")


def _path(steps: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def _content(content: str | Sequence[Mapping[str, str]]) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def _json_schema(response_format: Mapping[str, Any] | None) -> str:
    match response_format:
        case {"type": "json_object"}:
            return '{"type":"object"}'
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return json.dumps(schema)
        case {"type": "json_schema"}:
            raise _invalid("response_format.json_schema", "is required for this type")
        case _:
            return ""


def _logprobs(document: Mapping[str, Any]) -> int | None:
    if document.get("logprobs"):
        return document.get("top_logprobs") or 0
    if document.get("top_logprobs"):
        raise _invalid("top_logprobs", "needs logprobs to be true")
    return None


def _invalid(parameter: str, fault: str) -> Invalid:
    return Invalid([Violation(parameter, fault)])
