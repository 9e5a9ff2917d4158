"""From a registry to a folder: each file checked while it comes, and gone on with where an earlier try ended."""

import functools
import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from touchstone_runtime.artefacts.faults import ArtefactCorrupt, ArtefactUnavailable
from touchstone_runtime.artefacts.registries import client, manifests, names
from touchstone_runtime.artefacts.registries.client import PAUSES_SECONDS, Repository
from touchstone_runtime.artefacts.registries.manifests import File
from touchstone_runtime.artefacts.registries.surroundings import Surroundings

CHUNK_BYTES = 1024 * 1024

Told = Callable[[int, int | None], None]


def pull(
    uri: str,
    workplace: Path,
    told: Told,
    secret: Mapping[str, str],
    *,
    surroundings: Surroundings | None = None,
    pauses_seconds: tuple[float, ...] = PAUSES_SECONDS,
) -> Path:
    """Fetch an artefact.

    Args:
        uri: `oci://REGISTRY/REPOSITORY[:TAG][@sha256:MANIFEST]`.
        workplace: A folder of the caller's own: what was half fetched in it is gone on with.
        told: Told bytes done and bytes in all.
        secret: Keys of a Secret. Empty: the login is that of the surroundings, if there is one.
        surroundings: None: those of this process.
        pauses_seconds: Between tries.

    Returns:
        The folder, in the workplace.

    Raises:
        UriInvalid: The address is not of that form.
        ArtefactNotFound: The registry has no such manifest.
        ArtefactUnusable: It is no artefact of titled files.
        ArtefactCorrupt: What came does not have its digest.
        ArtefactUnavailable: The registry did not answer.
        CredentialsUnusable: It takes none of the credentials, or wants some.
    """
    name = names.read(uri)
    found = surroundings or Surroundings.read()
    with client.opened(name, secret, actions="pull", surroundings=found, pauses_seconds=pauses_seconds) as repository:
        files = _files(repository)
        blobs = workplace / "blobs"
        blobs.mkdir(exist_ok=True)
        wanted = {file.digest: file for file in files}
        total, done = sum(file.size_bytes for file in wanted.values()), 0
        for file in wanted.values():
            repository.persist(functools.partial(_fetch, repository, file, blobs, _after(told, done, total)))
            done += file.size_bytes
    told(total, total)
    return _laid_out(files, blobs, workplace / "body")


def _after(told: Told, before: int, total: int) -> Callable[[int], None]:
    return lambda here: told(before + here, total)


def _files(repository: Repository) -> tuple[File, ...]:
    """Read which files there are, through an index if there is one."""
    name = repository.name
    content = _manifest(repository, name.reference, name.digest)
    chosen = manifests.chosen(content, name.uri)
    return manifests.read(_manifest(repository, chosen, chosen) if chosen else content, name.uri)


def _manifest(repository: Repository, reference: str, digest: str) -> bytes:
    headers = {"Accept": ", ".join(manifests.ACCEPTED)}
    content = repository.persist(lambda: repository.read(f"manifests/{reference}", headers))
    found = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if digest and found != digest:
        raise ArtefactCorrupt(repository.name.uri, digest, found)
    return content


def _fetch(repository: Repository, file: File, blobs: Path, told: Callable[[int], None]) -> None:
    """Fetch a blob into a file that is named by its digest once it is whole."""
    final = blobs / file.digest.removeprefix("sha256:")
    if final.exists():
        return
    partial = final.with_suffix(".partial")
    hashed, done = _so_far(partial)
    headers = {"Range": f"bytes={done}-"} if done else {}
    with repository.ask("GET", f"blobs/{file.digest}", headers=headers) as answer:
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            hashed, done = hashlib.sha256(), 0
        with partial.open("ab" if done else "wb") as target:
            if answer.is_success:
                for chunk in answer.iter_raw(CHUNK_BYTES):
                    target.write(chunk)
                    hashed.update(chunk)
                    done += len(chunk)
                    told(done)
                    if done > file.size_bytes:
                        break
    if done < file.size_bytes:
        raise ArtefactUnavailable(repository.name.uri, f"{file.path} ended after {done} of {file.size_bytes} bytes")
    if (found := f"sha256:{hashed.hexdigest()}") != file.digest or done > file.size_bytes:
        partial.unlink()
        raise ArtefactCorrupt(repository.name.uri, file.digest, found)
    partial.replace(final)


def _so_far(partial: Path) -> tuple["hashlib._Hash", int]:
    """Hash what an earlier try left."""
    if not partial.exists():
        return hashlib.sha256(), 0
    with partial.open("rb") as file:
        return hashlib.file_digest(file, "sha256"), partial.stat().st_size


def _laid_out(files: tuple[File, ...], blobs: Path, folder: Path) -> Path:
    """Give each file its place; one that has several is copied."""
    shutil.rmtree(folder, ignore_errors=True)  # of a try that ended half way
    last = {file.digest: file for file in files}
    for file in files:
        source, target = blobs / file.digest.removeprefix("sha256:"), folder / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        if file is last[file.digest]:
            source.replace(target)
        else:
            shutil.copyfile(source, target)
    return folder
