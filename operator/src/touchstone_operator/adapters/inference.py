"""The routers' counters over gRPC: of all routers that a name leads to, added up."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import grpc
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc

from touchstone_operator import errors
from touchstone_operator.adapters.peers import TIMEOUT_SECONDS, ask
from touchstone_operator.ports import Distribution, LiveMetrics, Moved, Reached

PEER = "inference"

T = TypeVar("T")


class TrafficClient:
    """The traffic port. What engines say is asked of any router; what routers count, of each of them."""

    def __init__(
        self, connect: Callable[[str], grpc.aio.Channel], look_up: Callable[[], Awaitable[Sequence[str]]]
    ) -> None:
        """Take what opens a channel, and what finds the `HOST:PORT` of every router."""
        self._connect = connect
        self._look_up = look_up
        self._channels: dict[str, grpc.aio.Channel] = {}

    async def close(self) -> None:
        """Let go of all routers."""
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()

    async def moved(self, model: str, revision: str) -> Moved:
        """Have a router ask the engines of a revision what has moved between them."""
        message = pb.GetKVTransferRequest(model=model, revision=revision)
        found: pb.GetKVTransferResponse = await self._any(
            lambda stub: stub.GetKVTransfer(message, timeout=TIMEOUT_SECONDS)
        )
        return Moved(
            engines=found.engines,
            engines_without_connector=found.engines_without_connector,
            remote_prompts=found.remote_prompts,
            failed_prompts=found.failed_prompts,
            transfers=found.transfers,
            transferred_bytes=found.transferred_bytes,
            transferred_tokens=found.transferred_tokens,
            failed_transfers=found.failed_transfers,
        )

    async def reached(self, model: str, revision: str) -> Reached:
        """Have a router ask the engines of a revision what they reach."""
        message = pb.GetUtilizationRequest(model=model, revision=revision)
        found: pb.GetUtilizationResponse = await self._any(
            lambda stub: stub.GetUtilization(message, timeout=TIMEOUT_SECONDS)
        )
        return Reached(
            engines=found.engines,
            measured_engines=found.measured_engines,
            mfu=found.mfu,
            mbu=found.mbu,
            peak_output_tokens_per_second=found.peak_output_tokens_per_second,
        )

    async def metrics(self, model: str, revision: str, window_seconds: int) -> LiveMetrics:
        """Read the counters of a revision, of all routers; it is complete only if each of them answered."""
        message = pb.GetRevisionMetricsRequest(model=model, revision=revision, window_seconds=window_seconds)
        answers = await self._all(lambda stub: stub.GetRevisionMetrics(message, timeout=TIMEOUT_SECONDS))
        found = [answer for answer in answers if not isinstance(answer, BaseException)]
        if not found:
            raise next(answer for answer in answers if isinstance(answer, BaseException))
        return _added(found, is_complete=len(found) == len(answers))

    async def _any(self, call: Callable[[Any], Awaitable[T]]) -> T:
        """Ask routers in turn until one answers."""
        answers: list[BaseException] = []
        for stub in await self._stubs():
            try:
                return await ask(PEER, call(stub))
            except errors.PeerUnavailable as error:
                answers.append(error)
        raise answers[0]

    async def _all(self, call: Callable[[Any], Awaitable[T]]) -> list[T | BaseException]:
        """Ask each router."""
        stubs = await self._stubs()
        return await asyncio.gather(*(ask(PEER, call(stub)) for stub in stubs), return_exceptions=True)

    async def _stubs(self) -> list[Any]:
        """Look the routers up anew; channels to those that are gone are closed."""
        addresses = await self._look_up()
        for gone in self._channels.keys() - set(addresses):
            await self._channels.pop(gone).close()
        for address in addresses:
            if address not in self._channels:
                self._channels[address] = self._connect(address)
        return [pb_grpc.InferenceServiceStub(self._channels[address]) for address in addresses]


async def addresses(name: str) -> list[str]:
    """Find all `HOST:PORT` that a name with a port leads to.

    Raises:
        PeerUnavailable: It leads nowhere now.
    """
    host, _, port = name.rpartition(":")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise errors.PeerUnavailable(PEER, f"{host} leads nowhere: {error}") from error
    return list(dict.fromkeys(_written(place[4]) for place in found))


def _written(place: Any) -> str:
    host, port = str(place[0]), place[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _added(found: Sequence[pb.GetRevisionMetricsResponse], *, is_complete: bool) -> LiveMetrics:
    has_objective = any(each.HasField("good_requests") for each in found)
    return LiveMetrics(
        requests=sum(each.requests for each in found),
        errors=sum(each.errors for each in found),
        time_to_first_token=_distribution([each.time_to_first_token for each in found]),
        time_per_output_token=_distribution([each.time_per_output_token for each in found]),
        queue_time=_distribution([each.queue_time for each in found]),
        input_tokens=sum(each.usage_totals.input_tokens for each in found),
        output_tokens=sum(each.usage_totals.output_tokens for each in found),
        cached_input_tokens=sum(each.usage_totals.cached_input_tokens for each in found),
        good_requests=sum(each.good_requests for each in found) if has_objective else None,
        window_seconds=min(each.window_seconds for each in found),
        is_complete=is_complete,
    )


def _distribution(found: Sequence[pb.Distribution]) -> Distribution:
    """Add up: all routers of a version have the same bounds; one of another version is left out."""
    bounds = tuple(found[0].upper_bounds)
    same = [each.counts for each in found if tuple(each.upper_bounds) == bounds]
    return Distribution(upper_bounds=bounds, counts=tuple(map(sum, zip(*same, strict=True))))
