"""Kopf: an operator runs against the cluster, sees events, keeps an index and writes status."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import kopf
import pytest
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

GROUP, VERSION, PLURAL = "contract.touchstone.dev", "v1", "widgets"


def credentials(kubeconfig: Path) -> kopf.ConnectionInfo:
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    return kopf.ConnectionInfo(
        server=cluster["server"],
        ca_path=cluster.get("certificate-authority"),
        certificate_path=user.get("client-certificate"),
        private_key_path=user.get("client-key"),
        ca_data=cluster.get("certificate-authority-data"),
        token=user.get("token"),
        certificate_data=user.get("client-certificate-data"),
        private_key_data=user.get("client-key-data"),
    )


class Operator:
    """A Kopf operator in a thread of its own, with what it has seen."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.seen: list[tuple[str | None, str]] = []
        self.indexed: set[str] = set()
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._kubeconfig = kubeconfig
        self._namespace = namespace
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        def login(**_: Any) -> kopf.ConnectionInfo:
            return credentials(self._kubeconfig)

        @kopf.on.startup(registry=registry)
        def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
            settings.posting.enabled = False
            settings.scanning.disabled = False
            settings.persistence.finalizer = "contract.touchstone.dev/finalizer"

        @kopf.index(GROUP, VERSION, PLURAL, registry=registry, id="by_size")
        def by_size(spec: Any, name: str, **_: Any) -> dict[str, str]:
            return {spec["size"]: name}

        @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
        async def note(event: kopf.RawEvent, name: str, by_size: kopf.Index[str, str], **_: Any) -> None:
            self.seen.append((event["type"], name))
            self.indexed = {entry for size in by_size for entry in by_size[size]}

        @kopf.on.create(GROUP, VERSION, PLURAL, registry=registry)
        async def set_status(patch: kopf.Patch, **_: Any) -> None:
            patch.status["conditions"] = [{"type": "Ready", "status": "True"}]

        asyncio.run(
            kopf.operator(
                registry=registry, namespaces=[self._namespace], standalone=True,
                stop_flag=self._stop, ready_flag=self._ready,
            )
        )  # fmt: skip

    def __enter__(self) -> "Operator":
        self._thread.start()
        assert self._ready.wait(timeout=20), "the operator did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=20)
        assert not self._thread.is_alive(), "the operator did not stop"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:kopf")
async def test_an_operator_sees_indexes_and_writes(cluster: Path, api: Any, eventually: Any) -> None:
    await api.widget("before")
    with Operator(cluster, api.namespace) as operator:
        await api.widget("after", size="large")

        async def is_ready() -> bool:
            bodies = [await api.ok("GET", api.path("widgets", name)) for name in ("before", "after")]
            return all(body.get("status", {}).get("conditions") for body in bodies)

        await eventually(is_ready)
        body = await api.ok("GET", api.path("widgets", "after"))
        assert body["status"]["conditions"] == [{"type": "Ready", "status": "True"}]

        async def is_indexed() -> bool:
            return operator.indexed == {"before", "after"}

        await eventually(is_indexed)
        await api.ok("DELETE", api.path("widgets", "before"))

        async def deletion_is_seen() -> bool:
            return ("DELETED", "before") in operator.seen and operator.indexed == {"after"}

        await api.ok("PATCH", api.path("widgets", "after"), {"spec": {"note": "poke"}},
                     content_type="application/merge-patch+json")  # fmt: skip
        await eventually(deletion_is_seen)
    # Kopf is ready before its first list: an object made then comes by the list (None) or by the watch (ADDED).
    assert (None, "before") in operator.seen
    assert {("ADDED", "after"), (None, "after")} & set(operator.seen)


async def test_the_kubeconfig_serves_the_official_client(cluster: Path) -> None:
    configuration = Configuration()
    await load_kube_config(config_file=str(cluster), client_configuration=configuration, persist_config=False)
    async with ApiClient(configuration=configuration) as client:
        assert client.configuration.host.startswith("https://")
