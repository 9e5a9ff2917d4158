"""Listening: loopback only, TLS, and a clean end."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import uvicorn
from starlette.types import ASGIApp

from touchstone_local.apiserver import errors
from touchstone_local.apiserver.pki import Pki

GRACE_SECONDS = 5
"""How long open requests may go on once the server stops."""


class Address(NamedTuple):
    """Where the server listens."""

    host: str
    """As configured, for URLs and certificates."""
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_listen(listen: str) -> Address:
    """Return the address of a `HOST:PORT`.

    Raises:
        ListenRefused: The host is not loopback, or it is not such a text.
    """
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal():
        raise errors.ListenRefused(listen)
    if host != "localhost" and not _is_loopback(host):
        raise errors.ListenRefused(host)
    return Address(host, int(port))


def bind(address: Address) -> socket.socket:
    """Open the socket, before anything else is made, so that a taken port is seen at once.

    Raises:
        PortTaken: Something else listens there.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
    except OSError as error:
        listener.close()
        raise errors.PortTaken(str(address), error.strerror or str(error)) from error
    return listener


@contextlib.asynccontextmanager
async def running(app: ASGIApp, listener: socket.socket, pki: Pki) -> AsyncIterator[None]:
    """Serve while the context is open; leave it only after open watches were told to end."""
    config = uvicorn.Config(
        app,
        ssl_certfile=pki.certificate,
        ssl_keyfile=pki.key,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=1024,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            if serving.done():
                await serving
                raise RuntimeError("The server ended before it had started; its log says why.")
            await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
