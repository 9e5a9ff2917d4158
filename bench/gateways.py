"""`make bench-gateways`: our OpenAI-compatible door beside LiteLLM's proxy and vLLM's router, over a scripted backend.

The backend is an OpenAI-compatible server that waits 5 ms for the first token and 1 ms for each later one, 32 tokens
an answer. Every gateway passes the same streamed chat completions on; a gateway has the machine to itself. Times are of
this machine, the ratios carry further. The peers are fetched when they are first run, into environments of their own.
"""

import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import scenery
from touchstone_runtime.revisions import Bundle, Engine, Manifest, Model, digest_bytes
from touchstone_runtime.testing import free_port

LITELLM = "litellm[proxy]"
LITELLM_ENVIRON = {
    "LITELLM_LOG": "ERROR",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # nobody is asked for a token: as for the others
}
VLLM_ROUTER = "vllm-router"
TOKENS = 32
REQUESTS = {1: 60, 16: 480, 64: 960}
START_SECONDS = 120
BACKEND = Path(__file__).with_name("scripted_backend.py")


class Measured(NamedTuple):
    """One gateway at one concurrency."""

    first_millis: float
    tokens_per_second: float
    failures: int


async def main() -> None:
    """Measure all gateways and print a row for each."""
    print(f"{'':28}" + "".join(f"{f'{at_once} at once':>40}" for at_once in REQUESTS))
    with _process([sys.executable, str(BACKEND), str(port := free_port())]):
        backend = f"http://127.0.0.1:{port}"
        await _until_it_answers(backend)
        base: list[Measured] = []
        for name, gateway in (
            ("backend itself", _direct), ("touchstone router", _touchstone), ("LiteLLM proxy", _litellm),
            ("vLLM router", _vllm_router),
        ):  # fmt: skip
            async with gateway(backend) as address:
                await _until_it_answers(address)
                await _load(address, 4, 40)
                found = [await _load(address, at_once, total) for at_once, total in REQUESTS.items()]
            base = base or found
            print(f"{name:28}" + "".join(map(_cell, found, base)), flush=True)


def _cell(measured: Measured, base: Measured) -> str:
    share = measured.tokens_per_second / base.tokens_per_second
    failed = f" {measured.failures} failed" if measured.failures else ""
    first = f"first token {measured.first_millis:6.1f} ms"
    return f"{f'{first} {measured.tokens_per_second:7.0f} tok/s {share:5.2f}x{failed}':>40}"


@asynccontextmanager
async def _direct(backend: str) -> AsyncIterator[str]:
    yield backend


@asynccontextmanager
async def _touchstone(backend: str) -> AsyncIterator[str]:
    """Our router, to which the backend is a model that is bought."""
    bought = Engine(type="External", max_model_len=4096, args={"base-url": f"{backend}/v1", "model": "scripted"})
    model = Model(uri=backend, digest=digest_bytes(backend.encode()), name="scripted")
    manifest = Manifest(namespace="default", deployment="scripted", bundle=Bundle(model=model, engine=bought))
    grpc, http = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        view = Path(folder) / "view.json"
        view.write_text(json.dumps(scenery.view(manifest)))
        environ = {
            "TOUCHSTONE_LISTEN": f"127.0.0.1:{grpc}",
            "TOUCHSTONE_HTTP_LISTEN": f"127.0.0.1:{http}",
            "TOUCHSTONE_STATIC_VIEW": str(view),
            "TOUCHSTONE_AUTH": "None",
        }
        with _process([sys.executable, "-m", "touchstone_inference.router"], environ):
            yield f"http://127.0.0.1:{http}"


@asynccontextmanager
async def _litellm(backend: str) -> AsyncIterator[str]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        parameters = {"model": "openai/scripted", "api_base": f"{backend}/v1", "api_key": "none"}
        config.write_text(json.dumps({"model_list": [{"model_name": "scripted", "litellm_params": parameters}]}))
        command = _tool(LITELLM, "litellm", "--config", str(config), "--port", str(port), "--host", "127.0.0.1")
        with _process(command, LITELLM_ENVIRON):
            yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def _vllm_router(backend: str) -> AsyncIterator[str]:
    port, metrics = free_port(), free_port()
    command = _tool(
        VLLM_ROUTER, "vllm-router", "--worker-urls", backend, "--host", "127.0.0.1", "--port", str(port),
        "--prometheus-port", str(metrics), "--policy", "round_robin",
    )  # fmt: skip
    with _process(command):
        yield f"http://127.0.0.1:{port}"


def _tool(package: str, *command: str) -> list[str]:
    return [os.environ.get("UV", "uv"), "tool", "run", "--python", "3.11", "--from", package, *command]


async def _load(address: str, at_once: int, total: int) -> Measured:
    first: list[float] = []
    failures = 0
    left = iter(range(total))
    body = {"model": "scripted", "stream": True, "max_tokens": TOKENS, "temperature": 0}
    body["messages"] = [{"role": "user", "content": " ".join(f"word{number}" for number in range(32))}]

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal failures
        for _ in left:
            begun, is_first = time.perf_counter(), True
            try:
                async with http.stream("POST", "/v1/chat/completions", json=body) as answer:
                    answer.raise_for_status()
                    async for line in answer.aiter_lines():
                        if is_first and '"content"' in line and '"content":""' not in line.replace(" ", ""):
                            first.append(1e3 * (time.perf_counter() - begun))
                            is_first = False
            except httpx.HTTPError:
                failures += 1

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as http:
        begun = time.perf_counter()
        await asyncio.gather(*(client(http) for _ in range(at_once)))
        seconds = time.perf_counter() - begun
    return Measured(statistics.median(first), len(first) * TOKENS / seconds, failures)


async def _until_it_answers(address: str) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    body = {"model": "scripted", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}
    async with httpx.AsyncClient(base_url=address, timeout=5) as http:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if (await http.post("/v1/chat/completions", json=body)).status_code == 200:
                    return
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"{address} does not answer")
            await asyncio.sleep(0.2)


@contextmanager
def _process(command: list[str], environ: dict[str, str] | None = None) -> Iterator[None]:
    """A server in a process group of its own; what it says goes to a file that is shown if it dies."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, env={**os.environ, **(environ or {})}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield
        except Exception:
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace")[-2000:])
            raise
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main())
