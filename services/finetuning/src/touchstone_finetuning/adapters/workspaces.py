"""Workspaces as folders. One is held by a lock that its holder's end frees, however it ends."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from touchstone_finetuning.ports import Workspace

MARK = "run"
"""The file whose time says when a workspace was last entered."""
RETIRED_SECONDS = 600.0


class FolderWorkspaces:
    """Workspaces below one folder."""

    def __init__(self, root: Path, *, retention: timedelta, clock: Callable[[], float] = time.time) -> None:
        """Prepare.

        Args:
            root: The folder.
            retention: How long a workspace that nobody enters is kept.
            clock: Tells the time in seconds, as file systems do.
        """
        self._root = root
        self._retention = retention
        self._clock = clock

    @contextmanager
    def enter(self, run: str) -> Iterator[Workspace]:
        """Hold the workspace of a run; waits until nobody else does."""
        folder = self._root / hashlib.sha256(run.encode()).hexdigest()[:32]
        with FileLock(self._lock(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / MARK).write_text(run)  # marks it as used, for the sweep
            yield Workspace(folder=folder)

    def retire(self, workspace: Workspace) -> None:
        """Have a workspace whose training is done swept in some minutes: by then its end is on record."""
        swept_at = self._clock() - self._retention.total_seconds() + RETIRED_SECONDS
        os.utime(workspace.folder / MARK, (swept_at, swept_at))

    def sweep(self) -> int:
        """Remove workspaces that nobody has entered for the retention time."""
        oldest = self._clock() - self._retention.total_seconds()
        swept = 0
        for mark in sorted(self._root.glob(f"*/{MARK}")):
            try:
                with FileLock(self._lock(mark.parent), blocking=False):
                    if mark.stat().st_mtime < oldest:
                        shutil.rmtree(mark.parent)
                        swept += 1
            except (Timeout, FileNotFoundError):
                continue  # somebody is in it, or was first
        return swept

    def _lock(self, folder: Path) -> Path:
        self._root.mkdir(parents=True, exist_ok=True)
        return folder.with_suffix(".lock")
