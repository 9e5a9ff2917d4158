"""Who may use which model. What the authority said is believed for a while, and when it is away nobody new comes in."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from cachetools import TLRUCache

from touchstone_inference import errors
from touchstone_inference.router.core.access import Caller, bearer_token
from touchstone_inference.router.core.view import Model
from touchstone_inference.router.ports import Authority, CurrentView

BELIEVED_SECONDS = 60.0
"""How long a good answer is believed: a token or a right that was taken away works for so long."""
REFUSED_SECONDS = 5.0
"""How long a refusal is believed: a right that was just given works after so long."""
ENTRIES = 8192

K = TypeVar("K")
V = TypeVar("V")


class Guard(Protocol):
    """Lets callers in, or not."""

    async def admit(self, headers: Mapping[str, str], model: str) -> None:
        """Let a caller use a model.

        Raises:
            TokenMissing, TokenRefused: Nobody knows who calls.
            ModelForbidden: The caller may not use the model.
            AuthorityUnavailable: It cannot be told.
        """
        ...

    async def visible(self, headers: Mapping[str, str], models: Iterable[Model]) -> list[Model]:
        """Return the models that a caller may use. Raises as `admit`."""
        ...

    async def identify(self, headers: Mapping[str, str]) -> None:
        """Let in whoever is known. Raises as `admit`, but for models."""
        ...


class OpenGuard:
    """Lets everybody in: for a machine of one's own."""

    async def admit(self, headers: Mapping[str, str], model: str) -> None:
        """Let the caller in."""

    async def visible(self, headers: Mapping[str, str], models: Iterable[Model]) -> list[Model]:
        """Return all models."""
        return list(models)

    async def identify(self, headers: Mapping[str, str]) -> None:
        """Let the caller in."""


class TokenGuard:
    """Lets in whom the authority knows, to the models that it allows."""

    def __init__(self, view: CurrentView, authority: Authority, *, clock: Callable[[], float]) -> None:
        self._view = view
        self._authority = authority
        self._callers: _Memory[str, Caller | None] = _Memory(clock)
        self._rights: _Memory[tuple[str, tuple[str, ...], str], bool] = _Memory(clock)

    async def admit(self, headers: Mapping[str, str], model: str) -> None:
        """Let a caller use a model."""
        caller = await self._caller(headers)
        found = self._view.current().find(model)
        if not await self._may_use(caller, found):
            raise errors.ModelForbidden(found.name, caller.name)

    async def visible(self, headers: Mapping[str, str], models: Iterable[Model]) -> list[Model]:
        """Return the models that a caller may use."""
        caller = await self._caller(headers)
        return [model for model in models if await self._may_use(caller, model)]

    async def identify(self, headers: Mapping[str, str]) -> None:
        """Let in whoever is known."""
        await self._caller(headers)

    async def _caller(self, headers: Mapping[str, str]) -> Caller:
        token = bearer_token(headers)
        if not token:
            raise errors.TokenMissing
        # Only the token's digest is kept.
        key = hashlib.sha256(token.encode()).hexdigest()
        caller = await self._callers.get(key, lambda: self._authority.review(token))
        if caller is None:
            raise errors.TokenRefused
        return caller

    async def _may_use(self, caller: Caller, model: Model) -> bool:
        key = (caller.name, caller.groups, model.name)
        return await self._rights.get(key, lambda: self._authority.may_use(caller, model.name))


class _Memory(Generic[K, V]):
    """Answers by question, with an end; the same question is asked once at a time."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._known: TLRUCache[K, V] = TLRUCache(ENTRIES, ttu=_believed_until, timer=clock)
        self._asked: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, ask: Callable[[], Coroutine[Any, Any, V]]) -> V:
        """Return what is known, or ask."""
        try:
            return self._known[key]
        except KeyError:
            pass
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(ask())
            task.add_done_callback(lambda done: self._note(key, done))
        return await asyncio.shield(task)  # a caller that goes away must not take the answer from others

    def _note(self, key: K, done: asyncio.Task[V]) -> None:
        del self._asked[key]
        if not done.cancelled() and done.exception() is None:
            self._known[key] = done.result()


def _believed_until(_: object, answer: object, now: float) -> float:
    return now + (BELIEVED_SECONDS if answer else REFUSED_SECONDS)
