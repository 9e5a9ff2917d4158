"""A container's command and environment, as Kubernetes would make them."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from touchstone_local.fields import Object
from touchstone_local.kubelet.core import expansion, launching, quantities
from touchstone_local.kubelet.errors import CannotStart, NotYet

POD: Object = {
    "metadata": {"name": "chat-1", "namespace": "team", "uid": "u-1", "labels": {"tier": "gold"}},
    "spec": {
        "nodeName": "local",
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "claim", "persistentVolumeClaim": {"claimName": "c"}}],
    },
}


class Folder:
    """ConfigMaps and Secrets."""

    def config_map(self, name: str) -> Object | None:
        return {"data": {"manifest.json": "{}", "mode": "fast"}} if name == "settings" else None

    def secret(self, name: str) -> Object | None:
        return {"data": {"token": base64.b64encode(b"s3cret").decode()}} if name == "keys" else None


def launch(*env: Object, **container: object) -> launching.Launch:
    spec = {"name": "engine", "command": ["python", "-m", "engine"], "env": list(env), **container}
    base = {"PATH": "/usr/bin"}
    return launching.prepare(spec, POD, pod_ip="127.88.3.100", sources=Folder(), base=base, python="/venv/python")


def referenced(name: str, **source: object) -> Object:
    return {"name": name, "valueFrom": source}


def test_python_means_the_platform_interpreter() -> None:
    assert launch().command == ("/venv/python", "-m", "engine")


def test_variables_refer_to_those_before_them() -> None:
    env = launch(
        referenced("POD_IP", fieldRef={"fieldPath": "status.podIP"}),
        {"name": "TOUCHSTONE_LISTEN", "value": "$(POD_IP):50051"},
        {"name": "LATER", "value": "$(UNKNOWN) $$(POD_IP)"},
        args=["--listen=$(TOUCHSTONE_LISTEN)"],
    )
    assert env.environ["TOUCHSTONE_LISTEN"] == "127.88.3.100:50051"
    assert env.environ["LATER"] == "$(UNKNOWN) $(POD_IP)"
    assert env.command[-1] == "--listen=127.88.3.100:50051"


def test_a_shell_sees_nothing() -> None:
    assert launch(args=["$HOME; `id` $(date)"]).command[-1] == "$HOME; `id` $(date)"


def test_references_are_followed() -> None:
    env = launch(
        referenced("MANIFEST", configMapKeyRef={"name": "settings", "key": "manifest.json"}),
        referenced("TOKEN", secretKeyRef={"name": "keys", "key": "token"}),
        referenced("TIER", fieldRef={"fieldPath": "metadata.labels['tier']"}),
        referenced("CPUS", resourceFieldRef={"resource": "limits.cpu"}),
        referenced("MEMORY_MIB", resourceFieldRef={"resource": "limits.memory", "divisor": "1Mi"}),
        envFrom=[{"prefix": "APP_", "configMapRef": {"name": "settings"}}],
        resources={"limits": {"cpu": "1500m", "memory": "2Gi"}},
    ).environ
    assert {key: env[key] for key in ("MANIFEST", "TOKEN", "TIER", "CPUS", "MEMORY_MIB", "APP_mode")} == {
        "MANIFEST": "{}",
        "TOKEN": "s3cret",
        "TIER": "gold",
        "CPUS": "2",
        "MEMORY_MIB": "2048",
        "APP_mode": "fast",
    }


@pytest.mark.parametrize(
    "source",
    [
        {"configMapKeyRef": {"name": "absent", "key": "k"}},
        {"configMapKeyRef": {"name": "settings", "key": "absent"}},
        {"secretKeyRef": {"name": "absent", "key": "k"}},
    ],
)
def test_what_is_missing_is_waited_for_unless_optional(source: dict[str, dict[str, object]]) -> None:
    with pytest.raises(NotYet, match="absent"):
        launch(referenced("VALUE", **source))
    optional = {kind: {**reference, "optional": True} for kind, reference in source.items()}
    assert "VALUE" not in launch(referenced("VALUE", **optional)).environ


def test_what_a_process_cannot_have_is_refused_with_a_reason() -> None:
    with pytest.raises(CannotStart, match="volume at /data"):
        launch(volumeMounts=[{"name": "tmp", "mountPath": "/data"}])
    with pytest.raises(CannotStart, match="volume at /tmp"):
        launch(volumeMounts=[{"name": "claim", "mountPath": "/tmp"}])
    with pytest.raises(CannotStart, match="command"):
        launch(command=[])


def test_a_scratch_volume_is_given() -> None:
    assert launch(volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}]).has_scratch
    assert not launch().has_scratch


def test_only_named_variables_are_inherited() -> None:
    environ = {"PATH": "/bin", "OMP_NUM_THREADS": "1", "AWS_SECRET_ACCESS_KEY": "x", "SSL_CERT_FILE": "/ca.pem"}
    assert launching.inherited(environ) == {"PATH": "/bin", "OMP_NUM_THREADS": "1", "SSL_CERT_FILE": "/ca.pem"}


@given(st.text())
def test_escaping_every_dollar_gives_the_text_back(text: str) -> None:
    assert expansion.expand(text.replace("$", "$$"), {"A": "1"}) == text


@pytest.mark.parametrize(
    ("text", "divisor", "expected"), [("250m", "", "1"), ("1Gi", "1Mi", "1024"), ("2k", "1", "2000"), ("?", "1", "")]
)
def test_quantities_are_rounded_up_in_units(text: str, divisor: str, expected: str) -> None:
    assert quantities.in_units(text, divisor) == expected
