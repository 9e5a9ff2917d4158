"""What the platform makes and keeps: reports, checkpoints, adapters. A folder, or object storage, through fsspec."""

import asyncio
import os
import uuid
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TypeVar

from touchstone_runtime.artefacts import remote
from touchstone_runtime.artefacts.faults import ArtefactNotFound, ArtefactUnavailable, UriInvalid

T = TypeVar("T")


class ArtefactStore:
    """A place for files by path. A file is there whole, or not at all."""

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        try:
            self._filesystem, self._root = remote.place(self._uri)
        except OSError as error:
            raise ArtefactUnavailable(uri, str(error)) from error

    def url(self, path: str) -> str:
        """Return the URI of a file."""
        return f"{self._uri}/{_safe(path)}"

    async def put_bytes(self, path: str, content: bytes) -> str:
        """Write a file and return its URI."""

        def write() -> None:
            target = self._path(path)
            partial = f"{target}.{uuid.uuid4().hex}.partial" if self._is_local else target
            self._filesystem.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
            with self._filesystem.open(partial, "wb") as file:
                file.write(content)
                if self._is_local:
                    file.flush()
                    os.fsync(file.fileno())
            if self._is_local:
                Path(partial).replace(target)

        await self._run(path, write)
        return self.url(path)

    async def get_bytes(self, path: str) -> bytes:
        """Read a file.

        Raises:
            ArtefactNotFound: There is none.
        """
        content: bytes = await self._run(path, lambda: self._filesystem.cat_file(self._path(path)))
        return content

    async def exists(self, path: str) -> bool:
        """Say whether a file is there."""
        return bool(await self._run(path, lambda: self._filesystem.exists(self._path(path))))

    async def delete(self, prefix: str) -> None:
        """Remove a file, or a folder with all in it; an absent one is fine."""

        def remove() -> None:
            if self._filesystem.exists(self._path(prefix)):
                self._filesystem.rm(self._path(prefix), recursive=True)

        await self._run(prefix, remove)

    @property
    def _is_local(self) -> bool:
        return "file" in (self._filesystem.protocol if isinstance(self._filesystem.protocol, tuple) else ())

    def _path(self, path: str) -> str:
        return f"{self._root.rstrip('/')}/{_safe(path)}"

    async def _run(self, path: str, call: Callable[[], T]) -> T:
        try:
            with remote.os_errors():
                return await asyncio.to_thread(call)
        except FileNotFoundError as error:
            raise ArtefactNotFound(self.url(path)) from error
        except OSError as error:
            raise ArtefactUnavailable(self.url(path), str(error)) from error


def _safe(path: str) -> str:
    """Refuse paths that lead out of the store."""
    if path.startswith("/") or ".." in PurePosixPath(path).parts or not path:
        raise UriInvalid(path, "is not a path below the store")
    return path
