"""Folders that appear whole or not at all, and what died builds leave behind."""

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

UNFINISHED = ".tmp"
_LOCK = ".lock"


@contextlib.contextmanager
def unfinished(target: Path) -> Iterator[Path]:
    """Make an unfinished folder beside its target, locked while this process lives and removed at the end.

    The folder is found by `sweep` only after the lock is held, so none is swept away while it is being made.
    """
    folder = _aside(target)
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(_lock_path(folder), thread_local=False)
    with lock:
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            _lock_path(folder).unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Remove a folder so that nobody sees a part of it: first out of sight, then for good."""
    hidden = _aside(folder)
    try:
        folder.rename(hidden)
    except FileNotFoundError:
        return
    shutil.rmtree(hidden, ignore_errors=True)


def sweep(root: Path, pattern: str) -> int:
    """Remove unfinished folders that no living process holds; returns how many.

    Args:
        root: Where to look.
        pattern: Glob below the root of the folders that hold unfinished ones.
    """
    removed = 0
    for folder in root.glob(f"{pattern}/*{UNFINISHED}"):
        lock = FileLock(_lock_path(folder), timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        _lock_path(folder).unlink(missing_ok=True)
        lock.release()
        removed += 1
    return removed


def size_bytes(folder: Path) -> int:
    """Sum what a folder takes on the disk; the engine's files are sparse, so their lengths say nothing."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def _aside(target: Path) -> Path:
    return target.with_name(f"{target.name}.{uuid.uuid4().hex[:12]}{UNFINISHED}")


def _lock_path(folder: Path) -> Path:
    return folder.with_name(folder.name + _LOCK)
