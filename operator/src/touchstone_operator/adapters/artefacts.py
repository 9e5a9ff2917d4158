"""Digests of weights: found out in the background, so that a download never holds a reconcile up."""

import asyncio
from collections.abc import Mapping

from touchstone_runtime import revisions
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.errors import DomainError
from touchstone_runtime.revisions import Digest

from touchstone_operator import errors


class ModelDigests:
    """The models port. What was found out is kept for the life of the process; what failed is tried again."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._running: dict[tuple[str, str], asyncio.Task[Digest]] = {}
        """By address and by the digest of the credentials: who has others asks for himself."""

    async def digest(self, uri: str, *, credentials: Mapping[str, str]) -> Digest:
        """Find out the digest of weights."""
        key = (uri, revisions.digest_json(dict(credentials)))
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(self._resolve(uri, credentials))
        if not task.done():
            raise errors.ModelUnresolved(uri, "The weights are being fetched.")
        if task.exception():
            del self._running[key]
        try:
            return task.result()
        except DomainError as error:
            if error.is_retryable:
                raise errors.ModelUnresolved(uri, error.message) from error
            raise errors.ModelNotFound(uri, error.message) from error

    async def close(self) -> None:
        """Stop what is being found out."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _resolve(self, uri: str, credentials: Mapping[str, str]) -> Digest:
        resolved = await self._resolver.resolve(uri, credentials=credentials)
        return resolved.digest
