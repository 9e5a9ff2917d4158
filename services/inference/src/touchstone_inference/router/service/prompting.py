"""Preparing a prompt: template, retrieval, and as many passages as fit."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from touchstone_runtime.errors import Unimplemented

from touchstone_inference import errors
from touchstone_inference.router.core import fitting, prompts, replicas
from touchstone_inference.router.core.generation import Passage, Question, Sampling, Turn
from touchstone_inference.router.core.templating import TemplateFault
from touchstone_inference.router.ports import Retrieval, Tracing
from touchstone_inference.router.service.placing import Call, Placing, Route

TEMPLATE_TOKENS_PER_TURN = 16
"""More than any chat template puts round a turn; used to tell without counting that a prompt fits."""

BYTES_PER_TOKEN = 3
"""How many bytes of UTF-8 a token is taken for where the engine cannot count: on the safe side for English."""

DEFAULT_OUTPUT_TOKENS = 512
"""What an engine generates at most when it is not told; see the engine's proto."""

COUNTS_KEPT = 4096
"""Token counts remembered, by prompt: about 400 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt that fits, with what stands in it."""

    conversation: tuple[Turn, ...]
    citations: tuple[Passage, ...]
    sampling: Sampling
    """The request's, with the template's defaults."""
    retrieval_seconds: float


class Found(NamedTuple):
    """What a search gave, and how long it took."""

    passages: tuple[Passage, ...]
    seconds: float


class Prompting:
    """Turns questions into prompts."""

    def __init__(
        self,
        placing: Placing,
        retrieval: Retrieval,
        tracing: Tracing,
        *,
        clock: Callable[[], float],
        retrieval_timeout_seconds: float,
    ) -> None:
        self._placing = placing
        self._retrieval = retrieval
        self._clock = clock
        self._retrieval_timeout_seconds = retrieval_timeout_seconds
        self._tracing = tracing
        self._counts: dict[bytes, int] = {}

    async def prepare(self, route: Route, call: Call, question: Question) -> Prompt:
        """Render a question with its passages, dropping passages from the end until the prompt fits.

        Raises:
            PromptInvalid: The template cannot be read, or fails on these values.
            PromptTooLong: It does not fit even without passages.
            RetrievalUnavailable: The index did not answer.
        """
        template = self.template(route)
        sampling = _with_defaults(question.sampling, template)
        found = await self._search(route, call, question, template)
        fitted = await self._fit(route, call, template, question.turns, found.passages, sampling)
        return Prompt(
            conversation=fitted.conversation,
            citations=found.passages[: fitted.passages],
            sampling=sampling,
            retrieval_seconds=found.seconds,
        )

    def template(self, route: Route) -> prompts.Template:
        """Read the template of a revision. Raises PromptInvalid."""
        bundle = route.revision.manifest.bundle
        text, is_structured = (bundle.prompt.template, bundle.prompt.is_structured) if bundle.prompt else ("", False)
        try:
            return prompts.parse(text, is_structured=is_structured, has_index=bundle.rag is not None)
        except TemplateFault as fault:
            raise errors.PromptInvalid(route.revision.name, fault.line, fault.message) from None

    def render(
        self, route: Route, template: prompts.Template, turns: Sequence[Turn], passages: Sequence[Passage]
    ) -> tuple[Turn, ...]:
        """Render a conversation. Raises PromptInvalid."""
        try:
            return prompts.render(template, turns, passages)
        except TemplateFault as fault:
            raise errors.PromptInvalid(route.revision.name, fault.line, fault.message) from None

    async def _search(self, route: Route, call: Call, question: Question, template: prompts.Template) -> Found:
        rag = route.revision.manifest.bundle.rag
        if rag is None or not template.uses_passages:
            return Found((), 0.0)
        started = self._clock()
        with self._tracing.retrieval(rag.index, template.top_k):
            passages = await self._retrieval.search(
                rag.index,
                rag.revision,
                question.turns[-1].content,
                top_k=template.top_k,
                tenant=question.tenant,
                timeout_seconds=min(self._retrieval_timeout_seconds, self._placing.remaining_seconds(call)),
            )
        return Found(passages, self._clock() - started)

    async def _fit(
        self,
        route: Route,
        call: Call,
        template: prompts.Template,
        turns: Sequence[Turn],
        passages: Sequence[Passage],
        sampling: Sampling,
    ) -> "_Fitted":
        whole = self.render(route, template, turns, passages)
        if not passages and template.context_tokens is None:
            return _Fitted(whole, 0)
        limits = _limits(template, route.revision.manifest.bundle.engine.max_model_len, sampling)

        async def fits(count: int) -> bool:
            conversation = whole if count == len(passages) else self.render(route, template, turns, passages[:count])
            limit = limits.with_passages if count else limits.without_passages
            return _surely_fits(conversation, limit) or await self._count(route, call, conversation) <= limit

        most = await fitting.most_that_fit(len(passages), fits)
        bare = self.render(route, template, turns, passages[: most or 0])
        if most is None:
            raise errors.PromptTooLong(await self._count(route, call, bare), limits.without_passages)
        return _Fitted(bare, most)

    async def _count(self, route: Route, call: Call, conversation: tuple[Turn, ...]) -> int:
        """Count tokens by the engine, once a prompt."""
        key = _fingerprint(route.revision.digest, conversation)
        count = self._counts.pop(key, None)
        if count is None:
            try:
                count = await self.count_tokens(route, call, conversation)
            except Unimplemented:
                count = -(-_size_bytes(conversation) // BYTES_PER_TOKEN)
        self._counts[key] = count
        if len(self._counts) > COUNTS_KEPT:
            del self._counts[next(iter(self._counts))]
        return count

    async def count_tokens(self, route: Route, call: Call, conversation: tuple[Turn, ...]) -> int:
        """Ask the engine for the number of tokens."""
        return await self._placing.ask(
            route,
            call,
            replicas.head(conversation),
            lambda engine, seconds: engine.count_tokens(conversation, timeout_seconds=seconds),
        )


class _Fitted(NamedTuple):
    conversation: tuple[Turn, ...]
    passages: int


class _Limits(NamedTuple):
    with_passages: int
    without_passages: int


def _limits(template: prompts.Template, context_tokens: int, sampling: Sampling) -> _Limits:
    """Say how long a prompt may be: passages leave room for the answer, a bare conversation for one token of it."""
    budget = template.context_tokens or context_tokens
    reserve = sampling.max_output_tokens or min(DEFAULT_OUTPUT_TOKENS, context_tokens // 4)
    bare = min(budget, context_tokens - 1)
    return _Limits(with_passages=min(bare, context_tokens - reserve), without_passages=bare)


def _with_defaults(sampling: Sampling, template: prompts.Template) -> Sampling:
    if sampling.max_output_tokens is None and template.max_output_tokens is not None:
        sampling = replace(sampling, max_output_tokens=template.max_output_tokens)
    return replace(sampling, stop=template.stop) if template.stop and not sampling.stop else sampling


def _surely_fits(conversation: Sequence[Turn], limit_tokens: int) -> bool:
    """Tell without counting: a token has at least one byte."""
    return _size_bytes(conversation) + TEMPLATE_TOKENS_PER_TURN * len(conversation) <= limit_tokens


def _size_bytes(conversation: Sequence[Turn]) -> int:
    return sum(len(turn.content.encode()) for turn in conversation)


def _fingerprint(digest: str, conversation: Sequence[Turn]) -> bytes:
    fingerprint = hashlib.blake2b(digest.encode(), digest_size=16)
    for turn in conversation:
        fingerprint.update(f"\x00{turn.role}\x00{len(turn.content)}\x00{turn.content}".encode())
    return fingerprint.digest()
