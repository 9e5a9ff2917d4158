"""What tests of several rooms need: a clock that is told the time, free ports, and servers in process."""

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc

from touchstone_runtime import channels
from touchstone_runtime.cluster.faults import SecretNotFound
from touchstone_runtime.cluster.references import SecretReference
from touchstone_runtime.server import GrpcServer, ServerSettings, Servicer


class FakeClock:
    """A clock that moves when it is told to. Call it for the time in UTC."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start

    def __call__(self) -> datetime:
        """Return the present time."""
        return self._now

    def monotonic(self) -> float:
        """Return the present time in seconds, as `time.monotonic` does."""
        return self._now.timestamp()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += timedelta(seconds=seconds)


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def serve(servicers: Sequence[Servicer], **settings: float | bool) -> AsyncIterator[str]:
    """Serve on a free loopback port and give the address; what is in flight at the end gets half a second."""
    limits: dict[str, float | bool] = {"grace_seconds": 0.5, **settings}
    server = GrpcServer(ServerSettings(listen="127.0.0.1:0", **limits), servicers)  # type: ignore[arg-type] # checked by the dataclass's names
    async with server:
        yield server.address


@asynccontextmanager
async def channel_to(servicers: Sequence[Servicer], **settings: float | bool) -> AsyncIterator[grpc.aio.Channel]:
    """Serve as `serve` does and give a channel to it."""
    async with serve(servicers, **settings) as address, channels.connect(address) as channel:
        yield channel


class FakeSecrets:
    """The Secrets that a test wrote; more may come."""

    def __init__(self, written: Mapping[SecretReference, Mapping[str, str]] | None = None) -> None:
        self.written = dict(written or {})

    def read(self, reference: SecretReference | None) -> Mapping[str, str]:
        """Read what a Secret holds; of none, nothing."""
        if reference is None:
            return {}
        if reference not in self.written:
            raise SecretNotFound(reference)
        return self.written[reference]
