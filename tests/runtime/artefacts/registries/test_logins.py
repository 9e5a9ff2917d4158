"""Logins: read as docker and the kubelet read them, shown to the registry alone, and never told."""

import base64
import json
import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from touchstone_local.apiserver import pki
from touchstone_runtime.artefacts import (
    ArtefactUnavailable,
    ArtefactUnusable,
    CredentialsUnusable,
    Resolver,
    UriInvalid,
)
from touchstone_runtime.artefacts.registries import Surroundings, logins, manifests, names, pulling, pushing
from touchstone_runtime.artefacts.registries.testing import Registry

LOGIN = "ann:very-secret"


def configured(host: str, **entry: str) -> str:
    """The JSON of docker's configuration with one registry."""
    return json.dumps({"auths": {host: entry}})


def encoded(login: str) -> str:
    return base64.b64encode(login.encode()).decode()


def found(configuration: object, uri: str = "oci://registry.example/team/chat:v1") -> logins.Login | None:
    return logins.find(json.dumps(configuration), names.read(uri))


def offer(registry: Registry) -> str:
    digest = registry.add_blob(b"weights")
    layer = {"digest": digest, "size": 7, "annotations": {"org.opencontainers.image.title": "weights"}}
    registry.add_manifest("models/chat", "v1", json.dumps({"layers": [layer]}).encode(), manifests.MANIFEST)
    return f"oci://{registry.host}/models/chat:v1"


def pull(uri: str, workplace: Path, secret: dict[str, str], surroundings: Surroundings) -> Path:
    return pulling.pull(uri, workplace, lambda done, total: None, secret, surroundings=surroundings, pauses_seconds=())


@pytest.mark.parametrize(
    "key",
    [
        "registry.example",
        "REGISTRY.example",
        "https://registry.example",
        "https://registry.example/v1/",
        "registry.example/team",
        "registry.example/team/chat",
    ],
)
def test_an_entry_is_found_however_its_registry_is_written(key: str) -> None:
    login = found({"auths": {key: {"auth": encoded(LOGIN)}}})
    assert login == logins.Login(username="ann", password="very-secret")


@pytest.mark.parametrize(
    "key", ["registry.example:5000", "other.example", "registry.example/tea", "registry.example/other"]
)
def test_an_entry_of_another_registry_or_path_is_not_used(key: str) -> None:
    assert found({"auths": {key: {"auth": encoded(LOGIN)}}}) is None


def test_of_several_entries_the_longest_path_counts() -> None:
    entries = {path: {"username": path, "password": "p"} for path in ("registry.example/team", "registry.example")}
    login = found({"auths": entries})
    assert login is not None
    assert login.username == "registry.example/team"


def test_the_entry_of_dockers_hub_is_found_by_its_old_name() -> None:
    entries = {"https://index.docker.io/v1/": {"auth": encoded(LOGIN)}}
    assert found({"auths": entries}, "oci://docker.io/team/chat") is not None


def test_a_password_may_hold_colons() -> None:
    login = found({"auths": {"registry.example": {"auth": encoded("ann:a:b")}}})
    assert login == logins.Login(username="ann", password="a:b")


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ({"credHelpers": {"registry.example": "ecr-login"}}, "credHelpers name a program"),
        ({"credsStore": "desktop", "auths": {"registry.example": {}}}, "credsStore holds the login"),
        ({"auths": {"registry.example": {"auth": "no base64!"}}}, "needs auth, or username"),
        ({"auths": {"registry.example": {"username": "ann"}}}, "needs auth, or username"),
        ({"auths": {"registry.example": "ann"}}, "needs auth, or username"),
        (["auths"], "not JSON as docker login writes it"),
        ({"auths": ["ann"]}, "not JSON as docker login writes it"),
    ],
)
def test_a_configuration_that_cannot_be_used_says_why(configuration: object, said: str) -> None:
    with pytest.raises(CredentialsUnusable, match=said):
        found(configuration)


def test_a_login_shows_no_secret_when_it_is_printed() -> None:
    assert "secret" not in repr(logins.Login(username="ann", password="very-secret", identity_token="secret-too"))


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("key", [".dockerconfigjson", "DOCKER_AUTH_CONFIG"])
def test_a_secret_opens_its_registry(
    registries: Callable[..., Registry], workplace: Path, nowhere: Surroundings, key: str, tokens: bool
) -> None:
    registry = registries(login=LOGIN, tokens=tokens)
    secret = {key: configured(registry.host, auth=encoded(LOGIN))}
    assert (pull(offer(registry), workplace, secret, nowhere) / "weights").read_bytes() == b"weights"


def test_an_identity_token_opens_its_registry(
    registries: Callable[..., Registry], workplace: Path, nowhere: Surroundings
) -> None:
    registry = registries(login=LOGIN, tokens=True)
    secret = {".dockerconfigjson": configured(registry.host, auth=encoded("0:"), identitytoken="very-secret")}
    assert (pull(offer(registry), workplace, secret, nowhere) / "weights").read_bytes() == b"weights"


def test_a_process_uses_the_login_of_its_environment(
    registries: Callable[..., Registry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = registries(login=LOGIN)
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", configured(registry.host, auth=encoded(LOGIN)))
    assert Resolver(tmp_path / "cache").resolve_sync(offer(registry)).size_bytes == 7


def test_a_process_uses_the_login_of_its_file(
    registries: Callable[..., Registry], tmp_path: Path, workplace: Path
) -> None:
    registry = registries(login=LOGIN)
    (tmp_path / "config.json").write_text(configured(registry.host, auth=encoded(LOGIN)))
    folder = pull(offer(registry), workplace, {}, Surroundings(docker_config=tmp_path))
    assert (folder / "weights").read_bytes() == b"weights"


def test_a_secret_is_never_completed_by_a_login_of_its_reader(
    registries: Callable[..., Registry], workplace: Path
) -> None:
    registry = registries(login=LOGIN)
    mine = Surroundings(docker_auth_config=configured(registry.host, auth=encoded(LOGIN)))
    theirs = {".dockerconfigjson": configured("other.example", auth=encoded(LOGIN))}
    with pytest.raises(CredentialsUnusable, match="The Secret has no login for 127"):
        pull(offer(registry), workplace, theirs, mine)
    with pytest.raises(CredentialsUnusable, match="kubectl create secret docker-registry"):
        pull(offer(registry), workplace, {"password": "very-secret"}, mine)
    assert registry.seen == []


@pytest.mark.parametrize("tokens", [False, True])
def test_a_wrong_login_is_told_without_showing_it(
    registries: Callable[..., Registry],
    workplace: Path,
    nowhere: Surroundings,
    caplog: pytest.LogCaptureFixture,
    tokens: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    registry = registries(login=LOGIN, tokens=tokens)
    wrong = encoded("ann:mistyped")
    secret = {".dockerconfigjson": configured(registry.host, auth=wrong)}
    with pytest.raises(CredentialsUnusable, match=r"Check the login: .* does not take") as caught:
        pull(offer(registry), workplace, secret, nowhere)
    for shown in (str(caught.value), str(caught.value.metadata), caplog.text):
        assert "mistyped" not in shown
        assert wrong not in shown


@pytest.mark.parametrize("tokens", [False, True])
def test_neither_logins_nor_tokens_are_logged(
    registries: Callable[..., Registry],
    made: Path,
    workplace: Path,
    nowhere: Surroundings,
    caplog: pytest.LogCaptureFixture,
    tokens: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    registry = registries(login=LOGIN, tokens=tokens)
    secret = {".dockerconfigjson": configured(registry.host, auth=encoded(LOGIN))}
    pushed = pushing.push(made, f"oci://{registry.host}/models/mine", secret, surroundings=nowhere, pauses_seconds=())
    pull(pushed.uri, workplace, secret, nowhere)
    secrets = ["very-secret", encoded(LOGIN), *registry.tokens]
    assert caplog.text
    assert [each for each in secrets if each in caplog.text] == []


@pytest.mark.parametrize("tokens", [False, True])
def test_a_login_goes_to_no_host_that_blobs_are_redirected_to(
    registries: Callable[..., Registry], workplace: Path, nowhere: Surroundings, tokens: bool
) -> None:
    registry = registries(login=LOGIN, tokens=tokens)
    registry.troubles.redirect_blobs_to = f"http://localhost:{registry.port}"
    secret = {".dockerconfigjson": configured(registry.host, auth=encoded(LOGIN))}
    assert (pull(offer(registry), workplace, secret, nowhere) / "weights").read_bytes() == b"weights"
    elsewhere = registry.requests("GET", "/storage/")
    assert [(each.host, each.authorization) for each in elsewhere] == [(f"localhost:{registry.port}", "")]


def test_a_refresh_token_goes_nowhere_that_the_token_server_redirects_to(
    registries: Callable[..., Registry], registry: Registry, workplace: Path, nowhere: Surroundings
) -> None:
    """A redirect of 307 had it posted again, to another host."""
    guarded = registries(login=LOGIN, tokens=True)
    guarded.troubles.token_redirect = f"http://{registry.host}/token"
    secret = {".dockerconfigjson": configured(guarded.host, auth=encoded("0:"), identitytoken="very-secret")}
    with pytest.raises(ArtefactUnusable, match="sends elsewhere what is posted to it"):
        pull(offer(guarded), workplace, secret, nowhere)
    assert registry.seen == []


def test_a_password_goes_nowhere_that_the_token_server_redirects_to(
    registries: Callable[..., Registry], registry: Registry, workplace: Path, nowhere: Surroundings
) -> None:
    guarded = registries(login=LOGIN, tokens=True)
    guarded.troubles.token_redirect = f"http://{registry.host}/token"
    secret = {".dockerconfigjson": configured(guarded.host, auth=encoded(LOGIN))}
    with pytest.raises(CredentialsUnusable):
        pull(offer(guarded), workplace, secret, nowhere)
    assert {each.authorization for each in registry.seen} <= {""}


@pytest.mark.parametrize(
    "asked", ["Bearer", 'Bearer realm=""', "Bearer realm=", "Bearer realm=/token", "Negotiate", ""]
)
def test_a_registry_that_does_not_say_how_to_log_in_is_told_so(
    registries: Callable[..., Registry], workplace: Path, nowhere: Surroundings, asked: str
) -> None:
    registry = registries(login=LOGIN, tokens=True)
    registry.troubles.challenge = asked
    secret = {".dockerconfigjson": configured(registry.host, auth=encoded(LOGIN))}
    with pytest.raises((ArtefactUnavailable, CredentialsUnusable)):
        pull(offer(registry), workplace, secret, nowhere)
    assert registry.requests("GET", "/token") == []


def test_the_token_is_asked_for_what_is_done(
    registries: Callable[..., Registry], made: Path, workplace: Path, nowhere: Surroundings
) -> None:
    registry = registries(login=LOGIN, tokens=True)
    secret = {".dockerconfigjson": configured(registry.host, auth=encoded(LOGIN))}
    pushed = pushing.push(made, f"oci://{registry.host}/models/mine", secret, surroundings=nowhere, pauses_seconds=())
    pull(pushed.uri, workplace, secret, nowhere)
    assert list(registry.tokens.values()) == ["repository:models/mine:pull,push", "repository:models/mine:pull"]


def test_a_registry_that_may_not_be_written_to_says_that_the_login_may_not(
    registries: Callable[..., Registry], made: Path, nowhere: Surroundings
) -> None:
    registry = registries(login=LOGIN)
    registry.troubles.answers = {("POST", "/blobs/uploads/"): [403]}
    secret = {".dockerconfigjson": configured(registry.host, auth=encoded(LOGIN))}
    with pytest.raises(CredentialsUnusable, match=r"it may not do this .*403 TROUBLE"):
        pushing.check(f"oci://{registry.host}/models/mine", secret, surroundings=nowhere)


@pytest.fixture
def encrypted(registries: Callable[..., Registry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A registry of HTTPS; its host is a short form of this machine's address, which counts as any other name."""
    files = pki.ensure(tmp_path / "pki", "127.1", datetime.now(UTC))
    monkeypatch.setenv("SSL_CERT_FILE", str(files.authority))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files.certificate, files.key)
    registry = registries(login=LOGIN, tokens=True, tls=tls)
    registry.host = f"127.1:{registry.port}"
    registry.troubles.token_realm = f"https://{registry.host}/token"
    return registry


def test_a_registry_of_https_is_spoken_to_by_https(encrypted: Registry, workplace: Path, nowhere: Surroundings) -> None:
    secret = {".dockerconfigjson": configured(encrypted.host, auth=encoded(LOGIN))}
    assert (pull(offer(encrypted), workplace, secret, nowhere) / "weights").read_bytes() == b"weights"


def test_a_login_is_not_given_to_a_token_server_of_plain_http(
    encrypted: Registry, registry: Registry, workplace: Path, nowhere: Surroundings
) -> None:
    encrypted.troubles.token_realm = f"http://{registry.host}/token"
    secret = {".dockerconfigjson": configured(encrypted.host, auth=encoded(LOGIN))}
    with pytest.raises(ArtefactUnusable, match="where all can read along"):
        pull(offer(encrypted), workplace, secret, nowhere)
    assert registry.seen == []


def test_weights_are_not_fetched_by_plain_http_from_a_registry_of_https(
    encrypted: Registry, registry: Registry, workplace: Path, nowhere: Surroundings
) -> None:
    encrypted.troubles.redirect_blobs_to = f"http://{registry.host}"
    secret = {".dockerconfigjson": configured(encrypted.host, auth=encoded(LOGIN))}
    with pytest.raises(ArtefactUnusable, match="where all can read along"):
        pull(offer(encrypted), workplace, secret, nowhere)
    assert registry.seen == []


@pytest.mark.parametrize(
    ("uri", "plain", "url"),
    [
        ("oci://registry.example/chat", (), "https://registry.example/v2/chat/"),
        ("oci://registry.example:5000/a/b:v1", (), "https://registry.example:5000/v2/a/b/"),
        ("oci://registry/a", (), "https://registry/v2/a/"),
        ("oci://docker.io/library/a", (), "https://registry-1.docker.io/v2/library/a/"),
        ("oci://localhost:5000/a", (), "http://localhost:5000/v2/a/"),
        ("oci://127.0.0.1/a", (), "http://127.0.0.1/v2/a/"),
        ("oci://[::1]:5000/a", (), "http://[::1]:5000/v2/a/"),
        ("oci://registry:5000/a", ("registry:5000",), "http://registry:5000/v2/a/"),
        ("oci://registry:5000/a", ("registry",), "http://registry:5000/v2/a/"),
        ("oci://registry:5001/a", ("registry:5000",), "https://registry:5001/v2/a/"),
        ("oci://localhost.example/a", (), "https://localhost.example/v2/a/"),
    ],
)
def test_plain_http_is_for_this_machine_and_for_who_is_named(uri: str, plain: tuple[str, ...], url: str) -> None:
    assert names.read(uri).base_url(plain) == url


def test_registries_of_plain_http_are_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOUCHSTONE_PLAIN_HTTP_REGISTRIES", "registry.team:5000, other")
    assert Surroundings.read().plain_http_registries == ("registry.team:5000", "other")


def test_a_manifest_is_asked_for_by_its_digest_where_both_are_named() -> None:
    digest = f"sha256:{'a' * 64}"
    assert names.read(f"oci://registry/a:v1@{digest}").reference == digest
    assert names.read("oci://registry/a:v1").reference == "v1"
    assert names.read("oci://registry/a").reference == "latest"


@pytest.mark.parametrize(
    "location",
    ["registry", "registry/", "registry/Upper", "registry/a/", "registry/a:", "registry/a@sha256:1", "a b/c",
     "ann:secret@registry/a", "registry/../a", "registry/a//b", "registry/a?b", "-/a"],
)  # fmt: skip
def test_an_address_of_another_form_is_refused(location: str) -> None:
    with pytest.raises(UriInvalid, match="must look like oci://"):
        names.read(f"oci://{location}")
