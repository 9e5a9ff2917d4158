"""The real kubectl: what a person types."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

IS_EMBEDDED = "TOUCHSTONE_CONTRACT_KUBECONFIG" not in os.environ
PROTOBUF = "kubectl's typed commands (create configmap, auth can-i) send protobuf, and it reads JSON and YAML"


def LIMIT(reason: str) -> pytest.MarkDecorator:
    """A limit of the embedded API server, listed in docs/embedded-platform.md; a real one has none."""
    return pytest.mark.xfail(IS_EMBEDDED, reason=f"the embedded API server: {reason}", strict=True)


# Defaults within lists are written out: client-side apply sends a list whole, and would call it configured each time.
WIDGET = {
    "apiVersion": "contract.touchstone.dev/v1",
    "kind": "Widget",
    "metadata": {"name": "one", "labels": {"a": "b"}},
    "spec": {"size": "small", "note": "hello", "parts": [{"name": "x", "weight": 1}]},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": "main:1",
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                    },
                    {"name": "side", "image": "side:1"},
                ]
            },
        },
    },
}


def text(manifest: dict[str, Any]) -> str:
    return yaml.safe_dump(manifest)


def changed(manifest: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {**manifest, "spec": {**manifest["spec"], **spec}}


def test_apply_creates_changes_and_leaves_alone(kubectl: Any) -> None:
    assert "created" in kubectl("apply", "-f", "-", stdin=text(WIDGET))
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=text(WIDGET))
    without_note = changed(WIDGET, replicas=3)
    del without_note["spec"]["note"]
    assert "configured" in kubectl("apply", "-f", "-", stdin=text(without_note))
    spec = json.loads(kubectl("get", "widget", "one", "-o", "json"))["spec"]
    assert spec["replicas"] == 3
    assert "note" not in spec


def test_apply_merges_the_lists_of_a_deployment_with_what_others_changed(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=text(DEPLOYMENT))
    kubectl("set", "env", "deployment/web", "-c", "main", "C=3")
    wanted = json.loads(json.dumps(DEPLOYMENT))
    wanted["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "A", "value": "9"}]
    kubectl("apply", "-f", "-", stdin=text(wanted))
    containers = json.loads(kubectl("get", "deploy", "web", "-o", "json"))["spec"]["template"]["spec"]["containers"]
    assert {entry["name"]: entry["value"] for entry in containers[0]["env"]} == {"A": "9", "C": "3"}
    assert containers[1]["image"] == "side:1"


def test_server_side_apply_reports_conflicts_and_can_force(kubectl: Any) -> None:
    assert "serverside-applied" in kubectl("apply", "--server-side", "-f", "-", stdin=text(changed(WIDGET, replicas=2)))
    other = ("apply", "--server-side", "--field-manager=other", "-f", "-")
    refused = kubectl(*other, stdin=text(changed(WIDGET, replicas=3)), code=1)
    assert "conflict" in refused
    assert ".spec.replicas" in refused
    kubectl(*other, "--force-conflicts", stdin=text(changed(WIDGET, replicas=3)))
    assert kubectl("get", "wdg", "one", "-o", "jsonpath={.spec.replicas}") == "3"


def test_client_side_apply_can_become_server_side_apply(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=text(WIDGET))
    kubectl("apply", "--server-side", "-f", "-", stdin=text(changed(WIDGET, note="changed")))
    shown = json.loads(kubectl("get", "widget", "one", "-o", "json", "--show-managed-fields"))
    assert shown["spec"]["note"] == "changed"
    writers = {(entry["manager"], entry["operation"]) for entry in shown["metadata"]["managedFields"]}
    assert ("kubectl", "Apply") in writers
    assert ("kubectl-client-side-apply", "Update") not in writers, "kubectl hands its client-side fields over"
    kubectl("apply", "-f", "-", stdin=text(changed(WIDGET, note="back")))
    assert kubectl("get", "widget", "one", "-o", "jsonpath={.spec.note}") == "back"


def test_get_prints_our_columns_by_any_name_of_the_kind(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=text(WIDGET))
    for name in ("widgets", "widget", "wdg", "widgets.contract.touchstone.dev", "contract"):
        lines = kubectl("get", name).splitlines()
        assert lines[0].split() == ["NAME", "SIZE", "REPLICAS", "READY", "AGE"]
        assert lines[1].split()[:3] == ["one", "small", "1"]
    assert "hello" in kubectl("get", "wdg", "-o", "wide")
    assert kubectl("get", "wdg", "-o", "name").strip() == "widget.contract.touchstone.dev/one"
    assert "one" in kubectl("get", "wdg", "-l", "a=b")
    assert "No resources found" in kubectl("get", "wdg", "-l", "a=c")


def test_get_prints_built_in_kinds_as_ever(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=text(DEPLOYMENT))
    lines = kubectl("get", "deployments").splitlines()
    assert lines[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert lines[1].split()[:2] == ["web", "0/2"]
    assert "deployment.apps/web" in kubectl("get", "all")


@LIMIT(PROTOBUF)
def test_typed_commands_make_objects(kubectl: Any) -> None:
    kubectl("create", "configmap", "settings", "--from-literal=a=1", "--from-literal=b=2")
    assert ["settings", "2"] in [line.split()[:2] for line in kubectl("get", "cm").splitlines()]
    kubectl("create", "secret", "generic", "token", "--from-literal=t=1")


def test_describe_shows_the_object_and_its_events(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=text(WIDGET))
    uid = kubectl("get", "widget", "one", "-o", "jsonpath={.metadata.uid}")
    reference = {"apiVersion": WIDGET["apiVersion"], "kind": "Widget", "name": "one", "uid": uid}
    event = {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "one.1"}, "involvedObject": reference,
        "reason": "Polished", "message": "It shines.", "type": "Normal",
    }  # fmt: skip
    namespace = kubectl("get", "widget", "one", "-o", "jsonpath={.metadata.namespace}")
    event["involvedObject"] = {**reference, "namespace": namespace}
    kubectl("create", "-f", "-", stdin=text(event))
    described = kubectl("describe", "widget", "one")
    assert "Size:" in described
    assert "Polished" in described
    kubectl("apply", "-f", "-", stdin=text(DEPLOYMENT))
    assert "RollingUpdate" in kubectl("describe", "deployment", "web")


def test_wait_and_watch_follow_a_change(kubectl: Any, cluster: Path, api: Any) -> None:
    kubectl("apply", "-f", "-", stdin=text(WIDGET))
    watching = subprocess.Popen(
        ["kubectl", f"--kubeconfig={cluster}", "-n", api.namespace, "get", "widget", "one", "--watch"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert watching.stdout is not None
        lines = [watching.stdout.readline() for _ in range(2)]
        status = json.dumps({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
        kubectl("patch", "widget", "one", "--subresource=status", "--type=merge", "-p", status)
        lines.append(watching.stdout.readline())
    finally:
        watching.kill()
        watching.wait()
        watching.stdout.close()
    assert lines[0].split() == ["NAME", "SIZE", "REPLICAS", "READY", "AGE"]
    assert lines[2].split()[:4] == ["one", "small", "1", "True"]
    assert "condition met" in kubectl("wait", "--for=condition=Ready", "widget/one", "--timeout=10s")


def test_patch_takes_every_type_that_the_kind_has(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=text(WIDGET))
    kubectl("patch", "widget", "one", "--type=merge", "-p", '{"spec":{"replicas":4}}')
    kubectl("patch", "widget", "one", "--type=json", "-p", '[{"op":"replace","path":"/spec/note","value":"json"}]')
    spec = json.loads(kubectl("get", "widget", "one", "-o", "json"))["spec"]
    assert (spec["replicas"], spec["note"]) == (4, "json")
    kubectl("apply", "-f", "-", stdin=text(DEPLOYMENT))
    kubectl(
        "patch",
        "deployment",
        "web",
        "-p",
        '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"side:2"}]}}}}',
    )
    images = kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[*].image}")
    assert images == "main:1 side:2"


def test_scale_label_and_annotate(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=text(DEPLOYMENT))
    assert "scaled" in kubectl("scale", "deployment/web", "--replicas=5")
    kubectl("apply", "-f", "-", stdin=text(WIDGET))
    kubectl("scale", "widget/one", "--replicas=6")
    kubectl("label", "widget", "one", "new=label")
    kubectl("annotate", "widget", "one", "touchstone.dev/note=x")
    shown = json.loads(kubectl("get", "widget", "one", "-o", "json"))
    assert shown["spec"]["replicas"] == 6
    assert shown["metadata"]["labels"]["new"] == "label"
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}") == "5"


def test_delete_waits_until_the_object_is_gone(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=text(WIDGET))
    assert "deleted" in kubectl("delete", "widget", "one", "--timeout=10s")
    assert "NotFound" in kubectl("get", "widget", "one", code=1)
    assert "deleted" in kubectl("delete", "widget", "one", "--ignore-not-found") or True
    kubectl("apply", "-f", "-", stdin=text(WIDGET))
    kubectl("delete", "widgets", "--all", "--timeout=10s")
    assert "No resources found" in kubectl("get", "widgets")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("widget", "A widget is a thing for tests."),
        ("widget.spec", "How large the widget is."),
        ("widget.spec.parts", "weight"),
        ("deployment.spec.template.spec.containers", "image"),
    ],
)
def test_explain_knows_the_fields(kubectl: Any, path: str, expected: str) -> None:
    assert expected in kubectl("explain", path)


def test_an_unknown_field_is_refused_before_anything_is_stored(kubectl: Any) -> None:
    refused = kubectl("apply", "-f", "-", stdin=text(changed(WIDGET, colour="red")), code=1)
    assert 'unknown field "spec.colour"' in refused
    assert "No resources found" in kubectl("get", "widgets")


def test_a_broken_rule_is_shown_with_its_message(kubectl: Any) -> None:
    refused = kubectl("apply", "-f", "-", stdin=text(changed(WIDGET, replicas=11)), code=1)
    assert "replicas must not exceed the limit" in refused


def test_diff_and_dry_run_store_nothing(kubectl: Any) -> None:
    kubectl("apply", "-f", "-", stdin=text(WIDGET))
    assert "+  note: other" in kubectl("diff", "-f", "-", stdin=text(changed(WIDGET, note="other")), code=1)
    kubectl("apply", "--dry-run=server", "-f", "-", stdin=text(changed(WIDGET, note="other")))
    assert kubectl("get", "widget", "one", "-o", "jsonpath={.spec.note}") == "hello"


def test_replace_and_edit_in_place(kubectl: Any) -> None:
    kubectl("create", "-f", "-", stdin=text(WIDGET))
    kubectl(
        "replace", "-f", "-", stdin=text(changed(json.loads(kubectl("get", "widget", "one", "-o", "json")), note="new"))
    )
    assert kubectl("get", "widget", "one", "-o", "jsonpath={.spec.note}") == "new"


@LIMIT(PROTOBUF)
def test_can_i_answers(kubectl: Any) -> None:
    assert kubectl("auth", "can-i", "create", "pods").strip().endswith("yes")


def test_api_resources_answer(kubectl: Any) -> None:
    assert "widgets" in kubectl("api-resources", "--api-group=contract.touchstone.dev")
    assert "contract.touchstone.dev/v1" in kubectl("api-versions")
