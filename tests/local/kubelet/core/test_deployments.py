"""Deployments: the arithmetic of a rollout, and that it always arrives."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from touchstone_local import fields
from touchstone_local.fields import Object
from touchstone_local.kubelet.core import deployments, templates

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def deployment(*, replicas: int = 1, image: str = "a", strategy: Object | None = None, **spec: object) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "chat", "namespace": "default", "uid": "d-1", "generation": 1},
        "spec": {
            "replicas": replicas,
            "strategy": strategy or {},
            "template": {"metadata": {"labels": {"app": "chat"}}, "spec": {"containers": [{"name": image}]}},
            **spec,
        },
    }


def pod_of(owner: Object, suffix: str, *, ready: bool = True, since: datetime = NOW, phase: str = "Running") -> Object:
    wanted = templates.template_hash(fields.mapping(owner, "spec", "template"))
    made = dict(templates.pod(owner, suffix=suffix, labels={templates.HASH_LABEL: wanted}))
    condition = {
        "type": "Ready",
        "status": "True" if ready else "False",
        "lastTransitionTime": fields.timestamp(since),
    }
    return {**made, "status": {"phase": phase, "conditions": [condition]}}


def condition(plan: deployments.DeploymentPlan, kind: str) -> Object:
    return fields.condition({"status": plan.status}, kind)


def test_a_new_deployment_gets_its_replicas() -> None:
    plan = deployments.plan(deployment(replicas=3), [], now=NOW)
    assert plan.create == 3
    assert plan.remove == ()
    assert condition(plan, "Available")["status"] == "False"


def test_a_settled_deployment_is_left_alone_and_is_available() -> None:
    owner = deployment(replicas=2)
    plan = deployments.plan(owner, [pod_of(owner, "a"), pod_of(owner, "b")], now=NOW)
    assert (plan.create, plan.remove) == (0, ())
    assert plan.status["readyReplicas"] == plan.status["availableReplicas"] == plan.status["updatedReplicas"] == 2
    assert condition(plan, "Available")["status"] == "True"
    assert condition(plan, "Progressing")["reason"] == "NewReplicaSetAvailable"


def test_the_new_pod_is_ready_before_the_old_one_goes() -> None:
    before, after = deployment(image="a"), deployment(image="b")
    old = pod_of(before, "old")
    first = deployments.plan(after, [old], now=NOW)
    assert (first.create, first.remove) == (1, ())
    starting = pod_of(after, "new", ready=False)
    assert deployments.plan(after, [old, starting], now=NOW).remove == ()
    assert deployments.plan(after, [old, pod_of(after, "new")], now=NOW).remove == ("chat-old",)


def test_recreate_waits_until_the_old_pods_are_gone() -> None:
    before, after = deployment(image="a"), deployment(image="b", strategy={"type": "Recreate"})
    old = pod_of(before, "old")
    plan = deployments.plan(after, [old], now=NOW)
    assert (plan.create, plan.remove) == (0, ("chat-old",))
    leaving = {**old, "metadata": {**fields.mapping(old, "metadata"), "deletionTimestamp": fields.timestamp(NOW)}}
    assert deployments.plan(after, [leaving], now=NOW).create == 0
    assert deployments.plan(after, [], now=NOW).create == 1


def test_scaling_down_removes_the_pods_that_do_not_serve_first() -> None:
    owner = deployment(replicas=1)
    plan = deployments.plan(owner, [pod_of(owner, "a"), pod_of(owner, "b", ready=False)], now=NOW)
    assert plan.remove == ("chat-b",)


def test_a_failed_pod_is_replaced() -> None:
    owner = deployment()
    plan = deployments.plan(owner, [pod_of(owner, "a", ready=False, phase="Failed")], now=NOW)
    assert (plan.create, plan.remove) == (1, ("chat-a",))


def test_a_pod_is_available_only_after_min_ready_seconds() -> None:
    owner = deployment(minReadySeconds=10)
    pods = [pod_of(owner, "a", since=NOW - timedelta(seconds=4))]
    plan = deployments.plan(owner, pods, now=NOW)
    assert plan.status["availableReplicas"] == 0
    assert plan.again_at == NOW + timedelta(seconds=6)


def test_a_rollout_that_does_not_move_exceeds_its_deadline() -> None:
    owner = deployment(progressDeadlineSeconds=60)
    pods = [pod_of(owner, "a", ready=False)]
    begun = {**owner, "status": deployments.plan(owner, pods, now=NOW).status}
    plan = deployments.plan(begun, pods, now=NOW + timedelta(seconds=61))
    assert condition(plan, "Progressing")["reason"] == "ProgressDeadlineExceeded"


@settings(max_examples=150, deadline=None)
@given(
    old_replicas=st.integers(0, 4),
    replicas=st.integers(0, 5),
    surge=st.sampled_from([0, 1, 2, "25%", "100%"]),
    unavailable=st.sampled_from([0, 1, "25%", "50%"]),
    readiness=st.lists(st.booleans(), min_size=60, max_size=60),
)
def test_a_rollout_arrives_and_keeps_its_bounds(
    old_replicas: int, replicas: int, surge: int | str, unavailable: int | str, readiness: list[bool]
) -> None:
    rolling = {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    before = deployment(replicas=old_replicas, image="a")
    after = deployment(replicas=replicas, image="b", strategy=rolling)
    pods = {f"old{index}": pod_of(before, f"old{index}") for index in range(old_replicas)}
    most = max(old_replicas, replicas + deployments._max_surge(after))
    for turn, becomes_ready in enumerate([*readiness, *[True] * 40]):
        available_before = sum(templates.is_ready(pod) for pod in pods.values())
        plan = deployments.plan(after, list(pods.values()), now=NOW)
        pods = {key: pod for key, pod in pods.items() if fields.name(pod) not in plan.remove}
        available = sum(templates.is_ready(pod) for pod in pods.values())
        floor = replicas - deployments._max_unavailable(after)
        assert available >= min(available_before, floor)
        for index in range(plan.create):
            pods[f"new{turn}x{index}"] = pod_of(after, f"new{turn}x{index}", ready=False)
        assert len(pods) <= most
        if becomes_ready:
            unready = next((key for key, pod in pods.items() if not templates.is_ready(pod)), None)
            if unready is not None:
                pods[unready] = pod_of(after, unready)
    final = deployments.plan(after, list(pods.values()), now=NOW)
    assert (final.create, final.remove) == (0, ())
    assert condition(final, "Progressing")["reason"] == "NewReplicaSetAvailable"
