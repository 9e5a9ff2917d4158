"""The client's pure parts: manifests, errors, kinds, tables, the cache."""

import json
from pathlib import Path

import pytest
from touchstone_local import errors, fields
from touchstone_local.fields import Object
from touchstone_local.kube import manifests, problems, tables
from touchstone_local.kube.cache import Cache
from touchstone_local.kube.discovery import Discovery, parse
from touchstone_local.kube.waiting import condition_is


def test_a_folder_is_applied_with_what_others_refer_to_first(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: touchstone.dev/v1alpha1\nkind: ModelDeployment\nmetadata: {name: chat}\n"
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: prompts}\n---\n"
    )
    (tmp_path / "b.yml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n")
    (tmp_path / "notes.txt").write_text("not: applied")
    kinds = [fields.text(obj, "kind") for obj in manifests.load(tmp_path)]
    assert kinds == ["Namespace", "ConfigMap", "ModelDeployment"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("a: [", "not YAML"), ("just text", "apiVersion"), ("{apiVersion: v1, kind: Pod}", "metadata.name")],
)
def test_what_is_no_manifest_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(errors.ManifestInvalid, match=complaint) as refused:
        manifests.parse(text, source="x.yaml")
    assert refused.value.violations[0].field.startswith("x.yaml")


def test_a_list_is_opened() -> None:
    text = "{apiVersion: v1, kind: List, items: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]}"
    assert [fields.name(obj) for obj in manifests.parse(text, source="x")] == ["a"]


def test_a_refusal_names_the_fields() -> None:
    status = {
        "kind": "Status", "reason": "Invalid", "message": "ModelDeployment is invalid",
        "details": {"causes": [{"field": "spec.model.uri", "message": "must match"}]},
    }  # fmt: skip
    error = problems.from_answer(422, json.dumps(status), what="apply ModelDeployment default/chat")
    assert isinstance(error, errors.ObjectInvalid)
    assert error.violations[0] == ("spec.model.uri", "must match")
    assert error.message == "Could not apply ModelDeployment default/chat: ModelDeployment is invalid."


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (404, "NotFound", errors.ObjectNotFound),
        (409, "AlreadyExists", errors.ObjectExists),
        (409, "Conflict", errors.ObjectConflict),
        (410, "Expired", errors.ObjectConflict),
        (403, "Forbidden", errors.Refused),
        (503, "ServiceUnavailable", errors.ClusterUnavailable),
    ],
)
def test_statuses_are_told_apart(code: int, reason: str, kind: type[Exception]) -> None:
    assert type(problems.from_answer(code, json.dumps({"reason": reason}), what="get it")) is kind


def test_an_answer_that_is_no_status_is_still_an_error() -> None:
    assert "proxy says no" in problems.from_answer(502, "proxy says no", what="get it").message


LISTING: Object = {
    "groupVersion": "touchstone.dev/v1alpha1",
    "resources": [
        {
            "name": "evalruns", "kind": "EvalRun", "namespaced": True, "shortNames": ["evr"],
            "categories": ["touchstone"],
        },
        {"name": "evalruns/status", "kind": "EvalRun", "namespaced": True},
        {"name": "ragindexes", "kind": "RagIndex", "namespaced": True, "categories": ["touchstone"]},
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", ["evalruns", "evalrun", "EvalRun", "evr", "evalruns.touchstone.dev"])
def test_a_kind_has_many_names(name: str) -> None:
    assert Discovery(parse(LISTING)).find(name).path(namespace="a", name="b", subresource="status") == (
        "/apis/touchstone.dev/v1alpha1/namespaces/a/evalruns/b/status"
    )


def test_a_category_means_its_kinds_and_an_unknown_kind_is_refused_with_the_known() -> None:
    discovery = Discovery(parse(LISTING))
    assert [each.kind for each in discovery.find_all("touchstone")] == ["EvalRun", "RagIndex"]
    with pytest.raises(errors.KindUnknown, match="evalruns, ragindexes"):
        discovery.find("podz")


def test_a_table_shows_what_the_server_says() -> None:
    table = {
        "columnDefinitions": [{"name": "Name"}, {"name": "Verdict"}, {"name": "Message", "priority": 1}],
        "rows": [
            {"cells": ["quality-1", "Passed", "well"], "object": {"metadata": {"namespace": "team"}}},
            {"cells": ["q", None, None], "object": {"metadata": {"namespace": "default"}}},
        ],
    }
    assert tables.render(table) == ["NAME        VERDICT", "quality-1   Passed", "q           <none>"]
    wide = tables.render(table, is_wide=True, with_namespace=True, prefix="evalrun/")
    assert wide[1].split() == ["team", "evalrun/quality-1", "Passed", "well"]
    assert tables.render({"rows": []}) == []


def obj(name: str, version: int, uid: str = "u") -> Object:
    return {"metadata": {"name": name, "namespace": "n", "uid": uid, "resourceVersion": str(version)}}


def test_an_old_event_does_not_undo_a_write() -> None:
    cache = Cache()
    assert cache.put(obj("a", 5))
    assert not cache.put(obj("a", 4))
    cache.remove(obj("a", 5))
    assert not cache.put(obj("a", 5))
    assert cache.put(obj("a", 9, uid="another"))


def test_a_list_is_the_truth_but_for_what_was_written_after_it() -> None:
    cache = Cache()
    cache.put(obj("gone", 3, "g"))
    cache.put(obj("new", 8, "n"))
    cache.replace((obj("listed", 4, "l"),), version=6)
    assert {fields.name(each) for each in cache.all()} == {"listed", "new"}


def test_a_condition_of_an_older_generation_does_not_count() -> None:
    condition = {"type": "Ready", "status": "True", "reason": "Promoted", "observedGeneration": 1}
    seen = {"metadata": {"generation": 2}, "status": {"conditions": [condition]}}
    assert not condition_is("Ready")(seen)
    fresh = {**seen, "status": {"conditions": [{**condition, "observedGeneration": 2}]}}
    assert condition_is("Ready")(fresh)
    assert condition_is("Ready", reason="Promoted")(fresh)
    assert not condition_is("Ready", reason="Idle")(fresh)
    assert not condition_is("Ready")({})
