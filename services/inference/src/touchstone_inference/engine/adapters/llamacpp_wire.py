"""Requests and answers of llama.cpp's server, to and from ours. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from touchstone_runtime.errors import DomainError

from touchstone_inference import errors
from touchstone_inference.engine.core.distributions import CONSIDERED, distribution
from touchstone_inference.engine.core.generation import (
    Alternative,
    End,
    Finish,
    Generation,
    Piece,
    Score,
    Timings,
    TokenLogprob,
    Usage,
)

Json = Mapping[str, Any]
Lora: TypeAlias = Sequence[Mapping[str, float]]
"""Which adapters take part in a request, by their numbers, and how strongly."""

DEFAULT_MAX_OUTPUT_TOKENS = 512
RANDOM_SEED = -1


def completion_request(request: Generation, *, stops: tuple[str, ...], lora: Lora = ()) -> dict[str, Any]:
    """Write a request for `POST /completion`; every sampler that we did not name is off."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "prompt": request.prompt,
        "stream": True,
        "cache_prompt": True,
        "n_predict": sampling.max_output_tokens or DEFAULT_MAX_OUTPUT_TOKENS,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": 0.0,
        "repeat_penalty": sampling.repetition_penalty,
        "seed": RANDOM_SEED if sampling.seed is None else sampling.seed % 2**32,
        "stop": [*stops, *sampling.stop],
        "lora": list(lora),
    }
    if request.json_schema:
        body["json_schema"] = json.loads(request.json_schema)
    if request.logprobs is not None:
        body["n_probs"] = max(request.logprobs, 1)
    return body


def scoring_request(
    before: Sequence[int], scored: Sequence[int], *, has_distributions: bool, lora: Lora = ()
) -> dict[str, Any]:
    """Write a request for `POST /completion` that can generate nothing but the scored tokens."""
    return {
        "prompt": list(before),
        "cache_prompt": True,
        "n_predict": len(scored),
        "grammar": "root ::= " + " ".join(f"<[{token}]>" for token in scored),
        "n_probs": CONSIDERED if has_distributions else 1,
        "lora": list(lora),
    }


def score(answer: Json, scored: Sequence[int], *, vocabulary: int | None) -> Score:
    """Read what was generated as the scored tokens, with the model's own log-probabilities: before the grammar.

    Args:
        answer: The server's.
        scored: The tokens it was made to generate.
        vocabulary: How many tokens there are, where distributions are to be told. None: they are not.

    Raises:
        EngineBroke: It generated anything else.
    """
    entries = answer.get("completion_probabilities", ())
    if [entry["id"] for entry in entries] != list(scored):
        raise errors.EngineBroke("llama.cpp did not generate what was to be scored. Try again.")
    return Score(
        tokens=tuple(
            TokenLogprob(
                entry["token"],
                float(entry["logprob"]),
                distribution=distribution([float(other["logprob"]) for other in entry["top_logprobs"]], vocabulary)
                if vocabulary
                else None,
            )
            for entry in entries
        ),
        is_greedy=all(entry["top_logprobs"][0]["id"] == entry["id"] for entry in entries),
    )


def piece(event: Json, request: Generation) -> Piece:
    """Read one event of a streamed completion.

    Raises:
        DomainError: The event reports an error.
    """
    if "error" in event:
        raise failure(event["error"])
    logprobs: tuple[TokenLogprob, ...] = ()
    if request.logprobs is not None:
        logprobs = tuple(_logprob(entry, request.logprobs) for entry in event.get("completion_probabilities", ()))
    return Piece(event.get("content", ""), logprobs, _end(event) if event.get("stop") else None)


def _logprob(entry: Json, alternatives: int) -> TokenLogprob:
    top = tuple(Alternative(t["token"], float(t["logprob"])) for t in entry.get("top_logprobs", ())[:alternatives])
    return TokenLogprob(entry["token"], float(entry["logprob"]), top)


def _end(event: Json) -> End:
    timings = event.get("timings", {})
    usage = Usage(
        input_tokens=int(event.get("tokens_evaluated", 0)),
        output_tokens=int(event.get("tokens_predicted", 0)),
        cached_input_tokens=int(timings.get("cache_n", 0)),
    )
    seconds = Timings(
        prefill_seconds=float(timings.get("prompt_ms", 0.0)) / 1000,
        decode_seconds=float(timings.get("predicted_ms", 0.0)) / 1000,
    )
    return End(Finish.LENGTH if event.get("stop_type") == "limit" else Finish.STOP, usage, seconds)


def failure(error: Json) -> DomainError:
    """Read an error of the server; its own words stay in the log, since they may hold paths."""
    if error.get("type") == "exceed_context_size_error":
        return errors.PromptOverContext(int(error.get("n_prompt_tokens", 0)), int(error.get("n_ctx", 0)))
    if error.get("type") == "invalid_request_error":
        return errors.RequestRefused(str(error.get("message", "")))
    return errors.EngineBroke(f"llama.cpp answered with an error ({error.get('type', 'unknown')}). Try again.")
