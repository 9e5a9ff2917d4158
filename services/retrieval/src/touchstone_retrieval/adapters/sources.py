"""Bringing sources to this machine: single files by the artefact resolver, folders as they are, repositories by git."""

import tarfile
import zipfile
from pathlib import Path, PurePosixPath
from typing import Protocol
from urllib.parse import unquote, urlsplit

from touchstone_runtime.errors import DomainError
from touchstone_runtime.revisions import Digest

from touchstone_retrieval import errors
from touchstone_retrieval.adapters import git, globs
from touchstone_retrieval.adapters.fetched import Folder, OneFile, Tar, Zip
from touchstone_retrieval.core.spec import Source
from touchstone_retrieval.ports import Fetched

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


class ResolvedFile(Protocol):
    """A file on this machine with its digest."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        ...

    @property
    def digest(self) -> Digest:
        """Its `sha256:` digest."""
        ...


class FileResolver(Protocol):
    """What is needed of `touchstone_runtime.artefacts.Resolver`."""

    def resolve_sync(self, uri: str) -> ResolvedFile:
        """Bring a file to this machine."""
        ...


class SourceFetcher:
    """Brings sources to this machine."""

    def __init__(self, resolver: FileResolver, *, file_root: Path, git_timeout_seconds: float) -> None:
        """Set the limits.

        Args:
            resolver: Brings single files.
            file_root: Folder below which sources on this machine must lie.
            git_timeout_seconds: For one call of git.
        """
        self._resolver = resolver
        self._file_root = file_root
        self._git_timeout_seconds = git_timeout_seconds

    def fetch(self, source: Source, folder: Path) -> Fetched:
        """Fetch a source."""
        scheme, _, rest = source.uri.partition("://")
        takes = globs.chooser(source.include, source.exclude)
        if scheme.startswith("git+"):
            url = f"{scheme.removeprefix('git+')}://{rest}"
            if scheme == "git+file":
                self._local_path(source, url)
            target = folder / source.name
            target.mkdir()
            checkout = git.checkout(
                url, source.ref, target, source=source.name, timeout_seconds=self._git_timeout_seconds
            )
            return Folder(checkout.folder, takes, digest=checkout.commit)
        if scheme == "file":
            path = self._local_path(source, source.uri)
            if path.is_dir():
                return Folder(path, takes)
        resolved = self._resolve(source)
        return _opened(source, resolved, takes)

    def _resolve(self, source: Source) -> ResolvedFile:
        try:
            return self._resolver.resolve_sync(source.uri)
        except DomainError as error:
            if error.is_retryable:
                raise errors.SourceUnreachable(source.name, error.message) from error
            raise errors.SourceInvalid(source.name, error.message) from error

    def _local_path(self, source: Source, uri: str) -> Path:
        path = Path(unquote(urlsplit(uri).path)).resolve()
        if not path.is_relative_to(self._file_root.resolve()):
            raise errors.SourceInvalid(source.name, "it lies outside the folder that file sources may come from.")
        if not path.exists():
            raise errors.SourceInvalid(source.name, "there is no such file or folder where the worker runs.")
        return path


def _opened(source: Source, resolved: ResolvedFile, takes: globs.Chooser) -> Fetched:
    name = PurePosixPath(unquote(urlsplit(source.uri).path)).name or source.name
    try:
        if name.lower().endswith(".zip"):
            zipfile.ZipFile(resolved.path).close()
            return Zip(resolved.path, takes, resolved.digest)
        if name.lower().endswith(_TAR):
            tarfile.open(resolved.path).close()
            return Tar(resolved.path, takes, resolved.digest)
    except (zipfile.BadZipFile, tarfile.TarError) as error:
        raise errors.SourceInvalid(source.name, f"{name} is not an archive that can be read: {error}") from error
    return OneFile(resolved.path, name, resolved.digest)
