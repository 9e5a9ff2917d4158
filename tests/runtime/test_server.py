"""The server: errors become statuses, requests get ids, deadlines hold, the end is graceful."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from touchstone_runtime import channels, context, errors, testing
from touchstone_runtime.errors import DomainError, Kind, Violation
from touchstone_runtime.server import GrpcServer, ServerSettings, Servicer
from touchstone_runtime.statuses import CODES

NAME = "test.v1.EchoService"
Behaviour = Callable[[bytes], AsyncIterator[bytes]]


def echo_service(behaviour: Behaviour) -> Servicer:
    """A service with one method of each kind, each of which answers with what the behaviour yields."""

    async def one(request: bytes, servicing: Any) -> bytes:
        return b"".join([part async for part in behaviour(request)])

    async def many(request: bytes, servicing: Any) -> AsyncIterator[bytes]:
        async for part in behaviour(request):
            yield part

    async def from_many(requests: Any, servicing: Any) -> bytes:
        return await one(b"".join([part async for part in requests]), servicing)

    async def many_from_many(requests: Any, servicing: Any) -> AsyncIterator[bytes]:
        async for part in behaviour(b"".join([part async for part in requests])):
            yield part

    handlers = {
        "UnaryUnary": grpc.unary_unary_rpc_method_handler(one),
        "UnaryStream": grpc.unary_stream_rpc_method_handler(many),
        "StreamUnary": grpc.stream_unary_rpc_method_handler(from_many),
        "StreamStream": grpc.stream_stream_rpc_method_handler(many_from_many),
    }
    handler = grpc.method_handlers_generic_handler(NAME, handlers)
    return Servicer(NAME, lambda server: server.add_generic_rpc_handlers((handler,)))


async def call(channel: grpc.aio.Channel, kind: str, request: bytes = b"x", **options: Any) -> bytes:
    async def requests() -> AsyncIterator[bytes]:
        yield request

    path = f"/{NAME}/{kind}"
    if kind == "UnaryUnary":
        return await channel.unary_unary(path)(request, **options)
    if kind == "StreamUnary":
        return await channel.stream_unary(path)(requests(), **options)
    stream = (
        channel.unary_stream(path)(request, **options)
        if kind == "UnaryStream"
        else channel.stream_stream(path)(requests(), **options)
    )
    return b"".join([part async for part in stream])


async def echo(request: bytes) -> AsyncIterator[bytes]:
    yield request
    yield b"!"


def failing(error: Exception) -> Behaviour:
    async def behaviour(request: bytes) -> AsyncIterator[bytes]:
        yield b"first"
        raise error

    return behaviour


KINDS = ["UnaryUnary", "UnaryStream", "StreamUnary", "StreamStream"]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_call_is_answered(kind: str) -> None:
    async with testing.channel_to([echo_service(echo)]) as channel:
        assert await call(channel, kind, b"hello") == b"hello!"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_domain_error_arrives_with_reason_facts_and_violations(kind: str) -> None:
    sent = errors.Invalid([Violation("spec.name", "is empty; give a name")], metadata={"name": ""}, reason="NAME_EMPTY")
    async with testing.channel_to([echo_service(failing(sent))]) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, kind)
    got = channels.translate(caught.value, "echo")
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert isinstance(got, errors.Invalid)
    assert got.violations == sent.violations
    assert (got.reason, got.metadata, got.message) == ("NAME_EMPTY", {"name": ""}, sent.message)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_unexpected_error_leaks_nothing(kind: str) -> None:
    async with testing.channel_to([echo_service(failing(KeyError("secret path /etc/x")))]) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, kind)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value.details())


@pytest.mark.parametrize("kind", [k for k in Kind if k is not Kind.INVALID], ids=str)
async def test_every_kind_of_error_survives_the_wire(kind: Kind) -> None:
    cls = type("Sample", (DomainError,), {"kind": kind, "reason": "SAMPLE"})
    async with testing.channel_to(
        [echo_service(failing(cls("Do that.", metadata={"a": "b"})))],
    ) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, "UnaryUnary")
    got = channels.translate(caught.value, "echo")
    assert caught.value.code() is CODES[kind]
    assert (got.kind, got.reason, got.metadata, got.message) == (kind, "SAMPLE", {"a": "b"}, "Do that.")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_call_over_the_servers_limit_ends(kind: str) -> None:
    async def forever(request: bytes) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    async with testing.channel_to([echo_service(forever)], max_deadline_seconds=0.1) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(channel, kind)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_cancelled_call_cancels_the_servicer() -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()

    async def slow(request: bytes) -> AsyncIterator[bytes]:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        yield b""

    async with testing.channel_to([echo_service(slow)]) as channel:
        pending = channel.unary_stream(f"/{NAME}/UnaryStream")(b"x")
        reading = asyncio.ensure_future(pending.read())
        await asyncio.wait_for(entered.wait(), 5)
        pending.cancel()
        await asyncio.wait_for(cancelled.wait(), 5)
        reading.cancel()


@pytest.mark.parametrize(("offered", "kept"), [("abc-1", True), ("with blank", False), ("x" * 129, False), ("", False)])
async def test_a_sane_request_id_is_kept_and_another_is_made(offered: str, kept: bool) -> None:
    seen = []

    async def note(request: bytes) -> AsyncIterator[bytes]:
        seen.append(context.request_id.get())
        yield b""

    async with testing.channel_to([echo_service(note)]) as channel:
        metadata = ((context.REQUEST_ID_HEADER, offered),) if offered else ()
        pending = channel.unary_unary(f"/{NAME}/UnaryUnary")(b"x", metadata=metadata)
        answered = dict(await pending.initial_metadata())[context.REQUEST_ID_HEADER]
        await pending
    assert answered == seen[0]
    assert (answered == offered) is kept


async def test_the_request_id_is_passed_on_to_the_next_service() -> None:
    seen = []

    async def note(request: bytes) -> AsyncIterator[bytes]:
        seen.append(context.request_id.get())
        yield b""

    async with testing.channel_to([echo_service(note)]) as inner:

        async def forward(request: bytes) -> AsyncIterator[bytes]:
            yield await call(inner, "UnaryUnary")

        async with testing.channel_to([echo_service(forward)]) as outer:
            await call(outer, "UnaryUnary", metadata=((context.REQUEST_ID_HEADER, "one-id"),))
    assert seen == ["one-id"]


async def test_health_turns_serving_only_when_told_and_not_serving_at_the_end() -> None:
    server = GrpcServer(ServerSettings(listen="127.0.0.1:0"), [echo_service(echo)])
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        status = health_pb2.HealthCheckResponse

        async def check(name: str) -> int:
            return (await health.Check(health_pb2.HealthCheckRequest(service=name))).status

        assert [await check(""), await check(NAME)] == [status.NOT_SERVING] * 2
        await server.set_serving()
        assert [await check(""), await check(NAME)] == [status.SERVING] * 2
        await server.stop()


async def test_a_call_in_flight_finishes_and_a_new_one_is_refused_during_the_drain() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def held(request: bytes) -> AsyncIterator[bytes]:
        entered.set()
        await release.wait()
        yield b"done"

    server = GrpcServer(ServerSettings(listen="127.0.0.1:0", grace_seconds=10), [echo_service(held)])
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(call(channel, "UnaryUnary"))
        await asyncio.wait_for(entered.wait(), 5)
        stopping = tasks.create_task(server.stop())
        while True:  # until the listener is gone
            try:
                async with grpc.aio.insecure_channel(server.address) as late:
                    await call(late, "UnaryUnary", timeout=0.2)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    break
        release.set()
        assert await asyncio.wait_for(first, 5) == b"done"
        await asyncio.wait_for(stopping, 5)


async def test_an_address_in_use_is_a_sentence() -> None:
    async with testing.serve([echo_service(echo)]) as address:
        second = GrpcServer(ServerSettings(listen=address), [echo_service(echo)])
        with pytest.raises(errors.Unavailable, match="another process"):
            await second.start()
