"""A conductor over real folders and real processes, with a trainer that has no weights; and a cluster of this machine's
own, the embedded API server and kubelet, whose Jobs are processes, too."""

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from touchstone_finetuning.adapters.datasets import FileDatasets
from touchstone_finetuning.adapters.kubernetes_jobs import KubernetesJobs
from touchstone_finetuning.adapters.kubernetes_trainer import KubernetesTrainer, Patience
from touchstone_finetuning.adapters.outputs import FolderOutputs
from touchstone_finetuning.adapters.sources import ArtefactSources
from touchstone_finetuning.adapters.subprocess_trainer import SubprocessTrainer
from touchstone_finetuning.adapters.workspaces import FolderWorkspaces
from touchstone_finetuning.core.recipe import Adapter, Format, Method
from touchstone_finetuning.core.recipes import Machine
from touchstone_finetuning.core.spec import Source, TrainingSpec
from touchstone_finetuning.service.conducting import Conductor
from touchstone_local import processes
from touchstone_local.kube.cluster import Cluster
from touchstone_local.kube.resources import JOBS, PODS
from touchstone_local.layout import StateFolder
from touchstone_local.processes import Identity
from touchstone_local.supervisor.adapters import locks
from touchstone_local.supervisor.adapters.processes import PodProcesses
from touchstone_local.supervisor.core import plan
from touchstone_local.supervisor.core.addresses import Addresses
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.testing import FakeSecrets

SCRIPT = Path(__file__).with_name("scripted_trainer.py")
NAMESPACE = "default"


@pytest.fixture
def conductor(tmp_path: Path) -> Conductor:
    """What runs trainings below a folder."""
    sources = ArtefactSources(Resolver(tmp_path / "cache"), FakeSecrets(), file_root=tmp_path)
    return Conductor(
        sources=sources,
        datasets=FileDatasets(),
        workspaces=FolderWorkspaces(tmp_path / "runs", retention=timedelta(days=1)),
        trainer=SubprocessTrainer((sys.executable, str(SCRIPT)), environ=os.environ),
        outputs=FolderOutputs(sources, FakeSecrets()),
        machine=Machine(threads=1, image="trainer@sha256:1", code_version="1.2.3"),
        stop_seconds=10,
    )


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., TrainingSpec]:
    """Make the spec of a training by what its trainer is to do."""

    def make(*script: str, **changes: Any) -> TrainingSpec:
        (tmp_path / "base").write_text("\n".join(script))
        (tmp_path / "data.jsonl").write_text('{"messages": []}\n' * 10)
        values: dict[str, Any] = {
            "run": "uid-1",
            "base": Source(uri=f"file://{tmp_path}/base"),
            "method": Method.SFT,
            "adapter": Adapter(rank=4, alpha=8),
            "data": Source(uri=f"file://{tmp_path}/data.jsonl"),
            "format": Format.CHATML,
            "output_uri": f"file://{tmp_path}/out",
        }
        return TrainingSpec(**values | changes)

    return make


def until(claim: Callable[[], object], what: str = "it", seconds: float = 30) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:.0f} s"
        time.sleep(0.05)


class SmallCluster:
    """What tests do to a cluster behind the trainer's back."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.api = KubernetesJobs.connect(kubeconfig, NAMESPACE)

    def pods(self) -> list[dict[str, Any]]:
        """The pods of trainings."""
        return self.api.pods("touchstone.dev/run")

    def keep_secret(self, name: str, keys: dict[str, str]) -> None:
        """Do what `kubectl create secret generic` does."""

        async def kept() -> None:
            async with await Cluster.connect(self.kubeconfig) as cluster:
                data = {key: base64.b64encode(value.encode()).decode() for key, value in keys.items()}
                body = {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": name},
                    "type": "Opaque",
                    "data": data,
                }
                await cluster.request("POST", f"/api/v1/namespaces/{NAMESPACE}/secrets", body=body, what="create")

        asyncio.run(kept())

    def remove_job(self, name: str) -> None:
        """Do what `kubectl delete job` does."""

        async def removed() -> None:
            async with await Cluster.connect(self.kubeconfig) as cluster:
                path = JOBS.path(namespace=NAMESPACE, name=name)
                await cluster.request("DELETE", path, body={"propagationPolicy": "Background"}, what="delete")

        asyncio.run(removed())

    def evict(self, name: str) -> None:
        """Do what the eviction API does: say why, and ask the pod to go."""
        disrupted = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "EvictionByEvictionAPI",
            "message": "drain",
        }

        async def evicted() -> None:
            async with await Cluster.connect(self.kubeconfig) as cluster:
                pod: Any = await cluster.get(PODS, name=name, namespace=NAMESPACE)
                body = {"status": {"conditions": [*pod["status"]["conditions"], disrupted]}}
                await cluster.merge(PODS, body, name=name, namespace=NAMESPACE, subresource="status")
                await cluster.delete(PODS, name=name, namespace=NAMESPACE)

        asyncio.run(evicted())


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallCluster]:
    """An API server and a kubelet."""
    folder = StateFolder(tmp_path_factory.mktemp("cluster"))
    for each in folder.folders():
        each.mkdir(exist_ok=True)
    running: list[Identity] = []
    with ExitStack() as stack:
        subnet = stack.enter_context(locks.subnet("", is_ours=False))
        options = plan.Options(
            folder=folder, addresses=Addresses(subnet), python=sys.executable, base_environ=dict(os.environ), valkey="",
            broker_url="",
        )  # fmt: skip
        specs = {spec.name: spec for spec in plan.processes(options)}

        def start(name: str) -> None:
            spec, log = specs[name], folder.log(name)
            running.append(processes.start(spec.command, environ=spec.environ, folder=folder.root, log=log))

        async def stop() -> None:
            await processes.stop(running, grace_seconds=5)
            await PodProcesses(folder).stop(grace_seconds=5)

        stack.callback(lambda: asyncio.run(stop()))
        start("apiserver")
        until(folder.kubeconfig.exists, "the start of the API server")
        start("kubelet")
        yield SmallCluster(folder.kubeconfig)


@pytest.fixture(scope="session")
def template() -> dict[str, Any]:
    """The Job of a training, as the chart would make it for this cluster."""
    container = {"name": "trainer", "image": "touchstone", "command": ["python", str(SCRIPT)]}
    pod = {"terminationGracePeriodSeconds": 10, "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "training", "namespace": NAMESPACE},
        "spec": {"ttlSecondsAfterFinished": 600, "template": {"spec": pod}},
    }


@pytest.fixture
def patience() -> Patience:
    return Patience(pending=60, poll=0.1)


@pytest.fixture
def on_cluster(conductor: Conductor, cluster: SmallCluster, template: Any, patience: Patience) -> Conductor:
    """What runs trainings as Jobs."""
    trainer = KubernetesTrainer(lambda: cluster.api, json.loads(json.dumps(template)), patience=patience)
    return replace(conductor, trainer=trainer)


@pytest.fixture(name="until", scope="session")
def until_fixture() -> Callable[..., None]:
    return until
