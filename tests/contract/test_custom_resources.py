"""Custom resources: schemas, defaults, pruning, CEL rules, status, generation, scale, columns."""

from typing import Any

import pytest


async def test_defaults_are_filled_in_at_every_depth(api: Any) -> None:
    created = await api.widget(parts=[{"name": "p"}])
    assert (created["spec"]["replicas"], created["spec"]["limit"]) == (1, 10)
    assert created["spec"]["parts"] == [{"name": "p", "weight": 1}]
    assert created["metadata"]["generation"] == 1


async def test_undeclared_fields_are_pruned_and_warned_of(api: Any, widget: Any) -> None:
    body = widget(nothing=1, free={"any": {"thing": 1}}, parts=[{"name": "p", "odd": 1}])
    answer = await api.ask("POST", api.path(), body, fieldValidation="Warn")
    assert answer.status == 201
    assert "nothing" not in answer.body["spec"]
    assert answer.body["spec"]["free"] == {"any": {"thing": 1}}
    assert answer.body["spec"]["parts"] == [{"name": "p", "weight": 1}]
    assert any('unknown field "spec.nothing"' in text.replace("\\", "") for text in answer.warnings)


async def test_strict_validation_refuses_unknown_fields(api: Any, widget: Any) -> None:
    status = await api.refused(400, "BadRequest", "POST", api.path(), widget(nothing=1), fieldValidation="Strict")
    assert 'strict decoding error: unknown field "spec.nothing"' in status["message"]
    assert (await api.ask("POST", api.path(), widget(nothing=1), fieldValidation="Ignore")).warnings == []


async def test_nulls_of_fields_that_cannot_be_null_are_absent(api: Any) -> None:
    created = await api.widget(replicas=None, note=None, maybe=None)
    assert created["spec"]["replicas"] == 1
    assert "note" not in created["spec"]
    assert created["spec"]["maybe"] is None


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        ({"size": "huge"}, "spec.size", "FieldValueNotSupported"),
        ({"replicas": -1}, "spec.replicas", "FieldValueInvalid"),
        ({"replicas": "two"}, "spec.replicas", "FieldValueTypeInvalid"),
        ({"note": "x" * 21}, "spec.note", "FieldValueTooLong"),
        ({"note": "UPPER"}, "spec.note", "FieldValueInvalid"),
        ({"port": True}, "spec.port", "FieldValueTypeInvalid"),
        ({"steps": [1] * 6}, "spec.steps", "FieldValueTooMany"),
        ({"parts": [{"weight": 1}]}, "spec.parts[0].name", "FieldValueRequired"),
        ({"parts": [{"name": "p"}, {"name": "p"}]}, "spec.parts[1]", "FieldValueDuplicate"),
        ({"tags": ["a", "a"]}, "spec.tags[1]", "FieldValueDuplicate"),
    ],
)
async def test_the_schema_refuses(api: Any, widget: Any, spec: dict[str, Any], field: str, reason: str) -> None:
    status = await api.refused(422, "Invalid", "POST", api.path(), widget(**spec))
    causes = {(cause["field"], cause["reason"]) for cause in status["details"]["causes"]}
    assert (field, reason) in causes, causes
    assert status["message"].startswith('Widget.contract.touchstone.dev "one" is invalid: ')


async def test_every_fault_is_named_at_once(api: Any, widget: Any) -> None:
    status = await api.refused(422, "Invalid", "POST", api.path(), widget(size="huge", replicas=-1))
    assert {cause["field"] for cause in status["details"]["causes"]} >= {"spec.size", "spec.replicas"}


async def test_integers_and_texts_fit_int_or_string(api: Any) -> None:
    assert (await api.widget("a", port=80))["spec"]["port"] == 80
    assert (await api.widget("b", port="http"))["spec"]["port"] == "http"


async def test_rules_hold_across_fields(api: Any, widget: Any) -> None:
    status = await api.refused(422, "Invalid", "POST", api.path(), widget(replicas=11))
    assert "replicas must not exceed the limit" in status["message"]
    assert status["details"]["causes"][0]["field"] == "spec"
    await api.widget(replicas=11, limit=12)


async def test_rules_hold_in_lists_and_maps_and_say_why(api: Any, widget: Any) -> None:
    body = widget(parts=[{"name": "good"}, {"name": "bad", "weight": 0}], limits={"cpu": 100})
    status = await api.refused(422, "Invalid", "POST", api.path(), body)
    causes = {cause["field"]: cause["message"] for cause in status["details"]["causes"]}
    assert "the weight of bad must be positive" in causes["spec.parts[1]"]
    assert "a limit is below 100" in causes["spec.limits[cpu]"]


async def test_a_transition_rule_compares_with_what_was(api: Any) -> None:
    await api.widget()
    patch = {"spec": {"size": "large"}}
    status = await api.refused(
        422, "Invalid", "PATCH", api.path("widgets", "one"), patch, content_type="application/merge-patch+json"
    )
    assert "size is immutable" in status["message"]


async def test_status_is_written_through_its_own_door_only(api: Any, widget: Any) -> None:
    body = widget() | {"status": {"replicas": 3}}
    created = await api.ok("POST", api.path(), body)
    assert "status" not in created
    written = await api.ok("PUT", api.path("widgets", "one", "status"),
                           {**created, "spec": {"size": "large"}, "status": {"replicas": 3}})  # fmt: skip
    assert written["status"] == {"replicas": 3}
    assert written["spec"]["size"] == "small"
    assert written["metadata"]["generation"] == 1
    kept = await api.ok("PUT", api.path("widgets", "one"), {**written, "status": {"replicas": 9}})
    assert kept["status"] == {"replicas": 3}


async def test_generation_counts_changes_of_the_spec(api: Any) -> None:
    async def patched(body: dict[str, Any], sub: str = "") -> int:
        answer = await api.ok(
            "PATCH", api.path("widgets", "one", sub), body, content_type="application/merge-patch+json"
        )
        return int(answer["metadata"]["generation"])

    await api.widget()
    assert await patched({"metadata": {"labels": {"a": "b"}}}) == 1
    assert await patched({"status": {"replicas": 1}}, "status") == 1
    assert await patched({"spec": {"replicas": 2}}) == 2
    assert await patched({"spec": {"replicas": 2}}) == 2


async def test_status_is_validated_too(api: Any) -> None:
    await api.widget()
    body = {"status": {"conditions": [{"type": "Ready"}]}}
    status = await api.refused(422, "Invalid", "PATCH", api.path("widgets", "one", "status"), body,
                               content_type="application/merge-patch+json")  # fmt: skip
    assert status["details"]["causes"][0]["field"] == "status.conditions[0].status"


async def test_scale_reads_and_writes_one_number(api: Any) -> None:
    await api.widget(replicas=2)
    scale = await api.ok("GET", api.path("widgets", "one", "scale"))
    assert (scale["kind"], scale["apiVersion"], scale["spec"]) == ("Scale", "autoscaling/v1", {"replicas": 2})
    await api.ok("PUT", api.path("widgets", "one", "scale"), {**scale, "spec": {"replicas": 5}})
    changed = await api.ok("GET", api.path("widgets", "one"))
    assert (changed["spec"]["replicas"], changed["metadata"]["generation"]) == (5, 2)


async def test_an_update_must_name_its_version(api: Any, widget: Any) -> None:
    await api.widget()
    status = await api.refused(422, "Invalid", "PUT", api.path("widgets", "one"), widget())
    assert "metadata.resourceVersion" in status["message"]


async def test_an_object_of_another_kind_is_refused(api: Any, widget: Any) -> None:
    status = await api.refused(422, "Invalid", "POST", api.path(), widget() | {"kind": "Gadget"})
    assert 'kind: Invalid value: "Gadget": must be Widget' in status["message"]
    body = {"apiVersion": "v1", "kind": "Gadget", "metadata": {"name": "one"}}
    await api.refused(400, "BadRequest", "POST", api.path("configmaps"), body)


async def test_tables_show_the_declared_columns(api: Any) -> None:
    await api.widget(note="hello")
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    table = await api.ok("GET", api.path(), accept=accept)
    assert [column["name"] for column in table["columnDefinitions"]] == [
        "Name", "Size", "Replicas", "Ready", "Note", "Age",
    ]  # fmt: skip
    assert [column["priority"] for column in table["columnDefinitions"]] == [0, 0, 0, 0, 1, 0]
    cells = table["rows"][0]["cells"]
    assert cells[:3] == ["one", "small", 1]
    assert cells[4] == "hello"
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda crd: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].update(
            bad={"description": "no type"}), "bad"),
        (lambda crd: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].update(
            {"x-kubernetes-validations": [{"rule": "self.size =="}]}), "x-kubernetes-validations"),
        (lambda crd: crd["metadata"].update(name="other.contract2.touchstone.dev"), "metadata.name"),
        (lambda crd: crd["spec"]["versions"][0].update(storage=False), "spec.versions"),
    ],
    ids=["a field without a type", "a rule that does not compile", "a wrong name", "no storage version"],
)  # fmt: skip
async def test_a_definition_is_refused_for(api: Any, change: Any, field: str) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "size": {"type": "string"}}}}}  # fmt: skip
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.contract2.touchstone.dev"},
        "spec": {
            "group": "contract2.touchstone.dev",
            "scope": "Namespaced",
            "names": {"plural": "gadgets", "kind": "Gadget"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    await api.ok("POST", path, crd, dryRun="All")
    change(crd)
    status = await api.refused(422, "Invalid", "POST", path, crd, dryRun="All")
    assert field in str(status["details"]["causes"])


async def test_a_definition_is_established_and_discovered(api: Any) -> None:
    crd = await api.ok("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.contract.touchstone.dev")
    held = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
    assert (held["NamesAccepted"], held["Established"]) == ("True", "True")
    listed = await api.ok("GET", "/apis/contract.touchstone.dev/v1")
    entries = {entry["name"]: entry for entry in listed["resources"]}
    assert entries["widgets"]["shortNames"] == ["wdg"]
    assert entries["widgets"]["categories"] == ["contract"]
    assert set(entries) == {"widgets", "widgets/status", "widgets/scale"}
    assert entries["widgets/scale"]["kind"] == "Scale"
