"""The models of pipelines, through the router, always pinned."""

import asyncio
import contextlib
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
import tenacity
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels, context
from touchstone_runtime.background import BackgroundLoop
from touchstone_runtime.errors import DomainError, Kind

from touchstone_data import errors
from touchstone_data.core.generation import Reply
from touchstone_data.core.spec import Model
from touchstone_data.ports import Question

PATIENCE_SECONDS = 90.0
"""A router that is being replaced comes back within this."""
LONGEST_PAUSE_SECONDS = 4.0
BEAT_SECONDS = 1.0

_Answer = tuple[int, Reply] | BaseException


class NoModels:
    """Stands where the worker knows no router."""

    def ask(self, questions: Sequence[Question], beat: Callable[[], None]) -> Iterator[tuple[int, Reply]]:
        """Refuse."""
        if questions:
            cause = "the worker knows no router. Set TOUCHSTONE_INFERENCE_ADDRESS of the data worker."
            raise errors.ModelRefused(questions[0].model.name, cause)
        return iter(())


class GrpcModels:
    """Asks revisions over gRPC, over a channel that does not try again by itself."""

    def __init__(
        self,
        loop: BackgroundLoop,
        channel: grpc.aio.Channel,
        *,
        parallel: int,
        timeout_seconds: float,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Prepare.

        Args:
            loop: That of the channel.
            channel: To the router.
            parallel: Questions at once, of all threads.
            timeout_seconds: Deadline of one answer.
            patience_seconds: How long one who is away is asked again.
        """
        self._loop = loop
        self._stub: Any = pb_grpc.InferenceServiceStub(channel)
        self._slots = asyncio.Semaphore(parallel)
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds

    def ask(self, questions: Sequence[Question], beat: Callable[[], None]) -> Iterator[tuple[int, Reply]]:
        """Ask; see the port."""
        answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        work = self._loop.start(self._all(questions, answers))
        try:
            left, beaten = len(questions), time.monotonic()
            while left:
                with contextlib.suppress(queue.Empty):
                    answer = answers.get(timeout=BEAT_SECONDS)
                    if isinstance(answer, BaseException):
                        raise answer
                    yield answer
                    left -= 1
                if time.monotonic() - beaten >= BEAT_SECONDS:
                    beat()
                    beaten = time.monotonic()
        finally:
            work.cancel()

    async def _all(self, questions: Sequence[Question], answers: "queue.SimpleQueue[_Answer]") -> None:
        async def one(place: int, question: Question) -> None:
            async with self._slots:
                answers.put((place, await self._patiently(question)))

        try:
            async with asyncio.TaskGroup() as group:
                for place, question in enumerate(questions):
                    group.create_task(one(place, question))
        except* DomainError as failures:
            answers.put(failures.exceptions[0])
        except* Exception as failures:  # noqa: BLE001 - whoever waits for answers must hear of it
            answers.put(failures.exceptions[0])

    async def _patiently(self, question: Question) -> Reply:
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_delay(self._patience_seconds),
            wait=tenacity.wait_exponential_jitter(multiplier=0.25, max=LONGEST_PAUSE_SECONDS),
            retry=tenacity.retry_if_exception(_is_passing),
            reraise=True,
        )
        name = question.model.name
        try:
            return await retrying(self._once, question)
        except errors.RevisionMismatch:
            raise
        except DomainError as error:
            if error.kind is Kind.INVALID:  # as a prompt over the context: others may be shorter
                return Reply(refusal=error.message)
            if error.is_retryable:
                raise errors.ModelUnavailable(name, error.message) from error
            raise errors.ModelRefused(name, error.message) from error

    async def _once(self, question: Question) -> Reply:
        model, prompt = question
        request = pb.GenerateRequest(
            model=model.deployment,
            messages=[pb.Message(role=pb.ROLE_USER, content=prompt.text)],
            sampling=pb.Sampling(
                max_output_tokens=prompt.max_output_tokens, temperature=prompt.temperature, seed=prompt.seed
            ),
            json_schema=prompt.json_schema,
        )
        pinned = ((context.REVISION_HEADER, model.revision),)
        texts: list[str] = []
        closing = pb.GenerateResponse()
        try:
            async for part in self._stub.Generate(request, metadata=pinned, timeout=self._timeout_seconds):
                _check_revision(model, part.revision_digest or model.digest)
                texts.append(part.text)
                closing = part
        except grpc.aio.AioRpcError as error:
            raise channels.translate(error, "the router") from error
        _check_revision(model, closing.revision_digest or "nobody who says so")
        return Reply(text="".join(texts))


def _check_revision(model: Model, answered: str) -> None:
    if answered != model.digest:
        raise errors.RevisionMismatch(model.name, model.digest, answered)


def _is_passing(error: BaseException) -> bool:
    """Whether to try again: not what ran into its deadline, which would only double the time."""
    return isinstance(error, DomainError) and error.kind in (Kind.UNAVAILABLE, Kind.EXHAUSTED)
