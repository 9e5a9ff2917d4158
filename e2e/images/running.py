"""Running programs, and telling about it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Trouble(Exception):
    """An image cannot be made; the message says why."""


def run(*command: str) -> str:
    """Run a program and return what it says.

    Raises:
        Trouble: It failed.
    """
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise Trouble(f"{' '.join(command[:2])} failed:\n{(ended.stderr or ended.stdout)[-3000:]}")
    return ended.stdout


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    began = time.monotonic()
    print(f"{what} …", end="", flush=True)
    try:
        yield
    except BaseException:
        print(" failed", flush=True)
        raise
    print(f" {time.monotonic() - began:.0f} s", flush=True)
