"""The use cases with one answer: embeddings, scores, token counts."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import NamedTuple

from touchstone_runtime.errors import DomainError

from touchstone_inference.router.core import validation
from touchstone_inference.router.core.generation import ContinuationScore, Embeddings, Scoring, Turn, Usage
from touchstone_inference.router.core.metrics import Observation, Outcome, RevisionMetrics
from touchstone_inference.router.ports import Capability
from touchstone_inference.router.service.generating import CALLERS_FAULT
from touchstone_inference.router.service.placing import Call, Placing, Route
from touchstone_inference.router.service.prompting import Prompting


class Embedded(NamedTuple):
    """Vectors, and who made them."""

    embeddings: Embeddings
    model: str
    revision: str


class Scored(NamedTuple):
    """Scores, and who gave them."""

    scores: tuple[ContinuationScore, ...]
    revision: str


class Counted(NamedTuple):
    """A count of tokens and the room there is."""

    token_count: int
    context_tokens: int


@dataclass(slots=True)
class _Tally:
    input_tokens: int = 0


class Asking:
    """Answers requests that have one answer."""

    def __init__(
        self, placing: Placing, prompting: Prompting, metrics: RevisionMetrics, *, clock: Callable[[], float]
    ) -> None:
        self._placing = placing
        self._prompting = prompting
        self._metrics = metrics
        self._clock = clock

    async def embed(self, model: str, inputs: Sequence[str], call: Call) -> Embedded:
        """Embed texts. Raises CapabilityMissing where the engine has no embeddings."""
        validation.check_inputs(model, inputs)
        route = self._placing.route(model, call)
        async with self._counted(route) as tally:
            await self._placing.require(route, call, Capability.EMBED)
            embeddings = await self._placing.ask(
                route, call, inputs[0], lambda engine, seconds: engine.embed(inputs, timeout_seconds=seconds)
            )
            tally.input_tokens = embeddings.input_tokens
        return Embedded(embeddings, route.model.name, route.revision.name)

    async def score(self, model: str, scoring: Scoring, call: Call) -> Scored:
        """Score continuations.

        Raises:
            CapabilityMissing: The engine cannot.
            AdapterNotLoaded: The revision does not have the adapter.
        """
        validation.check_scoring(model, scoring)
        route = self._placing.route(model, call)
        async with self._counted(route):
            asked = replace(scoring, adapter=route.revision.adapter(scoring.adapter))
            await self._placing.require(route, call, Capability.SCORE)
            scores = await self._placing.ask(
                route, call, scoring.prompt, lambda engine, seconds: engine.score(asked, timeout_seconds=seconds)
            )
        return Scored(scores, route.revision.name)

    async def count_tokens(self, model: str, turns: Sequence[Turn], call: Call) -> Counted:
        """Count the tokens of a conversation with the template, without passages."""
        validation.check_conversation(model, turns)
        route = self._placing.route(model, call)
        conversation = self._prompting.render(route, self._prompting.template(route), turns, ())
        count = await self._prompting.count_tokens(route, call, conversation)
        return Counted(count, route.revision.manifest.bundle.engine.max_model_len)

    @asynccontextmanager
    async def _counted(self, route: Route) -> AsyncIterator[_Tally]:
        """Count the request against its revision, unless it was pinned."""
        tally, outcome = _Tally(), Outcome.FAILED
        try:
            yield tally
            outcome = Outcome.ANSWERED
        except DomainError as error:
            outcome = Outcome.REFUSED if error.kind in CALLERS_FAULT else Outcome.FAILED
            raise
        except asyncio.CancelledError:
            outcome = Outcome.CANCELLED
            raise
        finally:
            if not route.is_pinned:
                observation = Observation(outcome=outcome, usage=Usage(input_tokens=tally.input_tokens))
                self._metrics.record(*route.key, observation, now_seconds=self._clock())
