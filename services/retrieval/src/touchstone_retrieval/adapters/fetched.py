"""Sources that are on this machine: a file, a folder or an archive. Archives are read, never unpacked to the disk."""

import functools
import hashlib
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from touchstone_runtime import revisions

from touchstone_retrieval.adapters.globs import Chooser
from touchstone_retrieval.ports import SourceFile


class OneFile:
    """A single file."""

    def __init__(self, path: Path, name: str, digest: str) -> None:
        self._path = path
        self._name = name
        self.digest = digest

    def files(self) -> Iterator[SourceFile]:
        """The file."""
        yield SourceFile(self._name, self._path.stat().st_size, self._path.read_bytes)


class Folder:
    """A folder with all below it. Links are left out: they may lead anywhere."""

    def __init__(self, root: Path, takes: Chooser, *, digest: str = "") -> None:
        """Look through a folder.

        Args:
            root: The folder.
            takes: Which paths are taken.
            digest: What names the content, such as a commit; empty: the digest of the paths and contents taken.
        """
        self._root = root
        self._paths = sorted(
            relative
            for path in root.rglob("*")
            if path.is_file() and not path.is_symlink()
            for relative in [path.relative_to(root).as_posix()]
            if not relative.startswith(".git/") and takes(relative)
        )
        self.digest = digest or revisions.digest_json([[path, _digest_file(root / path)] for path in self._paths])

    def files(self) -> Iterator[SourceFile]:
        """The files by their paths."""
        for path in self._paths:
            file = self._root / path
            yield SourceFile(path, file.stat().st_size, file.read_bytes)


class Zip:
    """A zip archive."""

    def __init__(self, path: Path, takes: Chooser, digest: str) -> None:
        self._path = path
        self._takes = takes
        self.digest = digest

    def files(self) -> Iterator[SourceFile]:
        """The members by their paths."""
        with zipfile.ZipFile(self._path) as archive:
            for member in sorted(archive.infolist(), key=lambda m: m.filename):
                if not member.is_dir() and self._takes(member.filename):
                    yield SourceFile(member.filename, member.file_size, functools.partial(archive.read, member))


class Tar:
    """A tar archive, compressed or not."""

    def __init__(self, path: Path, takes: Chooser, digest: str) -> None:
        self._path = path
        self._takes = takes
        self.digest = digest

    def files(self) -> Iterator[SourceFile]:
        """The regular members by their paths."""
        with tarfile.open(self._path) as archive:
            members = sorted((m for m in archive if m.isreg() and self._takes(m.name)), key=lambda m: m.name)
            for member in members:
                yield SourceFile(member.name, member.size, _tar_reader(archive, member))


def _tar_reader(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        stream = archive.extractfile(member)
        return stream.read() if stream else b""

    return read


def _digest_file(path: Path) -> str:
    with path.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
