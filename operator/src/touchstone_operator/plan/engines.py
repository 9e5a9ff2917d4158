"""Reading engines off the objects that run them, Deployments and RayServices. Pure."""

from collections.abc import Mapping

from touchstone_operator import objects
from touchstone_operator.objects import JsonObject
from touchstone_operator.plan.rayservice import APPLICATION, ENGINE

_NO_PLACE = "to be scheduled"
"""What Serve says of replicas that Ray finds no place for."""


def is_ray_service(engines: JsonObject) -> bool:
    """Tell whether engines run on Ray."""
    return engines.get("kind") == objects.RAY_SERVICE.name


def ready_replicas(engines: JsonObject) -> int:
    """Count ready engines of the shape that is wanted now."""
    status = engines.get("status") or {}
    if is_ray_service(engines):
        return int(status.get("numServeEndpoints") or 0)
    return min(int(status.get("readyReplicas") or 0), int(status.get("updatedReplicas") or 0))


def engines_ready(engines: JsonObject) -> int:
    """Count ready engines that the router reaches: of a RayService with two roles, those that generate."""
    if not is_ray_service(engines):
        return ready_replicas(engines)
    groups = engines["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    others = sum(int(group["replicas"]) for group in groups if group["groupName"] != ENGINE)
    return max(0, ready_replicas(engines) - others)


def is_ready(engines: JsonObject, *, replicas: int) -> bool:
    """Tell whether as many engines are ready as are wanted, and the object's own spec has been seen."""
    if is_ray_service(engines) and not _is_settled(engines):
        return False
    return is_observed(engines) and ready_replicas(engines) >= replicas


def _is_settled(service: JsonObject) -> bool:
    """Tell whether all deployments of a RayService are healthy and no other cluster of it is on its way."""
    conditions = {each["type"]: each["status"] for each in (service.get("status") or {}).get("conditions") or ()}
    application = _application(service)
    return (
        conditions.get("Ready") == "True"
        and conditions.get("UpgradeInProgress") != "True"
        and application.get("status") == "RUNNING"
        and set(healthy_deployments(service)) == set(application.get("serveDeploymentStatuses") or {})
    )


def healthy_deployments(service: JsonObject) -> tuple[str, ...]:
    """List the deployments of Serve that have all their replicas."""
    deployments = _application(service).get("serveDeploymentStatuses") or {}
    return tuple(name for name, status in deployments.items() if status.get("status") == "HEALTHY")


def is_stopped(engines: JsonObject) -> bool:
    """Tell whether no engine is left; a RayService has some as long as it is there."""
    if is_ray_service(engines):
        return False
    wanted = engines.get("spec", {}).get("replicas", 1)
    return is_observed(engines) and wanted == 0 and not (engines.get("status") or {}).get("replicas")


def is_observed(engines: JsonObject) -> bool:
    """Tell whether the controller of the object has seen the newest spec."""
    observed = (engines.get("status") or {}).get("observedGeneration") or 0
    return int(observed) >= int(engines["metadata"].get("generation") or 0)


def complaint(engines: Mapping[str, JsonObject], revision: str) -> str:
    """Repeat what the controller says is wrong with a revision's engines; empty when nothing is."""
    found = engines.get(revision, {})
    if is_ray_service(found):
        return "; ".join(_ray_complaints(found))
    status = found.get("status") or {}
    messages = [
        str(condition.get("message"))
        for condition in status.get("conditions") or ()
        if (condition.get("type"), condition.get("status")) in {("ReplicaFailure", "True"), ("Progressing", "False")}
        and condition.get("message")
    ]
    return "; ".join(messages)


def lacks_capacity(engines: Mapping[str, JsonObject], revision: str) -> bool:
    """Tell whether there is no place for a revision's engines."""
    return any(words in complaint(engines, revision) for words in (_NO_PLACE, "exceeded quota"))


def _ray_complaints(service: JsonObject) -> list[str]:
    application = _application(service)
    refused = [
        str(condition.get("message"))
        for condition in (service.get("status") or {}).get("conditions") or ()
        if condition.get("type") == "Ready" and condition.get("reason") in ("ValidationFailed", "InitializingTimeout")
    ]
    deployments = application.get("serveDeploymentStatuses") or {}
    said = [application, *deployments.values()]
    return refused + [_sentence(str(status["message"])) for status in said if status.get("message")]


def _sentence(message: str) -> str:
    """Take what Serve says itself; the trace that it adds is for its log, with the paths and addresses in it."""
    return message.partition(" Error:")[0].partition("\n")[0].strip()


def _application(service: JsonObject) -> JsonObject:
    """Find the status of the application: in the cluster that serves, or in the first one that is on its way."""
    status = service.get("status") or {}
    for place in ("activeServiceStatus", "pendingServiceStatus"):
        found = ((status.get(place) or {}).get("applicationStatuses") or {}).get(APPLICATION)
        if found:
            return dict(found)
    return {}
