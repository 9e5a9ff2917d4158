"""Protos to the router's values and back. No decisions."""

from collections.abc import Sequence
from typing import assert_never

from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone_runtime.errors import Invalid, Violation

from touchstone_inference.router.core.generation import (
    AnswerPart,
    Closing,
    ContinuationScore,
    FinishReason,
    Opening,
    Passage,
    Piece,
    Question,
    Role,
    Sampling,
    Scoring,
    TokenLogprob,
    Turn,
)
from touchstone_inference.router.core.metrics import UPPER_BOUNDS_SECONDS, Histogram
from touchstone_inference.router.core.reports import TransferTotal, Utilization
from touchstone_inference.router.core.view import Model
from touchstone_inference.router.service.catalogue import Measured

_ROLES = {pb.ROLE_SYSTEM: Role.SYSTEM, pb.ROLE_USER: Role.USER, pb.ROLE_ASSISTANT: Role.ASSISTANT}
_REASONS = {FinishReason.STOP: pb.FINISH_REASON_STOP, FinishReason.LENGTH: pb.FINISH_REASON_LENGTH}


def question(request: pb.GenerateRequest) -> Question:
    """Read a GenerateRequest. Raises Invalid for a role that is not set."""
    return Question(
        model=request.model,
        turns=turns(request.messages),
        sampling=_sampling(request.sampling),
        json_schema=request.json_schema,
        session_id=request.session_id,
        logprobs=request.logprobs if request.HasField("logprobs") else None,
        tenant=request.tenant,
        adapter=request.adapter,
    )


def turns(messages: Sequence[pb.Message]) -> tuple[Turn, ...]:
    """Read messages. Raises Invalid for a role that is not set."""
    violations = [
        Violation(f"messages[{index}].role", "must be ROLE_SYSTEM, ROLE_USER or ROLE_ASSISTANT")
        for index, message in enumerate(messages)
        if message.role not in _ROLES
    ]
    if violations:
        raise Invalid(violations)
    return tuple(Turn(_ROLES[message.role], message.content) for message in messages)


def answer_part(part: AnswerPart) -> pb.GenerateResponse:
    """Write a part of an answer."""
    match part:
        case Piece():
            return pb.GenerateResponse(text=part.text, logprobs=_logprobs(part.logprobs))
        case Opening():
            return pb.GenerateResponse(
                revision=part.revision,
                revision_digest=part.digest,
                request_id=part.request_id,
                citations=[_citation(index, passage) for index, passage in enumerate(part.citations, 1)],
            )
        case Closing():
            return _closing(part)
        case _:
            assert_never(part)


def scoring(message: pb.ScoreRequest) -> Scoring:
    """Read what is to be scored."""
    return Scoring(
        prompt=message.prompt,
        continuations=tuple(message.continuations),
        adapter=message.adapter,
        has_distributions=message.distributions,
    )


def scores(continuations: Sequence[ContinuationScore]) -> list[pb.ContinuationScore]:
    """Write scores."""
    return [
        pb.ContinuationScore(logprob=score.logprob, tokens=_logprobs(score.tokens), is_greedy=score.is_greedy)
        for score in continuations
    ]


def model(value: Model) -> pb.Model:
    """Write a model with its revisions."""
    created_at = None
    if value.created_at is not None:
        created_at = Timestamp()
        created_at.FromDatetime(value.created_at)
    return pb.Model(
        name=value.name,
        stable_revision=value.stable_revision,
        revisions=[
            pb.Revision(
                name=revision.name,
                digest=revision.digest,
                weight_percent=revision.weight_percent,
                ready_endpoints=len(revision.endpoints),
            )
            for revision in value.revisions.values()
        ],
        created_at=created_at,
    )


def transfers(total: TransferTotal) -> pb.GetKVTransferResponse:
    """Write what has moved."""
    return pb.GetKVTransferResponse(
        engines=total.engines,
        engines_without_connector=total.engines_without_connector,
        remote_prompts=total.sums.remote_prompts,
        failed_prompts=total.sums.failed_prompts,
        transfers=total.sums.transfers,
        transferred_bytes=total.sums.transferred_bytes,
        transferred_tokens=total.sums.transferred_tokens,
        failed_transfers=total.sums.failed_transfers,
    )


def utilization(found: Utilization) -> pb.GetUtilizationResponse:
    """Write what engines reach."""
    return pb.GetUtilizationResponse(**found._asdict())


def metrics(measured: Measured) -> pb.GetRevisionMetricsResponse:
    """Write the counters of a window."""
    counters = measured.counters
    return pb.GetRevisionMetricsResponse(
        requests=counters.requests,
        errors=counters.errors,
        usage_totals=pb.UsageTotals(
            input_tokens=counters.input_tokens,
            output_tokens=counters.output_tokens,
            cached_input_tokens=counters.cached_input_tokens,
        ),
        time_to_first_token=_distribution(counters.time_to_first_token),
        time_per_output_token=_distribution(counters.time_per_output_token),
        queue_time=_distribution(counters.queue_time),
        good_requests=counters.good_requests if measured.has_objective else None,
        window_seconds=measured.window_seconds,
    )


def _sampling(sampling: pb.Sampling) -> Sampling:
    return Sampling(
        max_output_tokens=sampling.max_output_tokens if sampling.HasField("max_output_tokens") else None,
        temperature=sampling.temperature if sampling.HasField("temperature") else None,
        top_p=sampling.top_p if sampling.HasField("top_p") else None,
        top_k=sampling.top_k if sampling.HasField("top_k") else None,
        seed=sampling.seed if sampling.HasField("seed") else None,
        stop=tuple(sampling.stop),
    )


def _citation(index: int, passage: Passage) -> pb.Citation:
    return pb.Citation(
        index=index,
        document_id=passage.document_id,
        title=passage.title,
        text=passage.text,
        score=passage.score,
        start_offset=passage.start_offset,
        end_offset=passage.end_offset,
        source=passage.source,
    )


def _closing(part: Closing) -> pb.GenerateResponse:
    usage, timings = part.usage, part.timings
    return pb.GenerateResponse(
        text=part.text,
        logprobs=_logprobs(part.logprobs),
        revision=part.revision,
        revision_digest=part.digest,
        finish_reason=_REASONS[part.reason],
        usage=pb.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_input_tokens=usage.cached_input_tokens,
        ),
        timings=pb.Timings(
            time_to_first_token_seconds=timings.time_to_first_token_seconds,
            time_per_output_token_seconds=timings.time_per_output_token_seconds,
            total_seconds=timings.total_seconds,
            retrieval_seconds=timings.retrieval_seconds,
            queue_seconds=timings.queue_seconds,
            prefill_seconds=timings.prefill_seconds,
        ),
    )


def _logprobs(tokens: Sequence[TokenLogprob]) -> list[pb.TokenLogprob]:
    return [
        pb.TokenLogprob(
            token=token.token,
            logprob=token.logprob,
            top=[pb.TokenAlternative(token=other.token, logprob=other.logprob) for other in token.top],
            distribution=pb.TokenDistribution(
                entropy=token.distribution.entropy, deviation=token.distribution.deviation
            )
            if token.distribution
            else None,
        )
        for token in tokens
    ]


def _distribution(histogram: Histogram) -> pb.Distribution:
    return pb.Distribution(upper_bounds=UPPER_BOUNDS_SECONDS, counts=histogram.counts, sum=histogram.sum_seconds)
