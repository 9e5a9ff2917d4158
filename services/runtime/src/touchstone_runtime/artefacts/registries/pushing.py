"""From a folder to a registry: its files first and its manifest last, so that what can be seen is whole."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import httpx

from touchstone_runtime.artefacts import caching
from touchstone_runtime.artefacts.faults import ArtefactCorrupt, ArtefactUnavailable, ArtefactUnusable, UriInvalid
from touchstone_runtime.artefacts.registries import client, manifests, names
from touchstone_runtime.artefacts.registries.client import PAUSES_SECONDS, Repository
from touchstone_runtime.artefacts.registries.manifests import File
from touchstone_runtime.artefacts.registries.surroundings import Surroundings
from touchstone_runtime.revisions import Digest

CHUNK_BYTES = 1024 * 1024


class Pushed(NamedTuple):
    """An artefact in a registry."""

    uri: str
    """`oci://REGISTRY/REPOSITORY@sha256:MANIFEST`."""
    digest: Digest
    """Of the folder."""
    size_bytes: int


class _FileBody:
    """A file as a request's body: it can be sent again, and is never in memory as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk


def check(uri: str, secret: Mapping[str, str], *, surroundings: Surroundings | None = None) -> None:
    """See that a repository can be pushed to, by giving it the empty configuration that every artefact here has.

    Args:
        uri: As of `push`.
        secret: As of `push`.
        surroundings: None: those of this process.

    Raises:
        DomainError: As of `push`.
    """
    with _opened(uri, secret, surroundings, PAUSES_SECONDS) as repository:
        repository.persist(lambda: _send_blob(repository, manifests.EMPTY_DIGEST, manifests.EMPTY))


def push(
    folder: Path,
    uri: str,
    secret: Mapping[str, str],
    *,
    surroundings: Surroundings | None = None,
    pauses_seconds: tuple[float, ...] = PAUSES_SECONDS,
) -> Pushed:
    """Publish a folder. Its tag is its digest, so the same contents are one artefact, however often they are published.

    Args:
        folder: Its files; empty folders in it are left out.
        uri: `oci://REGISTRY/REPOSITORY[:TAG]`; a tag is set to the artefact as well.
        secret: Keys of a Secret. Empty: the login is that of the surroundings, if there is one.
        surroundings: None: those of this process.
        pauses_seconds: Between tries.

    Raises:
        UriInvalid: The address is not of that form.
        ArtefactUnusable: The folder holds no files, or the registry refuses them.
        ArtefactUnavailable: The registry did not answer.
        CredentialsUnusable: It takes none of the credentials, or wants some.
    """
    paths = {PurePosixPath(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    if not paths:
        raise ArtefactUnusable(uri, "the folder to be published holds no files", "Publish one that does")
    with _opened(uri, secret, surroundings, pauses_seconds) as repository:
        files = [
            File(path=name, digest=caching.digest_file(path), size_bytes=path.stat().st_size)
            for name, path in paths.items()
        ]
        manifest = manifests.write(files)
        digest = caching.digest_of_files({file.path: file.digest for file in files})
        own, tags = _digest(manifest), [digest.removeprefix("sha256:"), repository.name.tag]
        missing = [tag for tag in tags if tag and _tagged(repository, tag) != own]
        if missing:
            for file in files:
                _give_blob(repository, file.digest, _FileBody(paths[file.path]), file.size_bytes)
            _give_blob(repository, manifests.EMPTY_DIGEST, manifests.EMPTY)
        for tag in missing:
            _give_manifest(repository, tag, manifest)
        name = repository.name
    size = sum(file.size_bytes for file in files)
    return Pushed(f"oci://{name.registry}/{name.repository}@{own}", digest, size)


def _opened(
    uri: str, secret: Mapping[str, str], surroundings: Surroundings | None, pauses_seconds: tuple[float, ...]
) -> AbstractContextManager[Repository]:
    name = names.read(uri)
    if name.digest:
        raise UriInvalid(uri, "names what is there already: publish to oci://REGISTRY/REPOSITORY, with a tag or none")
    found = surroundings or Surroundings.read()
    return client.opened(name, secret, actions="pull,push", surroundings=found, pauses_seconds=pauses_seconds)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _tagged(repository: Repository, tag: str) -> str:
    """Return the digest of the manifest that has a tag; empty: there is none."""

    def ask() -> str:
        headers = {"Accept": ", ".join(manifests.ACCEPTED)}
        with repository.ask("HEAD", f"manifests/{tag}", headers=headers, missing=True) as answer:
            return str(answer.headers.get("Docker-Content-Digest", "")) if answer.is_success else ""

    return repository.persist(ask)


def _give_blob(repository: Repository, digest: str, content: _FileBody | bytes, size_bytes: int = 0) -> None:
    """Send a blob that the repository does not have."""

    def give() -> None:
        with repository.ask("HEAD", f"blobs/{digest}", missing=True) as answer:
            is_there = answer.is_success
        if not is_there:
            _send_blob(repository, digest, content, size_bytes)

    repository.persist(give)


def _send_blob(repository: Repository, digest: str, content: _FileBody | bytes, size_bytes: int = 0) -> None:
    """Send a blob in one request, as the specification's "POST then PUT"."""
    begun = repository.send("POST", "blobs/uploads/")
    location = begun.headers.get("Location", "")
    if begun.status_code != httpx.codes.ACCEPTED or not location:
        raise ArtefactUnavailable(repository.name.uri, "the registry does not say where files are sent")
    separator = "&" if "?" in location else "?"
    url = str(begun.url.join(f"{location}{separator}digest={digest.replace(':', '%3A')}"))
    length = len(content) if isinstance(content, bytes) else size_bytes
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(length)}
    repository.send("PUT", url, content=content, headers=headers)


def _give_manifest(repository: Repository, tag: str, manifest: bytes) -> None:
    headers = {"Content-Type": manifests.MANIFEST}
    answer = repository.persist(lambda: repository.send("PUT", f"manifests/{tag}", content=manifest, headers=headers))
    found = answer.headers.get("Docker-Content-Digest", "")
    if found and found != _digest(manifest):
        raise ArtefactCorrupt(repository.name.uri, _digest(manifest), found)
