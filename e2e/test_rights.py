"""The operator's rights against what it did: the audit log of the tests before these."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

AUDIT = Path("/var/lib/touchstone-e2e/logs/audit.jsonl")
OPERATOR = "system:serviceaccount:touchstone:touchstone-operator"
NEVER_SEEN = {
    ("use", "modeldeployments"),  # what the router asks about a caller
    ("create", "configmaps"),  # what an apply needs that creates, beside the patch that is logged
    ("create", "deployments"),
    ("create", "networkpolicies"),
    ("update", "modeldeployments/finalizers"),  # asked by a plug-in that not every cluster has
    ("update", "ragindexes/finalizers"),
    ("update", "modelselections/finalizers"),
    ("update", "finetunejobs/finalizers"),
}
"""Rights that are looked at but make no request of their own."""


class Right(NamedTuple):
    verb: str
    resource: str


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    """What the operator asked of the API server."""
    if not AUDIT.exists():
        pytest.skip("needs the audit log of the cluster of `make cluster`")
    logged = (json.loads(line) for line in AUDIT.read_text().splitlines())
    return [event for event in logged if event["user"].get("username") == OPERATOR and event.get("objectRef")]


def right(event: dict[str, Any]) -> Right:
    reference = event["objectRef"]
    subresource = f"/{reference['subresource']}" if reference.get("subresource") else ""
    return Right(event["verb"], reference["resource"] + subresource)


def granted(kubernetes: Any) -> set[Right]:
    """Read what the charts grant the operator."""
    roles = [
        kubernetes.get("clusterrole", "touchstone:touchstone-operator"),
        kubernetes.get("clusterrole", "touchstone:touchstone-operator-definitions"),
        kubernetes.get("role", "touchstone-operator-lease", "-n", "touchstone"),
    ]
    return {
        Right(verb, resource)
        for role in roles
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.fixture(scope="module", autouse=True)
def everything_done(kubernetes: Any, release: Any) -> None:
    """Have the operator do what the tests before did not: remove a FinetuneJob that failed, and forget revisions."""
    job = {
        "apiVersion": "touchstone.dev/v1alpha1",
        "kind": "FinetuneJob",
        "metadata": {"name": "tune"},
        "spec": {
            "baseModel": {"uri": "file:///var/lib/touchstone/work/files/not-there"},
            "method": {"type": "LoRA", "lora": {"rank": 8}},
            "dataset": {"uri": "s3://data/train.jsonl", "format": "ChatML"},
            "output": {"uri": "s3://models/tune"},
            "ttlSecondsAfterFinished": 0,
        },
    }
    kubernetes.apply(job)
    find = ("get", "finetunejob", "tune", "-n", "default", "--ignore-not-found")
    kubernetes.until(lambda: not kubernetes.kubectl(*find), "the end of the FinetuneJob")
    maps = ("configmaps", "-n", "default", "-l", "touchstone.dev/kind=ModelDeployment")
    before = len(kubernetes.get(*maps)["items"])
    limit = {"spec": {"rollout": {"revisionHistoryLimit": 0}}}
    deployment = ("modeldeployment", "support-assistant", "-n", "default")
    kubernetes.kubectl("patch", *deployment, "--type=merge", "-p", json.dumps(limit))
    kubernetes.until(lambda: len(kubernetes.get(*maps)["items"]) < before, "the end of old revisions", 240)


def test_the_operator_was_refused_nothing(events: list[dict[str, Any]]) -> None:
    refused = {right(event) for event in events if event.get("responseStatus", {}).get("code") == 403}
    assert refused == set()


def test_the_operator_holds_no_right_that_it_never_used(kubernetes: Any, events: list[dict[str, Any]]) -> None:
    unused = granted(kubernetes) - {right(event) for event in events} - {Right(*each) for each in NEVER_SEEN}
    assert unused == set()
