"""The life of a process: settings that are wrong end it with a sentence, signals end it cleanly."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from touchstone_runtime.errors import DomainError, Kind

EXIT_USAGE = 2
"""The exit code for settings that are wrong: a restart does not help."""


def run_main(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a process's coroutine until it returns, and exit.

    SIGTERM and SIGINT set the event that `stop_requested` waits for; a second one ends the process at once. A
    domain error becomes one sentence on standard error.
    """
    run_blocking(lambda: asyncio.run(main()))


def run_blocking(main: Callable[[], None]) -> None:
    """Run a process's function until it returns, and exit where it fails; it minds signals itself."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except DomainError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(EXIT_USAGE if error.kind is Kind.INVALID else 1)


async def stop_requested() -> str:
    """Wait for SIGTERM or SIGINT and return the signal's name; later ones have their usual effect."""
    loop = asyncio.get_running_loop()
    caught: asyncio.Future[str] = loop.create_future()
    signals = (signal.SIGTERM, signal.SIGINT)

    def note(number: signal.Signals) -> None:
        if not caught.done():
            caught.set_result(number.name)

    for number in signals:
        loop.add_signal_handler(number, note, number)
    try:
        return await caught
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
