"""Puts the kubelet together."""

import asyncio
import secrets
import sys
from datetime import UTC, datetime

from touchstone_runtime.server import GrpcServer, ServerSettings

from touchstone_local.kube.cluster import Cluster
from touchstone_local.kubelet.adapters.cluster import CachedCluster
from touchstone_local.kubelet.adapters.prober import LocalProber
from touchstone_local.kubelet.adapters.processes import LocalProcesses
from touchstone_local.kubelet.adapters.records import FileRecords
from touchstone_local.kubelet.service.kubelet import Kubelet
from touchstone_local.kubelet.service.pods import Surroundings
from touchstone_local.kubelet.service.workloads import WorkloadController
from touchstone_local.kubelet.settings import KubeletSettings, inherited_environment
from touchstone_local.layout import StateFolder

SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' own: no vowels, so that no words come out."""


async def run(settings: KubeletSettings) -> None:
    """Run the kubelet until cancelled, with a health service that answers SERVING once the caches are filled."""
    pods_dir = StateFolder(settings.state_dir.resolve()).pods
    pods_dir.mkdir(parents=True, exist_ok=True)
    health = GrpcServer(ServerSettings(listen=settings.listen, grace_seconds=1.0), [])
    await health.start()
    try:
        async with await Cluster.connect(settings.kubeconfig) as cluster, asyncio.TaskGroup() as group:
            changed = asyncio.Event()
            cached = CachedCluster(cluster, changed.set)
            group.create_task(cached.follow())
            await cached.synced()
            await health.set_serving()
            await _kubelet(settings, cached, changed).run()
    finally:
        await health.stop()


def _kubelet(settings: KubeletSettings, cached: CachedCluster, changed: asyncio.Event) -> Kubelet:
    pods_dir = StateFolder(settings.state_dir.resolve()).pods
    surroundings = Surroundings(
        pods=cached,
        processes=LocalProcesses(pods_dir),
        prober=LocalProber(),
        records=FileRecords(pods_dir),
        now=_now,
        base_environ=inherited_environment(),
        python=sys.executable,
    )
    controller = WorkloadController(cached, now=_now, new_suffix=_new_suffix)
    return Kubelet(cached, controller, surroundings, subnet=settings.pod_subnet, changed=changed)


def _now() -> datetime:
    return datetime.now(UTC)


def _new_suffix() -> str:
    return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(5))
