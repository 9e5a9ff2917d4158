"""Progress for people: one line a step, with its seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Trouble(Exception):
    """The cluster cannot be brought up or down; the message says why and what to do."""


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
    print(f" {time.monotonic() - began:.1f} s", flush=True)


def until(claim: Callable[[], bool], *, what: str, seconds: float, pause: float = 0.25) -> None:
    """Wait until something is so.

    Raises:
        Trouble: It was not within the time.
    """
    deadline = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > deadline:
            raise Trouble(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(pause)


def complain(message: str) -> None:
    """Say what is wrong."""
    print(message, file=sys.stderr, flush=True)
