"""Answers as OpenTelemetry spans and metrics, by the gen_ai conventions. Content is recorded only if told to."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from touchstone_runtime import telemetry
from touchstone_runtime.telemetry import names

from touchstone_inference.router.core.generation import Closing, Question, Turn
from touchstone_inference.router.core.view import Objective

PROVIDER = "touchstone"


class OtelTracing:
    """Records answers by the process's tracer and meter."""

    def __init__(self, *, has_content: bool) -> None:
        """Take whether prompts and answers may be recorded."""
        self._has_content = has_content
        self._tracer = telemetry.tracer(__name__)
        meter = telemetry.meter(__name__)
        self._duration = meter.create_histogram(names.GEN_AI_SERVER_REQUEST_DURATION, unit="s")
        self._first_token = meter.create_histogram(names.GEN_AI_SERVER_TIME_TO_FIRST_TOKEN, unit="s")
        self._per_token = meter.create_histogram(names.GEN_AI_SERVER_TIME_PER_OUTPUT_TOKEN, unit="s")
        self._tokens = meter.create_histogram(names.GEN_AI_CLIENT_TOKEN_USAGE, unit="{token}")
        self._cached = meter.create_counter(names.CACHED_INPUT_TOKENS, unit="{token}")
        self._requests = meter.create_counter(names.REQUESTS, unit="{request}")
        self._good = meter.create_counter(names.GOOD_REQUESTS, unit="{request}")

    def chat(self, question: Question, *, model: str, revision: str, digest: str, request_id: str) -> "OtelChat":
        """Begin the span of an answer."""
        del digest
        sampling = question.sampling
        common = {
            names.GEN_AI_OPERATION: names.OPERATION_CHAT,
            names.GEN_AI_PROVIDER: PROVIDER,
            names.GEN_AI_REQUEST_MODEL: model,
            names.REVISION: revision,
        }
        asked = {
            names.REQUEST_ID: request_id,
            names.GEN_AI_REQUEST_MAX_TOKENS: sampling.max_output_tokens,
            names.GEN_AI_REQUEST_TEMPERATURE: sampling.temperature,
            names.GEN_AI_REQUEST_TOP_P: sampling.top_p,
            names.GEN_AI_REQUEST_TOP_K: sampling.top_k,
            names.GEN_AI_REQUEST_SEED: sampling.seed,
        }
        span = self._tracer.start_span(
            f"{names.OPERATION_CHAT} {model}",
            kind=SpanKind.SERVER,
            attributes=common | {name: value for name, value in asked.items() if value is not None},
        )
        return OtelChat(self, span, common, has_content=self._has_content)

    @contextmanager
    def retrieval(self, index: str, top_k: int) -> Iterator[None]:
        """Record one search."""
        attributes: dict[str, Any] = {
            names.GEN_AI_OPERATION: names.OPERATION_RETRIEVAL,
            names.GEN_AI_DATA_SOURCE: index,
            names.INDEX: index,
        }
        if top_k:
            attributes[names.GEN_AI_REQUEST_TOP_K] = top_k
        with self._tracer.start_as_current_span(
            f"{names.OPERATION_RETRIEVAL} {index}", kind=SpanKind.CLIENT, attributes=attributes
        ):
            yield

    def measure(
        self, closing: Closing | None, failure: str, objective: Objective, seconds: float, common: dict[str, str]
    ) -> None:
        """Record the metrics of an ended answer."""
        self._requests.add(1, common)
        self._duration.record(seconds, common | ({"error.type": failure} if failure else {}))
        if closing is None:
            return
        self._first_token.record(closing.timings.time_to_first_token_seconds, common)
        if closing.usage.output_tokens > 1:
            self._per_token.record(closing.timings.time_per_output_token_seconds, common)
        self._tokens.record(closing.usage.input_tokens, common | {names.GEN_AI_TOKEN_TYPE: "input"})
        self._tokens.record(closing.usage.output_tokens, common | {names.GEN_AI_TOKEN_TYPE: "output"})
        self._cached.add(closing.usage.cached_input_tokens, common)
        per_token = closing.timings.time_per_output_token_seconds if closing.usage.output_tokens > 1 else None
        if not failure and objective.is_kept(closing.timings.time_to_first_token_seconds, per_token):
            self._good.add(1, common)


class OtelChat:
    """The span of one answer."""

    def __init__(self, tracing: OtelTracing, span: trace.Span, common: dict[str, str], *, has_content: bool) -> None:
        self._tracing = tracing
        self._span = span
        self._common = common
        self._started = time.perf_counter()
        self._texts: list[str] | None = [] if has_content else None

    def current(self) -> AbstractContextManager[object]:
        """Make the span current."""
        return trace.use_span(self._span, end_on_exit=False, record_exception=False, set_status_on_exception=False)

    def prompted(self, conversation: Sequence[Turn]) -> None:
        """Note the rendered prompt, if content may be recorded."""
        if self._texts is not None:
            turns = [{"role": turn.role.value, "content": turn.content} for turn in conversation]
            self._span.set_attribute(names.GEN_AI_INPUT_MESSAGES, json.dumps(turns))

    def said(self, text: str) -> None:
        """Note a piece of the answer, if content may be recorded."""
        if self._texts is not None:
            self._texts.append(text)

    def end(self, closing: Closing | None, failure: str, objective: Objective) -> None:
        """End the span and record the metrics."""
        if closing is not None:
            self._span.set_attributes(
                {
                    names.GEN_AI_RESPONSE_MODEL: closing.revision,
                    names.GEN_AI_RESPONSE_FINISH_REASONS: [closing.reason.value],
                    names.GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: closing.timings.time_to_first_token_seconds,
                    names.GEN_AI_USAGE_INPUT_TOKENS: closing.usage.input_tokens,
                    names.GEN_AI_USAGE_OUTPUT_TOKENS: closing.usage.output_tokens,
                    names.GEN_AI_USAGE_CACHED_INPUT_TOKENS: closing.usage.cached_input_tokens,
                }
            )
        if self._texts:
            message = [{"role": "assistant", "content": "".join(self._texts)}]
            self._span.set_attribute(names.GEN_AI_OUTPUT_MESSAGES, json.dumps(message))
        if failure:
            self._span.set_status(StatusCode.ERROR, failure)
        self._span.end()
        self._tracing.measure(closing, failure, objective, time.perf_counter() - self._started, self._common)
