"""Server-side apply: ownership, conflicts, removal, lists, and the ownership of other writes."""

from typing import Any

import pytest

APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"


@pytest.fixture
def apply(api: Any, widget: Any) -> Any:
    async def run(manager: str, *, force: bool = False, metadata: dict[str, Any] | None = None, **spec: Any) -> Any:
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        body = widget(metadata=metadata)
        body["spec"] = spec
        return await api.ask("PATCH", api.path("widgets", "one"), body, content_type=APPLY, **query)

    return run


def fields_of(obj: dict[str, Any], manager: str, operation: str = "Apply", sub: str = "") -> Any:
    entries = [
        entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", [])
        if (entry["manager"], entry["operation"], entry.get("subresource", "")) == (manager, operation, sub)
    ]
    return entries[0] if entries else None


async def test_an_apply_creates_and_then_changes(apply: Any) -> None:
    created = await apply("a", size="small", replicas=2)
    assert created.status == 201
    assert fields_of(created.body, "a") == {"f:spec": {"f:size": {}, "f:replicas": {}}}
    changed = await apply("a", size="small", replicas=3)
    assert (changed.status, changed.body["spec"]["replicas"], changed.body["metadata"]["generation"]) == (200, 3, 2)


async def test_the_same_apply_again_changes_nothing(apply: Any) -> None:
    first = await apply("a", size="small", replicas=2)
    again = await apply("a", size="small", replicas=2)
    assert again.body["metadata"]["resourceVersion"] == first.body["metadata"]["resourceVersion"]


async def test_another_managers_value_is_a_conflict(apply: Any, api: Any) -> None:
    await apply("a", size="small", replicas=2)
    refused = await apply("b", size="small", replicas=3)
    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    assert refused.body["message"].startswith('Apply failed with 1 conflict: conflict with "a"')
    cause = refused.body["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".spec.replicas")
    assert (await api.ok("GET", api.path("widgets", "one")))["spec"]["replicas"] == 2


async def test_force_takes_the_field_over(apply: Any) -> None:
    await apply("a", size="small", replicas=2)
    taken = (await apply("b", force=True, size="small", replicas=3)).body
    assert taken["spec"]["replicas"] == 3
    assert fields_of(taken, "a") == {"f:spec": {"f:size": {}}}
    assert fields_of(taken, "b") == {"f:spec": {"f:size": {}, "f:replicas": {}}}


async def test_the_same_value_is_shared_and_stays_until_the_last_owner_drops_it(apply: Any) -> None:
    await apply("a", size="small", note="hello")
    await apply("b", size="small", note="hello")
    kept = (await apply("a", size="small")).body
    assert kept["spec"]["note"] == "hello"
    gone = (await apply("b", size="small")).body
    assert "note" not in gone["spec"]


async def test_a_field_that_is_applied_no_longer_goes(apply: Any) -> None:
    await apply("a", size="small", note="hello", metadata={"labels": {"x": "1", "y": "1"}})
    changed = (await apply("a", size="small", metadata={"labels": {"x": "1"}})).body
    assert "note" not in changed["spec"]
    assert changed["metadata"]["labels"] == {"x": "1"}


async def test_a_dropped_field_gets_its_default_again(apply: Any) -> None:
    await apply("a", size="small", replicas=4)
    assert (await apply("a", size="small")).body["spec"]["replicas"] == 1


async def test_list_entries_are_owned_by_their_key(apply: Any) -> None:
    await apply("a", size="small", parts=[{"name": "x", "weight": 2}])
    both = (await apply("b", size="small", parts=[{"name": "y", "weight": 3}])).body
    assert [part["name"] for part in both["spec"]["parts"]] == ["x", "y"]
    assert fields_of(both, "b")["f:spec"]["f:parts"] == {
        'k:{"name":"y"}': {".": {}, "f:name": {}, "f:weight": {}},
    }
    left = (await apply("a", size="small")).body
    assert [part["name"] for part in left["spec"]["parts"]] == ["y"]


async def test_an_entry_that_others_still_use_stays(apply: Any) -> None:
    await apply("a", size="small", parts=[{"name": "x", "weight": 2}])
    await apply("b", size="small", parts=[{"name": "x", "colour": "red"}])
    left = (await apply("a", size="small")).body
    assert left["spec"]["parts"] == [{"name": "x", "colour": "red", "weight": 1}]


async def test_members_of_a_set_are_owned_one_by_one(apply: Any) -> None:
    await apply("a", size="small", tags=["x", "y"])
    both = (await apply("b", size="small", tags=["y", "z"])).body
    assert sorted(both["spec"]["tags"]) == ["x", "y", "z"]
    left = (await apply("a", size="small")).body
    assert sorted(left["spec"]["tags"]) == ["y", "z"]


async def test_an_atomic_list_has_one_owner(apply: Any) -> None:
    await apply("a", size="small", steps=[1, 2])
    assert (await apply("b", size="small", steps=[1, 2, 3])).status == 409
    assert (await apply("a", size="small", steps=[3])).body["spec"]["steps"] == [3]


async def test_an_update_takes_over_what_it_changes(apply: Any, api: Any) -> None:
    await apply("a", size="small", replicas=2, note="hello")
    patched = await api.ok("PATCH", api.path("widgets", "one"), {"spec": {"replicas": 3}}, content_type=MERGE,
                           fieldManager="hand")  # fmt: skip
    assert fields_of(patched, "a") == {"f:spec": {"f:size": {}, "f:note": {}}}
    assert fields_of(patched, "hand", "Update") == {"f:spec": {"f:replicas": {}}}
    refused = await apply("a", size="small", replicas=2, note="hello")
    assert refused.status == 409
    assert 'conflict with "hand"' in refused.body["message"]


async def test_status_has_owners_of_its_own(apply: Any, api: Any, widget: Any) -> None:
    await apply("a", size="small")
    body = {**widget(), "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    del body["spec"]
    written = await api.ok("PATCH", api.path("widgets", "one", "status"), body, content_type=APPLY,
                           fieldManager="operator", force="true")  # fmt: skip
    assert written["status"]["conditions"] == [{"type": "Ready", "status": "True"}]
    assert set(fields_of(written, "operator", "Apply", "status")) == {"f:status"}
    again = (await apply("a", size="small", note="hello")).body
    assert again["status"] == written["status"]


async def test_an_undeclared_field_cannot_be_applied(apply: Any) -> None:
    refused = await apply("a", size="small", nothing=1)
    assert refused.status >= 400
    assert ".spec.nothing: field not declared in schema" in refused.body["message"]


async def test_an_apply_needs_a_manager(api: Any, widget: Any) -> None:
    answer = await api.ask("PATCH", api.path("widgets", "one"), widget(), content_type=APPLY)
    assert answer.status in (400, 422)


async def test_applied_containers_merge_with_those_of_others(api: Any) -> None:
    def deployment(*containers: dict[str, Any]) -> dict[str, Any]:
        labels = {"app": "x"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers)}}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "d"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }

    path = api.path("deployments", "d")
    ports = [{"containerPort": 80, "name": "http"}]
    await api.ok("PATCH", path, deployment({"name": "main", "image": "m:1", "ports": ports}),
                 content_type=APPLY, fieldManager="a")  # fmt: skip
    both = await api.ok("PATCH", path, deployment({"name": "side", "image": "s:1"}), content_type=APPLY,
                        fieldManager="b")  # fmt: skip
    assert [entry["name"] for entry in both["spec"]["template"]["spec"]["containers"]] == ["main", "side"]
    owned = fields_of(both, "a")["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert 'k:{"containerPort":80,"protocol":"TCP"}' in owned['k:{"name":"main"}']["f:ports"]
