"""Rollouts through the reconcilers: traffic moves only on evidence, whatever happens in between."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from touchstone_operator import objects
from touchstone_operator.plan.workload import Doors, Platform
from touchstone_operator.ports import LiveMetrics, RunRequest


def verdicts(world: Any, **by_digest_of: str) -> None:
    """Have each prompt come to a verdict; what is not named passes."""

    def verdict(request: RunRequest) -> str:
        maps = world.cluster.objects
        manifest = maps["ConfigMap", "default", request.subjects.subject.name]["data"]["manifest.json"]
        return next((v for prompt, v in by_digest_of.items() if prompt in manifest), "Passed")

    world.evaluation.verdict = verdict


async def test_the_first_revision_serves_after_its_gate(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    status = world.status()
    assert world.condition("Ready")[0] == "True"
    assert world.condition("Promoted")[0] == "True"
    assert {r["name"]: r["weightPercent"] for r in status["revisions"]} == {status["stableRevision"]: 100}
    (request,) = world.evaluation.requests.values()
    assert request.subjects.baseline is None
    assert [c.name for c in request.spec.criteria] == ["floor"], "there is nothing to compare with"


async def test_a_passed_gate_moves_traffic_by_steps(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    first = world.status()["stableRevision"]
    apply("better")
    await world.settle()
    second = world.status()["stableRevision"]
    assert second != first
    assert {first: 70, second: 30} in world.weights
    assert world.weights[-1] == {second: 100}
    assert all(sum(weights.values()) in (0, 100) for weights in world.weights)


@pytest.mark.parametrize(("verdict", "reason"), [("Failed", "EvalGateFailed"), ("Error", "EvalGateError")])
async def test_a_failed_gate_never_moves_traffic(
    world: Any, apply: Callable[..., None], verdict: str, reason: str
) -> None:
    verdicts(world, poem=verdict)
    apply()
    await world.settle()
    first = world.status()["stableRevision"]
    before = len(world.weights)
    apply("bad")
    await world.settle()
    assert world.weights[before:] == []
    assert world.status()["stableRevision"] == first
    assert world.condition("Stalled") == ("True", reason)
    assert world.condition("Ready")[0] == "True", "users are not down"
    assert world.condition("Reconciling")[0] != "True"


async def test_a_failed_first_revision_serves_nobody(world: Any, apply: Callable[..., None]) -> None:
    verdicts(world, poem="Failed")
    apply("bad")
    await world.settle()
    assert all(weights == {} for weights in world.weights)
    assert world.condition("Ready")[0] != "True"


async def test_an_inconclusive_verdict_pauses(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    first = world.status()["stableRevision"]
    verdicts(world, well="Inconclusive")
    apply("better")
    await world.settle()
    assert world.status()["stableRevision"] == first
    assert world.weights[-1] == {first: 100}
    assert world.condition("Promoted")[0] != "True"


async def test_the_spec_of_the_stable_revision_again_needs_no_run(world: Any, apply: Callable[..., None]) -> None:
    verdicts(world, poem="Failed")
    apply()
    await world.settle()
    apply("bad")
    await world.settle()
    runs = len(world.evaluation.requests)
    apply()
    await world.settle()
    assert len(world.evaluation.requests) == runs
    assert world.condition("Promoted")[0] == "True"
    assert world.condition("Stalled")[0] != "True"


async def test_a_refused_spec_again_is_refused_without_a_run(world: Any, apply: Callable[..., None]) -> None:
    verdicts(world, poem="Failed")
    for prompt in ("good", "bad", "good", "bad"):
        apply(prompt)
        await world.settle()
    assert len(world.evaluation.requests) == 2
    assert world.condition("Stalled") == ("True", "EvalGateFailed")


async def test_a_spec_edited_mid_rollout_supersedes_the_candidate_only(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    first = world.status()["stableRevision"]
    apply("bad")
    for _ in range(4):
        await world.round()
    superseded = world.status()["candidateRevision"]
    apply("better")
    await world.settle()
    assert world.status()["stableRevision"] not in (first, superseded)
    assert not any(superseded in weights for weights in world.weights)
    assert world.names("Deployment") == [world.status()["stableRevision"]]


async def test_the_serving_revision_outlives_a_candidate_that_never_starts(
    world: Any, apply: Callable[..., None]
) -> None:
    apply()
    await world.settle()
    first = world.status()["stableRevision"]
    world.has_kubelet = False
    apply("better", progressDeadlineSeconds=30)
    await world.settle()
    assert world.condition("Stalled") == ("True", "ProgressDeadlineExceeded")
    assert world.weights[-1] == {first: 100}
    assert first in world.names("Deployment")


async def test_a_settled_world_is_left_alone(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    apply("better")
    await world.settle()
    before = world.cluster.writes
    for _ in range(50):
        await world.round()
    assert world.cluster.writes == before


LIVE = {
    "steps": [{"setWeight": 0, "gates": ["quality"]}, {"setWeight": 30, "pauseSeconds": 2, "gates": ["live"]}],
}


def live_gates(world: Any) -> list[Any]:
    """The gates of the spec, and one that looks at live traffic."""
    criteria = [{"metric": "error_rate", "operator": "LessOrEqual", "value": "0.05"}]
    live = {"name": "live", "type": "Metrics", "windowSeconds": 60, "minRequests": 10, "criteria": criteria}
    return [*world.deployment()["spec"]["rollout"]["gates"], live]


async def test_a_live_gate_without_enough_traffic_waits_where_it_is(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    first = world.status()["stableRevision"]
    apply("better", **LIVE, gates=live_gates(world))
    for _ in range(60):
        await world.round()
    second = world.status()["candidateRevision"]
    assert world.weights[-1] == {first: 70, second: 30}
    world.traffic.live = LiveMetrics(requests=100, errors=1)
    await world.settle()
    assert world.weights[-1] == {second: 100}


async def test_a_live_gate_that_fails_gives_all_traffic_back(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    first = world.status()["stableRevision"]
    world.traffic.live = LiveMetrics(requests=100, errors=50)
    apply("better", **LIVE, gates=live_gates(world))
    await world.settle()
    assert world.weights[-1] == {first: 100}
    assert world.condition("Stalled")[0] == "True"
    assert world.condition("Ready")[0] == "True"


async def test_errors_after_the_promotion_roll_back_by_themselves(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    first = world.status()["stableRevision"]
    world.traffic.live = LiveMetrics(requests=100, errors=0)
    apply("better", **LIVE, gates=live_gates(world), bakeSeconds=60)
    for _ in range(60):
        await world.round()
        if first not in world.weights[-1]:
            break
    assert world.status()["stableRevision"] != first, "promoted, and watched"
    world.traffic.live = LiveMetrics(requests=100, errors=50)
    await world.settle()
    assert world.weights[-1] == {first: 100}
    assert world.condition("RolledBack")[0] == "True"


async def test_a_missing_prompt_is_a_condition_and_heals(world: Any, apply: Callable[..., None]) -> None:
    apply("absent")
    await world.settle()
    assert world.condition("Ready")[0] != "True"
    assert "absent" in str(world.status()["conditions"])
    world.cluster.objects["ConfigMap", "default", "prompts"]["data"]["absent"] = "Here now."
    await world.settle()
    assert world.condition("Ready")[0] == "True"


async def test_what_is_not_supported_yet_is_said(world: Any, apply: Callable[..., None]) -> None:
    apply()
    world.deployment()["spec"]["expose"] = {"inferencePool": True}
    await world.settle()
    assert world.condition("Stalled") == ("True", "NotSupportedYet")


async def test_only_the_doors_that_are_open_are_shown(world: Any, apply: Callable[..., None]) -> None:
    world.platform = replace(world.platform, doors=Doors("router:50051", "http://router/v1"))
    apply()
    await world.settle()
    assert world.status()["endpoints"] == {"grpc": "router:50051", "openAI": "http://router/v1"}
    world.deployment()["spec"]["expose"] = {"openAI": False}
    await world.settle()
    assert world.status()["endpoints"] == {"grpc": "router:50051"}
    world.deployment()["spec"]["expose"] = {"grpc": False}
    await world.settle()
    assert world.status()["endpoints"] == {"openAI": "http://router/v1"}


PINNED = f"#sha256={'c' * 64}"


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"uri": f"pvc://weights/chat.gguf{PINNED}"}},
        {"adapters": [{"name": "tone", "source": {"type": "URI", "uri": f"pvc://weights/tone{PINNED}"}}]},
    ],
)
async def test_an_address_that_no_engine_can_read_is_refused(
    world: Any, apply: Callable[..., None], changes: dict[str, Any]
) -> None:
    """With its digest in the address nobody looked it up, and the engine's pod failed again and again."""
    apply()
    world.deployment()["spec"].update(changes)
    await world.settle()
    assert world.condition("Stalled") == ("True", "NotSupportedYet")


async def test_weights_and_adapters_may_lie_in_a_registry(world: Any, apply: Callable[..., None]) -> None:
    apply()
    chat, tone = f"oci://registry.example/models/chat{PINNED}", f"oci://registry.example/tone{PINNED}"
    source = {"type": "URI", "uri": tone}
    world.deployment()["spec"].update({"model": {"uri": chat}, "adapters": [{"name": "tone", "source": source}]})
    await world.settle()
    bundle = world.bundle()
    assert (bundle["model"]["uri"], bundle["adapters"][0]["uri"]) == (chat, tone)


async def test_only_the_router_and_named_namespaces_reach_engines(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    (policy,) = objects_of(world, "NetworkPolicy")
    (engines,) = objects_of(world, "Deployment")
    labels = engines["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    (rule,) = policy["spec"]["ingress"]
    (router,) = rule["from"]
    assert router["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "touchstone"}
    assert router["podSelector"]["matchLabels"] == {"app.kubernetes.io/component": "router"}
    world.deployment()["spec"]["access"] = {"allowedNamespaces": ["team-b"]}
    await world.settle()
    assert world.condition("Ready")[0] == "True"
    (policy,) = objects_of(world, "NetworkPolicy")
    _, others = policy["spec"]["ingress"][0]["from"]
    assert others["namespaceSelector"]["matchExpressions"][0]["values"] == ["team-b"]


def objects_of(world: Any, kind: str) -> list[Any]:
    return [obj for (found, *_), obj in world.cluster.objects.items() if found == kind]


async def test_a_bound_that_nothing_would_enforce_is_refused(world: Any, apply: Callable[..., None]) -> None:
    world.platform = Platform(environment={})
    apply()
    world.deployment()["spec"]["access"] = {"allowedNamespaces": ["team-b"]}
    await world.settle()
    assert world.condition("Stalled") == ("True", "NotSupportedYet")
    assert world.names("NetworkPolicy") == []


async def story(world: Any, apply: Callable[..., None]) -> dict[str, Any]:
    """Good, then better, then bad; what is left at the end."""
    verdicts(world, poem="Failed")
    for prompt in ("good", "better", "bad"):
        apply(prompt)
        await world.settle()
    status = world.status()
    return {
        "stable": status["stableRevision"],
        "failed": status.get("failedRevision"),
        "weights": {r["name"]: r.get("weightPercent", 0) for r in status["revisions"]},
        "conditions": {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]},
        "deployments": world.names("Deployment"),
        "runs": world.names("EvalRun"),
        "asked": len(world.evaluation.requests),
    }


async def test_a_kill_after_any_write_changes_nothing_about_the_end(world: Any, apply: Callable[..., None]) -> None:
    undisturbed = await story(world, apply)
    total = world.cluster.writes
    assert total > 20
    for kill_after in range(2, total + 1):
        fresh = type(world)()
        fresh.cluster.objects["ConfigMap", "default", "prompts"] = {
            **world.cluster.objects["ConfigMap", "default", "prompts"]
        }
        fresh.cluster.kill_after = kill_after

        def apply_fresh(prompt: str, fresh: Any = fresh) -> None:
            from_world = {**world.deployment()["spec"]}
            from_world["prompt"] = {"configMapKeyRef": {"name": "prompts", "key": prompt}}
            fresh.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", from_world)

        assert await story(fresh, apply_fresh) == undisturbed, f"killed after write {kill_after}"
        assert all(sum(weights.values()) in (0, 100) for weights in fresh.weights)
