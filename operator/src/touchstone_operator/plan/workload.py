"""The children of a revision: its manifest and its engines. Pure: ARCHITECTURE.md says what they look like."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from touchstone_runtime.revisions import MANIFEST_KEY, Manifest

from touchstone_operator import objects
from touchstone_operator.api.common import ApiModel
from touchstone_operator.api.modeldeployment import ModelDeployment
from touchstone_operator.api.servings import PodTemplate, Resources, RoleSpec
from touchstone_operator.objects import JsonObject
from touchstone_operator.plan import roles

ENGINE_PORT = 50051
TERMINATION_GRACE_SECONDS = 60
"""Longer than the engine's own drain."""
NAMESPACE_LABEL = "kubernetes.io/metadata.name"
"""The label by which the API server itself names every namespace."""
SECURITY_CONTEXT: JsonObject = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
PLACEHOLDER_IMAGE = "touchstone-engine"
"""Where the platform names no image, processes run without one; the field must not be empty all the same."""


class Doors(NamedTuple):
    """Where models are reached; shown in status."""

    grpc: str = ""
    open_ai: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What the operator knows of the platform."""

    environment: Mapping[str, str]
    """Variables with their values; empty values are left out."""
    doors: Doors = field(default_factory=Doors)
    engine_image: str = ""
    """Image of engines whose spec names none."""
    vllm_image: str = ""
    """Image of VLLM engines whose spec names none."""
    has_ray: bool = False
    """Whether KubeRay runs RayServices here."""
    namespace: str = ""
    """Where the router runs, which NetworkPolicies let in. Empty: no policies are written."""


def manifest_config_map(deployment: ModelDeployment, manifest: Manifest) -> JsonObject:
    """Write a revision's manifest as an immutable ConfigMap of the same name."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata_of(deployment, manifest.name),
        "immutable": True,
        "data": {MANIFEST_KEY: manifest.to_json()},
    }


def has_engines(manifest: Manifest) -> bool:
    """Tell whether a revision runs engines here: an External one is somebody else's."""
    return manifest.bundle.engine.type != "External"


def engine_deployment(
    deployment: ModelDeployment, manifest: Manifest, platform: Platform, *, replicas: int
) -> JsonObject:
    """Write the Deployment of a revision's engines."""
    selector = {objects.LABEL_REVISION: manifest.name, objects.LABEL_ROLE: "engine"}
    metadata = metadata_of(deployment, manifest.name, role="engine")
    role = roles.role(deployment.spec)
    container = engine_container(deployment, manifest, platform, role)
    container["command"] = ["python", "-m", "touchstone_inference.engine"]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 1,
            "selector": {"matchLabels": selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": pod_template(deployment, role, container, labels=metadata["labels"]),
        },
    }


def network_policy(deployment: ModelDeployment, platform: Platform) -> JsonObject:
    """Write who may reach the engines: the router, and the namespaces that may go past it.

    What engines reach is not bounded: weights may lie anywhere.
    """
    access = deployment.spec.access
    allowed = list((access.allowed_namespaces if access else None) or ())
    router = {
        "namespaceSelector": {"matchLabels": {NAMESPACE_LABEL: platform.namespace}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "router"}},
    }
    others = {
        "namespaceSelector": {"matchExpressions": [{"key": NAMESPACE_LABEL, "operator": "In", "values": allowed}]}
    }
    name = f"{deployment.metadata.name}-engines"
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata_of(deployment, name) | {"name": name},
        "spec": {
            "podSelector": {
                "matchLabels": objects.labels(objects.MODEL_DEPLOYMENT, deployment.metadata.name, role="engine")
            },
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [router, others] if allowed else [router], "ports": [{"port": ENGINE_PORT, "protocol": "TCP"}]}
            ],
        },
    }


def metadata_of(deployment: ModelDeployment, name: str, *, role: str = "") -> JsonObject:
    """Write the metadata of a revision's child."""
    return objects.child_metadata(objects.MODEL_DEPLOYMENT, deployment.metadata, name, revision=name, role=role)


def pod_template(
    deployment: ModelDeployment, role: RoleSpec, container: JsonObject, *, labels: Mapping[str, str]
) -> JsonObject:
    """Write the pods of a role round their container."""
    wanted = role.pod_template or PodTemplate()
    spec: JsonObject = {
        # An engine asks nothing of the API server.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": TERMINATION_GRACE_SECONDS,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}, *_cache_volumes(deployment)],
    }
    optional = {
        "nodeSelector": wanted.node_selector,
        "tolerations": list(wanted.tolerations or ()),
        "affinity": wanted.affinity,
        "topologySpreadConstraints": list(wanted.topology_spread_constraints or ()),
        "priorityClassName": wanted.priority_class_name,
        "runtimeClassName": wanted.runtime_class_name,
        "serviceAccountName": wanted.service_account_name,
        "imagePullSecrets": _dump(wanted.image_pull_secrets),
    }
    metadata: JsonObject = {"labels": {**(wanted.labels or {}), **labels}}
    if wanted.annotations:
        metadata["annotations"] = dict(wanted.annotations)
    return {"metadata": metadata, "spec": spec | {name: value for name, value in optional.items() if value}}


def engine_container(
    deployment: ModelDeployment,
    manifest: Manifest,
    platform: Platform,
    role: RoleSpec,
    *,
    environment: Mapping[str, str] | None = None,
) -> JsonObject:
    """Write the container of an engine; what starts it is the caller's."""
    credentials = deployment.spec.model.credentials_secret_ref
    container: JsonObject = {
        "name": "engine",
        "image": manifest.bundle.engine.image or PLACEHOLDER_IMAGE,
        "ports": [{"name": "grpc", "containerPort": ENGINE_PORT, "protocol": "TCP"}],
        "env": _environment(deployment, manifest, platform, role, environment or {}),
        "readinessProbe": {"grpc": {"port": ENGINE_PORT}, "periodSeconds": 2, "failureThreshold": 3},
        "securityContext": SECURITY_CONTEXT,
        # An engine that cannot go on says why in its last line.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *_cache_mounts(deployment)],  # noqa: S108  # the pod's own
    }
    resources = _resources(role.resources)
    if resources:
        container["resources"] = {"requests": resources, "limits": resources}
    if credentials:
        container["envFrom"] = [{"secretRef": {"name": credentials.name}}]
    return container


def _environment(
    deployment: ModelDeployment,
    manifest: Manifest,
    platform: Platform,
    role: RoleSpec,
    more: Mapping[str, str],
) -> list[JsonObject]:
    own: list[JsonObject] = [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "TOUCHSTONE_LISTEN", "value": f"$(POD_IP):{ENGINE_PORT}"},
        {
            "name": "TOUCHSTONE_REVISION_MANIFEST",
            "valueFrom": {"configMapKeyRef": {"name": manifest.name, "key": MANIFEST_KEY}},
        },
    ]
    values = {**platform.environment, **more}
    own += [{"name": name, "value": value} for name, value in sorted(values.items()) if value]
    own += _registry_login(deployment, manifest)
    if _has_cache_claim(deployment):
        own.append({"name": "TOUCHSTONE_CACHE_DIR", "value": CACHE_PATH})
    taken = {variable["name"] for variable in own}
    wanted = (role.pod_template or PodTemplate()).env or ()
    return own + [variable.dump() for variable in wanted if variable.name not in taken]


def _registry_login(deployment: ModelDeployment, manifest: Manifest) -> list[JsonObject]:
    """Write the login of a registry as the variable that Docker's clients read.

    Its key in a Secret of the type `kubernetes.io/dockerconfigjson` is no name of a variable, so it does not come with
    the rest of the Secret.
    """
    credentials = deployment.spec.model.credentials_secret_ref
    fetched = (manifest.bundle.model.uri, *(adapter.uri for adapter in manifest.bundle.adapters))
    if credentials is None or not any(uri.startswith("oci://") for uri in fetched):
        return []
    reference = {"name": credentials.name, "key": ".dockerconfigjson", "optional": True}
    return [{"name": "DOCKER_AUTH_CONFIG", "valueFrom": {"secretKeyRef": reference}}]


CACHE_PATH = "/var/cache/touchstone"


def _has_cache_claim(deployment: ModelDeployment) -> bool:
    cache = deployment.spec.cache
    return cache is not None and cache.pvc is not None


def _cache_volumes(deployment: ModelDeployment) -> list[JsonObject]:
    cache = deployment.spec.cache
    if cache is None or cache.pvc is None:
        return []
    return [{"name": "cache", "persistentVolumeClaim": {"claimName": cache.pvc.claim_name}}]


def _cache_mounts(deployment: ModelDeployment) -> list[JsonObject]:
    cache = deployment.spec.cache
    if cache is None or cache.pvc is None:
        return []
    sub_path = {"subPath": cache.pvc.sub_path} if cache.pvc.sub_path else {}
    return [{"name": "cache", "mountPath": CACHE_PATH, **sub_path}]


def _resources(wanted: Resources | None) -> JsonObject:
    if wanted is None:
        return {}
    quantities: JsonObject = {"cpu": wanted.cpu, "memory": wanted.memory}
    if wanted.gpu and wanted.gpu.count:
        quantities[wanted.gpu.resource_name] = str(wanted.gpu.count)
    return {name: value for name, value in quantities.items() if value}


def _dump(parts: tuple[ApiModel, ...] | None) -> list[JsonObject]:
    return [part.dump() for part in parts or ()]
