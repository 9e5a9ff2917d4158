"""Placing a request: which revision, which replica, and what to do when that replica fails.

A request is tried on another replica only while nothing of the answer was passed on, and only for failures that say
"not here, not now". A replica that failed is left alone for a moment, so that the next request does not pay for it too.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from touchstone_runtime.errors import DeadlineExceeded, DomainError, Kind

from touchstone_inference import errors
from touchstone_inference.router.core import replicas, traffic
from touchstone_inference.router.core.generation import Piece
from touchstone_inference.router.core.prefix_index import PrefixIndex
from touchstone_inference.router.core.view import Door, Endpoint, Model, Revision, Snapshot, Strategy
from touchstone_inference.router.ports import Capability, CurrentView, Engine, Engines

T = TypeVar("T")

_ELSEWHERE = frozenset({Kind.UNAVAILABLE, Kind.EXHAUSTED})
"""Kinds of failure for which another replica is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What comes with a request beside its content."""

    door: Door
    request_id: str
    arrived_seconds: float
    """By the router's clock."""
    deadline_seconds: float
    """By the router's clock."""
    pinned_revision: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Metadata or HTTP headers, names in lower case: a model names the one that holds its session."""
    user: str = ""
    """The OpenAI API's end user: keeps a session together where nothing else does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where a request goes."""

    model: Model
    revision: Revision
    session: str
    """Given by the caller; empty if none was."""
    is_pinned: bool

    @property
    def key(self) -> tuple[str, str]:
        """Model and revision."""
        return self.model.name, self.revision.name


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how soon a failed replica is avoided."""

    max_attempts: int = 3
    """Replicas that one request tries."""
    cooling_seconds: float = 2.0
    """How long a replica that failed is passed over while others are there."""


class Placing:
    """Chooses revisions and replicas, and carries out calls on them."""

    def __init__(
        self, view: CurrentView, engines: Engines, *, clock: Callable[[], float], policy: RetryPolicy | None = None
    ) -> None:
        self._view = view
        self._engines = engines
        self._clock = clock
        self._policy = policy or RetryPolicy()
        self._in_flight: dict[tuple[str, str], dict[str, int]] = {}
        self._turns: dict[tuple[str, str], int] = {}
        self._prefixes: dict[tuple[str, str], PrefixIndex] = {}
        self._cooling: dict[tuple[str, str, str], float] = {}
        self._capabilities: dict[tuple[str, str], frozenset[Capability]] = {}

    def route(self, model_name: str, call: Call, *, session_id: str = "") -> Route:
        """Choose the revision that answers.

        A closed gRPC door lets in who names the revision: evaluations and pipelines measure and ask revisions by it.

        Raises:
            ModelNotFound: There is no such model.
            ModelNotExposed: It is not reached by this door.
            RevisionNotFound, NoTraffic: It has no such revision, or none that takes traffic.
        """
        model = self._view.current().find(model_name)
        if not (call.pinned_revision and call.door is Door.GRPC):
            model.enter(call.door)
        session = session_id or call.headers.get(model.session_header, "") or call.user
        if call.pinned_revision:
            revision = traffic.pinned(model, call.pinned_revision)
        else:
            revision = traffic.choose(model, session or call.request_id)
        return Route(model=model, revision=revision, session=session, is_pinned=bool(call.pinned_revision))

    async def ask(
        self, route: Route, call: Call, affinity: str, question: Callable[[Engine, float], Awaitable[T]]
    ) -> T:
        """Ask a replica for one answer; another one if it fails for a reason of its own.

        Args:
            route: The revision.
            call: The request, for its deadline.
            affinity: What should meet the same replica; a session of the route takes its place.
            question: Called with an engine and the seconds that are left.
        """
        tried: set[str] = set()
        while True:
            endpoint = self._choose(route, affinity, tried)
            try:
                with self._carrying(route, endpoint):
                    return await question(self._engines.at(route.revision, endpoint), self.remaining_seconds(call))
            except DomainError as error:
                self._give_up_or_go_on(error, route, endpoint, tried)

    async def stream(
        self,
        route: Route,
        call: Call,
        affinity: str,
        begin: Callable[[Engine, float], AbstractAsyncContextManager[AsyncIterator[Piece]]],
    ) -> AsyncGenerator[Piece, None]:
        """Stream an answer from a replica; from another one only if the first fails before its first piece.

        Raises:
            AnswerBroke: The replica went away after the first piece, or ended without saying so.
        """
        tried: set[str] = set()
        while True:
            endpoint = self._choose(route, affinity, tried)
            has_begun = False
            try:
                with self._carrying(route, endpoint):
                    engine = self._engines.at(route.revision, endpoint)
                    async with begin(engine, self.remaining_seconds(call)) as pieces:
                        async for piece in pieces:
                            has_begun = True
                            yield piece
                            if piece.finish is not None:
                                return
                    raise errors.AnswerBroke(route.revision.name, "the stream ended early")
            except DomainError as error:
                if has_begun and error.kind in _ELSEWHERE:
                    self._cool(route, endpoint)
                    raise errors.AnswerBroke(route.revision.name, error.reason) from error
                self._give_up_or_go_on(error, route, endpoint, tried)

    async def capabilities(self, route: Route, call: Call) -> frozenset[Capability]:
        """Say what the engine of a revision can do; asked once a revision."""
        known = self._capabilities.get(route.key)
        if known is None:
            known = await self.ask(
                route, call, call.request_id, lambda engine, seconds: engine.capabilities(timeout_seconds=seconds)
            )
            self._capabilities[route.key] = known
        return known

    async def require(self, route: Route, call: Call, *needed: Capability) -> None:
        """Refuse what the engine of a revision cannot do. Raises CapabilityMissing."""
        if not needed:
            return
        available = await self.capabilities(route, call)
        for capability in needed:
            if capability not in available:
                raise errors.CapabilityMissing(route.revision.name, capability)

    def remaining_seconds(self, call: Call) -> float:
        """Give the time that a call has left. Raises DeadlineExceeded when there is none."""
        remaining = call.deadline_seconds - self._clock()
        if remaining <= 0:
            raise DeadlineExceeded("The deadline passed before the answer. Allow more time.")
        return remaining

    def keep_only(self, snapshot: Snapshot) -> None:
        """Forget revisions and replicas that are gone."""
        revisions = [(m.name, r) for m in snapshot.models.values() for r in m.revisions.values()]
        keys = {(model, revision.name) for model, revision in revisions}
        for table in (self._turns, self._capabilities, self._prefixes):
            for gone in table.keys() - keys:
                del table[gone]
        now = self._clock()
        self._cooling = {key: until for key, until in self._cooling.items() if until > now}

    def _choose(self, route: Route, affinity: str, tried: set[str]) -> Endpoint:
        # The view may have changed since the route was chosen: a retry goes to the replicas that are there now.
        model = self._view.current().models.get(route.model.name, route.model)
        revision = model.revisions.get(route.revision.name, route.revision)
        untried = [endpoint for endpoint in revision.endpoints if endpoint.id not in tried]
        if not untried:
            raise errors.NoReplica(*route.key)
        now = self._clock()
        well = [e for e in untried if self._cooling.get((*route.key, e.id), 0.0) <= now]
        turn = self._turns.get(route.key, -1) + 1
        self._turns[route.key] = turn
        candidates = well or untried
        # Sessions are kept together by their name; only other requests need to be known by what they begin with.
        has_index = route.model.strategy is Strategy.PREFIX_AWARE and not route.session and len(candidates) > 1
        index = self._prefixes.setdefault(route.key, PrefixIndex()) if has_index else None
        chosen = replicas.choose(
            route.model.strategy,
            candidates,
            in_flight=self._in_flight.get(route.key, {}),
            affinity=route.session or affinity,
            known=index.known(affinity) if index else replicas.NOTHING_KNOWN,
            held=index.held if index else replicas.NOTHING_KNOWN,
            turn=turn,
        )
        if index:
            index.note(affinity, chosen.id)
        return chosen

    def _give_up_or_go_on(self, error: DomainError, route: Route, endpoint: Endpoint, tried: set[str]) -> None:
        if error.kind not in _ELSEWHERE or isinstance(error, errors.NoReplica | errors.AnswerBroke):
            raise error
        if error.kind is Kind.UNAVAILABLE:
            self._cool(route, endpoint)
        tried.add(endpoint.id)
        others = [e for e in self._endpoints(route) if e.id not in tried]
        if not others or len(tried) >= self._policy.max_attempts:
            raise error

    def _endpoints(self, route: Route) -> tuple[Endpoint, ...]:
        model = self._view.current().models.get(route.model.name, route.model)
        return model.revisions.get(route.revision.name, route.revision).endpoints

    def _cool(self, route: Route, endpoint: Endpoint) -> None:
        self._cooling[(*route.key, endpoint.id)] = self._clock() + self._policy.cooling_seconds

    @contextmanager
    def _carrying(self, route: Route, endpoint: Endpoint) -> Iterator[None]:
        """Count a request under way."""
        loads = self._in_flight.setdefault(route.key, {})
        loads[endpoint.id] = loads.get(endpoint.id, 0) + 1
        try:
            yield
        finally:
            loads[endpoint.id] -= 1
            if not loads[endpoint.id]:
                del loads[endpoint.id]
            if not loads:
                self._in_flight.pop(route.key, None)
