"""What runs a revision's engines: nothing here, a Deployment, or a RayService. Pure: one interface over both."""

from collections.abc import Sequence

from touchstone_runtime.revisions import Manifest

from touchstone_operator import objects
from touchstone_operator.api.modeldeployment import ModelDeployment, RoleStatus
from touchstone_operator.objects import JsonObject
from touchstone_operator.plan import engines, pods, rayservice, roles, workload
from touchstone_operator.plan.actions import Child
from touchstone_operator.plan.workload import Platform


def child(deployment: ModelDeployment, manifest: Manifest, platform: Platform, *, is_running: bool) -> Child | None:
    """Want the engines of a revision.

    Engines that are to rest keep their Deployment, at 0; a RayService cannot rest, so there is none. None as well where
    engines are somebody else's.
    """
    if not workload.has_engines(manifest):
        return None
    if not is_on_ray(manifest):
        replicas = wanted_replicas(deployment) if is_running else 0
        obj = workload.engine_deployment(deployment, manifest, platform, replicas=replicas)
        return Child(objects.DEPLOYMENT, obj)
    if not is_running or not wanted_replicas(deployment):
        return None
    return Child(objects.RAY_SERVICE, rayservice.ray_service(deployment, manifest, platform))


def is_on_ray(manifest: Manifest) -> bool:
    """Tell whether a revision runs on Ray."""
    return manifest.bundle.engine.type == "VLLM"


def policies(deployment: ModelDeployment, platform: Platform) -> tuple[Child, ...]:
    """Want the NetworkPolicies of a deployment's engines."""
    if not platform.namespace:
        return ()
    found = [Child(objects.NETWORK_POLICY, workload.network_policy(deployment, platform))]
    if deployment.spec.engine.type == "VLLM":
        found.append(Child(objects.NETWORK_POLICY, rayservice.network_policy(deployment)))
    return tuple(found)


def wanted_replicas(deployment: ModelDeployment) -> int:
    """Count the replicas that a running revision has, of all its roles; the fewest where they follow the load."""
    return sum(rayservice.wanted_replicas(group.role) for group in rayservice.groups(deployment))


def role_statuses(
    deployment: ModelDeployment,
    found: JsonObject | None,
    listed: Sequence[JsonObject] = (),
    *,
    is_resting: bool = False,
) -> tuple[RoleStatus, ...]:
    """Report the roles of the current revision; where replicas follow the load, by the pods that are there."""
    if deployment.spec.engine.type == "VLLM":
        groups = rayservice.groups(deployment)
        if is_resting:
            return tuple(RoleStatus(name=group.does) for group in groups)
        return tuple(_ray_role(group, found, listed) for group in groups)
    status = (found or {}).get("status") or {}
    return (
        RoleStatus(
            name="engine",
            desired=roles.replicas(roles.role(deployment.spec)),
            ready=engines.ready_replicas(found) if found else 0,
            updated=int(status.get("updatedReplicas") or 0),
        ),
    )


def _ray_role(group: rayservice.Group, found: JsonObject | None, listed: Sequence[JsonObject]) -> RoleStatus:
    wanted = rayservice.wanted_replicas(group.role)
    if found is None:
        return RoleStatus(name=group.does, desired=wanted)
    there, ready = pods.count(listed, revision=found["metadata"]["name"], role=group.label)
    if group.role.scaling is not None and there:
        return RoleStatus(name=group.does, desired=there, ready=ready, updated=ready)
    count = wanted if group.label in engines.healthy_deployments(found) else 0
    return RoleStatus(name=group.does, desired=wanted, ready=count, updated=count)
