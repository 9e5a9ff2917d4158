"""Counters of several routers, each a real gRPC server in this process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest
from touchstone.inference.v1 import inference_service_pb2 as pb
from touchstone.inference.v1 import inference_service_pb2_grpc as pb_grpc
from touchstone_operator import errors
from touchstone_operator.adapters.inference import TrafficClient, addresses


class Router(pb_grpc.InferenceServiceServicer):
    """A router that has counted so much."""

    def __init__(self, *, requests: int, window_seconds: float = 300, is_broken: bool = False) -> None:
        self.requests, self.window_seconds, self.is_broken = requests, window_seconds, is_broken

    async def GetRevisionMetrics(self, request: Any, context: Any) -> pb.GetRevisionMetricsResponse:
        if self.is_broken:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return pb.GetRevisionMetricsResponse(
            requests=self.requests,
            errors=1,
            usage_totals=pb.UsageTotals(input_tokens=10, output_tokens=5, cached_input_tokens=4),
            time_to_first_token=pb.Distribution(upper_bounds=[0.1, 0.2], counts=[self.requests, 0, 1]),
            good_requests=self.requests - 1,
            window_seconds=self.window_seconds,
        )

    async def GetUtilization(self, request: Any, context: Any) -> pb.GetUtilizationResponse:
        if self.is_broken:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return pb.GetUtilizationResponse(engines=2, measured_engines=1, mfu=0.5, peak_output_tokens_per_second=900)


@asynccontextmanager
async def routers(*found: Router) -> AsyncIterator[list[str]]:
    async with AsyncExitStack() as stack:
        places = []
        for router in found:
            server = grpc.aio.server()
            pb_grpc.add_InferenceServiceServicer_to_server(router, server)
            places.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
            await server.start()
            stack.push_async_callback(server.stop, None)
        yield places


@asynccontextmanager
async def client(look_up: Callable[[], list[str]]) -> AsyncIterator[TrafficClient]:
    async def found() -> list[str]:
        return look_up()

    traffic = TrafficClient(grpc.aio.insecure_channel, found)
    try:
        yield traffic
    finally:
        await traffic.close()


async def test_what_routers_count_is_added_up() -> None:
    async with (
        routers(Router(requests=7, window_seconds=300), Router(requests=5, window_seconds=40)) as places,
        client(lambda: places) as traffic,
    ):
        found = await traffic.metrics("default/chat", "chat-1", 300)
    assert (found.requests, found.errors, found.good_requests) == (12, 2, 10)
    assert (found.input_tokens, found.output_tokens, found.cached_input_tokens) == (20, 10, 8)
    assert found.time_to_first_token.counts == (12, 0, 2)
    assert found.window_seconds == 40, "a router that has just begun has not seen more"
    assert found.is_complete


async def test_a_router_that_does_not_answer_is_told_of() -> None:
    async with (
        routers(Router(requests=7), Router(requests=5, is_broken=True)) as places,
        client(lambda: places) as traffic,
    ):
        found = await traffic.metrics("default/chat", "chat-1", 300)
    assert (found.requests, found.is_complete) == (7, False)


async def test_no_router_at_all_is_an_outage() -> None:
    async with routers(Router(requests=7, is_broken=True)) as places, client(lambda: places) as traffic:
        with pytest.raises(errors.PeerUnavailable):
            await traffic.metrics("default/chat", "chat-1", 300)
        with pytest.raises(errors.PeerUnavailable):
            await traffic.reached("default/chat", "chat-1")


async def test_engines_are_asked_through_whichever_router_answers() -> None:
    async with (
        routers(Router(requests=0, is_broken=True), Router(requests=0)) as places,
        client(lambda: places) as traffic,
    ):
        found = await traffic.reached("default/chat", "chat-1")
    assert (found.engines, found.mfu, found.peak_output_tokens_per_second) == (2, 0.5, 900)


async def test_routers_come_and_go() -> None:
    async with routers(Router(requests=1), Router(requests=10), Router(requests=100)) as places:
        there = places[:2]
        async with client(lambda: there) as traffic:
            assert (await traffic.metrics("default/chat", "chat-1", 300)).requests == 11
            there = places[1:]
            assert (await traffic.metrics("default/chat", "chat-1", 300)).requests == 110


async def test_a_name_is_looked_up_to_all_it_leads_to() -> None:
    assert "127.0.0.1:50051" in await addresses("localhost:50051")
    with pytest.raises(errors.PeerUnavailable, match="leads nowhere"):
        async with asyncio.timeout(20):
            await addresses("nobody.invalid:50051")
