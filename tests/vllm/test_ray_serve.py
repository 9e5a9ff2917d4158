"""The Serve application as a RayService would deploy it, on a Ray of this machine: `make e2e-gpu-path` runs it."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import psutil
import pytest
import pytest_asyncio
from touchstone.engine.v1 import engine_service_pb2 as pb
from touchstone.engine.v1 import engine_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels
from touchstone_runtime.testing import free_port

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif("TOUCHSTONE_TEST_RAY" not in os.environ, reason="slow: make e2e-gpu-path runs it"),
]
START_SECONDS = 300
TEXT = "Gold, silver, copper and tin lie on the scales. " * 40


@pytest.fixture(scope="module")
def address(weights: Any) -> Iterator[str]:
    """Where the decode engine of a deployed application listens."""
    import ray  # noqa: PLC0415 - a second, and only here
    from ray import serve  # noqa: PLC0415
    from ray.serve.context import _get_global_client  # noqa: PLC0415
    from ray.serve.schema import ServeDeploySchema  # noqa: PLC0415

    ports = {"engine": free_port(), "prefill": free_port()}
    manifest = weights.manifest().to_json()

    def deployment(name: str, core: int) -> dict[str, Any]:
        environ = {
            "TOUCHSTONE_ROLE": {"engine": "decode", "prefill": "prefill"}[name],
            "TOUCHSTONE_LISTEN": f"127.0.0.1:{ports[name]}",
            "TOUCHSTONE_REVISION_MANIFEST": manifest,
            "TOUCHSTONE_KV_BUFFER_DEVICE": "cpu",
            "TOUCHSTONE_MIN_REMOTE_PROMPT_TOKENS": "256",
            "UCX_TLS": "tcp,self",
            "VLLM_NIXL_SIDE_CHANNEL_PORT": str(free_port()),
            "VLLM_CPU_OMP_THREADS_BIND": str(core),
        }
        resources = {f"touchstone_{name}": 1}
        return {
            "name": name,
            "num_replicas": 1,
            "ray_actor_options": {"num_cpus": 0, "resources": resources, "runtime_env": {"env_vars": environ}},
        }

    ray.init(
        num_cpus=2, resources={"touchstone_engine": 1, "touchstone_prefill": 1}, include_dashboard=False,
        log_to_driver=False, configure_logging=False,
    )  # fmt: skip
    try:
        serve.start(http_options={"location": "NoServer"})
        config = {
            "applications": [
                {
                    "name": "engine",
                    "route_prefix": None,
                    "import_path": "touchstone_inference.ray_serve.app:build",
                    "args": {"mode": "Disaggregated"},
                    "deployments": [deployment("engine", 0), deployment("prefill", 1)],
                }
            ]
        }
        _get_global_client().deploy_apps(ServeDeploySchema.model_validate(config))
        deadline = time.monotonic() + START_SECONDS
        while (status := serve.status().applications["engine"]).status != "RUNNING":
            assert time.monotonic() < deadline, status
            time.sleep(1)
        yield f"127.0.0.1:{ports['engine']}"
    finally:
        with contextlib.suppress(Exception):
            serve.shutdown()
        ray.shutdown()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(address: str) -> AsyncIterator[Any]:
    async with channels.connect(address, retry=False) as channel:
        yield pb_grpc.EngineServiceStub(channel)


async def ask(engine: Any, prompt: str, tokens: int = 16) -> str:
    request = pb.GenerateRequest(prompt=prompt, sampling=pb.Sampling(max_output_tokens=tokens))
    return "".join([part.text async for part in engine.Generate(request, timeout=60)])


async def test_a_prompt_goes_through_a_handle_and_its_blocks_by_nixl(engine: Any) -> None:
    assert await ask(engine, TEXT)
    counted = (await engine.Stats(pb.StatsRequest())).kv_transfer
    assert counted.remote_prompts == counted.transfers == 1
    assert counted.transferred_bytes > 0


async def test_a_replica_whose_engine_dies_is_told_soon_and_replaced(engine: Any) -> None:
    request = pb.GenerateRequest(prompt="One, two,", sampling=pb.Sampling(max_output_tokens=1500))
    call = engine.Generate(request, timeout=60)
    await call.read()
    cores = [p for p in psutil.process_iter(["cmdline", "name"]) if "EngineCore" in (p.info["name"] or "")]
    cores = cores or [p for p in psutil.process_iter() if "EngineCore" in " ".join(p.cmdline())]
    assert cores
    for core in cores:
        with contextlib.suppress(psutil.NoSuchProcess):
            core.kill()
    begun = time.monotonic()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _read_to_the_end(call)
    assert time.monotonic() - begun < 3
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    deadline = time.monotonic() + 240
    while True:
        try:
            assert await ask(engine, "Gold is")
            return
        except grpc.aio.AioRpcError:
            assert time.monotonic() < deadline
            await asyncio.sleep(1)


async def _read_to_the_end(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass
