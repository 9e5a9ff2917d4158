"""Whatever happens on the way, the kubelet arrives where the cluster wants it."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from touchstone_local import fields
from touchstone_local.kubelet.core import templates
from touchstone_local.kubelet.service.kubelet import Kubelet

EVENTS = ("end", "restart kubelet", "lose record", "go away", "come back", "new template", "scale", "time", "turn")


def deployment(command: str, replicas: int, generation: int) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat", "namespace": "default", "uid": "d-1", "generation": generation},
        "spec": {
            "replicas": replicas,
            "template": {"spec": {"containers": [{"name": "main", "command": [command]}]}},
        },
    }


class Story:
    """A kubelet, a cluster and what befalls them."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.command, self.replicas, self.generation = 0, 1, 1
        self.task: asyncio.Task[None] | None = None
        self.changed = asyncio.Event()

    async def start(self) -> None:
        self.changed = asyncio.Event()
        around = self.world.surroundings
        self.kubelet = Kubelet(
            self.world.cluster, self.world.controller, around, subnet="127.88.9", changed=self.changed
        )
        self.task = asyncio.create_task(self.kubelet.run())

    async def stop(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait({self.task})

    def want(self) -> None:
        status = next((each.get("status", {}) for each in self.world.cluster.deployments()), {})
        wanted = deployment(f"serve-{self.command}", self.replicas, self.generation)
        self.world.cluster.add({**wanted, "status": status})

    async def turn(self, times: int = 5) -> None:
        for _ in range(times):
            self.changed.set()
            await asyncio.sleep(0)

    async def befall(self, event: str, number: int) -> None:
        processes = self.world.processes
        if event == "end" and processes.running:
            run = processes.running[number % len(processes.running)]
            processes.codes["main"] = number % 3
            processes.kill(run)
        elif event == "restart kubelet":
            await self.stop()
            await self.start()
        elif event == "lose record":
            await self.stop()
            self.world.records.kept = dict(list(self.world.records.kept.items())[1:])
            await self.start()
        elif event in ("go away", "come back"):
            self.world.cluster.is_away = event == "go away"
        elif event in ("new template", "scale"):
            self.generation += 1
            self.command += event == "new template"
            self.replicas = number % 4 if event == "scale" else self.replicas
            self.want()
        elif event == "time":
            self.world.clock.advance(number)
        await self.turn()

    def has_arrived(self) -> bool:
        pods = self.world.cluster.pods()
        right = [each for each in pods if fields.items(each, "spec", "containers")[0]["command"] == self.right_command]
        status = self.world.cluster.deployments()[0].get("status", {})
        return (
            len(pods) == len(right) == self.replicas == len(self.world.processes.running)
            and all(templates.is_ready(pod) for pod in pods)
            and status.get("availableReplicas") == self.replicas
            and status.get("observedGeneration") == self.generation
            and set(self.world.records.kept) == {fields.uid(pod) for pod in pods}
        )

    @property
    def right_command(self) -> list[str]:
        return [f"serve-{self.command}"]


async def wake(story: Story) -> None:
    """Let the keepers look at the clock: their real timers do not know that it moved."""
    for keeper in story.kubelet._keepers.values():
        keeper._wake.set()
    await story.turn()


@settings(max_examples=60, deadline=None)
@given(events=st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 30)), max_size=25))
def test_any_story_ends_as_the_cluster_wants_it(make_world: Any, events: list[tuple[str, int]]) -> None:
    async def tell() -> None:
        story = Story(make_world())
        story.want()
        await story.start()
        for event, number in events:
            await story.befall(event, number)
        story.world.cluster.is_away = False
        for _ in range(400):
            if story.has_arrived():
                break
            story.world.clock.advance(1)
            await wake(story)
        assert story.has_arrived(), (story.world.cluster.objects, story.world.processes.running)
        writes = story.world.cluster.writes
        for _ in range(10):
            story.world.clock.advance(30)
            await wake(story)
        assert story.world.cluster.writes == writes
        await story.stop()

    asyncio.run(tell())
