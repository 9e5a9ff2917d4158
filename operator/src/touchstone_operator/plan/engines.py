"""Reading engines off their Deployments. Pure."""

from collections.abc import Mapping

from touchstone_operator.objects import JsonObject


def ready_replicas(engines: JsonObject) -> int:
    """Count ready engines of the shape that is wanted now."""
    status = engines.get("status") or {}
    return min(int(status.get("readyReplicas") or 0), int(status.get("updatedReplicas") or 0))


def is_ready(engines: JsonObject, *, replicas: int) -> bool:
    """Tell whether as many engines are ready as are wanted, and the Deployment's own spec has been seen."""
    return is_observed(engines) and ready_replicas(engines) >= replicas


def is_stopped(engines: JsonObject) -> bool:
    """Tell whether no engine is left."""
    wanted = engines.get("spec", {}).get("replicas", 1)
    return is_observed(engines) and wanted == 0 and not (engines.get("status") or {}).get("replicas")


def is_observed(engines: JsonObject) -> bool:
    """Tell whether the workload controller has seen the newest spec."""
    observed = (engines.get("status") or {}).get("observedGeneration") or 0
    return int(observed) >= int(engines["metadata"].get("generation") or 0)


def complaint(engines: Mapping[str, JsonObject], revision: str) -> str:
    """Repeat what the workload controller says is wrong with a revision's engines; empty when nothing is."""
    status = engines.get(revision, {}).get("status") or {}
    messages = [
        str(condition.get("message"))
        for condition in status.get("conditions") or ()
        if (condition.get("type"), condition.get("status")) in {("ReplicaFailure", "True"), ("Progressing", "False")}
        and condition.get("message")
    ]
    return "; ".join(messages)
