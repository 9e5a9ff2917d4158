"""Answering a conversation: the first use case."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace

from touchstone_runtime.errors import DomainError, Kind

from touchstone_inference.router.core import replicas, validation
from touchstone_inference.router.core.generation import (
    AnswerPart,
    Closing,
    EngineRequest,
    Finish,
    Opening,
    Piece,
    Question,
    Timings,
)
from touchstone_inference.router.core.metrics import Observation, Outcome, RevisionMetrics
from touchstone_inference.router.ports import Capability, ChatTrace, Engine, Tracing
from touchstone_inference.router.service.placing import Call, Placing, Route
from touchstone_inference.router.service.prompting import Prompt, Prompting

CALLERS_FAULT = frozenset({Kind.INVALID, Kind.NOT_FOUND, Kind.UNAUTHENTICATED, Kind.FORBIDDEN, Kind.UNIMPLEMENTED})
"""Kinds of error that do not count against a revision."""


@dataclass(slots=True)
class _Progress:
    """What is known of an answer so far."""

    first_text_seconds: float | None = None
    last_text_seconds: float = 0.0
    closing: Closing | None = None


class Generating:
    """Answers conversations."""

    def __init__(
        self,
        placing: Placing,
        prompting: Prompting,
        metrics: RevisionMetrics,
        tracing: Tracing,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._placing = placing
        self._prompting = prompting
        self._metrics = metrics
        self._tracing = tracing
        self._clock = clock

    async def generate(self, question: Question, call: Call) -> AsyncGenerator[AnswerPart, None]:
        """Answer: one Opening, Pieces, one Closing.

        Closing the generator, or cancelling the task that iterates it, cancels the engine's work.
        """
        validation.check_question(question)
        route = self._placing.route(question.model, call, session_id=question.session_id)
        trace = self._tracing.chat(
            question,
            model=route.model.name,
            revision=route.revision.name,
            digest=route.revision.digest,
            request_id=call.request_id,
        )
        question = replace(question, adapter=route.revision.adapter(question.adapter))
        progress = _Progress()
        outcome, failure = Outcome.FAILED, Kind.INTERNAL.value
        try:
            async with aclosing(self._answer(route, question, call, trace, progress)) as parts:
                async for part in parts:
                    yield part
            outcome, failure = Outcome.ANSWERED, ""
        except DomainError as error:
            outcome = Outcome.REFUSED if error.kind in CALLERS_FAULT else Outcome.FAILED
            failure = error.reason
            raise
        except (asyncio.CancelledError, GeneratorExit):
            outcome, failure = Outcome.CANCELLED, "CANCELLED"
            raise
        finally:
            trace.end(progress.closing, failure, route.model.objective)
            if not route.is_pinned:
                self._record(route, call, outcome, progress)

    async def _answer(
        self, route: Route, question: Question, call: Call, trace: ChatTrace, progress: _Progress
    ) -> AsyncGenerator[AnswerPart, None]:
        with trace.current():
            await self._placing.require(route, call, *_needed(question))
            prompt = await self._prompting.prepare(route, call, question)
        trace.prompted(prompt.conversation)
        yield Opening(
            request_id=call.request_id,
            model=route.model.name,
            revision=route.revision.name,
            digest=route.revision.digest,
            citations=prompt.citations,
        )
        request = EngineRequest(
            conversation=prompt.conversation,
            sampling=prompt.sampling,
            json_schema=question.json_schema,
            logprobs=question.logprobs,
            adapter=question.adapter,
        )

        @asynccontextmanager
        async def begin(engine: Engine, seconds: float) -> AsyncIterator[AsyncIterator[Piece]]:
            async with AsyncExitStack() as stack:
                with trace.current():
                    pieces = await stack.enter_async_context(engine.generate(request, timeout_seconds=seconds))
                yield pieces

        affinity = replicas.head(prompt.conversation)
        async with aclosing(self._placing.stream(route, call, affinity, begin)) as pieces:
            async for piece in pieces:
                self._note(piece, trace, progress)
                if piece.finish is None:
                    yield piece
                else:
                    progress.closing = self._close(route, call, prompt, piece, piece.finish, progress)
                    yield progress.closing

    def _note(self, piece: Piece, trace: ChatTrace, progress: _Progress) -> None:
        if piece.text:
            progress.last_text_seconds = self._clock()
            if progress.first_text_seconds is None:
                progress.first_text_seconds = progress.last_text_seconds
            trace.said(piece.text)

    def _close(
        self, route: Route, call: Call, prompt: Prompt, piece: Piece, finish: Finish, progress: _Progress
    ) -> Closing:
        now = self._clock()
        first = progress.first_text_seconds if progress.first_text_seconds is not None else now
        gaps = finish.usage.output_tokens - 1
        timings = Timings(
            time_to_first_token_seconds=first - call.arrived_seconds,
            time_per_output_token_seconds=max(progress.last_text_seconds - first, 0.0) / gaps if gaps > 0 else 0.0,
            total_seconds=now - call.arrived_seconds,
            retrieval_seconds=prompt.retrieval_seconds,
            queue_seconds=finish.timings.queue_seconds,
            prefill_seconds=finish.timings.prefill_seconds,
        )
        return Closing(
            revision=route.revision.name,
            digest=route.revision.digest,
            reason=finish.reason,
            usage=finish.usage,
            timings=timings,
            text=piece.text,
            logprobs=piece.logprobs,
        )

    def _record(self, route: Route, call: Call, outcome: Outcome, progress: _Progress) -> None:
        closing, first = progress.closing, progress.first_text_seconds
        observation = Observation(outcome=outcome)
        if closing is not None:
            timings, has_gaps = closing.timings, closing.usage.output_tokens > 1
            per_token = timings.time_per_output_token_seconds if has_gaps else None
            observation = Observation(
                outcome=outcome,
                usage=closing.usage,
                time_to_first_token_seconds=timings.time_to_first_token_seconds,
                time_per_output_token_seconds=per_token,
                queue_seconds=timings.queue_seconds,
                is_good=outcome is Outcome.ANSWERED
                and route.model.objective.is_kept(timings.time_to_first_token_seconds, per_token),
            )
        elif first is not None:
            observation = Observation(outcome=outcome, time_to_first_token_seconds=first - call.arrived_seconds)
        self._metrics.record(*route.key, observation, now_seconds=self._clock())


def _needed(question: Question) -> list[Capability]:
    """Say what the engine must be able to do for a question."""
    needed = {Capability.JSON_SCHEMA: bool(question.json_schema), Capability.LOGPROBS: question.logprobs is not None}
    return [capability for capability, is_needed in needed.items() if is_needed]
