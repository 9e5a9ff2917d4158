"""ModelDeployments whose engines run on Ray: one RayService a revision, two roles, and the proof that blocks move."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from touchstone_inference.engine.settings import EngineSettings
from touchstone_operator import objects
from touchstone_operator.api.servings import Decider
from touchstone_operator.plan.workload import Platform
from touchstone_operator.ports import Moved
from touchstone_runtime.settings import load


def ray(prompt: str = "good", **fields: Any) -> dict[str, Any]:
    """A spec for VLLM, its gate left out."""
    return {
        "model": {"uri": f"file:///model#sha256={'a' * 64}"},
        "prompt": {"configMapKeyRef": {"name": "prompts", "key": prompt}},
        "engine": {"type": "VLLM", "maxModelLen": 4096, "args": {"max-num-seqs": "32"}},
        "rollout": {"strategy": "BlueGreen", "drainSeconds": 3},
        **fields,
    }


APART = {
    "mode": "Disaggregated",
    "prefill": {"replicas": 2, "resources": {"gpu": {"count": 1}, "memory": "16Gi"}},
    "decode": {
        "scaling": {"minReplicas": 1, "maxReplicas": 3, "metrics": [{"type": "OngoingRequests", "target": "24"}]},
        "parallelism": {"tensor": 2},
        "resources": {"gpu": {"count": 2}},
    },
    "kvTransfer": {"connector": "Nixl", "decider": {"minPromptTokens": 384}, "timeoutSeconds": 20},
}


@pytest.fixture
def put(world: Any) -> Callable[[dict[str, Any]], None]:
    return lambda spec: world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", copy.deepcopy(spec))


def service(world: Any) -> dict[str, Any]:
    (found,) = [obj for (kind, *_), obj in world.cluster.objects.items() if kind == "RayService"]
    return dict(found)


def environment(group: dict[str, Any]) -> dict[str, str]:
    container = group["template"]["spec"]["containers"][0]
    return {each["name"]: each.get("value", "") for each in container["env"]}


async def test_a_vllm_deployment_becomes_ready_by_a_ray_service(world: Any, put: Any) -> None:
    put(ray())
    await world.settle()
    assert world.condition("Ready") == ("True", "Serving")
    found = service(world)
    assert found["metadata"]["name"] == world.status()["stableRevision"]
    assert world.names("Deployment") == []
    (role,) = world.status()["roles"]
    assert role == {"name": "aggregated", "desired": 1, "ready": 1, "updated": 1}
    (application,) = yaml.safe_load(found["spec"]["serveConfigV2"])["applications"]
    assert application["deployments"] == [{"name": "engine", "num_replicas": 1}]


async def test_the_router_reaches_what_generates_and_nothing_else(world: Any, put: Any) -> None:
    put(ray(serving=APART))
    await world.settle()
    cluster = service(world)["spec"]["rayClusterConfig"]
    roles = {
        group["groupName"]: group["template"]["metadata"]["labels"]["touchstone.dev/role"]
        for group in cluster["workerGroupSpecs"]
    }
    assert roles == {"engine": "engine", "prefill": "prefill"}
    assert cluster["headGroupSpec"]["template"]["metadata"]["labels"]["touchstone.dev/role"] == "head"
    ports = cluster["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["ports"]
    assert [(port["name"], port["containerPort"]) for port in ports] == [("grpc", 50051)], "as the router looks for it"


async def test_roles_have_their_own_replicas_devices_and_work(world: Any, put: Any) -> None:
    put(ray(serving=APART))
    await world.settle()
    spec = service(world)["spec"]
    decode, prefill = spec["rayClusterConfig"]["workerGroupSpecs"]
    assert (decode["replicas"], decode["minReplicas"], decode["maxReplicas"]) == (1, 1, 3)
    assert (prefill["replicas"], prefill["maxReplicas"]) == (2, 2)
    limits = [g["template"]["spec"]["containers"][0]["resources"]["limits"] for g in (decode, prefill)]
    assert [each["nvidia.com/gpu"] for each in limits] == ["2", "1"]
    told = environment(decode)
    assert told["TOUCHSTONE_ROLE"] == "decode"
    assert told["TOUCHSTONE_TENSOR_PARALLEL_SIZE"] == "2"
    assert told["TOUCHSTONE_KV_CONNECTOR"] == "NixlConnector"
    assert told["TOUCHSTONE_MIN_REMOTE_PROMPT_TOKENS"] == "384"
    assert told["TOUCHSTONE_ON_TRANSFER_FAILURE"] == "RecomputeLocally"
    assert environment(prefill)["TOUCHSTONE_ROLE"] == "prefill"
    assert decode["rayStartParams"]["resources"] == '"{\\"touchstone_engine\\": 1}"'
    (application,) = yaml.safe_load(spec["serveConfigV2"])["applications"]
    scaling = application["deployments"][0]["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["max_replicas"]) == (1, 3)
    assert scaling["policy"]["policy_kwargs"] == {"targets": {"requests": 24.0}}
    assert spec["rayClusterConfig"]["enableInTreeAutoscaling"] is True


async def test_a_transfer_without_a_decider_begins_at_the_length_that_the_api_tells(world: Any, put: Any) -> None:
    """The API told 512 and the engine took 256."""
    transfer = {"connector": "Nixl"}
    put(ray(serving={**APART, "kvTransfer": transfer}))
    await world.settle()
    decode, _ = service(world)["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    told = environment(decode)["TOUCHSTONE_MIN_REMOTE_PROMPT_TOKENS"]
    assert told == str(Decider().min_prompt_tokens)
    required = {"TOUCHSTONE_LISTEN": "127.0.0.1:0", "TOUCHSTONE_REVISION_MANIFEST": "{}"}
    assert load(EngineSettings, required).min_remote_prompt_tokens == int(told)


async def test_the_head_has_no_device_and_ray_asks_for_a_token(world: Any, put: Any) -> None:
    put(ray(serving=APART))
    await world.settle()
    cluster = service(world)["spec"]["rayClusterConfig"]
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    assert "nvidia.com/gpu" not in head["resources"]["limits"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    assert cluster["authOptions"] == {"mode": "token"}


async def test_the_same_spec_is_written_the_same_byte_by_byte(world: Any, put: Any) -> None:
    put(ray(serving=APART))
    await world.settle()
    before = service(world)["spec"]["serveConfigV2"]
    writes = world.cluster.writes
    await world.settle()
    assert world.cluster.writes == writes
    assert service(world)["spec"]["serveConfigV2"] == before


async def test_roles_of_two_revisions_are_never_in_one_ray_service(world: Any, put: Any) -> None:
    put(ray(serving=APART))
    await world.settle()
    first = world.status()["stableRevision"]
    put(ray("better", serving=APART))
    seen: set[frozenset[str]] = set()
    for _ in range(60):
        await world.round()
        for (kind, _, name), obj in world.cluster.objects.items():
            if kind == "RayService":
                groups = obj["spec"]["rayClusterConfig"]["workerGroupSpecs"]
                labels = {group["template"]["metadata"]["labels"]["touchstone.dev/revision"] for group in groups}
                manifests = {
                    variable["valueFrom"]["configMapKeyRef"]["name"]
                    for group in groups
                    for variable in group["template"]["spec"]["containers"][0]["env"]
                    if variable["name"] == "TOUCHSTONE_REVISION_MANIFEST"
                }
                assert labels == manifests == {name}
                seen.add(frozenset(labels))
    second = world.status()["stableRevision"]
    assert second != first
    assert seen == {frozenset({first}), frozenset({second})}
    assert world.names("RayService") == [second], "the former one has drained and gone"
    assert world.weights[-1] == {second: 100}


async def test_no_place_for_engines_is_told_by_a_condition_and_moves_no_traffic(world: Any, put: Any) -> None:
    put(ray())
    await world.settle()
    first = world.status()["stableRevision"]
    world.has_place = False
    put(ray("better"))
    for _ in range(10):
        await world.round()
    assert world.condition("WorkloadsReady") == ("False", "InsufficientCapacity")
    assert world.weights[-1] == {first: 100}


async def test_a_trace_of_ray_does_not_get_into_conditions(world: Any, put: Any) -> None:
    put(ray())
    await world.round()
    await world.round()
    found = service(world)
    trace = "The deployment failed to start 3 times in a row. See controller logs for details. Error:\nray::Serve (ip=10.0.0.1)"
    deployments = {"engine": {"status": "DEPLOY_FAILED", "message": trace}}
    application = {"status": "DEPLOY_FAILED", "message": "Failed.", "serveDeploymentStatuses": deployments}
    world.has_kubelet = False
    status = {"observedGeneration": 1, "activeServiceStatus": {"applicationStatuses": {"engine": application}}}
    world.cluster.set_status(objects.RAY_SERVICE, found["metadata"]["name"], status)
    await world.round()
    said = str(world.status()["conditions"])
    assert "failed to start 3 times in a row" in said
    assert "10.0.0.1" not in said


async def test_blocks_that_move_are_proof_and_prompts_without_blocks_are_not_ready(world: Any, put: Any) -> None:
    world.traffic.moves = Moved(
        engines=1, engines_without_connector=0, remote_prompts=40, transfers=40, transferred_bytes=1 << 30,
        transferred_tokens=40_000,
    )  # fmt: skip
    put(ray(serving=APART))
    await world.settle()
    assert world.condition("KVTransferHealthy") == ("True", "BlocksMove")
    assert world.condition("Ready") == ("True", "Serving")
    world.traffic.moves = Moved(engines=1, engines_without_connector=0, remote_prompts=40)
    await world.settle()
    assert world.condition("KVTransferHealthy") == ("False", "NoTransfersObserved")
    assert world.condition("Ready") == ("False", "KVTransferUnhealthy")


@pytest.mark.parametrize(
    ("moved", "verdict"),
    [
        (Moved(engines=0, engines_without_connector=0), ("Unknown", "NotObserved")),
        (Moved(engines=2, engines_without_connector=1, remote_prompts=9), ("False", "NoConnector")),
        (Moved(engines=2, engines_without_connector=0, remote_prompts=1), ("Unknown", "FewPrompts")),
        (
            Moved(engines=1, engines_without_connector=0, remote_prompts=20, failed_prompts=5, transferred_tokens=9),
            ("False", "PrefillErrors"),
        ),
        (
            Moved(
                engines=1, engines_without_connector=0, remote_prompts=20, transfers=10, failed_transfers=10,
                transferred_tokens=9,
            ),
            ("False", "TransferErrors"),
        ),
    ],
)  # fmt: skip
async def test_what_moves_is_judged(world: Any, put: Any, moved: Moved, verdict: tuple[str, str]) -> None:
    world.traffic.moves = moved
    put(ray(serving=APART))
    await world.settle()
    assert world.condition("KVTransferHealthy") == verdict
    assert (world.condition("Ready")[0] == "True") == (verdict[0] != "False")


async def test_zero_replicas_leave_no_ray_service(world: Any, put: Any) -> None:
    put(ray())
    await world.settle()
    put(ray(serving={"mode": "Aggregated", "aggregated": {"replicas": 0}}))
    await world.settle()
    assert world.names("RayService") == []
    assert world.condition("Ready") == ("True", "Idle")


async def test_without_ray_or_an_image_it_is_said_what_to_do(world: Any, put: Any) -> None:
    world.platform = Platform(environment={})
    put(ray())
    await world.settle()
    assert world.condition("Stalled") == ("True", "RayNotEnabled")
    world.platform = Platform(environment={}, has_ray=True)
    await world.settle()
    assert world.condition("Stalled") == ("True", "EngineImageMissing")


@pytest.mark.parametrize(
    ("field", "serving"),
    [
        ("parallelism over more devices", {"parallelism": {"tensor": 4}, "resources": {"gpu": {"count": 2}}}),
        ("parallelism.data", {"parallelism": {"data": 2}}),
    ],
)
async def test_what_no_engine_does_yet_is_refused_by_name(world: Any, put: Any, field: str, serving: Any) -> None:
    put(ray(serving={"mode": "Aggregated", "aggregated": serving}))
    await world.settle()
    assert world.condition("Stalled") == ("True", "NotSupportedYet")
    assert field in str(world.status()["conditions"])


ADAPTER = {"name": "formal", "source": {"type": "URI", "uri": f"file:///adapters/formal#sha256={'b' * 64}"}}


async def test_an_adapter_is_part_of_the_revision_and_ready_where_engines_are(world: Any, put: Any) -> None:
    put(ray())
    await world.settle()
    without = world.status()["stableRevision"]
    put(ray(adapters=[ADAPTER], serving=APART))
    await world.settle()
    assert world.status()["stableRevision"] != without, "an adapter can change an answer: it makes a revision"
    assert world.status()["adapters"] == [{"name": "formal", "digest": f"sha256:{'b' * 64}", "readyEndpoints": 1}]


async def test_adapters_on_an_engine_that_loads_none_are_refused(world: Any, put: Any) -> None:
    put(ray(adapters=[ADAPTER], engine={"type": "External"}, model={"uri": "https://api.example.org"}))
    await world.settle()
    assert world.condition("Stalled") == ("True", "NotSupportedYet")


async def test_replicas_follow_requests_and_what_is_cached(world: Any, put: Any) -> None:
    metrics = [{"type": "OngoingRequests", "target": "24"}, {"type": "KVCacheUsage", "target": "0.8"}]
    scaling = {"minReplicas": 1, "maxReplicas": 4, "metrics": metrics}
    put(ray(serving={"mode": "Aggregated", "aggregated": {"scaling": scaling}}))
    await world.settle()
    (application,) = yaml.safe_load(service(world)["spec"]["serveConfigV2"])["applications"]
    policy = application["deployments"][0]["autoscaling_config"]["policy"]
    assert policy["policy_kwargs"] == {"targets": {"requests": 24.0, "kv_cache_usage": 0.8}}
