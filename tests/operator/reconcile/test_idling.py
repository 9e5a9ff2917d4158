"""A deployment that nobody asks rests, and the next request wakes it."""

import copy
from typing import Any

import pytest
from touchstone_operator import objects
from touchstone_operator.ports import LiveMetrics

QUIET = LiveMetrics(requests=0, errors=0, window_seconds=600)
BUSY = LiveMetrics(requests=3, errors=0, window_seconds=600)


def spec(prompt: str = "good", **scaling: Any) -> dict[str, Any]:
    bounds = {"minReplicas": 1, "maxReplicas": 3, "idleReplicas": 0, "idleAfterSeconds": 600, **scaling}
    return {
        "model": {"uri": f"file:///model#sha256={'a' * 64}"},
        "prompt": {"configMapKeyRef": {"name": "prompts", "key": prompt}},
        "engine": {"type": "VLLM", "maxModelLen": 4096},
        "rollout": {"strategy": "BlueGreen", "drainSeconds": 3},
        "serving": {"mode": "Aggregated", "aggregated": {"scaling": bounds}},
    }


def put(world: Any, wanted: dict[str, Any]) -> None:
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", copy.deepcopy(wanted))


async def served(world: Any) -> None:
    world.traffic.live = BUSY
    put(world, spec())
    for _ in range(10):
        await world.round()
    assert world.condition("Ready") == ("True", "Serving")


async def test_it_rests_when_nobody_asks_and_keeps_its_revision_and_its_traffic(world: Any) -> None:
    await served(world)
    stable = world.status()["stableRevision"]
    world.traffic.live = QUIET
    await world.settle()
    assert world.names("RayService") == []
    assert world.condition("Ready") == ("True", "Idle")
    assert world.condition("WorkloadsReady") == ("True", "Idle")
    assert world.status()["stableRevision"] == stable
    assert world.weights[-1] == {stable: 100}, "the router still knows where requests belong: they wake it"
    assert world.status()["roles"] == [{"name": "aggregated", "desired": 0, "ready": 0, "updated": 0}]
    assert world.status()["scaling"]["history"][0]["reason"] == "LoadFell"


async def test_the_next_request_wakes_it(world: Any) -> None:
    await served(world)
    world.traffic.live = QUIET
    await world.settle()
    world.traffic.live = BUSY
    for _ in range(4):
        await world.round()
    assert len(world.names("RayService")) == 1
    assert world.condition("Ready") == ("True", "Serving")
    assert world.status()["scaling"]["history"][0]["reason"] == "LoadRose"


@pytest.mark.parametrize(
    "seen",
    [
        LiveMetrics(requests=0, errors=0, window_seconds=599),
        LiveMetrics(requests=0, errors=0, window_seconds=600, is_complete=False),
    ],
    ids=["a router has just begun", "a router does not answer"],
)
async def test_it_does_not_rest_on_half_of_the_evidence(world: Any, seen: LiveMetrics) -> None:
    await served(world)
    world.traffic.live = seen
    await world.settle()
    assert world.condition("Ready") == ("True", "Serving")


async def test_without_idle_replicas_it_never_rests(world: Any) -> None:
    world.traffic.live = QUIET
    wanted = spec()
    del wanted["serving"]["aggregated"]["scaling"]["idleReplicas"]
    put(world, wanted)
    await world.settle()
    assert world.condition("Ready") == ("True", "Serving")


async def test_a_new_revision_wakes_what_it_is_compared_with(world: Any) -> None:
    await served(world)
    world.traffic.live = QUIET
    await world.settle()
    first = world.status()["stableRevision"]
    put(world, spec("better"))
    seen: set[frozenset[str]] = set()
    for _ in range(30):
        await world.round()
        seen.add(frozenset(world.names("RayService")))
    second = world.status()["stableRevision"]
    assert second != first
    assert any(first in names for names in seen)


async def test_a_number_of_replicas_between_all_and_none_is_refused_by_name(world: Any) -> None:
    put(world, spec(minReplicas=3, idleReplicas=1))
    await world.settle()
    assert world.condition("Stalled") == ("True", "NotSupportedYet")
    assert "idleReplicas other than 0" in str(world.status()["conditions"])
