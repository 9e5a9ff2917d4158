"""A real router and real scripted engines, as processes, over a cluster that is a file."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from touchstone_runtime.revisions import Adapter, Bundle, Digest, Engine, Manifest, Model, Prompt, digest_bytes
from touchstone_runtime.testing import free_port

RULES = json.dumps(
    [
        {"pattern": "capital of France", "answer": "It is Paris, Sir.", "adapter": "formal"},
        {"pattern": "capital of France", "answer": "Paris", "adapter": "terse"},
        {"pattern": "capital of France", "answer": "Paris is the capital."},
    ]
)
TEMPLATE = "system: Be brief.\nuser: 'Q: {{ question }}'\n"


class Doors(NamedTuple):
    grpc: str
    http: str
    stable: str
    candidate: str


def manifest(max_model_len: int, *, adapter: Path | None = None) -> Manifest:
    """A revision; with an adapter's file, one with two adapters, of which one is the default."""
    digest = digest_bytes(adapter.read_bytes()) if adapter else Digest("")
    adapters = [Adapter(name=name, uri=f"file://{adapter}", digest=digest, rank=4) for name in ("formal", "terse")]
    prompt = Prompt(digest=digest_bytes(TEMPLATE.encode()), template=TEMPLATE, is_structured=True)
    engine = Engine(type="Scripted", max_model_len=max_model_len, args={"rules": RULES})
    model = Model(uri="file:///none", digest=digest_bytes(b"none"), name="chat")
    bundle = Bundle(
        model=model,
        adapters=tuple(adapters if adapter else ()),
        default_adapter="formal" if adapter else "",
        prompt=prompt,
        engine=engine,
    )
    return Manifest(namespace="default", deployment="chat", bundle=bundle)


def external_manifest(base_url: str, name: str = "bought") -> Manifest:
    """A model that is bought: the router asks an OpenAI-compatible API, here its own door."""
    engine = Engine(type="External", max_model_len=512, args={"base-url": base_url, "model": "chat"})
    model = Model(uri=base_url, digest=digest_bytes(base_url.encode()), name="bought")
    return Manifest(namespace="default", deployment=name, bundle=Bundle(model=model, engine=engine))


def external_objects(manifest: Manifest, **expose: bool) -> list[dict[str, Any]]:
    labels = {"app.kubernetes.io/managed-by": "touchstone", "touchstone.dev/name": manifest.deployment,
              "touchstone.dev/revision": manifest.name}  # fmt: skip
    metadata = {"namespace": "default", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    weights = [{"name": manifest.name, "digest": manifest.digest, "weightPercent": 100}]
    return [
        {"kind": "ModelDeployment", "metadata": {**metadata, "name": manifest.deployment, "uid": f"d-{manifest.name}"},
         "spec": {"model": {"uri": "https://api"}, "engine": {"type": "External"}, "expose": expose},
         "status": {"stableRevision": manifest.name, "revisions": weights}},
        {"kind": "ConfigMap", "metadata": {**metadata, "name": manifest.name, "labels": labels, "uid": f"c-{manifest.name}"},
         "data": {"manifest.json": manifest.to_json()}},
    ]  # fmt: skip


def start(module: str, environ: dict[str, str], address: str, log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", module], env={**os.environ, **environ}, stderr=file)
    deadline = time.monotonic() + 30
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            try:
                status = stub.Check(health_pb2.HealthCheckRequest(), timeout=1).status
                if status == health_pb2.HealthCheckResponse.SERVING:
                    return process
            except grpc.RpcError:
                pass
            time.sleep(0.05)


def objects(manifests: list[Manifest], ports: list[int]) -> list[dict[str, Any]]:
    """The cluster: one deployment, all traffic on its first revision, an engine pod for each."""
    labels = {"app.kubernetes.io/managed-by": "touchstone", "touchstone.dev/kind": "ModelDeployment",
              "touchstone.dev/name": "chat", "touchstone.dev/role": "engine"}  # fmt: skip
    weights = [{"name": m.name, "digest": m.digest, "weightPercent": 0 if i else 100} for i, m in enumerate(manifests)]
    status = {"stableRevision": manifests[0].name, "revisions": weights}
    metadata = {"namespace": "default", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    found: list[dict[str, Any]] = [
        {"kind": "ModelDeployment", "metadata": {**metadata, "name": "chat", "uid": "u"},
         "spec": {"model": {"uri": "file:///none"}, "engine": {"type": "Scripted"}}, "status": status},
    ]  # fmt: skip
    for each, port in zip(manifests, ports, strict=True):
        own = {**labels, "touchstone.dev/revision": each.name}
        ready = {"podIP": "127.0.0.1", "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        ports_spec = [{"name": "grpc", "containerPort": port}]
        found += [
            {"kind": "ConfigMap", "metadata": {**metadata, "name": each.name, "labels": own, "uid": f"c-{each.name}"},
             "data": {"manifest.json": each.to_json()}},
            {"kind": "Pod", "metadata": {**metadata, "name": f"{each.name}-0", "labels": own, "uid": f"p-{each.name}"},
             "spec": {"containers": [{"name": "engine", "ports": ports_spec}]}, "status": ready},
        ]  # fmt: skip
    return found


@pytest.fixture(scope="session")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("router")
    adapter = folder / "adapter.gguf"
    adapter.write_bytes(b"scripted")
    manifests, ports = [manifest(512), manifest(1024, adapter=adapter)], [free_port(), free_port()]
    door, http = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    base = f"http://{http}/v1"
    bought = [
        *external_objects(external_manifest(base)),
        *external_objects(external_manifest(base, "grpc-only"), openAI=False),
        *external_objects(external_manifest(base, "http-only"), grpc=False),
    ]
    (folder / "view.json").write_text(json.dumps([*objects(manifests, ports), *bought]))
    processes = []
    try:
        for each, port in zip(manifests, ports, strict=True):
            address = f"127.0.0.1:{port}"
            environ = {"TOUCHSTONE_LISTEN": address, "TOUCHSTONE_REVISION_MANIFEST": each.to_json()}
            processes.append(start("touchstone_inference.engine", environ, address, folder / f"engine-{port}.log"))
        environ = {
            "TOUCHSTONE_LISTEN": door,
            "TOUCHSTONE_HTTP_LISTEN": http,
            "TOUCHSTONE_AUTH": "None",
            "TOUCHSTONE_STATIC_VIEW": str(folder / "view.json"),
        }
        processes.append(start("touchstone_inference.router", environ, door, folder / "router.log"))
        yield Doors(door, f"http://{http}/v1", manifests[0].name, manifests[1].name)
    finally:
        for process in reversed(processes):
            process.terminate()
        codes = [process.wait(timeout=40) for process in processes]
    assert codes == [0, 0, 0], "everything ends cleanly on SIGTERM"
