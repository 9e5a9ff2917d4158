"""Runs plans in a process of their own, one at a time: they are arithmetic, and nobody else should wait for it."""

import asyncio
import contextlib
import logging
import sys

from touchstone_runtime.errors import Exhausted, Internal

PROGRAM = ("-m", "touchstone_inference.planner")
MAX_WAITING = 4

logger = logging.getLogger(__name__)


class PlanningProcess:
    """Starts a process for each plan and ends it with the call."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0

    async def run(self, request: bytes) -> bytes:
        """Hand a PlanServingRequest over and return the PlanServingResponse, both as bytes.

        Raises:
            Exhausted: Enough others wait already.
            Internal: The process failed; its words are in the log.
        """
        if self._waiting > MAX_WAITING:
            raise Exhausted("Plans are computed one at a time, and enough are waited for. Try again in a minute.")
        self._waiting += 1
        try:
            async with self._turn:
                return await _run(request)
        finally:
            self._waiting -= 1


async def _run(request: bytes) -> bytes:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *PROGRAM, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        answer, said = await process.communicate(request)
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended, as it should
            process.kill()
    if process.returncode != 0:
        logger.error("a plan failed", extra={"said": said.decode(errors="replace")[-2000:]})
        raise Internal("The plan could not be computed.")
    return answer
