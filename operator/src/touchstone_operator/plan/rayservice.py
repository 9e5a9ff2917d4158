"""A revision's engines as a RayService of KubeRay: a head without accelerators, and a group of workers a role. Pure.

Each worker pod has one replica of its role, and one of a resource that only its role asks for. The router reaches the
pods of the role that generates, as it reaches every other engine; Serve's own proxies are off. A revision has a
RayService of its own, so that roles of two revisions never meet.
"""

from collections.abc import Mapping
from typing import NamedTuple

import yaml
from touchstone_runtime.revisions import Manifest

from touchstone_operator import objects
from touchstone_operator.api.modeldeployment import ModelDeployment
from touchstone_operator.api.servings import Decider, KVTransfer, Parallelism, RoleSpec, Scaling
from touchstone_operator.objects import JsonObject
from touchstone_operator.plan import roles, workload
from touchstone_operator.plan.workload import Platform

RAY_VERSION = "2.60.0"
"""Of the images touchstone-engine-vllm."""
APPLICATION = "engine"
IMPORT_PATH = "touchstone_inference.ray_serve.app:build"
POLICY = "touchstone_inference.ray_serve.autoscaling:ByLoad"
LOADS = {"OngoingRequests": "requests", "KVCacheUsage": "kv_cache_usage"}
"""What engines report, by the type of metric."""
PEAK_SECONDS = 10
"""How long an engine may take to measure its peak once its model is loaded."""
ENGINE, PREFILL, HEAD = "engine", "prefill", "head"
"""Labels of roles: what the router calls, what computes prompts for it, and Ray's own head."""
DASHBOARD_PORT = 8265
TARGET_REQUESTS = 16.0
CONNECTORS = {"Nixl": "NixlConnector", "SharedStorage": "ExampleConnector"}
SHARED_FOLDER = f"{workload.CACHE_PATH}/kv"


class Group(NamedTuple):
    """The replicas of one role."""

    label: str
    role: RoleSpec
    does: str
    """What the engine is told to be."""


def groups(deployment: ModelDeployment) -> tuple[Group, ...]:
    """List the roles of a deployment, the one that the router reaches first."""
    if roles.is_disaggregated(deployment.spec):
        prefill, decode = roles.roles(deployment.spec)
        return (Group(ENGINE, decode, "decode"), Group(PREFILL, prefill, "prefill"))
    return (Group(ENGINE, roles.role(deployment.spec), "aggregated"),)


def ray_service(deployment: ModelDeployment, manifest: Manifest, platform: Platform) -> JsonObject:
    """Write the RayService of a revision."""
    found = groups(deployment)
    cluster: JsonObject = {
        "rayVersion": RAY_VERSION,
        # Ray's own doors ask for a token that KubeRay makes.
        "authOptions": {"mode": "token"},
        "headGroupSpec": _head(deployment, manifest, platform, is_scaling=_is_scaling(found)),
        "workerGroupSpecs": [_workers(deployment, manifest, platform, group) for group in found],
    }
    if _is_scaling(found):
        cluster["enableInTreeAutoscaling"] = True
        cluster["autoscalerOptions"] = {"securityContext": workload.SECURITY_CONTEXT}
    return {
        "apiVersion": objects.RAY_SERVICE.api_version,
        "kind": objects.RAY_SERVICE.name,
        "metadata": workload.metadata_of(deployment, manifest.name, role=ENGINE),
        "spec": {
            "serveConfigV2": yaml.safe_dump(serve_config(found), sort_keys=True),
            # Endpoints of KubeRay's own Service are then the worker pods that are ready, and nothing else.
            "excludeHeadPodFromServeSvc": True,
            "rayClusterConfig": cluster,
        },
    }


def serve_config(found: tuple[Group, ...]) -> JsonObject:
    """Write the configuration of Serve: the same for the same roles, byte by byte."""
    return {
        "proxy_location": "Disabled",
        "applications": [
            {
                "name": APPLICATION,
                "route_prefix": None,
                "import_path": IMPORT_PATH,
                "args": {"mode": "Aggregated" if len(found) == 1 else "Disaggregated"},
                "deployments": [{"name": group.label, **_replicas(group.role)} for group in found],
            }
        ],
    }


def wanted_replicas(role: RoleSpec) -> int:
    """Say how many replicas a role has at least."""
    if role.scaling is not None:
        return role.scaling.min_replicas
    return roles.replicas(role)


def _replicas(role: RoleSpec) -> JsonObject:
    scaling = role.scaling
    if scaling is None:
        return {"num_replicas": wanted_replicas(role)}
    return {
        "autoscaling_config": {
            "min_replicas": scaling.min_replicas,
            "max_replicas": scaling.max_replicas,
            "downscale_delay_s": float(scaling.scale_down_delay_seconds),
            "policy": {"policy_function": POLICY, "policy_kwargs": {"targets": _targets(scaling)}},
        }
    }


def _targets(scaling: Scaling) -> dict[str, float]:
    targets = {LOADS[metric.type]: float(metric.target) for metric in scaling.metrics or ()}
    return targets or {LOADS["OngoingRequests"]: TARGET_REQUESTS}


def _is_scaling(found: tuple[Group, ...]) -> bool:
    return any(group.role.scaling is not None for group in found)


def _head(deployment: ModelDeployment, manifest: Manifest, platform: Platform, *, is_scaling: bool) -> JsonObject:
    role = RoleSpec(pod_template=roles.role(deployment.spec).pod_template)
    container = workload.engine_container(deployment, manifest, platform, role)
    del container["readinessProbe"]  # KubeRay brings what looks after Ray
    container["name"] = "head"
    container["resources"] = {"requests": {"cpu": "200m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    container["ports"] = [
        {"name": "gcs-server", "containerPort": 6379, "protocol": "TCP"},
        {"name": "dashboard", "containerPort": DASHBOARD_PORT, "protocol": "TCP"},
        # Nobody listens here on the head: from it KubeRay takes the ports of its Service.
        {"name": "serve-grpc", "containerPort": workload.ENGINE_PORT, "protocol": "TCP"},
    ]
    labels = workload.metadata_of(deployment, manifest.name, role=HEAD)["labels"]
    template = workload.pod_template(deployment, role, container, labels=labels)
    if is_scaling:
        template["spec"]["automountServiceAccountToken"] = True  # Ray's autoscaler asks for more pods
    parameters = {"num-cpus": "0", "dashboard-host": "0.0.0.0"}  # noqa: S104 - the pod's own address
    return {"rayStartParams": parameters, "template": template}


def _workers(deployment: ModelDeployment, manifest: Manifest, platform: Platform, group: Group) -> JsonObject:
    container = workload.engine_container(
        deployment, manifest, platform, group.role, environment=_environment(deployment, group)
    )
    labels = workload.metadata_of(deployment, manifest.name, role=group.label)["labels"]
    scaling, replicas = group.role.scaling, wanted_replicas(group.role)
    return {
        "groupName": group.label,
        "replicas": replicas,
        "minReplicas": replicas,
        "maxReplicas": scaling.max_replicas if scaling else replicas,
        "rayStartParams": {"resources": f'"{{\\"touchstone_{group.label}\\": 1}}"'},
        "template": workload.pod_template(deployment, group.role, container, labels=labels),
    }


def _environment(deployment: ModelDeployment, group: Group) -> Mapping[str, str]:
    parallelism = group.role.parallelism or Parallelism()
    environment = {
        "TOUCHSTONE_ROLE": group.does,
        "TOUCHSTONE_TENSOR_PARALLEL_SIZE": str(parallelism.tensor),
        "TOUCHSTONE_PIPELINE_PARALLEL_SIZE": str(parallelism.pipeline),
        "TOUCHSTONE_PEAK_SECONDS": str(PEAK_SECONDS),
        "VLLM_HOST_IP": "$(POD_IP)",
    }
    serving = deployment.spec.serving
    if serving is None or serving.kv_transfer is None:
        return environment
    return environment | _transfer_environment(serving.kv_transfer, group.role)


def _transfer_environment(transfer: KVTransfer, role: RoleSpec) -> dict[str, str]:
    has_gpu = role.resources is not None and role.resources.gpu is not None and role.resources.gpu.count > 0
    environment = {
        "TOUCHSTONE_KV_CONNECTOR": CONNECTORS.get(transfer.connector, ""),
        "TOUCHSTONE_KV_BUFFER_DEVICE": "cuda" if has_gpu else "cpu",
        "TOUCHSTONE_MIN_REMOTE_PROMPT_TOKENS": str(max(1, (transfer.decider or Decider()).min_prompt_tokens)),
        "TOUCHSTONE_ON_TRANSFER_FAILURE": transfer.failure_policy,
        "TOUCHSTONE_PREFILL_TIMEOUT_SECONDS": str(transfer.timeout_seconds),
        "VLLM_NIXL_SIDE_CHANNEL_HOST": "$(POD_IP)",
    }
    if transfer.connector == "SharedStorage":
        environment["TOUCHSTONE_KV_SHARED_FOLDER"] = SHARED_FOLDER
    return environment


def network_policy(deployment: ModelDeployment) -> JsonObject:
    """Write who reaches the pods of Ray: each other, and the head's dashboard whoever has its token (KubeRay)."""
    labels = objects.labels(objects.MODEL_DEPLOYMENT, deployment.metadata.name)
    name = f"{deployment.metadata.name}-ray"
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": workload.metadata_of(deployment, name) | {"name": name},
        "spec": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": {"matchLabels": labels}}]},
                {"ports": [{"port": DASHBOARD_PORT, "protocol": "TCP"}]},
            ],
        },
    }
