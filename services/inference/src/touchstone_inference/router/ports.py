"""What the router needs of the outside, in its own words."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from touchstone_inference.router.core.access import Caller
from touchstone_inference.router.core.generation import (
    Closing,
    ContinuationScore,
    Embeddings,
    EngineRequest,
    Passage,
    Piece,
    Question,
    Scoring,
    Turn,
)
from touchstone_inference.router.core.observing import Json
from touchstone_inference.router.core.reports import Report
from touchstone_inference.router.core.view import Endpoint, Objective, Revision, Snapshot


class Capability(StrEnum):
    """What not every engine can do."""

    SCORE = "scoring"
    EMBED = "embeddings"
    JSON_SCHEMA = "constrained JSON"
    LOGPROBS = "log-probabilities"


class Engine(Protocol):
    """One replica of a revision. Errors are domain errors; UNAVAILABLE and EXHAUSTED may be tried elsewhere."""

    def generate(
        self, request: EngineRequest, *, timeout_seconds: float
    ) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        """Begin to continue a conversation. Leaving the context cancels what is not finished."""
        ...

    async def score(self, scoring: Scoring, *, timeout_seconds: float) -> tuple[ContinuationScore, ...]:
        """Score continuations of a prompt."""
        ...

    async def embed(self, inputs: Sequence[str], *, timeout_seconds: float) -> Embeddings:
        """Embed texts."""
        ...

    async def count_tokens(self, conversation: Sequence[Turn], *, timeout_seconds: float) -> int:
        """Count the tokens of a rendered conversation. Raises Unimplemented where the engine cannot."""
        ...

    async def report(self, *, timeout_seconds: float) -> Report:
        """Ask what it says of itself."""
        ...

    async def capabilities(self, *, timeout_seconds: float) -> frozenset[Capability]:
        """Say what the engine can do."""
        ...


class Engines(Protocol):
    """The connections to all replicas."""

    def at(self, revision: Revision, endpoint: Endpoint) -> Engine:
        """Give the engine at an endpoint; connects when it is first used."""
        ...

    def keep_only(self, addresses: Collection[str]) -> None:
        """Let go of the connections to other addresses once their calls have ended."""
        ...


class Retrieval(Protocol):
    """The passages of an index."""

    async def search(
        self, index: str, revision: str, query: str, *, top_k: int, tenant: str, timeout_seconds: float
    ) -> tuple[Passage, ...]:
        """Search one revision of an index, best first. `top_k` 0 leaves the number to the index.

        Raises:
            Invalid: The search itself is at fault: no tenant where one is needed.
            RetrievalUnavailable: Anything else.
        """
        ...


class ChatTrace(Protocol):
    """The record of one answer in traces and metrics. It holds content only where that is switched on."""

    def current(self) -> AbstractContextManager[object]:
        """Make it current: what is called within belongs to it."""
        ...

    def prompted(self, conversation: Sequence[Turn]) -> None:
        """Note the rendered prompt."""
        ...

    def said(self, text: str) -> None:
        """Note a piece of the answer."""
        ...

    def end(self, closing: Closing | None, failure: str, objective: Objective) -> None:
        """End the record: with the answer's last part, or with the reason of a failure, and what it is held to."""
        ...


class Tracing(Protocol):
    """Where records of answers go."""

    def chat(self, question: Question, *, model: str, revision: str, digest: str, request_id: str) -> ChatTrace:
        """Begin the record of an answer."""
        ...

    def retrieval(self, index: str, top_k: int) -> AbstractContextManager[object]:
        """Record one search, from entry to exit."""
        ...


class CurrentView(Protocol):
    """The last good view."""

    def current(self) -> Snapshot:
        """Give it. Raises ViewNotRead before the first one."""
        ...


class Kind(StrEnum):
    """The kinds of object that the router watches."""

    DEPLOYMENT = "ModelDeployment"
    REVISION = "ConfigMap"
    REPLICA = "Pod"


class EventType(StrEnum):
    """What happened to an object; the values of the Kubernetes API."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a watched kind."""

    type: EventType
    object: Json


@dataclass(frozen=True, slots=True)
class Listing:
    """All objects of a kind at one moment."""

    objects: Sequence[Json]
    resource_version: str


class Cluster(Protocol):
    """The Kubernetes API, as far as the view needs it."""

    async def list(self, kind: Kind) -> Listing:
        """List a kind. Raises ClusterUnavailable."""
        ...

    def watch(self, kind: Kind, resource_version: str) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Follow a kind from a version on; ends after some minutes, when it is to be called again.

        Raises:
            VersionGone: The version is too old; list again.
            ClusterUnavailable: The connection broke or was refused.
        """
        ...


class Authority(Protocol):
    """Knows callers and their rights. Both methods raise AuthorityUnavailable when it cannot be asked."""

    async def review(self, token: str) -> Caller | None:
        """Return whose token it is; None for one that is not good here."""
        ...

    async def may_use(self, caller: Caller, model: str) -> bool:
        """Tell whether a caller may use a model, `NAMESPACE/NAME`."""
        ...
