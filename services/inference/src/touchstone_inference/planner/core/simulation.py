"""An engine that batches continuously, as a discrete-event simulation. Pure: its clock is its own.

The scheduler is vLLM's in outline (Kwon et al. 2023, section 4; Agrawal et al., Sarathi-Serve, 2024, for chunks): each
step first gives every request that decodes one token, then fills what is left of the step's tokens with chunks of
prompts, oldest first, and admits requests while there are slots and room in the cache. When the cache is full the
youngest request gives up its place and is computed again later.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from touchstone_inference.planner.core.loads import Request
from touchstone_inference.planner.core.roofline import Batch

Law: TypeAlias = Callable[[Batch], float]
"""How many seconds a step over a batch takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What bounds one replica."""

    law: Law
    slots: int
    """The most requests at once."""
    step_tokens: int
    """The most tokens of one step."""
    cache_tokens: int
    """How many tokens the KV cache holds."""
    has_prompts_ready: bool = False
    """Whether prompts come with their keys and values, from prefill engines."""
    prefills_only: bool = False
    """Whether a request is over with its prompt, as in a prefill engine."""


@dataclass(slots=True)
class Outcome:
    """What a run came to."""

    finished: list[Request] = field(default_factory=list)
    seconds: float = 0.0
    """When the last request ended."""
    busy_seconds: float = 0.0
    steps: int = 0
    preemptions: int = 0
    request_seconds: float = 0.0
    """Integral over time of how many requests were there, waiting or running: Little's L times the seconds."""
    gaps: dict[float, int] = field(default_factory=dict)
    """How many tokens came after a step of so many seconds (rounded to 0.1 ms): times between tokens."""
    is_cut: bool = False
    """Whether it was stopped before all requests had ended."""

    def gap(self, share: float) -> float:
        """Return the time between tokens that this share of them does not exceed."""
        total, seen = sum(self.gaps.values()), 0
        for seconds, count in sorted(self.gaps.items()):
            seen += count
            if seen >= share * total:
                return seconds
        return 0.0


@dataclass(slots=True)
class _Running:
    """A request that holds a slot."""

    request: Request
    prompt: int
    """Tokens to compute before it decodes: its prompt and, after it gave up its place, what it had said."""
    done: int
    """How many of those are computed or came from elsewhere."""
    said: int = 0
    ends_at: int = -1
    """The number of decoding steps after which it is finished."""
    is_alive: bool = True

    @property
    def held(self) -> int:
        """How many tokens of the cache it holds while it prefills: all are kept for it from the start."""
        return self.prompt


def run(engine: Engine, requests: Iterable[Request], *, max_steps: int = 2_000_000) -> Outcome:
    """Serve requests, which must come in the order of their arrival; their times are written into them."""
    return _Run(engine, requests).run(max_steps)


class _Run:
    """One run: who waits, who prefills, who decodes.

    Decoding requests are not walked through in a step. Each gets one token a step, so a step needs only their number
    and the sum of their contexts, and a heap knows who ends next.
    """

    def __init__(self, engine: Engine, requests: Iterable[Request]) -> None:
        self._engine = engine
        self._coming = deque(requests)
        self._waiting: deque[_Running] = deque()
        self._prefilling: deque[_Running] = deque()
        self._ends: list[tuple[int, int, _Running]] = []
        self._youngest: list[_Running] = []
        self._decoding = 0
        self._contexts = 0
        self._held = 0
        self._ticks = 0
        self._order = 0
        self._now = 0.0
        self._outcome = Outcome()

    def run(self, max_steps: int) -> Outcome:
        """Go on until nobody is left."""
        outcome = self._outcome
        while self._coming or self._waiting or self._prefilling or self._decoding:
            if outcome.steps == max_steps:
                outcome.is_cut = True
                break
            self._receive()
            if not (self._waiting or self._prefilling or self._decoding):
                self._now = self._coming[0].arrived
                continue
            self._step()
        outcome.seconds = self._now
        return outcome

    def _receive(self) -> None:
        while self._coming and self._coming[0].arrived <= self._now:
            request = self._coming.popleft()
            ready = request.input_tokens if self._engine.has_prompts_ready else request.cached_tokens
            self._waiting.append(_Running(request, request.input_tokens, ready))

    def _step(self) -> None:
        """Compute one step, and let time go on by what it takes."""
        self._make_room()
        decoding, contexts = self._decoding, self._contexts
        chunks = self._chunks(self._engine.step_tokens - decoding)
        tokens = decoding + sum(size for _, size in chunks)
        attended = float(contexts + sum(size * run.done + size * (size + 1) / 2 for run, size in chunks))
        cached = float(contexts + sum(run.done for run, _ in chunks))
        ready = [run for run, size in chunks if run.done + size == run.prompt]
        seconds = self._engine.law(Batch(tokens, attended, cached, decoding + len(ready)))
        self._pass(seconds)
        if decoding:
            rounded = round(seconds, 4)
            self._outcome.gaps[rounded] = self._outcome.gaps.get(rounded, 0) + decoding
        for run, size in chunks:
            run.done += size
        self._tick()
        for run in ready:
            self._prefilling.remove(run)
            self._begin(run)

    def _pass(self, seconds: float) -> None:
        """Let time pass, and count who was there meanwhile, from the moment of their arrival."""
        present = len(self._waiting) + len(self._prefilling) + self._decoding
        self._now += seconds
        come = 0.0
        for request in self._coming:
            if request.arrived > self._now:
                break
            come += self._now - request.arrived
        self._outcome.request_seconds += present * seconds + come
        self._outcome.busy_seconds += seconds
        self._outcome.steps += 1

    def _make_room(self) -> None:
        """Take places away until every decoding request has room for one more token."""
        while self._held + self._decoding > self._engine.cache_tokens and self._decoding > 1:
            run = self._youngest.pop()
            if not run.is_alive:
                continue
            run.is_alive = False
            left = run.ends_at - self._ticks
            said = run.request.output_tokens - left
            context = run.request.input_tokens + said
            self._decoding -= 1
            self._contexts -= context
            self._held -= context
            self._waiting.appendleft(_Running(run.request, context, 0, said))
            self._outcome.preemptions += 1

    def _chunks(self, budget: int) -> list[tuple[_Running, int]]:
        """Share out what is left of the step's tokens among prompts, the oldest first."""
        chunks: list[tuple[_Running, int]] = []
        for run in self._prefilling:
            if budget <= 0:
                return chunks
            size = min(run.prompt - run.done, budget)
            chunks.append((run, size))
            budget -= size
        while self._waiting and budget > 0 and self._has_place(self._waiting[0]):
            run = self._waiting.popleft()
            self._held += run.held
            self._prefilling.append(run)
            # A prompt that came ready needs one token computed: the one whose successor is the first of the answer.
            run.done = min(run.done, run.prompt - 1)
            size = min(run.prompt - run.done, budget)
            chunks.append((run, size))
            budget -= size
        return chunks

    def _has_place(self, run: _Running) -> bool:
        there = self._decoding + len(self._prefilling)
        fits = self._held + self._decoding + run.held <= self._engine.cache_tokens
        return there < self._engine.slots and (fits or there == 0)

    def _tick(self) -> None:
        """Give every decoding request its token, and let go of those that have all."""
        self._ticks += 1
        self._contexts += self._decoding
        self._held += self._decoding
        while self._ends and self._ends[0][0] <= self._ticks:
            _, _, run = heapq.heappop(self._ends)
            if run.is_alive:
                context = run.request.input_tokens + run.request.output_tokens
                self._decoding -= 1
                self._contexts -= context
                self._held -= context
                self._end(run)

    def _begin(self, run: _Running) -> None:
        """Give a request the token that its prompt ends in, and let it decode the rest."""
        request = run.request
        if request.first_token < 0:
            request.first_token = self._now
        left = request.output_tokens - run.said - 1
        if left <= 0 or self._engine.prefills_only:
            self._held -= run.held
            self._end(run)
            return
        run.ends_at = self._ticks + left
        self._decoding += 1
        self._contexts += run.prompt + 1
        self._held += 1
        self._order += 1
        heapq.heappush(self._ends, (run.ends_at, self._order, run))
        self._youngest.append(run)

    def _end(self, run: _Running) -> None:
        run.is_alive = False
        run.request.finished = self._now
        self._outcome.finished.append(run.request)
