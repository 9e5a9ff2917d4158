"""Adapters of a running engine: which are loaded, from which contents."""

import asyncio

from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.revisions import Digest

from touchstone_inference.engine.ports import Adaptable


class Adapters:
    """The adapters of one engine. One is loaded at a time."""

    def __init__(self, model: Adaptable, resolver: Resolver) -> None:
        self._model = model
        self._resolver = resolver
        self._loaded: dict[str, Digest] = {}
        self._lock = asyncio.Lock()

    @property
    def loaded(self) -> tuple[str, ...]:
        """The names of what is loaded, in order."""
        return tuple(sorted(self._loaded))

    async def load(self, name: str, uri: str, digest: str = "") -> Digest:
        """Bring an adapter here and load it; one that is loaded with these contents stays.

        Raises:
            DomainError: It cannot be had, has another digest, or is no adapter of this model.
        """
        async with self._lock:
            if digest and self._loaded.get(name) == digest:
                return self._loaded[name]
            found = await self._resolver.resolve(uri, digest=digest)
            if self._loaded.get(name) != found.digest:
                await self._model.load_adapter(name, found.path)
                self._loaded[name] = found.digest
            return found.digest

    async def unload(self, name: str) -> None:
        """Drop an adapter; dropping an absent one does nothing."""
        async with self._lock:
            if self._loaded.pop(name, None):
                await self._model.unload_adapter(name)
