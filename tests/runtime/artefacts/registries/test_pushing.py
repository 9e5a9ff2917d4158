"""Pushing: once for the same contents, visible only when whole, by streams, and taken for what it was."""

import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from touchstone_runtime.artefacts import ArtefactNotFound, ArtefactUnavailable, ArtefactUnusable, UriInvalid, caching
from touchstone_runtime.artefacts.registries import Surroundings, manifests, pulling, pushing
from touchstone_runtime.artefacts.registries.testing import Registry

MANIFEST_OF_ONE_FILE = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",'
    b'"artifactType":"application/vnd.touchstone.model.v1",'
    b'"config":{"mediaType":"application/vnd.oci.empty.v1+json",'
    b'"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"data":"e30="},'
    b'"layers":[{"mediaType":"application/octet-stream",'
    b'"digest":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","size":3,'
    b'"annotations":{"org.opencontainers.image.title":"inner/weights"}}]}'
)
"""By the image specification 1.1; the digests are those of `{}` (its own text) and of `abc` (FIPS 180-4, B.1)."""


@pytest.fixture
def push(nowhere: Surroundings) -> Callable[..., pushing.Pushed]:
    return partial(pushing.push, secret={}, surroundings=nowhere, pauses_seconds=())


def test_a_folder_is_the_manifest_that_the_specification_says(
    registry: Registry, tmp_path: Path, push: Callable[..., pushing.Pushed]
) -> None:
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "inner" / "weights").write_bytes(b"abc")
    pushed = push(tmp_path / "folder", f"oci://{registry.host}/adapters/tone")
    kept = registry.manifests[f"adapters/tone@{pushed.uri.partition('@')[2]}"]
    assert kept == (manifests.MANIFEST, MANIFEST_OF_ONE_FILE)


def test_the_tag_is_the_digest_of_the_folder(
    registry: Registry, made: Path, push: Callable[..., pushing.Pushed]
) -> None:
    pushed = push(made, f"oci://{registry.host}/adapters/tone")
    assert pushed.digest == caching.digest_folder(made)
    assert pushed.size_bytes == 8 + 2 * 1024 * 1024
    tag = pushed.digest.removeprefix("sha256:")
    assert {key.partition("@")[2] for key in registry.manifests} == {tag, pushed.uri.partition("@")[2]}


def test_the_same_contents_are_sent_once(registry: Registry, made: Path, push: Callable[..., pushing.Pushed]) -> None:
    uri = f"oci://{registry.host}/adapters/tone"
    first = push(made, uri)
    assert len(registry.requests("PUT", "/blobs/")) == 3, "two files, of three, and the empty configuration"
    assert push(made, uri) == first
    assert len(registry.requests("PUT", "")) == 4, "the manifest is the fourth"


def test_only_files_that_changed_are_sent_again(
    registry: Registry, made: Path, push: Callable[..., pushing.Pushed]
) -> None:
    uri = f"oci://{registry.host}/adapters/tone"
    first = push(made, uri)
    (made / "adapter_config.json").write_text('{"r": 8}')
    registry.seen.clear()
    assert push(made, uri).uri != first.uri
    assert len(registry.requests("PUT", "/blobs/")) == 1


def test_a_tag_of_the_address_names_the_newest(
    registry: Registry, made: Path, push: Callable[..., pushing.Pushed]
) -> None:
    uri = f"oci://{registry.host}/adapters/tone:stable"
    push(made, uri)
    (made / "adapter_config.json").write_text('{"r": 8}')
    pushed = push(made, uri)
    assert pushed.uri.startswith(f"oci://{registry.host}/adapters/tone@sha256:")
    digest = pushed.uri.partition("@")[2]
    assert registry.manifests["adapters/tone@stable"] == registry.manifests[f"adapters/tone@{digest}"]


def test_nothing_is_visible_before_it_is_whole(
    registry: Registry, made: Path, push: Callable[..., pushing.Pushed]
) -> None:
    registry.troubles.answers = {("PUT", "/blobs/uploads/"): [503]}
    with pytest.raises(ArtefactUnavailable):
        push(made, f"oci://{registry.host}/adapters/tone")
    assert registry.manifests == {}


def test_a_file_whose_sending_failed_is_sent_again_as_a_whole(
    registry: Registry, made: Path, nowhere: Surroundings
) -> None:
    registry.troubles.answers = {("PUT", "/blobs/uploads/"): [503, 429], ("POST", "/blobs/uploads/"): [500]}
    pushed = pushing.push(
        made, f"oci://{registry.host}/adapters/tone", {}, surroundings=nowhere, pauses_seconds=(0.0, 0.0, 0.0)
    )
    weights = caching.digest_file(made / "inner" / "weights")
    assert registry.blob(weights).read_bytes() == (made / "inner" / "weights").read_bytes()
    assert f"adapters/tone@{pushed.uri.partition('@')[2]}" in registry.manifests


def test_a_token_that_ended_is_renewed_in_the_middle_of_a_file(
    registries: Callable[..., Registry], made: Path, nowhere: Surroundings
) -> None:
    """The body was spent on the answer 401, and a second try sent nothing of it."""
    registry = registries(login="ann:secret", tokens=True)
    surroundings = Surroundings(
        docker_auth_config=f'{{"auths": {{"{registry.host}": {{"username": "ann", "password": "secret"}}}}}}',
        docker_config=nowhere.docker_config,
    )
    registry.troubles.end_tokens_at = "PUT"
    pushed = pushing.push(
        made, f"oci://{registry.host}/adapters/tone", {}, surroundings=surroundings, pauses_seconds=()
    )
    assert f"adapters/tone@{pushed.uri.partition('@')[2]}" in registry.manifests
    assert len(registry.requests("GET", "/token")) > 1


def test_what_the_registry_refuses_is_told_with_its_code(
    registry: Registry, made: Path, push: Callable[..., pushing.Pushed]
) -> None:
    registry.troubles.answers = {("PUT", "/manifests/"): [413]}
    with pytest.raises(ArtefactUnusable, match="413 TROUBLE"):
        push(made, f"oci://{registry.host}/adapters/tone")


def test_a_registry_without_the_repository_says_so_before_anything_is_made(
    registry: Registry, nowhere: Surroundings
) -> None:
    registry.troubles.answers = {("POST", "/blobs/uploads/"): [404]}
    with pytest.raises(ArtefactNotFound, match="404 TROUBLE"):
        pushing.check(f"oci://{registry.host}/adapters/tone", {}, surroundings=nowhere)
    pushing.check(f"oci://{registry.host}/adapters/tone", {}, surroundings=nowhere)
    assert registry.manifests == {}


def test_an_empty_folder_is_not_published(
    registry: Registry, tmp_path: Path, push: Callable[..., pushing.Pushed]
) -> None:
    (tmp_path / "empty" / "inner").mkdir(parents=True)
    with pytest.raises(ArtefactUnusable, match="holds no files"):
        push(tmp_path / "empty", f"oci://{registry.host}/adapters/tone")
    assert registry.seen == []


def test_an_address_of_what_is_there_already_is_not_published_to(
    registry: Registry, made: Path, push: Callable[..., pushing.Pushed]
) -> None:
    with pytest.raises(UriInvalid, match="names what is there already"):
        push(made, f"oci://{registry.host}/adapters/tone@sha256:{'0' * 64}")


def test_a_file_of_a_hundred_megabytes_passes_through_a_few(
    registry: Registry, tmp_path: Path, workplace: Path, nowhere: Surroundings, push: Callable[..., pushing.Pushed]
) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    with (folder / "weights").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    tracemalloc.start()
    try:
        pushed = push(folder, f"oci://{registry.host}/models/large")
        pulled = pulling.pull(
            pushed.uri, workplace, lambda done, total: None, {}, surroundings=nowhere, pauses_seconds=()
        )
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (pulled / "weights").stat().st_size == 100 * 1024 * 1024
    assert peak_bytes < 16 * 1024 * 1024, "of the registry as well, which runs in this process"
