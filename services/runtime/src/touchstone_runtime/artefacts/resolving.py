"""From a URI to a file on this machine, checked."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from touchstone_runtime import folders
from touchstone_runtime.artefacts import caching, fetching, uris
from touchstone_runtime.artefacts.caching import Cache
from touchstone_runtime.artefacts.faults import ArtefactCorrupt, ArtefactNotFound
from touchstone_runtime.artefacts.uris import Address
from touchstone_runtime.revisions import Digest


class Progress(Protocol):
    """Hears how far a download is; called from the downloading thread."""

    def __call__(self, uri: str, done_bytes: int, total_bytes: int | None) -> None:
        """Take a report; `total_bytes` is None while it is unknown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """An artefact on this machine."""

    path: Path
    """A file, or a folder where the address is of one. Do not write to it: others read it too."""
    digest: Digest
    size_bytes: int
    uri: str


class Resolver:
    """Brings artefacts to this machine: each once, however many ask, in however many processes."""

    def __init__(self, cache_dir: Path, *, progress: Progress | None = None) -> None:
        self._cache = Cache(cache_dir)
        self._progress = progress

    async def resolve(self, uri: str, *, digest: str = "", credentials: Mapping[str, str] | None = None) -> Resolved:
        """Bring an artefact here, from a thread; see `resolve_sync`."""
        return await asyncio.to_thread(self.resolve_sync, uri, digest=digest, credentials=credentials)

    def resolve_sync(self, uri: str, *, digest: str = "", credentials: Mapping[str, str] | None = None) -> Resolved:
        """Bring an artefact here.

        An address that ends with a slash is of a folder, on object storage or in a package; on a hub so is one of a
        whole repository, of which what engines read is taken. What is in the cache by its digest needs no network.

        Args:
            uri: Its address, with `#sha256=HEX` where the digest is known.
            digest: The digest, known from elsewhere.
            credentials: For the source: keys of a Secret.

        Raises:
            UriInvalid: The address cannot be read.
            ArtefactNotFound: There is nothing there.
            ArtefactCorrupt: It does not have the digest.
            ArtefactUnavailable: The source did not answer.
            CredentialsUnusable: The source takes none of the credentials.
        """
        address = uris.parse(uri, digest=digest)
        if address.scheme == "file":
            return _local(address)
        if address.digest and (path := self._cache.find(address.digest)):
            return _resolved(address, path, address.digest)
        with self._cache.workplace(address.digest or address.uri) as workplace:
            if address.digest and (path := self._cache.find(address.digest)):
                return _resolved(address, path, address.digest)  # another process was first
            fetched = fetching.fetch(address, workplace, self._told(uri), credentials or {})
            found = caching.digest_of(fetched)
            if address.digest and found != address.digest:
                self._cache.tidy(workplace)
                raise ArtefactCorrupt(uri, address.digest, found)
            path = self._cache.adopt(fetched, found, address.name)
            self._cache.tidy(workplace)
        return _resolved(address, path, found)

    def _told(self, uri: str) -> fetching.Told:
        def told(done: int, total: int | None) -> None:
            if self._progress is not None:
                self._progress(uri, done, total)

        return told


def _local(address: Address) -> Resolved:
    path = Path(address.location)
    if not path.exists():
        raise ArtefactNotFound(address.uri)
    digest = caching.digest_of(path)
    if address.digest and digest != address.digest:
        raise ArtefactCorrupt(address.uri, address.digest, digest)
    return _resolved(address, path, digest)


def _resolved(address: Address, path: Path, digest: Digest) -> Resolved:
    return Resolved(path=path, digest=digest, size_bytes=folders.size_bytes(path), uri=address.uri)
