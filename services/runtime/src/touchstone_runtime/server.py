"""A gRPC server as every service has it: health, reflection, limits, interceptors, a graceful end.

The order of the end: health turns NOT_SERVING, the drain delay passes (load balancers look away), no new calls are
taken, calls in flight get the grace, what is left is cancelled.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from touchstone_runtime import interceptors, process
from touchstone_runtime.errors import Unavailable

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How a server listens, and its limits."""

    listen: str
    """`HOST:PORT`; port 0 takes a free one."""
    reflection: bool = False
    """Answers what services there are; on in development only."""
    drain_delay_seconds: float = 0.0
    """Time between NOT_SERVING and the last new call: endpoints need it to spread in a cluster."""
    grace_seconds: float = 30.0
    """Time for calls in flight at the end."""
    max_message_bytes: int = 16 * 1024 * 1024
    """Largest message in either direction; larger things go by reference."""
    max_concurrent_rpcs: int = 256
    """More calls at once are answered RESOURCE_EXHAUSTED, before queues grow."""
    max_deadline_seconds: float = 600.0
    """The deadline of a call that brings none or a longer one."""


class Servicer(NamedTuple):
    """A service and how it is added to a server."""

    name: str
    """The full name, for example `touchstone.engine.v1.EngineService`."""
    add: Callable[[grpc.aio.Server], None]
    """Registers the servicer, for example `lambda server: add_EngineServiceServicer_to_server(servicer, server)`."""


class GrpcServer:
    """A gRPC server. Start it, say when it serves, stop it; or use it as an asynchronous context manager."""

    def __init__(self, settings: ServerSettings, servicers: Sequence[Servicer]) -> None:
        self._settings = settings
        self._names = tuple(servicer.name for servicer in servicers)
        self._health = HealthServicer()
        self._server = grpc.aio.server(
            interceptors=interceptors.stack(max_deadline_seconds=settings.max_deadline_seconds),
            maximum_concurrent_rpcs=settings.max_concurrent_rpcs,
            options=_options(settings),
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for servicer in servicers:
            servicer.add(self._server)
        if settings.reflection:
            shown = (*self._names, "grpc.health.v1.Health", reflection.SERVICE_NAME)
            reflection.enable_server_reflection(shown, self._server)
        self._port = 0

    @property
    def address(self) -> str:
        """`HOST:PORT` that the server listens on."""
        return f"{self._settings.listen.rpartition(':')[0]}:{self._port}"

    async def start(self) -> int:
        """Listen, not serving yet, and return the port.

        Raises:
            Unavailable: The address cannot be bound.
        """
        await self.set_serving(is_serving=False)
        try:
            self._port = self._server.add_insecure_port(self._settings.listen)
        except RuntimeError as error:
            message = f"Cannot listen on {self._settings.listen}: is another process using it? ({error})"
            raise Unavailable(message) from error
        await self._server.start()
        logger.info("listening", extra={"address": self.address, "services": self._names})
        return self._port

    async def set_serving(self, is_serving: bool = True) -> None:
        """Tell the health service whether calls are welcome."""
        status: Any = SERVING if is_serving else NOT_SERVING
        for name in ("", *self._names):
            await self._health.set(name, status)

    async def wait_for_signal_and_stop(self) -> None:
        """Serve until SIGTERM or SIGINT, then stop gracefully."""
        name = await process.stop_requested()
        logger.info("stopping", extra={"signal": name, "grace_seconds": self._settings.grace_seconds})
        await self.stop()

    async def stop(self) -> None:
        """Turn NOT_SERVING for good, drain, and end."""
        await self._health.enter_graceful_shutdown()
        if self._settings.drain_delay_seconds:
            await asyncio.sleep(self._settings.drain_delay_seconds)
        await self._server.stop(self._settings.grace_seconds)

    async def __aenter__(self) -> Self:
        await self.start()
        await self.set_serving()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class Chore(NamedTuple):
    """What a server does beside its calls."""

    do: Callable[[], object]
    """Blocking; called in a thread."""
    every_seconds: float


async def serve(server: GrpcServer, *chores: Chore) -> None:
    """Serve until SIGTERM or SIGINT, and do chores meanwhile; one that fails is tried again at its next time."""
    async with asyncio.TaskGroup() as group:
        await server.start()
        tasks = [group.create_task(_for_ever(chore)) for chore in chores]
        await server.set_serving()
        await server.wait_for_signal_and_stop()
        for task in tasks:
            task.cancel()


async def _for_ever(chore: Chore) -> None:
    while True:
        try:
            await asyncio.to_thread(chore.do)
        except Exception:  # the database may be away; the loop must outlive that
            logger.exception("a chore failed; it is tried again", extra={"chore": chore.do.__qualname__})
        await asyncio.sleep(chore.every_seconds)


def _options(settings: ServerSettings) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        # Clients of ours ping every 30 s, also without a call (channels.py); the default would call that too often.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.so_reuseport", 0),
    ]
