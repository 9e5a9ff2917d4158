"""Patches: JSON patch, merge patch, strategic merge patch."""

from typing import Any

import pytest

MERGE, JSON_PATCH = "application/merge-patch+json", "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@pytest.fixture
async def deployment(api: Any) -> str:
    containers = [
        {"name": "engine", "image": "e:1", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
        {"name": "sidecar", "image": "s:1"},
    ]
    spec = {
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": containers}},
    }
    await api.ok("POST", api.path("deployments"), {"metadata": {"name": "d"}, "spec": spec})
    return str(api.path("deployments", "d"))


def containers_of(deployment: dict[str, Any]) -> dict[str, Any]:
    return {entry["name"]: entry for entry in deployment["spec"]["template"]["spec"]["containers"]}


async def test_a_merge_patch_merges_objects_and_replaces_lists(api: Any) -> None:
    await api.widget(note="hello", steps=[1, 2], metadata={"labels": {"keep": "1", "drop": "1"}})
    body = {"metadata": {"labels": {"drop": None, "new": "1"}}, "spec": {"note": None, "steps": [3]}}
    patched = await api.ok("PATCH", api.path("widgets", "one"), body, content_type=MERGE)
    assert patched["metadata"]["labels"] == {"keep": "1", "new": "1"}
    assert patched["spec"]["steps"] == [3]
    assert "note" not in patched["spec"]


async def test_a_json_patch_is_done_as_a_whole_or_not_at_all(api: Any) -> None:
    await api.widget(replicas=2)
    path = api.path("widgets", "one")
    failing = {"op": "test", "path": "/spec/size", "value": "large"}
    operations = [{"op": "replace", "path": "/spec/replicas", "value": 3}, failing]
    await api.refused(422, "Invalid", "PATCH", path, operations, content_type=JSON_PATCH)
    assert (await api.ok("GET", path))["spec"]["replicas"] == 2
    patched = await api.ok("PATCH", path, operations[:1], content_type=JSON_PATCH)
    assert patched["spec"]["replicas"] == 3


async def test_a_patch_with_a_stale_version_conflicts(api: Any) -> None:
    created = await api.widget()
    await api.ok("PATCH", api.path("widgets", "one"), {"spec": {"replicas": 2}}, content_type=MERGE)
    body = {"metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}, "spec": {"replicas": 3}}
    await api.refused(409, "Conflict", "PATCH", api.path("widgets", "one"), body, content_type=MERGE)


async def test_a_patch_of_nothing_makes_no_new_version(api: Any) -> None:
    created = await api.widget()
    patched = await api.ok("PATCH", api.path("widgets", "one"), {}, content_type=MERGE)
    assert patched["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


async def test_a_strategic_patch_merges_containers_by_name(api: Any, deployment: str) -> None:
    env = [{"name": "B", "value": "3"}, {"name": "A", "$patch": "delete"}, {"name": "C", "value": "4"}]
    body = {"spec": {"template": {"spec": {"containers": [{"name": "engine", "image": "e:2", "env": env}]}}}}
    patched = containers_of(await api.ok("PATCH", deployment, body, content_type=STRATEGIC))
    assert patched["sidecar"]["image"] == "s:1"
    assert patched["engine"]["image"] == "e:2"
    assert patched["engine"]["env"] == [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]


async def test_a_strategic_patch_can_replace_and_order(api: Any, deployment: str) -> None:
    order = [{"name": "sidecar"}, {"name": "engine"}]
    body = {"spec": {"template": {"spec": {"$setElementOrder/containers": order}}}}
    patched = await api.ok("PATCH", deployment, body, content_type=STRATEGIC)
    assert list(containers_of(patched)) == ["sidecar", "engine"]
    only = [{"$patch": "replace"}, {"name": "only", "image": "o:1"}]
    body = {"spec": {"template": {"spec": {"containers": only}}}}
    patched = await api.ok("PATCH", deployment, body, content_type=STRATEGIC)
    assert list(containers_of(patched)) == ["only"]


async def test_custom_resources_have_no_strategic_patch(api: Any) -> None:
    await api.widget()
    body = {"spec": {"replicas": 2}}
    await api.refused(415, "UnsupportedMediaType", "PATCH", api.path("widgets", "one"), body, content_type=STRATEGIC)


async def test_a_patch_of_what_does_not_exist_is_not_found(api: Any) -> None:
    await api.refused(404, "NotFound", "PATCH", api.path("widgets", "one"), {}, content_type=MERGE)


async def test_status_is_patched_through_its_own_door(api: Any) -> None:
    await api.widget()
    body = {"spec": {"replicas": 7}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    patched = await api.ok("PATCH", api.path("widgets", "one", "status"), body, content_type=MERGE)
    assert patched["spec"]["replicas"] == 1
    assert patched["status"]["conditions"] == [{"type": "Ready", "status": "True"}]
