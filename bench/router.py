"""The router's price: the scripted engine through the router, against the same engine called directly, in one run.

Run by `make bench`. Real processes on loopback; times are of this machine, the ratios carry further. The engine waits
5 ms for the first token and 1 ms for each later one, 32 tokens an answer, 64 slots.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import scenery
from touchstone.engine.v1 import engine_service_pb2 as engine
from touchstone.engine.v1 import engine_service_pb2_grpc as engine_grpc
from touchstone.inference.v1 import inference_service_pb2 as inference
from touchstone.inference.v1 import inference_service_pb2_grpc as inference_grpc
from touchstone_runtime.revisions import Bundle, Engine, Manifest, Model, digest_bytes
from touchstone_runtime.testing import free_port

QUESTION = " ".join(f"word{number}" for number in range(32))
ARGUMENTS = {"slots": "64", "time-to-first-token-millis": "5", "time-per-output-token-millis": "1"}
REQUESTS = {1: 60, 32: 640}


class Measured(NamedTuple):
    """One load."""

    first_millis: list[float]
    messages_per_second: float


async def main() -> int:
    """Start engine and router, measure both, print the comparison."""
    model = Model(uri="file:///none", digest=digest_bytes(b""), name="chat")
    bundle = Bundle(model=model, engine=Engine(type="Scripted", max_model_len=512, args=ARGUMENTS))
    manifest = Manifest(namespace="default", deployment="chat", bundle=bundle)
    with tempfile.TemporaryDirectory() as folder:
        ports = [free_port() for _ in range(3)]
        direct, door, http = (f"127.0.0.1:{port}" for port in ports)
        view = Path(folder) / "view.json"
        view.write_text(json.dumps(scenery.view(manifest, ports[:1])))
        environ = {"TOUCHSTONE_LISTEN": direct, "TOUCHSTONE_REVISION_MANIFEST": manifest.to_json()}
        routing = {"TOUCHSTONE_LISTEN": door, "TOUCHSTONE_HTTP_LISTEN": http, "TOUCHSTONE_STATIC_VIEW": str(view)}
        routing["TOUCHSTONE_AUTH"] = "None"
        processes = [_start("touchstone_inference.engine", environ), _start("touchstone_inference.router", routing)]
        try:
            async with grpc.aio.insecure_channel(direct) as near, grpc.aio.insecure_channel(door) as far:
                await asyncio.gather(scenery.serving(direct), scenery.serving(door))
                _print(await _compare(near, far))
        finally:
            for process in processes:
                process.terminate()
                process.wait(timeout=40)
    return 0


async def _compare(near: grpc.aio.Channel, far: grpc.aio.Channel) -> dict[int, tuple[Measured, Measured]]:
    asks = (_engine_call(near), _router_call(far))
    for ask in asks:
        await _load(ask, concurrency=4, requests=40)  # warm
    return {
        concurrency: (
            await _load(asks[0], concurrency=concurrency, requests=requests),
            await _load(asks[1], concurrency=concurrency, requests=requests),
        )
        for concurrency, requests in REQUESTS.items()
    }


def _engine_call(channel: grpc.aio.Channel) -> Callable[[], AsyncIterator[Any]]:
    stub: Any = engine_grpc.EngineServiceStub(channel)
    message = engine.Message(role=engine.ROLE_USER, content=QUESTION)
    request = engine.GenerateRequest(conversation=engine.Conversation(messages=[message]))
    return lambda: stub.Generate(request, timeout=60)


def _router_call(channel: grpc.aio.Channel) -> Callable[[], AsyncIterator[Any]]:
    stub: Any = inference_grpc.InferenceServiceStub(channel)
    message = inference.Message(role=inference.ROLE_USER, content=QUESTION)
    request = inference.GenerateRequest(model="chat", messages=[message])
    return lambda: stub.Generate(request, timeout=60)


async def _load(ask: Callable[[], AsyncIterator[Any]], *, concurrency: int, requests: int) -> Measured:
    first: list[float] = []
    messages = 0
    left = iter(range(requests))

    async def client() -> None:
        nonlocal messages
        for _ in left:
            began = time.perf_counter()
            is_first = True
            async for part in ask():
                messages += 1
                if is_first and part.text:
                    first.append((time.perf_counter() - began) * 1000)
                    is_first = False

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(concurrency)))
    return Measured(first, messages / (time.perf_counter() - began))


def _print(found: dict[int, tuple[Measured, Measured]]) -> None:
    print("concurrency  TTFT direct p50/p99  through router p50/p99  added p50/p99 [ms]  messages/s ratio")
    document = {}
    for concurrency, (near, far) in found.items():
        quantiles = [_quantiles(measured.first_millis) for measured in (near, far)]
        added = tuple(round(b - a, 2) for a, b in zip(*quantiles, strict=True))
        ratio = far.messages_per_second / near.messages_per_second
        document[concurrency] = {"added_p50_millis": added[0], "added_p99_millis": added[1], "messages_ratio": ratio}
        print(
            f"{concurrency:>11}  {quantiles[0][0]:>9.1f} / {quantiles[0][1]:<7.1f}  {quantiles[1][0]:>12.1f} / "
            f"{quantiles[1][1]:<7.1f}  {added[0]:>8.1f} / {added[1]:<8.1f}  "
            f"{far.messages_per_second:,.0f} / {near.messages_per_second:,.0f} = {ratio:.2f}"
        )
    print(json.dumps(document))


def _quantiles(values: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def _start(module: str, environ: dict[str, str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", module]
    return subprocess.Popen(command, env={**os.environ, **environ}, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
