"""Work that ends with a signal."""

import asyncio
from collections.abc import Coroutine

from touchstone_runtime import process


async def until_stopped(work: Coroutine[object, object, None]) -> None:
    """Do the work until it ends by itself or SIGTERM or SIGINT comes; then it is cancelled and may clean up."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(process.stop_requested())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
        await asyncio.wait({working})
        if not working.cancelled():
            working.result()
    finally:
        stopping.cancel()
        await asyncio.wait({stopping})
