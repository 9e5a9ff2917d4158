"""What is seen at run time and told in the status: performance, scaling, the last failure."""

import copy
from typing import Any

from touchstone_operator import objects
from touchstone_operator.ports import Distribution, LiveMetrics, Reached

SCALED = {
    "model": {"uri": f"file:///model#sha256={'a' * 64}"},
    "prompt": {"configMapKeyRef": {"name": "prompts", "key": "good"}},
    "engine": {"type": "VLLM", "maxModelLen": 4096},
    "rollout": {"strategy": "BlueGreen", "drainSeconds": 3},
    "serving": {"mode": "Aggregated", "aggregated": {"scaling": {"minReplicas": 1, "maxReplicas": 4}}},
}
FIXED = {**SCALED, "engine": {"type": "Scripted"}, "serving": {"mode": "Aggregated", "aggregated": {"replicas": 1}}}

TRAFFIC = LiveMetrics(
    requests=600,
    errors=0,
    time_to_first_token=Distribution(upper_bounds=(0.1, 0.2), counts=(0, 600, 0)),
    time_per_output_token=Distribution(upper_bounds=(0.01, 0.02), counts=(600, 0, 0)),
    queue_time=Distribution(upper_bounds=(0.001,), counts=(600, 0)),
    input_tokens=60_000,
    output_tokens=12_000,
    cached_input_tokens=45_000,
    good_requests=570,
    window_seconds=300,
)


def put(world: Any, spec: dict[str, Any]) -> None:
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", copy.deepcopy(spec))


def performance(world: Any) -> dict[str, tuple[str, str]]:
    found = world.status().get("performance") or {"metrics": ()}
    return {metric["name"]: (metric["value"], metric["unit"]) for metric in found["metrics"]}


def pod(name: str, *, revision: str, role: str = "engine", is_ready: bool = True, **status: Any) -> dict[str, Any]:
    labels = {**objects.labels(objects.MODEL_DEPLOYMENT, "chat"), "touchstone.dev/revision": revision}
    return {
        "metadata": {"namespace": "default", "name": name, "labels": {**labels, "touchstone.dev/role": role}},
        "status": {"conditions": [{"type": "Ready", "status": str(is_ready)}], **status},
    }


async def test_performance_is_told_once_there_is_traffic(world: Any) -> None:
    put(world, FIXED)
    await world.settle()
    assert "performance" not in world.status()
    world.traffic.live = TRAFFIC
    world.traffic.reach = Reached(
        engines=2, measured_engines=2, mfu=0.41234, mbu=0.0123, peak_output_tokens_per_second=2418
    )
    world.clock.advance(61)
    await world.settle()
    assert performance(world) == {
        "peakTokensPerSecond": ("2420", "tok/s"),
        "requestsPerSecond": ("2", "requests/s"),
        "goodRequestsPerSecond": ("1.9", "requests/s"),
        "outputTokensPerSecond": ("40", "tok/s"),
        "ttftP95Millis": ("195", "ms"),
        "itlP95Millis": ("9.5", "ms"),
        "queueP95Millis": ("0.95", "ms"),
        "cachedInputShare": ("0.75", "1"),
        "mfu": ("0.412", "1"),
        "mbu": ("0.0123", "1"),
    }
    assert world.status()["performance"]["revision"] == world.status()["stableRevision"]


async def test_the_peak_is_told_before_anybody_asks_anything(world: Any) -> None:
    world.traffic.reach = Reached(engines=1, peak_output_tokens_per_second=163.94)
    put(world, FIXED)
    await world.settle()
    assert performance(world) == {"peakTokensPerSecond": ("164", "tok/s")}


async def test_a_deployment_that_nobody_asks_is_not_written(world: Any) -> None:
    world.traffic.live = TRAFFIC
    put(world, FIXED)
    await world.round()
    for _ in range(10):
        await world.round()
    measured = world.status()["performance"]["measuredAt"]
    world.traffic.live = LiveMetrics(requests=0, errors=0)
    await world.settle()
    writes = world.cluster.writes
    for _ in range(3):
        world.clock.advance(61)
        await world.round()
    assert world.cluster.writes == writes
    assert world.status()["performance"]["measuredAt"] == measured, "what was measured last stays"


async def test_a_new_revision_does_not_inherit_what_the_former_one_reached(world: Any) -> None:
    world.traffic.live = TRAFFIC
    put(world, FIXED)
    for _ in range(12):
        await world.round()
    assert performance(world)
    world.traffic.live = LiveMetrics(requests=0, errors=0)
    put(world, {**FIXED, "prompt": {"configMapKeyRef": {"name": "prompts", "key": "better"}}})
    await world.settle()
    assert performance(world) == {}


async def test_replicas_that_follow_the_load_are_counted_and_their_changes_told(world: Any) -> None:
    put(world, SCALED)
    await world.settle()
    stable = world.status()["stableRevision"]
    for number in range(3):
        world.cluster._add(objects.POD, pod(f"engine-{number}", revision=stable, is_ready=number < 2))
    world.cluster._add(objects.POD, pod("head", revision=stable, role="head"))
    world.cluster._add(objects.POD, pod("old", revision="chat-0"))
    await world.settle()
    assert world.status()["roles"] == [{"name": "aggregated", "desired": 3, "ready": 2, "updated": 2}]
    (decision,) = world.status()["scaling"]["history"]
    assert (decision["fromReplicas"], decision["toReplicas"], decision["reason"]) == (1, 3, "LoadRose")
    for number in (1, 2):
        world.cluster.ask_to_go(objects.POD, f"engine-{number}")
    await world.settle()
    newest, _ = world.status()["scaling"]["history"]
    assert (newest["fromReplicas"], newest["toReplicas"], newest["reason"]) == (3, 1, "LoadFell")
    assert world.status()["scaling"]["lastScaleTime"] == newest["time"]


async def test_a_number_that_a_person_changed_is_told_as_such_and_five_changes_are_kept(world: Any) -> None:
    put(world, FIXED)
    await world.settle()
    for replicas in (2, 3, 4, 5, 6, 7):
        put(world, {**FIXED, "serving": {"mode": "Aggregated", "aggregated": {"replicas": replicas}}})
        await world.settle()
    history = world.status()["scaling"]["history"]
    assert [decision["toReplicas"] for decision in history] == [7, 6, 5, 4, 3]
    assert {decision["reason"] for decision in history} == {"SpecChanged"}
    assert {decision["role"] for decision in history} == {"engine"}


async def test_the_last_failure_is_told_with_what_the_engine_died_of(world: Any) -> None:
    world.has_kubelet = False
    put(world, FIXED)
    for _ in range(4):
        await world.round()
    candidate = world.status()["candidateRevision"]
    ended = {
        "exitCode": 1,
        "reason": "Error",
        "message": '{"level": "info"}\nmodel.gguf is no GGUF.\n',
        "finishedAt": "2026-01-01T00:00:09Z",
    }
    statuses = [
        {"name": "engine", "lastState": {"terminated": ended}, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    ]
    world.cluster._add(objects.POD, pod("e", revision=candidate, is_ready=False, containerStatuses=statuses))
    await world.round()
    assert world.status()["lastFailure"] == {
        "reason": "EngineExited",
        "message": "model.gguf is no GGUF.",
        "exitCode": 1,
        "role": "engine",
        "revision": candidate,
        "time": "2026-01-01T00:00:09Z",
    }
    world.has_kubelet = True
    await world.settle()
    assert world.status()["lastFailure"]["exitCode"] == 1, "it stays known when all is well again"


async def test_an_image_that_cannot_be_had_is_a_failure_without_an_exit_code(world: Any) -> None:
    world.has_kubelet = False
    put(world, FIXED)
    for _ in range(4):
        await world.round()
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    statuses = [{"name": "engine", "state": {"waiting": waiting}}]
    world.cluster._add(objects.POD, pod("e", revision="chat-1", is_ready=False, containerStatuses=statuses))
    await world.round()
    found = world.status()["lastFailure"]
    assert (found["reason"], found["message"]) == ("ImagePullBackOff", "no such image")
    assert "exitCode" not in found
