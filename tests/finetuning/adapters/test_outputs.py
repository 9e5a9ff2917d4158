"""Artefacts: one folder by its contents, there whole or not at all."""

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from touchstone_finetuning.adapters.outputs import FolderOutputs
from touchstone_finetuning.adapters.sources import ArtefactSources
from touchstone_finetuning.core.spec import Source
from touchstone_finetuning.errors import OutputPushFailed
from touchstone_runtime.artefacts import ArtefactUnusable, CredentialsUnusable, Resolver, UriInvalid
from touchstone_runtime.artefacts.registries.testing import Registry
from touchstone_runtime.cluster.references import SecretReference
from touchstone_runtime.testing import FakeSecrets

SECRET = SecretReference(namespace="team-a", name="store")


@pytest.fixture
def sources(tmp_path: Path) -> ArtefactSources:
    return ArtefactSources(Resolver(tmp_path / "cache"), FakeSecrets(), file_root=tmp_path)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    (folder / "inner").mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    (folder / "inner" / "weights").write_bytes(b"abc")
    return folder


def test_what_was_published_is_found_by_its_address_and_has_its_digest(
    tmp_path: Path, sources: ArtefactSources, made: Path
) -> None:
    published = FolderOutputs(sources, FakeSecrets()).publish(made, f"file://{tmp_path}/out", None)
    found = sources.fetch(Source(uri=published.uri))
    assert found.digest == published.digest
    assert (found.path / "inner" / "weights").read_bytes() == b"abc"
    assert published.size_bytes == 5


def test_the_same_contents_are_published_once(tmp_path: Path, sources: ArtefactSources, made: Path) -> None:
    outputs = FolderOutputs(sources, FakeSecrets())
    first = outputs.publish(made, f"file://{tmp_path}/out", None)
    assert outputs.publish(made, f"file://{tmp_path}/out", None) == first
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_an_address_cannot_climb_out_of_the_root_by_escapes(tmp_path: Path, sources: ArtefactSources) -> None:
    """The check took %2e%2e for a name, and the resolver for the folder above."""
    secret = tmp_path.with_name(f"{tmp_path.name}-secret")
    secret.write_text("secret")
    climbing = f"file://{tmp_path}/%2e%2e/{secret.name}"
    with pytest.raises(UriInvalid, match="must lie below"):
        sources.fetch(Source(uri=climbing))
    with pytest.raises(UriInvalid, match="must lie below"):
        sources.own_file(climbing)


def test_an_output_outside_the_root_is_refused(sources: ArtefactSources, made: Path) -> None:
    with pytest.raises(UriInvalid, match="must lie below"):
        FolderOutputs(sources, FakeSecrets()).publish(made, "file:///somewhere/else", None)


def test_what_the_platform_made_may_be_read_but_not_written(tmp_path: Path, made: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(made, store / "datasets")
    sources = ArtefactSources(Resolver(tmp_path / "cache"), FakeSecrets(), file_root=tmp_path / "files", store=store)
    assert sources.fetch(Source(uri=f"file://{store}/datasets")).path == store / "datasets"
    with pytest.raises(UriInvalid, match=r"must lie below .*/files$"):
        sources.own_file(f"file://{store}/datasets")


def test_a_place_that_cannot_be_written_leaves_nothing_half(
    tmp_path: Path, sources: ArtefactSources, made: Path
) -> None:
    (tmp_path / "out").write_text("a file where a folder should be")
    with pytest.raises(OutputPushFailed, match="could not be written"):
        FolderOutputs(sources, FakeSecrets()).publish(made, f"file://{tmp_path}/out", None)


def test_what_is_published_to_google_has_its_digest(sources: ArtefactSources, made: Path, google_storage: str) -> None:
    outputs = FolderOutputs(sources, FakeSecrets())
    outputs.check(f"{google_storage}/out", None)
    published = outputs.publish(made, f"{google_storage}/out", None)
    found = sources.fetch(Source(uri=published.uri))
    assert found.digest == published.digest
    assert (found.path / "inner" / "weights").read_bytes() == b"abc"


def test_a_bucket_that_is_not_there_is_told(sources: ArtefactSources, made: Path, google_storage: str) -> None:
    with pytest.raises(OutputPushFailed, match="could not be written"):
        FolderOutputs(sources, FakeSecrets()).publish(made, f"{google_storage}-of-nobody/out", None)


def test_a_store_is_read_and_written_with_the_keys_of_a_secret(
    tmp_path: Path, made: Path, team_storage: Mapping[str, str]
) -> None:
    secrets = FakeSecrets({SECRET: team_storage})
    sources = ArtefactSources(Resolver(tmp_path / "cache"), secrets, file_root=tmp_path)
    outputs = FolderOutputs(sources, secrets)
    outputs.check("s3://team-a/adapters", SECRET)
    published = outputs.publish(made, "s3://team-a/adapters", SECRET)
    found = sources.fetch(Source(uri=published.uri, credentials=SECRET))
    assert found.digest == published.digest
    assert (found.path / "inner" / "weights").read_bytes() == b"abc"
    assert team_storage["AWS_SECRET_ACCESS_KEY"] not in published.uri


def test_a_store_that_does_not_take_the_keys_of_a_secret_is_told(
    sources: ArtefactSources, made: Path, team_storage: Mapping[str, str]
) -> None:
    outputs = FolderOutputs(sources, FakeSecrets({SECRET: {**team_storage, "AWS_ACCESS_KEY_ID": "team-b"}}))
    with pytest.raises(OutputPushFailed, match="could not be written") as failed:
        outputs.publish(made, "s3://team-a/adapters", SECRET)
    assert team_storage["AWS_SECRET_ACCESS_KEY"] not in str(failed.value)


def test_a_secret_without_the_keys_of_its_store_is_told_before_anything_is_trained(sources: ArtefactSources) -> None:
    with pytest.raises(CredentialsUnusable, match="AWS_ACCESS_KEY_ID"):
        FolderOutputs(sources, FakeSecrets({SECRET: {"HF_TOKEN": "t"}})).check("s3://team-a/adapters", SECRET)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "no-docker"))
    (tmp_path / "registry").mkdir()
    registry = Registry(tmp_path / "registry", login="ann:secret", tokens=True)
    auth = f'{{"auths": {{"{registry.host}": {{"username": "ann", "password": "secret"}}}}}}'
    monkeypatch.setenv("DOCKER_AUTH_CONFIG", auth)
    yield registry
    registry.close()


def test_what_is_published_to_a_registry_is_one_manifest_with_its_digest(
    sources: ArtefactSources, made: Path, registry: Registry
) -> None:
    outputs, uri = FolderOutputs(sources, FakeSecrets()), f"oci://{registry.host}/adapters/tone"
    outputs.check(uri, None)
    published = outputs.publish(made, uri, None)
    assert outputs.publish(made, uri, None) == published
    manifest = published.uri.removeprefix(f"{uri}@").partition("#")[0]
    assert published.uri == f"{uri}@{manifest}#{published.digest.replace(':', '=')}"
    assert len(registry.requests("PUT", "/manifests/")) == 1
    found = sources.fetch(Source(uri=published.uri))
    assert found.digest == published.digest
    assert (found.path / "inner" / "weights").read_bytes() == b"abc"
    assert published.size_bytes == 5


def test_a_registry_that_takes_no_login_says_so_before_anything_is_trained(
    sources: ArtefactSources, registry: Registry
) -> None:
    registry.login = "ann:another"
    with pytest.raises(CredentialsUnusable, match="does not take it"):
        FolderOutputs(sources, FakeSecrets()).check(f"oci://{registry.host}/adapters/tone", None)


def test_what_a_registry_refuses_for_good_is_not_tried_again(
    sources: ArtefactSources, registry: Registry, made: Path
) -> None:
    registry.troubles.answers = {("PUT", "/manifests/"): [400]}
    with pytest.raises(ArtefactUnusable, match="400 TROUBLE") as caught:
        FolderOutputs(sources, FakeSecrets()).publish(made, f"oci://{registry.host}/adapters/tone", None)
    assert not caught.value.is_retryable


def test_a_registry_takes_the_login_of_a_secret(
    tmp_path: Path, made: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = os.environ["DOCKER_AUTH_CONFIG"]
    monkeypatch.delenv("DOCKER_AUTH_CONFIG")
    secrets = FakeSecrets({SECRET: {".dockerconfigjson": login}})
    sources = ArtefactSources(Resolver(tmp_path / "cache"), secrets, file_root=tmp_path)
    outputs, uri = FolderOutputs(sources, secrets), f"oci://{registry.host}/adapters/tone"
    with pytest.raises(CredentialsUnusable):
        outputs.check(uri, None)
    outputs.check(uri, SECRET)
    published = outputs.publish(made, uri, SECRET)
    assert sources.fetch(Source(uri=published.uri, credentials=SECRET)).digest == published.digest
