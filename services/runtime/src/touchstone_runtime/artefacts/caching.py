"""The cache: files and folders by their digest. Each is there whole, or not at all.

Layout: `sha256/ab/abcd…/NAME`, and beside it `NAME.seen` with size and modification time: what still has both is
believed, else it is hashed again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from filelock import FileLock

from touchstone_runtime import folders
from touchstone_runtime.revisions import Digest

CHUNK_BYTES = 1024 * 1024


def digest_file(path: Path) -> Digest:
    """Digest a file's content."""
    with path.open("rb") as file:
        return Digest(f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")


def digest_of(path: Path) -> Digest:
    """Digest a file or a folder."""
    return digest_folder(path) if path.is_dir() else digest_file(path)


def digest_folder(folder: Path) -> Digest:
    """Digest a folder: over the sorted paths of its files and their digests."""
    found = folders.files(folder)
    return digest_of_files({PurePosixPath(path.relative_to(folder)): digest_file(path) for path in found})


def digest_of_files(digests: Mapping[PurePosixPath, str]) -> Digest:
    """Digest a folder whose files' digests are known, by their paths in it."""
    total = hashlib.sha256()
    for path in sorted(digests):
        total.update(f"{path}\0{digests[path]}\n".encode())
    return Digest(f"sha256:{total.hexdigest()}")


class Cache:
    """A folder of files and folders by digest, shared by processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, digest: Digest) -> Path | None:
        """Return the file or folder with a digest; one that was damaged is removed."""
        home = self._home(digest)
        if not home.is_dir():
            return None
        for path in sorted(home.iterdir()):
            if path.suffix == ".seen":
                continue
            if self._is_as_seen(path) or digest_of(path) == digest:
                self._note(path)
                return path
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return None

    def adopt(self, path: Path, digest: Digest, name: str) -> Path:
        """Move a finished file or folder into the cache."""
        home = self._home(digest)
        home.mkdir(parents=True, exist_ok=True)
        for each in folders.files(path):
            with each.open("rb") as file:
                os.fsync(file.fileno())
        final = home / name
        if final.is_dir():
            shutil.rmtree(final)  # damaged, or it would have been found
        path.replace(final)
        self._note(final)
        return final

    @contextmanager
    def workplace(self, key: str) -> Iterator[Path]:
        """Hold the only workplace for a key: its folder keeps what was half fetched until `tidy`."""
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        folder = self._folder / "partial" / name
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._folder / "partial" / f"{name}.lock"):
            folder.mkdir(parents=True, exist_ok=True)
            yield folder

    def tidy(self, folder: Path) -> None:
        """Remove a workplace whose file was adopted."""
        shutil.rmtree(folder, ignore_errors=True)

    def _home(self, digest: Digest) -> Path:
        value = digest.removeprefix("sha256:")
        return self._folder / "sha256" / value[:2] / value

    def _is_as_seen(self, path: Path) -> bool:
        try:
            return bool(json.loads(_record(path).read_text()) == _facts(path))
        except (OSError, ValueError):
            return False

    def _note(self, path: Path) -> None:
        if not self._is_as_seen(path):
            _record(path).write_text(json.dumps(_facts(path)))


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.seen")


def _facts(path: Path) -> list[int]:
    """Size and newest modification time; a folder's files count, and their number."""
    stats = [file.stat() for file in folders.files(path)]
    facts = [sum(stat.st_size for stat in stats), max((stat.st_mtime_ns for stat in stats), default=0)]
    return [*facts, len(stats)] if path.is_dir() else facts
