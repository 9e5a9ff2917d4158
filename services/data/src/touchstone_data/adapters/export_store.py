"""Exports in the artefact store, by their digest. Blocking: for threads, which have no loop of their own."""

import asyncio

from touchstone_runtime.artefacts import ArtefactStore

FOLDER = "exports"


class ExportShelf:
    """Keeps exports below the store's address."""

    def __init__(self, artefacts_uri: str) -> None:
        self._store = ArtefactStore(artefacts_uri)

    def uri(self, digest: str) -> str:
        """Say where a file of a digest lies."""
        return self._store.url(_path(digest))

    def put(self, digest: str, content: bytes) -> None:
        """Write a file."""
        asyncio.run(self._store.put_bytes(_path(digest), content))

    def delete(self, digest: str) -> None:
        """Remove a file."""
        asyncio.run(self._store.delete(_path(digest)))


def _path(digest: str) -> str:
    return f"{FOLDER}/{digest.removeprefix('sha256:')}.jsonl"
