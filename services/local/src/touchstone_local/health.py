"""Asking a server whether it is well: by gRPC's health service, by HTTP, by TCP."""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from http import HTTPStatus

import aiohttp
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


async def grpc_passes(address: str, *, service: str = "") -> bool:
    """Return whether a server says SERVING by the standard health service."""
    options = (("grpc.enable_http_proxy", 0),)
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
        except grpc.aio.AioRpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def tcp_passes(host: str, port: int) -> bool:
    """Return whether something accepts connections."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def http_passes(url: str, *, headers: Mapping[str, str] | None = None) -> bool:
    """Return whether a GET answers with 200 to 399; certificates are not verified, as by a kubelet."""
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers=headers, ssl=unverified, allow_redirects=False) as response,
        ):
            return HTTPStatus.OK <= response.status < HTTPStatus.BAD_REQUEST
    except aiohttp.ClientError:
        return False
