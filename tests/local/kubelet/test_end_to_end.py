"""The workload runner on the embedded API server, both as real processes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from touchstone_local import fields, processes
from touchstone_local.errors import ObjectNotFound
from touchstone_local.fields import Object
from touchstone_local.health import grpc_passes
from touchstone_local.kube.cluster import Cluster
from touchstone_local.kube.resources import CONFIG_MAPS, DEPLOYMENTS, JOBS, PODS, Resource
from touchstone_local.kube.waiting import condition_is, wait_for
from touchstone_local.kubelet.adapters import records
from touchstone_local.layout import StateFolder
from touchstone_local.processes import Identity
from touchstone_local.supervisor.adapters import locks
from touchstone_local.supervisor.adapters.processes import PodProcesses
from touchstone_local.supervisor.core import plan
from touchstone_local.supervisor.core.addresses import Addresses
from touchstone_local.supervisor.core.plan import ProcessSpec

PATIENCE_SECONDS = 60.0


class Platform:
    """An API server and a kubelet, started as the supervisor would."""

    def __init__(self, folder: StateFolder, subnet: str) -> None:
        options = plan.Options(
            folder=folder,
            addresses=Addresses(subnet),
            python=sys.executable,
            base_environ=dict(os.environ),
            valkey="",
            broker_url="",
        )
        self.folder = folder
        self.specs = {spec.name: spec for spec in plan.processes(options)}
        self.running: dict[str, Identity] = {}

    def start(self, name: str) -> None:
        spec: ProcessSpec = self.specs[name]
        self.running[name] = processes.start(
            spec.command, environ=spec.environ, folder=self.folder.root, log=self.folder.log(name)
        )

    async def kill(self, name: str) -> None:
        psutil.Process(self.running[name].pid).kill()
        await until(lambda: not processes.is_alive(self.running[name]))

    async def stop(self) -> None:
        await processes.stop(self.running.values(), grace_seconds=5)
        await PodProcesses(self.folder).stop(grace_seconds=5)

    def logs(self) -> str:
        return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in self.folder.root.glob("*/*.log"))


async def until(claim: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not claim():
            await asyncio.sleep(0.05)


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    folder = StateFolder(tmp_path)
    for each in folder.folders():
        each.mkdir(exist_ok=True)
    with locks.subnet("", is_ours=False) as subnet:
        found = Platform(folder, subnet)
        try:
            found.start("apiserver")
            await until(folder.kubeconfig.exists)
            found.start("kubelet")
            yield found
        finally:
            await found.stop()


@pytest.fixture
async def cluster(platform: Platform) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(platform.folder.kubeconfig) as found:
        yield found


def served(*, replicas: int = 1, mark: str = "one", manifest: bool = False) -> dict[str, Any]:
    """A Deployment of a gRPC server with a health service: the platform's own collector."""
    env: list[dict[str, Any]] = [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "TOUCHSTONE_LISTEN", "value": "$(POD_IP):50051"},
        {"name": "TOUCHSTONE_HTTP_LISTEN", "value": "$(POD_IP):8080"},
        {"name": "MARK", "value": mark},
    ]
    if manifest:
        reference = {"name": "chat", "key": "manifest.json"}
        env.append({"name": "MANIFEST", "valueFrom": {"configMapKeyRef": reference}})
    container = {
        "name": "engine",
        "image": "touchstone",
        "command": ["python", "-m", "touchstone_local.collector"],
        "env": env,
        "ports": [{"name": "grpc", "containerPort": 50051}],
        "readinessProbe": {"grpc": {"port": 50051}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "chat"}},
            "template": {
                "metadata": {"labels": {"app": "chat"}},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 5},
            },
        },
    }


async def settled(cluster: Cluster, *, replicas: int = 1) -> Object:
    def holds(obj: Object) -> bool:
        status = fields.mapping(obj, "status")
        counts = [fields.integer(status, each) for each in ("replicas", "updatedReplicas", "availableReplicas")]
        is_seen = fields.integer(status, "observedGeneration") == fields.integer(obj, "metadata", "generation")
        return is_seen and counts == [replicas] * 3

    return await awaited(cluster, DEPLOYMENTS, "chat", holds)


async def awaited(cluster: Cluster, resource: Resource, name: str, claim: Callable[[Object], bool]) -> Object:
    return await wait_for(
        cluster, resource, name=name, namespace="default", claim=claim, timeout_seconds=PATIENCE_SECONDS
    )


async def pods(cluster: Cluster) -> tuple[Object, ...]:
    return (await cluster.list(PODS, namespace="default")).items


async def test_a_deployment_serves_rolls_survives_a_kill_and_goes(platform: Platform, cluster: Cluster) -> None:
    await cluster.apply(DEPLOYMENTS, served(), namespace="default")
    deployment = await settled(cluster)
    assert condition_is("Available")(deployment)
    (first,) = await pods(cluster)
    ip = fields.text(first, "status", "podIP")
    assert await grpc_passes(f"{ip}:50051")
    assert fields.controller_uid(first) == fields.uid(deployment)

    await platform.kill("kubelet")
    assert await grpc_passes(f"{ip}:50051")
    platform.start("kubelet")
    await until(lambda: "Taking over Pod" in platform.folder.log("kubelet").read_text())
    (same,) = await pods(cluster)
    assert fields.uid(same) == fields.uid(first)
    assert fields.items(same, "status", "containerStatuses")[0]["restartCount"] == 0

    await cluster.apply(DEPLOYMENTS, served(mark="two"), namespace="default")
    await settled(cluster)
    (second,) = (pod for pod in await pods(cluster) if not fields.is_terminating(pod))
    assert fields.uid(second) != fields.uid(first)
    assert await grpc_passes(f"{fields.text(second, 'status', 'podIP')}:50051")

    await cluster.delete(DEPLOYMENTS, name="chat", namespace="default")
    record = platform.folder.pods / f"default_{fields.name(second)}" / "pod.json"
    await until(lambda: not record.exists())
    with pytest.raises(ObjectNotFound):
        await cluster.get(PODS, name=fields.name(second), namespace="default")
    assert not await grpc_passes(f"{fields.text(second, 'status', 'podIP')}:50051")


async def test_an_engine_that_was_killed_is_started_again(platform: Platform, cluster: Cluster) -> None:
    await cluster.apply(DEPLOYMENTS, served(), namespace="default")
    await settled(cluster)
    (pod,) = await pods(cluster)
    (record,) = records.load(platform.folder.pods)
    run = record.containers[0].run
    assert run is not None
    psutil.Process(run.pid).children()[0].kill()

    def restarted(obj: Object) -> bool:
        (status,) = fields.items(obj, "status", "containerStatuses")
        return fields.integer(status, "restartCount") == 1 and fields.flag(status, "ready")

    again = await awaited(cluster, PODS, fields.name(pod), restarted)
    (status,) = fields.items(again, "status", "containerStatuses")
    assert fields.integer(status, "lastState", "terminated", "exitCode") == 137


async def test_a_manifest_that_comes_late_is_waited_for(platform: Platform, cluster: Cluster) -> None:
    await cluster.apply(DEPLOYMENTS, served(manifest=True), namespace="default")

    async def reason() -> str:
        statuses = [each for pod in await pods(cluster) for each in fields.items(pod, "status", "containerStatuses")]
        return fields.text(statuses[0], "state", "waiting", "reason") if statuses else ""

    async with asyncio.timeout(PATIENCE_SECONDS):
        while await reason() != "CreateContainerConfigError":
            await asyncio.sleep(0.1)
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "chat"}, "data": {"manifest.json": "{}"}}
    await cluster.apply(CONFIG_MAPS, manifest, namespace="default")
    await settled(cluster)


async def test_a_job_runs_fails_retries_and_completes(platform: Platform, cluster: Cluster) -> None:
    flag = platform.folder.root / "second"
    code = f"import pathlib, sys; p = pathlib.Path({str(flag)!r}); e = p.exists(); p.touch(); sys.exit(0 if e else 3)"
    container = {"name": "main", "image": "touchstone", "command": ["python", "-c", code]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "load", "namespace": "default"},
        "spec": {
            "backoffLimit": 2,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }
    await cluster.apply(JOBS, job, namespace="default")
    done = await awaited(
        cluster, JOBS, "load", lambda obj: fields.text(fields.condition(obj, "Complete"), "status") == "True"
    )
    assert (fields.integer(done, "status", "succeeded"), fields.integer(done, "status", "failed")) == (1, 1)
