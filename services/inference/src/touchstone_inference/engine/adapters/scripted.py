"""A deterministic, timed engine without weights: for tests, for load, and for trying the platform.

The answer is that of the first rule whose pattern is found in the prompt, else the words of the last user's turn. A
token is a word with the blanks after it. Times are slept, not computed with: load behaves like load. Of an adapter only
the name counts: rules may be for those who ask for it.
"""

import asyncio
import hashlib
import math
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from touchstone_inference import errors
from touchstone_inference.engine.core import chat
from touchstone_inference.engine.core.arguments import Arguments, Rule
from touchstone_inference.engine.core.distributions import distribution
from touchstone_inference.engine.core.generation import (
    Alternative,
    Capability,
    Description,
    End,
    Finish,
    Generation,
    Piece,
    Score,
    Scoring,
    Timings,
    TokenLogprob,
    Turn,
    Usage,
)

ENGINE_TYPE = "Scripted"
CAPABILITIES = frozenset(
    {Capability.SCORE, Capability.EMBED, Capability.LOGPROBS, Capability.PREFIX_CACHE, Capability.ADAPTERS}
)
REMEMBERED_PROMPTS = 256
SAID, UNSAID = -0.1, -3.0
"""Log-probabilities of words that a prompt holds, and of others."""
VOCABULARY = 1000

_TOKEN = re.compile(r"\S+\s*|\s+")
_LAST_USER = re.compile(r".*<\|im_start\|>user\n(.*?)<\|im_end\|>", re.DOTALL)

Sleep = Callable[[float], Awaitable[None]]


class Scripted:
    """The scripted engine."""

    def __init__(
        self, *, max_model_len: int, arguments: Arguments, rules: Sequence[Rule] = (), sleep: Sleep = asyncio.sleep
    ) -> None:
        self._arguments = arguments
        self._rules = rules
        self._sleep = sleep
        self._seen: dict[tuple[str, str], None] = {}
        """Prompts with their adapters, the latest last."""
        self._adapters: set[str] = set()
        self._description = Description(
            engine_type=ENGINE_TYPE,
            model_digest="",
            context_tokens=max_model_len,
            slots=arguments.number("slots"),
            capabilities=CAPABILITIES,
        )

    @property
    def description(self) -> Description:
        """What it is and can do."""
        return self._description

    async def start(self) -> None:
        """Do nothing: there is nothing to load."""

    async def load_adapter(self, name: str, path: Path) -> None:
        """Note that there is an adapter of this name."""
        self._adapters.add(name)

    async def unload_adapter(self, name: str) -> None:
        """Forget an adapter."""
        self._adapters.discard(name)

    def _check_adapter(self, name: str) -> None:
        if name and name not in self._adapters:
            raise errors.AdapterNotLoaded(name, sorted(self._adapters))

    async def generate(self, request: Generation) -> AsyncIterator[Piece]:
        """Answer token by token, at the pace of the arguments."""
        self._check_adapter(request.adapter)
        prompt = tokens(request.prompt)
        if len(prompt) > self._description.context_tokens:
            raise errors.PromptOverContext(len(prompt), self._description.context_tokens)
        answer, finish = self._answer(request, len(prompt))
        cached = self._cached(request.prompt, request.adapter)
        first = self._arguments.number("time-to-first-token-millis") / 1000
        later = self._arguments.number("time-per-output-token-millis") / 1000
        await self._sleep(first)
        for index, token in enumerate(answer):
            if index and later:
                await self._sleep(later)
            yield Piece(token, _logprobs(token, request.logprobs))
        usage = Usage(len(prompt), len(answer), cached)
        timings = Timings(prefill_seconds=first, decode_seconds=later * max(0, len(answer) - 1))
        yield Piece("", end=End(finish, usage, timings))

    def _answer(self, request: Generation, prompt_tokens: int) -> tuple[list[str], Finish]:
        rules = (rule for rule in self._rules if rule.adapter in ("", request.adapter))
        text = next((rule.answer for rule in rules if rule.pattern.search(request.prompt)), None)
        if text is None:
            spoken = _LAST_USER.match(request.prompt)
            text = spoken[1] if spoken else request.prompt
        for stop in request.sampling.stop:
            text = text.partition(stop)[0]
        room = self._description.context_tokens - prompt_tokens
        wanted = request.sampling.max_output_tokens or self._arguments.number("output-tokens")
        answer = tokens(text)
        limit = min(room, wanted)
        return answer[:limit], Finish.LENGTH if len(answer) > limit else Finish.STOP

    def _cached(self, prompt: str, adapter: str) -> int:
        """Count the tokens that the prompt shares with the best of its adapter's before, and remember it."""
        words = tokens(prompt)
        best = max((_shared(words, tokens(seen)) for seen, by in self._seen if by == adapter), default=0)
        self._seen.pop((prompt, adapter), None)
        self._seen[prompt, adapter] = None
        while len(self._seen) > REMEMBERED_PROMPTS:
            del self._seen[next(iter(self._seen))]
        return min(best, len(words) - 1) if words else 0

    def render(self, turns: Sequence[Turn]) -> str:
        """Render a conversation as ChatML."""
        return chat.render(turns)

    async def count_tokens(self, prompt: str) -> int:
        """Count words."""
        return len(tokens(prompt))

    async def embed(self, inputs: Sequence[str]) -> tuple[list[list[float]], int]:
        """Embed by random projection of the words: texts that share words are near."""
        vectors = [unit_vector(text, self._arguments.number("dimensions")) for text in inputs]
        return vectors, sum(len(tokens(text)) for text in inputs)

    async def score(self, request: Scoring) -> list[Score]:
        """Score words by whether the prompt holds them, or the adapter's answer to it: what is said is likelier."""
        self._check_adapter(request.adapter)
        own = (rule for rule in self._rules if rule.adapter and rule.adapter == request.adapter)
        answer = next((rule.answer for rule in own if rule.pattern.search(request.prompt)), "")
        said = {word.strip().lower() for word in (*tokens(request.prompt), *tokens(answer))}
        found = distribution((SAID, UNSAID), VOCABULARY) if request.has_distributions else None
        scores = []
        for continuation in request.continuations:
            logprobs = tuple(
                TokenLogprob(word, SAID if word.strip().lower() in said else UNSAID, distribution=found)
                for word in tokens(continuation)
            )
            scores.append(Score(logprobs, all(entry.logprob == SAID for entry in logprobs)))
        return scores

    async def wait_until_broken(self) -> None:
        """Never return: it lives and dies with this process."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Do nothing: there is nothing to let go."""


def tokens(text: str) -> list[str]:
    """Cut a text into words with the blanks after them; joined again they are the text."""
    return _TOKEN.findall(text)


def unit_vector(text: str, dimensions: int) -> list[float]:
    """Sum a fixed random direction for each word, and scale to length 1."""
    total = [0.0] * dimensions
    for word in tokens(text.lower()) or [""]:
        seed = hashlib.sha256(word.strip().encode()).digest()
        noise = random.Random(seed)  # noqa: S311 - reproducible directions, not secrets
        total = [value + noise.gauss(0.0, 1.0) for value in total]
    length = math.hypot(*total) or 1.0
    return [value / length for value in total]


def _logprobs(token: str, alternatives: int | None) -> tuple[TokenLogprob, ...]:
    if alternatives is None:
        return ()
    top = (Alternative(token, -0.1), Alternative("…", -2.5))[:alternatives]
    return (TokenLogprob(token, -0.1, top),)


def _shared(left: Sequence[str], right: Sequence[str]) -> int:
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count
