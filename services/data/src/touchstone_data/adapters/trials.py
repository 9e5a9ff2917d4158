"""Programs that models wrote, each run in processes of its own."""

import asyncio
from collections.abc import Callable, Sequence

from touchstone_runtime import trials
from touchstone_runtime.background import BackgroundLoop

from touchstone_data.core.generation import Program


class ProcessTrials:
    """Runs programs against their tests, confined by the kernel."""

    def __init__(self, loop: BackgroundLoop, *, parallel: int) -> None:
        """Prepare.

        Args:
            loop: Where the processes are waited for.
            parallel: Programs at once.
        """
        self._loop = loop
        self._parallel = parallel

    def run(self, programs: Sequence[Program], beat: Callable[[], None]) -> list[str]:
        """Run programs; see the port."""
        found: list[str] = []
        for start in range(0, len(programs), self._parallel):
            beat()
            found += self._loop.run(_all(programs[start : start + self._parallel]))
        return found


async def _all(programs: Sequence[Program]) -> list[str]:
    return await asyncio.gather(*(_error(program) for program in programs))


async def _error(asked: Program) -> str:
    trial = await trials.run(
        asked.program, asked.tests, timeout_seconds=asked.timeout_seconds, memory_bytes=asked.memory_bytes
    )
    return "" if trial.passed else trial.error or "did not pass"
