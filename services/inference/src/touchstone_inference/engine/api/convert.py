"""Protos of the engine to our values and back. Pure."""

import json
from collections.abc import Sequence

from touchstone.engine.v1 import engine_service_pb2 as pb
from touchstone_runtime.errors import Invalid, Violation

from touchstone_inference.engine.core.generation import (
    Capability,
    Description,
    Finish,
    Generation,
    Piece,
    Prefilled,
    Sampling,
    Score,
    Scoring,
    Speaker,
    TokenLogprob,
    Transfers,
    Turn,
)
from touchstone_inference.engine.core.utilization import Utilization
from touchstone_inference.engine.service.splitting import SplitCounters

_SPEAKERS = {pb.ROLE_SYSTEM: Speaker.SYSTEM, pb.ROLE_USER: Speaker.USER, pb.ROLE_ASSISTANT: Speaker.ASSISTANT}
_FINISHES = {Finish.STOP: pb.FINISH_REASON_STOP, Finish.LENGTH: pb.FINISH_REASON_LENGTH}
_CAPABILITIES = {
    Capability.SCORE: pb.CAPABILITY_SCORE,
    Capability.EMBED: pb.CAPABILITY_EMBED,
    Capability.JSON_SCHEMA: pb.CAPABILITY_JSON_SCHEMA,
    Capability.LOGPROBS: pb.CAPABILITY_LOGPROBS,
    Capability.ADAPTERS: pb.CAPABILITY_ADAPTERS,
    Capability.PREFIX_CACHE: pb.CAPABILITY_PREFIX_CACHE,
}


def turns(conversation: pb.Conversation) -> list[Turn]:
    """Read a conversation.

    Raises:
        Invalid: A message has no role.
    """
    wrong = [
        Violation(f"conversation.messages[{index}].role", "is not set; use ROLE_SYSTEM, ROLE_USER or ROLE_ASSISTANT")
        for index, message in enumerate(conversation.messages)
        if message.role not in _SPEAKERS
    ]
    if wrong:
        raise Invalid(wrong)
    return [Turn(_SPEAKERS[message.role], message.content) for message in conversation.messages]


def generation(request: pb.GenerateRequest, prompt: str) -> Generation:
    """Read a request for a continuation of a rendered prompt."""
    return Generation(
        prompt=prompt,
        sampling=sampling(request.sampling),
        json_schema=request.json_schema,
        logprobs=request.logprobs if request.HasField("logprobs") else None,
        adapter=request.adapter,
    )


def sampling(message: pb.Sampling) -> Sampling:
    """Read a choice of sampling; what is unset takes the default."""
    return Sampling(
        max_output_tokens=message.max_output_tokens if message.HasField("max_output_tokens") else None,
        temperature=message.temperature,
        top_p=message.top_p if message.HasField("top_p") else 1.0,
        top_k=message.top_k,
        seed=message.seed if message.HasField("seed") else None,
        stop=tuple(message.stop),
        repetition_penalty=message.repetition_penalty if message.HasField("repetition_penalty") else 1.0,
    )


def response(piece: Piece) -> pb.GenerateResponse:
    """Write a part of an answer."""
    message = pb.GenerateResponse(text=piece.text, logprobs=map(logprob, piece.logprobs))
    if piece.end is not None:
        message.finish_reason = _FINISHES[piece.end.finish]
        message.usage.CopyFrom(pb.Usage(**piece.end.usage._asdict()))
        message.timings.CopyFrom(pb.Timings(**piece.end.timings._asdict()))
    return message


def logprob(entry: TokenLogprob) -> pb.TokenLogprob:
    """Write a token with its log-probability."""
    top = [pb.TokenAlternative(token=other.token, logprob=other.logprob) for other in entry.top]
    distribution = pb.TokenDistribution(**entry.distribution._asdict()) if entry.distribution else None
    return pb.TokenLogprob(token=entry.token, logprob=entry.logprob, top=top, distribution=distribution)


def scoring(message: pb.ScoreRequest) -> Scoring:
    """Read what is to be scored."""
    return Scoring(
        prompt=message.prompt,
        continuations=tuple(message.continuations),
        adapter=message.adapter,
        has_distributions=message.distributions,
    )


def scores(found: Sequence[Score]) -> pb.ScoreResponse:
    """Write scores."""
    return pb.ScoreResponse(
        scores=[
            pb.ContinuationScore(
                logprob=sum(token.logprob for token in score.tokens),
                tokens=map(logprob, score.tokens),
                is_greedy=score.is_greedy,
            )
            for score in found
        ]
    )


def prefilled(found: Prefilled) -> pb.PrefillResponse:
    """Write where a prompt's blocks lie."""
    return pb.PrefillResponse(
        handoff=json.dumps(found.handoff) if found.handoff else "",
        cached_input_tokens=found.cached_input_tokens,
        prefill_seconds=found.seconds,
    )


def utilization(reached: Utilization) -> pb.Utilization:
    """Write what an engine reaches."""
    return pb.Utilization(
        chip=reached.chip,
        mfu=reached.mfu,
        mbu=reached.mbu,
        window_seconds=reached.window_seconds,
        flops=reached.work.flops,
        moved_bytes=reached.work.moved_bytes,
    )


def kv_transfer(counted: Transfers, sent: SplitCounters) -> pb.KVTransfer:
    """Write what was sent to prefill engines, and what came from them."""
    return pb.KVTransfer(
        connector=counted.connector,
        remote_prompts=sent.remote,
        failed_prompts=sent.failed,
        transfers=counted.completed,
        transferred_bytes=counted.size_bytes,
        transferred_tokens=counted.tokens,
        failed_transfers=counted.failures,
        expired_prompts=counted.expired,
    )


def description(
    found: Description, *, revision: str, revision_digest: str, adapters: Sequence[str]
) -> pb.DescribeResponse:
    """Write a description."""
    return pb.DescribeResponse(
        engine_type=found.engine_type,
        model_digest=found.model_digest,
        context_tokens=found.context_tokens,
        slots=found.slots,
        capabilities=sorted(_CAPABILITIES[capability] for capability in found.capabilities),
        adapters=adapters,
        revision=revision,
        revision_digest=revision_digest,
    )
