"""`.venv-vllm/bin/python bench/serving.py MODEL`: our engine beside bare vLLM, on the same weights.

Each path answers the same number of requests of 32 greedy tokens, at 1, 16 and 64 requests at once; a path has the
machine to itself. Tokens a second, and the median time to the first token; the last column is the share of bare
AsyncLLM's throughput.
"""

import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import scenery
from touchstone.engine.v1 import engine_service_pb2 as pb
from touchstone.engine.v1 import engine_service_pb2_grpc as pb_grpc
from touchstone_inference.engine.adapters import vllm_options
from touchstone_inference.engine.core import arguments
from touchstone_inference.engine.core.splitting import Role
from touchstone_runtime import channels
from touchstone_runtime.testing import free_port

TOKENS = 32
CONTEXT = 1024
SLOTS = 64
ARGUMENTS = {"max-num-seqs": str(SLOTS), "kv-cache-memory-mib": "1024", "enforce-eager": "true", "dtype": "float32"}
CONCURRENCIES = ((1, 3), (16, 48), (64, 96))
"""Requests at once, and requests in all."""
START_SECONDS = 240

Ask = Callable[[str], Awaitable[tuple[float, int]]]
"""Ask for a continuation; returns seconds to the first token, and tokens."""


class Measured(NamedTuple):
    """One path at one concurrency."""

    tokens_per_second: float
    first_token_millis: float


async def measure(ask: Ask, at_once: int, total: int) -> Measured:
    """Have so many requests answered, so many at once."""
    gate = asyncio.Semaphore(at_once)

    async def one(number: int) -> tuple[float, int]:
        async with gate:
            return await ask(f"Item {number}: gold, silver, copper and tin lie on the scales. The touchstone says")

    begun = time.perf_counter()
    answers = await asyncio.gather(*(one(number) for number in range(total)))
    seconds = time.perf_counter() - begun
    return Measured(sum(n for _, n in answers) / seconds, 1000 * statistics.median(first for first, _ in answers))


@asynccontextmanager
async def bare(model: Path) -> AsyncIterator[Ask]:
    """AsyncLLM in this process, a chunk a token."""
    vllm_options.prepare_environment(arguments.read(ARGUMENTS, arguments.VLLM))
    from vllm import AsyncEngineArgs, SamplingParams  # noqa: PLC0415 - takes ten seconds
    from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415
    from vllm.v1.engine.async_llm import AsyncLLM  # noqa: PLC0415

    options = vllm_options.engine_arguments(
        str(model), max_model_len=CONTEXT, arguments=arguments.read(ARGUMENTS, arguments.VLLM),
        hardware=vllm_options.Hardware(), has_adapters=False, role=Role.AGGREGATED, transfer=vllm_options.Transfer(),
    )  # fmt: skip
    engine = AsyncLLM.from_engine_args(AsyncEngineArgs(**options))
    sampling = SamplingParams(
        max_tokens=TOKENS, temperature=0.0, output_kind=RequestOutputKind.DELTA
    )  # fmt: skip

    async def ask(prompt: str) -> tuple[float, int]:
        begun, first, tokens = time.perf_counter(), 0.0, 0
        async for output in engine.generate(prompt, sampling, os.urandom(8).hex()):
            first = first or time.perf_counter() - begun
            tokens += len(output.outputs[0].token_ids)
        return first, tokens

    yield ask
    engine.shutdown()


@asynccontextmanager
async def ours(model: Path) -> AsyncIterator[Ask]:
    """`python -m touchstone_inference.engine`, by gRPC."""
    async with engine(model) as stub:
        sampling = pb.Sampling(max_output_tokens=TOKENS)

        async def ask(prompt: str) -> tuple[float, int]:
            begun, first, tokens = time.perf_counter(), 0.0, 0
            async for part in stub.Generate(pb.GenerateRequest(prompt=prompt, sampling=sampling)):
                first = first or time.perf_counter() - begun
                tokens = part.usage.output_tokens or tokens
            return first, tokens

        await until_it_answers(ask)
        yield ask
        await measure_cancelling(stub)


async def measure_cancelling(stub: Any) -> None:
    """Print how long cancelled calls go on to hold an engine up.

    All slots generate; all calls are cancelled; a new request then waits for what is still under way. What it waits
    longer than in an idle engine is how long the engine took to be free.
    """
    one = pb.GenerateRequest(prompt="Gold is", sampling=pb.Sampling(max_output_tokens=1))
    long = pb.GenerateRequest(prompt="1, 2, 3, 4, 5, 6,", sampling=pb.Sampling(max_output_tokens=900))

    async def first() -> float:
        begun = time.perf_counter()
        async for _ in stub.Generate(one):
            pass
        return time.perf_counter() - begun

    idle = statistics.median([await first() for _ in range(10)])
    held = []
    for _ in range(10):
        calls = [stub.Generate(long) for _ in range(SLOTS)]
        await asyncio.gather(*(call.read() for call in calls))
        for call in calls:
            call.cancel()
        held.append(await first() - idle)
    print(
        f"cancelled calls hold the engine for {statistics.median(held) * 1e3:.0f} ms, at most {max(held) * 1e3:.0f} ms"
    )


@asynccontextmanager
async def engine(model: Path) -> AsyncIterator[Any]:
    """Start the engine and yield its stub."""
    manifest = scenery.vllm(model, deployment="bench", max_model_len=CONTEXT, args=ARGUMENTS)
    port = free_port()
    environ = {"TOUCHSTONE_LISTEN": f"127.0.0.1:{port}", "TOUCHSTONE_REVISION_MANIFEST": manifest.to_json()}
    command = [sys.executable, "-m", "touchstone_inference.engine"]
    async with running(command, environ), channels.connect(f"127.0.0.1:{port}", retry=False) as channel:
        yield pb_grpc.EngineServiceStub(channel)


@asynccontextmanager
async def serve(model: Path) -> AsyncIterator[Ask]:
    """VLLM's own HTTP server, streamed as server-sent events."""
    import httpx  # noqa: PLC0415 - comes with vLLM

    port = free_port()
    command = [
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model), "--port", str(port),
        "--served-model-name", "bench", "--max-model-len", str(CONTEXT), "--max-num-seqs", str(SLOTS),
        "--kv-cache-memory-bytes", str(1024 << 20), "--enforce-eager", "--dtype", "float32",
        "--generation-config", "vllm",
    ]  # fmt: skip
    # Without the second one its start compiles for minutes.
    environ = {**vllm_options.ENVIRONMENT, "TORCHDYNAMO_DISABLE": "1"}
    limits = httpx.Limits(max_connections=None)
    async with (
        running(command, environ),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120, limits=limits) as client,
    ):

        async def ask(prompt: str) -> tuple[float, int]:
            begun, first, tokens = time.perf_counter(), 0.0, 0
            body = {"model": "bench", "prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "stream": True}
            body["stream_options"] = {"include_usage": True}
            async with client.stream("POST", "/v1/completions", json=body) as answer:
                answer.raise_for_status()
                async for line in answer.aiter_lines():
                    if not line.startswith("data: {"):
                        continue
                    first = first or time.perf_counter() - begun
                    usage = json.loads(line.removeprefix("data: ")).get("usage")
                    tokens = usage["completion_tokens"] if usage else tokens
            return first, tokens

        await until_it_answers(ask)
        yield ask


@asynccontextmanager
async def running(command: list[str], environ: dict[str, str]) -> AsyncIterator[None]:
    """A server in a process group of its own."""
    server = subprocess.Popen(  # noqa: ASYNC220 - it begins at once
        command, env={**os.environ, "VLLM_LOGGING_LEVEL": "ERROR", **environ}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        server.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)


async def until_it_answers(ask: Ask) -> None:
    """Wait for the first answer."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            await ask("Gold")
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(1)


PATHS = {"bare AsyncLLM": bare, "engine, gRPC": ours, "vllm serve, HTTP": serve}


async def main(model: Path) -> None:
    """Measure all paths and print a row for each."""
    print(f"{'':24}" + "".join(f"{f'{at_once} at once':>34}" for at_once, _ in CONCURRENCIES))
    base: list[Measured] = []
    for name, path in PATHS.items():
        async with path(model) as ask:
            await measure(ask, 16, 32)
            found = [await measure(ask, at_once, total) for at_once, total in CONCURRENCIES]
        base = base or found
        print(f"{name:24}" + "".join(map(_cell, found, base)), flush=True)


def _cell(measured: Measured, base: Measured) -> str:
    share = measured.tokens_per_second / base.tokens_per_second
    return f"{measured.tokens_per_second:10.0f} tok/s {measured.first_token_millis:6.0f} ms {share:6.2f}x"


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
