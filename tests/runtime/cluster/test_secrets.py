"""Secrets by their names, from an API server of the test's own that knows who may read what."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from touchstone_runtime.artefacts import credentials
from touchstone_runtime.cluster import references
from touchstone_runtime.cluster.faults import ClusterUnavailable, SecretForbidden, SecretNotFound
from touchstone_runtime.cluster.references import NoSecrets, SecretReference
from touchstone_runtime.cluster.secrets import ClusterSecrets

HUB = SecretReference(namespace="team-a", name="hub")
ANSWERS = {
    "/api/v1/namespaces/team-a/secrets/hub": (
        200,
        {"data": {"HF_TOKEN": base64.b64encode(b"hf_x").decode(), "raw": base64.b64encode(b"\xff").decode()}},
    ),
    "/api/v1/namespaces/team-a/secrets/empty": (200, {}),
    "/api/v1/namespaces/team-b/secrets/hub": (403, {"message": "no rights"}),
    "/api/v1/namespaces/team-c/secrets/hub": (503, {"message": "etcd is away"}),
}


class Answering(BaseHTTPRequestHandler):
    """Answers a GET with what the test has set."""

    def do_GET(self) -> None:
        status, body = ANSWERS.get(self.path, (404, {"message": "not found"}))
        if self.headers["authorization"] != "Bearer token":
            status, body = 401, {"message": "Unauthorized"}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Iterator[Path]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
            "users": [{"name": "test", "user": {"token": "token"}}],
        }
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        yield path
        server.shutdown()


@pytest.fixture
def secrets(kubeconfig: Path) -> ClusterSecrets:
    return ClusterSecrets(kubeconfig, setting="finetuning.worker.readSecrets")


def test_a_secret_is_read_by_its_name(secrets: ClusterSecrets) -> None:
    assert secrets.read(HUB) == {"HF_TOKEN": "hf_x", "raw": "\ufffd"}
    assert secrets.read(SecretReference(namespace="team-a", name="empty")) == {}
    assert secrets.read(None) == {}


def test_a_secret_that_is_not_there_may_come(secrets: ClusterSecrets) -> None:
    with pytest.raises(SecretNotFound, match="no Secret none in the namespace team-a") as raised:
        secrets.read(SecretReference(namespace="team-a", name="none"))
    assert raised.value.is_retryable


def test_a_secret_that_may_not_be_read_is_told_with_the_value_that_lets_it(secrets: ClusterSecrets) -> None:
    with pytest.raises(SecretForbidden, match=r"finetuning\.worker\.readSecrets") as raised:
        secrets.read(SecretReference(namespace="team-b", name="hub"))
    assert not raised.value.is_retryable


def test_an_api_server_that_does_not_answer_is_tried_again(secrets: ClusterSecrets, tmp_path: Path) -> None:
    with pytest.raises(ClusterUnavailable, match="etcd is away") as raised:
        secrets.read(SecretReference(namespace="team-c", name="hub"))
    assert raised.value.is_retryable
    with pytest.raises(ClusterUnavailable):
        ClusterSecrets(tmp_path / "none", setting="x").read(HUB)


def test_a_name_cannot_leave_its_namespace(secrets: ClusterSecrets) -> None:
    with pytest.raises(SecretNotFound):
        secrets.read(SecretReference(namespace="team-a", name="../../team-a/secrets/hub"))


@pytest.mark.parametrize(
    ("reference", "uri", "fields"),
    [
        (None, "file:///model", []),
        (HUB, "hf://org/model", []),
        (HUB, "s3://bucket/model", []),
        (HUB, "gs://bucket/model", ["credentials"]),
        (HUB, "", ["credentials"]),
        (SecretReference(namespace="", name="a/b"), "s3://bucket", ["credentials.namespace", "credentials.name"]),
    ],
)
def test_a_reference_that_nobody_would_read_is_refused(
    reference: SecretReference | None, uri: str, fields: list[str]
) -> None:
    assert [fault.field for fault in references.faults(reference, uri, "credentials")] == fields


def test_those_addresses_take_secrets_whose_keys_are_known() -> None:
    assert set(references.TAKERS) == set(credentials.KEYS)


def test_who_reads_no_secrets_is_named_none() -> None:
    assert NoSecrets().read(None) == {}
    with pytest.raises(ValueError, match="not read here"):
        NoSecrets().read(HUB)
