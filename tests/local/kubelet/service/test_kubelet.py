"""The kubelet as a whole, on a cluster in memory."""

import asyncio
from typing import Any

from touchstone_local import fields
from touchstone_local.kubelet.core import templates
from touchstone_local.kubelet.service.kubelet import Kubelet


def deployment(command: str, *, replicas: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat", "namespace": "default", "uid": "d-1", "generation": 1},
        "spec": {
            "replicas": replicas,
            "template": {
                "metadata": {"labels": {"app": "chat"}},
                "spec": {"containers": [{"name": "main", "command": [command]}]},
            },
        },
    }


class Running:
    """A kubelet that runs while the block does."""

    def __init__(self, world) -> None:
        self.changed = asyncio.Event()
        self.world = world
        self.kubelet = Kubelet(
            world.cluster, world.controller, world.surroundings, subnet="127.88.9", changed=self.changed
        )

    async def __aenter__(self) -> "Running":
        self.task = asyncio.create_task(self.kubelet.run())
        return self

    async def __aexit__(self, *error: object) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})

    async def until(self, claim) -> None:
        for _ in range(500):
            if claim():
                return
            self.changed.set()
            await asyncio.sleep(0)
        raise AssertionError(f"never: {self.world.cluster.objects}")


async def test_a_deployment_gets_pods_with_addresses_of_their_own(world) -> None:
    world.cluster.add(deployment("serve", replicas=2))
    async with Running(world) as running:
        await running.until(lambda: world.cluster.deployments()[0].get("status", {}).get("readyReplicas") == 2)
    pods = world.cluster.pods()
    assert {pod["status"]["podIP"] for pod in pods} == {"127.88.9.100", "127.88.9.101"}
    assert all(fields.controller_uid(pod) == "d-1" and pod["metadata"]["labels"]["app"] == "chat" for pod in pods)


async def test_a_changed_template_replaces_the_pod_after_the_new_one_is_ready(world) -> None:
    world.cluster.add(deployment("one"))
    async with Running(world) as running:
        await running.until(lambda: world.cluster.deployments()[0].get("status", {}).get("readyReplicas") == 1)
        least = 1

        def replaced() -> bool:
            nonlocal least
            least = min(least, sum(templates.is_ready(pod) for pod in world.cluster.pods()))
            pods = world.cluster.pods()
            return len(pods) == 1 and pods[0]["spec"]["containers"][0]["command"] == ["two"]

        world.cluster.add(deployment("two"))
        await running.until(replaced)
    assert least == 1
    assert len(world.processes.running) == 1


async def test_processes_outlive_the_kubelet_and_are_taken_over(world) -> None:
    world.cluster.add(deployment("serve"))
    async with Running(world) as running:
        await running.until(lambda: len(world.processes.running) == 1)
    assert len(world.processes.running) == 1
    async with Running(world) as running:
        await running.until(lambda: world.cluster.deployments()[0].get("status", {}).get("readyReplicas") == 1)
    assert len(world.processes.launches) == 1


async def test_what_lost_its_pod_while_nobody_looked_ends(world) -> None:
    world.cluster.add(deployment("serve"))
    async with Running(world) as running:
        await running.until(lambda: len(world.processes.running) == 1)
    world.cluster.objects.clear()
    async with Running(world) as running:
        await running.until(lambda: not world.processes.running and not world.records.kept)


async def test_a_process_that_was_started_but_not_recorded_is_replaced(world) -> None:
    world.cluster.add(deployment("serve"))
    async with Running(world) as running:
        await running.until(lambda: len(world.processes.running) == 1)
    world.records.kept.clear()
    async with Running(world) as running:
        await running.until(lambda: len(world.processes.launches) == 2)
    assert len(world.processes.running) == 1


async def test_a_job_runs_once_and_completes(world) -> None:
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "command": ["work"]}]}}}
    world.cluster.add({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "load", "namespace": "default", "uid": "j-1"}, "spec": spec,
    })  # fmt: skip
    async with Running(world) as running:
        await running.until(lambda: len(world.processes.running) == 1)
        world.processes.end("main", 0)
        await running.until(lambda: world.cluster.jobs()[0].get("status", {}).get("succeeded") == 1)
    assert fields.condition(world.cluster.jobs()[0], "Complete")["status"] == "True"


async def test_a_pod_that_is_nonsense_does_not_stop_the_others(world) -> None:
    broken = deployment("serve")
    broken["metadata"] = {**broken["metadata"], "name": "broken", "uid": "d-0"}
    broken["spec"] = {**broken["spec"], "strategy": {"rollingUpdate": {"maxSurge": "many"}}}
    world.cluster.add(broken)
    world.cluster.add(deployment("serve"))
    async with Running(world) as running:
        await running.until(lambda: len(world.processes.running) == 1)
