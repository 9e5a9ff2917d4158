"""Deletion: preconditions, finalizers, grace, dependents, namespaces."""

from typing import Any

import pytest

MERGE = "application/merge-patch+json"


def owned_by(owner: dict[str, Any], **extra: Any) -> dict[str, Any]:
    metadata = owner["metadata"]
    reference = {key: owner[key] for key in ("apiVersion", "kind")} | {key: metadata[key] for key in ("name", "uid")}
    return {"ownerReferences": [{**reference, **extra}]}


async def test_a_deletion_is_confirmed_with_the_uid(api: Any) -> None:
    created = await api.widget()
    status = await api.ok("DELETE", api.path("widgets", "one"))
    assert (status["kind"], status["status"]) == ("Status", "Success")
    assert status["details"]["uid"] == created["metadata"]["uid"]
    await api.refused(404, "NotFound", "GET", api.path("widgets", "one"))


async def test_preconditions_guard_a_deletion(api: Any) -> None:
    created = await api.widget()
    path = api.path("widgets", "one")
    wrong = {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
    status = await api.refused(409, "Conflict", "DELETE", path, wrong)
    assert "the UID in the precondition" in status["message"]
    await api.refused(409, "Conflict", "DELETE", path, {"preconditions": {"resourceVersion": "1"}})
    metadata = created["metadata"]
    right = {"preconditions": {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}}
    await api.ok("DELETE", path, right)


async def test_a_finalizer_holds_an_object_until_it_is_taken_off(api: Any) -> None:
    await api.widget(metadata={"finalizers": ["touchstone.dev/hold"]})
    path = api.path("widgets", "one")
    going = await api.ok("DELETE", path)
    assert going["metadata"]["deletionTimestamp"]
    added = {"metadata": {"finalizers": ["touchstone.dev/hold", "touchstone.dev/late"]}}
    await api.refused(422, "Invalid", "PATCH", path, added, content_type=MERGE)
    await api.ok("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)
    await api.refused(404, "NotFound", "GET", path)


async def test_a_watch_sees_an_object_go_in_two_steps(api: Any) -> None:
    created = await api.widget(metadata={"finalizers": ["touchstone.dev/hold"]})
    await api.ok("DELETE", api.path("widgets", "one"))
    await api.ok("PATCH", api.path("widgets", "one"), {"metadata": {"finalizers": None}}, content_type=MERGE)
    version = created["metadata"]["resourceVersion"]
    events = await api.watch(api.path(), until=lambda found: found[-1]["type"] == "DELETED", resourceVersion=version)
    assert events[0]["type"] == "MODIFIED"
    assert events[0]["object"]["metadata"]["deletionTimestamp"]


async def test_a_collection_is_deleted_by_selector(api: Any) -> None:
    for name, label in (("a", "x"), ("b", "x"), ("c", "y")):
        await api.widget(name, metadata={"labels": {"k": label}})
    await api.ok("DELETE", api.path(), labelSelector="k=x")
    left = await api.ok("GET", api.path())
    assert [item["metadata"]["name"] for item in left["items"]] == ["c"]


async def test_a_running_pod_goes_in_grace_and_at_once_when_forced(api: Any) -> None:
    spec = {"nodeName": "n", "containers": [{"name": "c", "image": "i:1"}]}
    await api.ok("POST", api.path("pods"), {"metadata": {"name": "p"}, "spec": spec})
    going = await api.ok("DELETE", api.path("pods", "p"), {"gracePeriodSeconds": 20})
    assert going["metadata"]["deletionGracePeriodSeconds"] == 20
    assert (await api.ok("GET", api.path("pods", "p")))["metadata"]["deletionTimestamp"]
    await api.ok("DELETE", api.path("pods", "p"), {"gracePeriodSeconds": 0})
    await api.refused(404, "NotFound", "GET", api.path("pods", "p"))


@pytest.mark.usefixtures("controllers")
async def test_dependents_go_after_their_owner(api: Any, eventually: Any) -> None:
    owner = await api.widget("owner")
    await api.widget("child", metadata=owned_by(owner))
    grandchild = owned_by(await api.ok("GET", api.path("widgets", "child")))
    await api.widget("grandchild", metadata=grandchild)
    await api.widget("stranger")
    await api.ok("DELETE", api.path("widgets", "owner"))

    async def only_the_stranger_is_left() -> bool:
        listed = await api.ok("GET", api.path())
        return [item["metadata"]["name"] for item in listed["items"]] == ["stranger"]

    await eventually(only_the_stranger_is_left)


@pytest.mark.usefixtures("controllers")
async def test_a_dependent_with_another_owner_stays_and_loses_the_reference(api: Any, eventually: Any) -> None:
    one, two = await api.widget("one"), await api.widget("two")
    references = owned_by(one)["ownerReferences"] + owned_by(two)["ownerReferences"]
    await api.widget("child", metadata={"ownerReferences": references})
    await api.ok("DELETE", api.path("widgets", "one"))

    async def has_one_owner() -> bool:
        child = await api.ok("GET", api.path("widgets", "child"))
        return [entry["name"] for entry in child["metadata"]["ownerReferences"]] == ["two"]

    await eventually(has_one_owner)


@pytest.mark.usefixtures("controllers")
async def test_a_foreground_deletion_waits_for_blocking_dependents(api: Any, eventually: Any) -> None:
    owner = await api.widget("owner")
    metadata = owned_by(owner, blockOwnerDeletion=True) | {"finalizers": ["touchstone.dev/hold"]}
    await api.widget("child", metadata=metadata)
    await api.ok("DELETE", api.path("widgets", "owner"), {"propagationPolicy": "Foreground"})

    async def child_is_going() -> bool:
        child = await api.ok("GET", api.path("widgets", "child"))
        return "deletionTimestamp" in child["metadata"]

    await eventually(child_is_going)
    assert "foregroundDeletion" in (await api.ok("GET", api.path("widgets", "owner")))["metadata"]["finalizers"]
    body = [{"op": "remove", "path": "/metadata/finalizers"}]
    child = await api.ok("GET", api.path("widgets", "child"))
    if child["metadata"]["finalizers"] != ["touchstone.dev/hold"]:
        kept = [name for name in child["metadata"]["finalizers"] if name != "touchstone.dev/hold"]
        body = [{"op": "replace", "path": "/metadata/finalizers", "value": kept}]
    await api.ok("PATCH", api.path("widgets", "child"), body, content_type="application/json-patch+json")

    async def all_are_gone() -> bool:
        return not (await api.ok("GET", api.path()))["items"]

    await eventually(all_are_gone)


@pytest.mark.usefixtures("controllers")
async def test_orphans_stay_without_their_owner(api: Any, eventually: Any) -> None:
    owner = await api.widget("owner")
    await api.widget("child", metadata=owned_by(owner))
    await api.ok("DELETE", api.path("widgets", "owner"), {"propagationPolicy": "Orphan"})

    async def owner_is_gone() -> bool:
        return (await api.ask("GET", api.path("widgets", "owner"))).status == 404

    await eventually(owner_is_gone)
    child = await api.ok("GET", api.path("widgets", "child"))
    assert not child["metadata"].get("ownerReferences")


@pytest.mark.usefixtures("controllers")
async def test_a_deleted_namespace_is_emptied_first(api: Any, eventually: Any) -> None:
    await api.ok("POST", "/api/v1/namespaces", {"metadata": {"name": f"{api.namespace}-x"}})
    path = f"/apis/contract.touchstone.dev/v1/namespaces/{api.namespace}-x/widgets"
    body = {"apiVersion": "contract.touchstone.dev/v1", "kind": "Widget", "spec": {"size": "small"},
            "metadata": {"name": "one", "finalizers": ["touchstone.dev/hold"]}}  # fmt: skip
    await api.ok("POST", path, body)
    going = await api.ok("DELETE", f"/api/v1/namespaces/{api.namespace}-x")
    assert going["status"]["phase"] == "Terminating"
    body["metadata"] = {"name": "two"}
    await api.refused(403, "Forbidden", "POST", path, body)

    async def content_is_going() -> bool:
        return "deletionTimestamp" in (await api.ok("GET", f"{path}/one"))["metadata"]

    await eventually(content_is_going)
    await api.ok("PATCH", f"{path}/one", {"metadata": {"finalizers": None}}, content_type=MERGE)

    async def namespace_is_gone() -> bool:
        return (await api.ask("GET", f"/api/v1/namespaces/{api.namespace}-x")).status == 404

    await eventually(namespace_is_gone)


async def test_a_definition_takes_its_objects_with_it(api: Any, eventually: Any) -> None:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    group = f"{api.namespace}.touchstone.dev"
    crd = {
        "metadata": {"name": f"gadgets.{group}"},
        "spec": {
            "group": group,
            "scope": "Cluster",
            "names": {"plural": "gadgets", "kind": "Gadget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    crds, gadgets = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", f"/apis/{group}/v1/gadgets"
    await api.ok("POST", crds, {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", **crd})

    async def is_served() -> bool:
        return (await api.ask("GET", gadgets)).status == 200

    await eventually(is_served)
    await api.ok("POST", gadgets, {"apiVersion": f"{group}/v1", "kind": "Gadget", "metadata": {"name": "g"}})
    await api.ok("DELETE", f"{crds}/gadgets.{group}")

    async def is_gone() -> bool:
        definition = await api.ask("GET", f"{crds}/gadgets.{group}")
        return definition.status == 404 and (await api.ask("GET", gadgets)).status == 404

    await eventually(is_gone)
