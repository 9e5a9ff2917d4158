"""Answers and errors in the OpenAI API's form, with `touchstone` as the one field of ours."""

import base64
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from touchstone_runtime.errors import DomainError, Invalid, Kind

from touchstone_inference.router.api.openai_requests import PARAMETERS
from touchstone_inference.router.core.generation import (
    Closing,
    Embeddings,
    Opening,
    Passage,
    TokenLogprob,
    Usage,
)
from touchstone_inference.router.core.view import Model


class _Form(NamedTuple):
    status: int
    type: str


_FORMS: Mapping[Kind, _Form] = {
    Kind.INVALID: _Form(400, "invalid_request_error"),
    Kind.FAILED_PRECONDITION: _Form(400, "invalid_request_error"),
    Kind.UNAUTHENTICATED: _Form(401, "authentication_error"),
    Kind.FORBIDDEN: _Form(403, "permission_error"),
    Kind.NOT_FOUND: _Form(404, "invalid_request_error"),
    Kind.CONFLICT: _Form(409, "conflict_error"),
    Kind.ALREADY_EXISTS: _Form(409, "conflict_error"),
    Kind.EXHAUSTED: _Form(429, "rate_limit_error"),
    Kind.UNIMPLEMENTED: _Form(501, "invalid_request_error"),
    Kind.UNAVAILABLE: _Form(503, "server_error"),
    Kind.DEADLINE_EXCEEDED: _Form(504, "server_error"),
    Kind.INTERNAL: _Form(500, "server_error"),
}


def error_status(error: DomainError) -> int:
    """Give the HTTP status of an error."""
    return _FORMS[error.kind].status


def error(fault: DomainError) -> dict[str, Any]:
    """Write an error."""
    parameter = None
    if isinstance(fault, Invalid) and fault.violations:
        parameter = _parameter(fault.violations[0].field)
    elif fault.reason in ("MODEL_NOT_FOUND", "MODEL_NOT_EXPOSED"):
        parameter = "model"
    code = fault.reason.lower()
    return {"error": {"message": fault.message, "type": _FORMS[fault.kind].type, "param": parameter, "code": code}}


def chunk(
    opening: Opening, created: int, *, delta: Mapping[str, str], finish_reason: str | None = None
) -> dict[str, Any]:
    """Write a chunk of a stream."""
    choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": finish_reason}
    return _envelope(opening, created, "chat.completion.chunk") | {"choices": [choice]}


def usage_chunk(opening: Opening, created: int, usage: Usage) -> dict[str, Any]:
    """Write the chunk that carries the usage and no choice."""
    return _envelope(opening, created, "chat.completion.chunk") | {"choices": [], "usage": _usage(usage)}


def completion(
    opening: Opening, created: int, *, text: str, tokens: Sequence[TokenLogprob], closing: Closing, has_logprobs: bool
) -> dict[str, Any]:
    """Write a whole answer."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": logprobs(tokens) if has_logprobs else None,
        "finish_reason": closing.reason.value,
    }
    return _envelope(opening, created, "chat.completion") | {
        "choices": [choice],
        "usage": _usage(closing.usage),
        "touchstone": extension(opening, closing),
    }


def extension(opening: Opening, closing: Closing | None = None) -> dict[str, Any]:
    """Write what the OpenAI API has no field for: who answered, on what grounds, how fast."""
    document: dict[str, Any] = {
        "request_id": opening.request_id,
        "revision": opening.revision,
        "revision_digest": opening.digest,
        "citations": [_citation(index, passage) for index, passage in enumerate(opening.citations, 1)],
    }
    if closing is not None:
        timings = closing.timings
        document["timings"] = {
            "time_to_first_token_seconds": timings.time_to_first_token_seconds,
            "time_per_output_token_seconds": timings.time_per_output_token_seconds,
            "total_seconds": timings.total_seconds,
            "retrieval_seconds": timings.retrieval_seconds,
            "queue_seconds": timings.queue_seconds,
            "prefill_seconds": timings.prefill_seconds,
        }
    return document


def logprobs(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """Write log-probabilities."""
    return {
        "content": [
            _token(token.token, token.logprob)
            | {"top_logprobs": [_token(other.token, other.logprob) for other in token.top]}
            for token in tokens
        ],
        "refusal": None,
    }


def embeddings(model: str, revision: str, value: Embeddings, *, is_base64: bool) -> dict[str, Any]:
    """Write vectors: as numbers, or as little-endian 32-bit floats in base 64."""
    return {
        "object": "list",
        "model": model,
        "data": [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if is_base64 else list(vector)}
            for index, vector in enumerate(value.vectors)
        ],
        "usage": {"prompt_tokens": value.input_tokens, "total_tokens": value.input_tokens},
        "touchstone": {"revision": revision},
    }


def model(value: Model) -> dict[str, Any]:
    """Write a model."""
    return {
        "id": value.name,
        "object": "model",
        "created": int(value.created_at.timestamp()) if value.created_at else 0,
        "owned_by": value.name.partition("/")[0],
    }


def _envelope(opening: Opening, created: int, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{opening.request_id}",
        "object": kind,
        "created": created,
        "model": opening.model,
        "system_fingerprint": opening.revision,
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
    }


def _citation(index: int, passage: Passage) -> dict[str, Any]:
    return {
        "index": index,
        "document_id": passage.document_id,
        "title": passage.title,
        "text": passage.text,
        "score": passage.score,
        "start_offset": passage.start_offset,
        "end_offset": passage.end_offset,
        "source": passage.source,
    }


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def _parameter(field: str) -> str:
    """Give the OpenAI API's name of a field: `sampling.stop[2]` is `stop[2]`."""
    for ours, theirs in PARAMETERS.items():
        if field == ours or field.startswith((f"{ours}[", f"{ours}.")):
            return theirs + field[len(ours) :]
    return field
