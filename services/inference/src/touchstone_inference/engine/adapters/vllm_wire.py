"""Requests and answers of vLLM, to and from ours. Pure: knows the shapes of vLLM's objects and imports none of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from touchstone_inference.engine.core.distributions import distribution
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

DEFAULT_MAX_OUTPUT_TOKENS = 512

Text = Callable[[int], str]
"""The text of a token."""


def sampling_arguments(request: Generation, *, room: int) -> dict[str, Any]:
    """Write the arguments of SamplingParams.

    Args:
        request: What is asked for.
        room: Tokens of context that the prompt leaves.
    """
    sampling = request.sampling
    return {
        "max_tokens": max(1, min(sampling.max_output_tokens or DEFAULT_MAX_OUTPUT_TOKENS, room)),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "seed": None if sampling.seed is None else sampling.seed % 2**32,
        "stop": list(sampling.stop) or None,
        "repetition_penalty": sampling.repetition_penalty,
        "logprobs": request.logprobs,
    }


def schema(request: Generation) -> dict[str, Any]:
    """Write the arguments of StructuredOutputsParams. Whitespace is bounded: a model may go on with it for ever."""
    return {"json": json.loads(request.json_schema), "disable_any_whitespace": True}


def piece(output: Any, request: Generation, text: Text) -> Piece:
    """Read a RequestOutput that carries what is new."""
    (new,) = output.outputs
    logprobs: tuple[TokenLogprob, ...] = ()
    if request.logprobs is not None and new.logprobs:
        logprobs = tuple(
            token_logprob(token, found, text, alternatives=request.logprobs)
            for token, found in zip(new.token_ids, new.logprobs, strict=True)
        )
    return Piece(new.text, logprobs, _end(output, new.finish_reason) if output.finished else None)


def token_logprob(token: int, found: Mapping[int, Any], text: Text, *, alternatives: int) -> TokenLogprob:
    """Read one place: the token that stands there, and the most probable ones."""
    ranked = sorted(found.items(), key=lambda entry: entry[1].rank)[:alternatives]
    top = tuple(Alternative(text(other), float(logprob.logprob)) for other, logprob in ranked)
    return TokenLogprob(text(token), float(found[token].logprob), top)


def score(tokens: Sequence[int], flat: Any, text: Text, *, vocabulary: int | None) -> Score:
    """Read the log-probabilities of the last tokens of a prompt: those of a continuation.

    Args:
        tokens: The continuation's.
        flat: vLLM's FlatLogprobs of the whole prompt. Of each place: the token that stands there, then the most
            probable ones, that one among them where it is one of them.
        text: Gives the text of a token.
        vocabulary: How many tokens there are, where distributions are to be told. None: they are not.
    """
    starts, ends = flat.start_indices[-len(tokens) :], flat.end_indices[-len(tokens) :]
    spread = [
        distribution(flat.logprobs[start + 1 : end], vocabulary) if vocabulary else None
        for start, end in zip(starts, ends, strict=True)
    ]
    return Score(
        tokens=tuple(
            TokenLogprob(text(token), float(flat.logprobs[start]), distribution=found)
            for token, start, found in zip(tokens, starts, spread, strict=True)
        ),
        is_greedy=all(flat.ranks[start] == 1 for start in starts),
    )


def _end(output: Any, finish_reason: str) -> End:
    stats = output.metrics
    usage = Usage(
        input_tokens=len(output.prompt_token_ids or ()),
        output_tokens=stats.num_generation_tokens,
        cached_input_tokens=output.num_cached_tokens or 0,
    )
    seconds = Timings(
        queue_seconds=max(0.0, stats.scheduled_ts - stats.queued_ts),
        prefill_seconds=max(0.0, stats.first_token_ts - stats.scheduled_ts),
        decode_seconds=max(0.0, stats.last_token_ts - stats.first_token_ts),
    )
    return End(Finish.LENGTH if finish_reason == "length" else Finish.STOP, usage, seconds)
