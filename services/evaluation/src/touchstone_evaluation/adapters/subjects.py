"""The revisions that are measured: models through the router, indexes through retrieval, always pinned."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import tenacity
from touchstone.inference.v1 import inference_service_pb2 as inference
from touchstone.inference.v1 import inference_service_pb2_grpc as inference_grpc
from touchstone.retrieval.v1 import retrieval_service_pb2 as retrieval
from touchstone.retrieval.v1 import retrieval_service_pb2_grpc as retrieval_grpc
from touchstone_runtime import channels, context
from touchstone_runtime.errors import DomainError, Kind

from touchstone_evaluation import errors
from touchstone_evaluation.core.ranking import Passage
from touchstone_evaluation.core.spec import Sampling, Subject
from touchstone_evaluation.core.task import Likelihood, Outcome, Place, Prompt, Query, Question, Scoring

PATIENCE_SECONDS = 90.0
"""A router that is being replaced comes back within this; one that does not makes the item fail."""
LONGEST_PAUSE_SECONDS = 4.0

T = TypeVar("T")


class GrpcSubjects:
    """Asks revisions over gRPC, over channels that do not try again by themselves."""

    def __init__(
        self, inference_channel: grpc.aio.Channel, retrieval_channel: grpc.aio.Channel, *, timeout_seconds: float
    ) -> None:
        self._inference: Any = inference_grpc.InferenceServiceStub(inference_channel)
        self._retrieval: Any = retrieval_grpc.RetrievalServiceStub(retrieval_channel)
        self._timeout_seconds = timeout_seconds

    async def ask(self, subject: Subject, ask: Question, sampling: Sampling, *, is_patient: bool) -> Outcome:
        """Ask a revision once or, patiently, a few times until it answers."""

        async def once() -> Outcome:
            try:
                match ask:
                    case Prompt():
                        return await self._generate(subject, ask, sampling)
                    case Scoring():
                        return await self._score(subject, ask)
                    case Query():
                        return await self._search(subject, ask)
            except grpc.aio.AioRpcError as error:
                raise channels.translate(error, "the service that was asked") from error

        return await (_patiently(once) if is_patient else once())

    async def _generate(self, subject: Subject, prompt: Prompt, sampling: Sampling) -> Outcome:
        request = inference.GenerateRequest(
            model=subject.name,
            messages=[inference.Message(role=inference.ROLE_USER, content=prompt.question)],
            sampling=inference.Sampling(
                max_output_tokens=prompt.max_output_tokens or sampling.max_output_tokens,
                temperature=sampling.temperature,
                seed=sampling.seed,
            ),
            json_schema=prompt.json_schema,
        )
        pinned = ((context.REVISION_HEADER, subject.revision),)
        began = time.perf_counter()
        first = last = 0.0
        texts: list[str] = []
        passages: list[Passage] = []
        closing = inference.GenerateResponse()
        async for part in self._inference.Generate(request, metadata=pinned, timeout=self._timeout_seconds):
            _check_revision(subject, part.revision_digest)
            if part.text:
                last = time.perf_counter()
                first = first or last
                texts.append(part.text)
            passages.extend(Passage(citation.document_id, citation.text) for citation in part.citations)
            closing = part
        ended = time.perf_counter()
        if closing.revision_digest != subject.digest:
            raise errors.RevisionMismatch(subject.digest, closing.revision_digest or "nobody who says so")
        tokens = closing.usage.output_tokens
        return Outcome(
            text="".join(texts),
            passages=tuple(passages),
            input_tokens=closing.usage.input_tokens,
            output_tokens=tokens,
            ttft_millis=((first or ended) - began) * 1000,
            tpot_millis=(last - first) * 1000 / (tokens - 1) if tokens > 1 else None,
            latency_millis=(ended - began) * 1000,
        )

    async def _score(self, subject: Subject, scoring: Scoring) -> Outcome:
        request = inference.ScoreRequest(
            model=subject.name,
            prompt=scoring.prompt,
            continuations=scoring.continuations,
            distributions=scoring.has_distributions,
        )
        pinned = ((context.REVISION_HEADER, subject.revision),)
        began = time.perf_counter()
        response = await self._inference.Score(request, metadata=pinned, timeout=self._timeout_seconds)
        latency = (time.perf_counter() - began) * 1000
        if response.revision != subject.revision:
            raise errors.RevisionMismatch(subject.revision, response.revision or "nobody who says so")
        return Outcome(
            likelihoods=tuple(
                Likelihood(score.logprob, len(score.tokens), score.is_greedy, _places(score))
                for score in response.scores
            ),
            latency_millis=latency,
        )

    async def _search(self, subject: Subject, query: Query) -> Outcome:
        request = retrieval.SearchRequest(
            index=subject.name, revision=subject.revision, query=query.text, top_k=query.top_k
        )
        began = time.perf_counter()
        response = await self._retrieval.Search(request, timeout=self._timeout_seconds)
        latency = (time.perf_counter() - began) * 1000
        _check_revision(subject, response.revision_digest)
        return Outcome(
            passages=tuple(Passage(hit.document_id, hit.text) for hit in response.hits), latency_millis=latency
        )


def _places(score: inference.ContinuationScore) -> tuple[Place, ...]:
    return tuple(
        Place(token.logprob, token.distribution.entropy, token.distribution.deviation)
        for token in score.tokens
        if token.HasField("distribution")
    )


def _check_revision(subject: Subject, answered: str) -> None:
    if answered and answered != subject.digest:
        raise errors.RevisionMismatch(subject.digest, answered)


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    retrying = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_delay(PATIENCE_SECONDS),
        wait=tenacity.wait_exponential_jitter(multiplier=0.25, max=LONGEST_PAUSE_SECONDS),
        retry=tenacity.retry_if_exception(_is_passing),
        reraise=True,
    )
    return await retrying(call)


def _is_passing(error: BaseException) -> bool:
    """Whether to try again: not what ran into its deadline, which would only double the time."""
    return isinstance(error, DomainError) and error.kind in (Kind.UNAVAILABLE, Kind.EXHAUSTED)
