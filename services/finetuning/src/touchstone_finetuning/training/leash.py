"""A leash to whoever tends this process: it ends when they do, even when they are killed and can say nothing."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

LOOKS = 20
"""So often a file is looked at before it counts as left alone."""

OPTION = "--leashed"
"""Says that standard input is a pipe whose other end the starter holds."""


def hold() -> None:
    """End this process, with nothing said, as soon as standard input ends."""
    threading.Thread(target=_wait, name="leash", daemon=True).start()


def watch(file: Path, seconds: float) -> None:
    """End this process, with a checkpoint, once nobody has touched a file for so long.

    Clocks of other machines do not matter: what counts is whether the file's time changes.
    """
    threading.Thread(target=_watch, args=(file, seconds), name="leash", daemon=True).start()


def _watch(file: Path, seconds: float) -> None:
    seen, since = 0, time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(seconds / LOOKS)
        touched = file.stat().st_mtime_ns if file.exists() else 0
        if touched != seen:
            seen, since = touched, time.monotonic()
    os.kill(os.getpid(), signal.SIGTERM)


def _wait() -> None:
    while os.read(sys.stdin.fileno(), 1):
        continue
    os._exit(1)
