"""`/healthz`: whether the process does its work, or stands by for the one that does."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

STUCK_SECONDS = 120.0
"""A key that has been due for longer than this says that no worker comes to it."""


@asynccontextmanager
async def serve(listen: str, oldest_wait_seconds: Callable[[], float]) -> AsyncIterator[None]:
    """Answer `GET /healthz` and `GET /readyz`."""

    async def healthz(_: web.Request) -> web.Response:
        waited = oldest_wait_seconds()
        if waited > STUCK_SECONDS:
            return web.Response(status=503, text=f"a key has been due for {waited:.0f} s\n")
        return web.Response(text="ok\n")

    app = web.Application()
    app.add_routes([web.get("/healthz", healthz), web.get("/readyz", healthz)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = listen.rpartition(":")
    await web.TCPSite(runner, host, int(port)).start()
    try:
        yield
    finally:
        await runner.cleanup()
