"""A cluster that is a file: a JSON list of Kubernetes objects, read once. For benches and for trying a router alone."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from touchstone_inference.router.ports import Event, Kind, Listing


class StaticCluster:
    """Lists what a file holds; nothing ever changes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def list(self, kind: Kind) -> Listing:
        """List a kind."""
        content = await asyncio.to_thread(self._path.read_text)
        return Listing([document for document in json.loads(content) if document["kind"] == kind], "1")

    @asynccontextmanager
    async def watch(self, kind: Kind, resource_version: str) -> AsyncIterator[AsyncIterator[Event]]:
        """Follow a kind: no event ever comes."""
        del kind, resource_version
        yield _Silence()


class _Silence:
    """A watch without events."""

    def __aiter__(self) -> "_Silence":
        return self

    async def __anext__(self) -> Event:
        await asyncio.Event().wait()
        raise StopAsyncIteration
