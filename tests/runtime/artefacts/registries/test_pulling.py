"""Pulling: whole and checked, or not at all; gone on with where it ended; nothing outside the folder."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from touchstone_runtime.artefacts import (
    ArtefactCorrupt,
    ArtefactNotFound,
    ArtefactUnavailable,
    ArtefactUnusable,
    CredentialsUnusable,
    Resolver,
    caching,
)
from touchstone_runtime.artefacts.registries import Surroundings, manifests, pulling, pushing
from touchstone_runtime.artefacts.registries.testing import Registry

IMAGE = "application/vnd.docker.distribution.manifest.v2+json"
Layer = dict[str, Any]


def deaf(done: int, total: int | None) -> None:
    """Hears nothing."""


@pytest.fixture
def push(nowhere: Surroundings) -> Callable[..., pushing.Pushed]:
    return partial(pushing.push, secret={}, surroundings=nowhere, pauses_seconds=())


@pytest.fixture
def pull(workplace: Path, nowhere: Surroundings) -> Callable[..., Path]:
    return partial(pulling.pull, workplace=workplace, told=deaf, secret={}, surroundings=nowhere, pauses_seconds=())


def layer(registry: Registry, title: str, content: bytes = b"abc", **annotations: str) -> Layer:
    titled = {"org.opencontainers.image.title": title} if title else {}
    digest = registry.add_blob(content)
    return {"mediaType": "any/kind", "digest": digest, "size": len(content), "annotations": titled | annotations}


def offer(registry: Registry, *layers: Layer, media_type: str = manifests.MANIFEST) -> str:
    """Have an artefact in the registry as somebody else pushed it."""
    content = json.dumps({"schemaVersion": 2, "mediaType": media_type, "layers": layers}).encode()
    return registry.add_manifest("models/chat", "v1", content, media_type)


def test_what_was_pushed_comes_back_as_the_same_folder(
    registry: Registry, made: Path, push: Callable[..., pushing.Pushed], pull: Callable[..., Path]
) -> None:
    pushed = push(made, f"oci://{registry.host}/adapters/tone")
    folder = pull(pushed.uri)
    assert caching.digest_folder(folder) == caching.digest_folder(made) == pushed.digest
    assert (folder / "inner" / "again").read_bytes() == (made / "inner" / "again").read_bytes()


def test_an_address_without_a_tag_means_latest(registry: Registry, pull: Callable[..., Path]) -> None:
    offer(registry, layer(registry, "a"))
    registry.manifests["models/chat@latest"] = registry.manifests["models/chat@v1"]
    assert (pull(f"oci://{registry.host}/models/chat") / "a").read_bytes() == b"abc"


def test_what_others_pushed_with_titles_is_taken(registry: Registry, pull: Callable[..., Path]) -> None:
    offer(registry, layer(registry, "./config.json"), layer(registry, "shards/one.safetensors", b"weights"))
    folder = pull(f"oci://{registry.host}/models/chat:v1")
    assert (folder / "config.json").read_bytes() == b"abc"
    assert (folder / "shards" / "one.safetensors").read_bytes() == b"weights"


def test_how_far_it_is_is_told_up_to_all_of_it(registry: Registry, workplace: Path, nowhere: Surroundings) -> None:
    offer(registry, layer(registry, "a", b"a" * 10), layer(registry, "b", b"b" * 20))
    told: list[tuple[int, int | None]] = []
    pulling.pull(
        f"oci://{registry.host}/models/chat:v1", workplace, lambda *each: told.append(each), {}, surroundings=nowhere
    )
    assert told == [(10, 30), (30, 30), (30, 30)]


def test_the_resolver_keeps_what_it_pulled_by_its_digest(
    registry: Registry, made: Path, tmp_path: Path, push: Callable[..., pushing.Pushed]
) -> None:
    pushed = push(made, f"oci://{registry.host}/adapters/tone")
    resolver = Resolver(tmp_path / "cache")
    uri = f"{pushed.uri}#{pushed.digest.replace(':', '=')}"
    first = resolver.resolve_sync(uri)
    asked = len(registry.seen)
    assert resolver.resolve_sync(uri) == first
    assert len(registry.seen) == asked
    assert first.digest == caching.digest_folder(first.path) == pushed.digest
    assert first.path.is_dir()


def test_a_damaged_blob_is_refused_and_nothing_of_it_is_kept(
    registry: Registry, workplace: Path, pull: Callable[..., Path]
) -> None:
    damaged = layer(registry, "a", b"as it was pushed")
    registry.blob(damaged["digest"]).write_bytes(b"as it has rotted")
    offer(registry, damaged)
    with pytest.raises(ArtefactCorrupt, match="has the digest"):
        pull(f"oci://{registry.host}/models/chat:v1")
    assert [path for path in workplace.rglob("*") if path.is_file()] == []


def test_a_blob_longer_than_its_manifest_says_is_refused(registry: Registry, pull: Callable[..., Path]) -> None:
    offer(registry, layer(registry, "a", b"abc") | {"size": 2})
    with pytest.raises(ArtefactCorrupt):
        pull(f"oci://{registry.host}/models/chat:v1")


def test_a_manifest_other_than_the_one_that_was_pinned_is_refused(
    registry: Registry, pull: Callable[..., Path]
) -> None:
    pinned = offer(registry, layer(registry, "a"))
    offer(registry, layer(registry, "b"))
    registry.manifests[f"models/chat@{pinned}"] = registry.manifests["models/chat@v1"]
    with pytest.raises(ArtefactCorrupt, match=pinned):
        pull(f"oci://{registry.host}/models/chat@{pinned}")


def test_a_file_that_was_fetched_by_an_earlier_try_is_not_fetched_again(
    registry: Registry, pull: Callable[..., Path]
) -> None:
    offer(registry, layer(registry, "first", b"first"), layer(registry, "second", b"second"))
    second = manifests.read(registry.manifests["models/chat@v1"][1], "")[1].digest
    registry.troubles.answers = {("GET", second): [503]}
    uri = f"oci://{registry.host}/models/chat:v1"
    with pytest.raises(ArtefactUnavailable):
        pull(uri)
    assert (pull(uri) / "first").read_bytes() == b"first"
    assert len(registry.requests("GET", "/blobs/")) == 3


def test_only_what_is_missing_is_asked_for_again(registry: Registry, workplace: Path, nowhere: Surroundings) -> None:
    content = bytes(range(256)) * 8192
    offer(registry, layer(registry, "weights", content))
    registry.troubles.break_after = 1_500_000
    uri = f"oci://{registry.host}/models/chat:v1"
    folder = pulling.pull(uri, workplace, deaf, {}, surroundings=nowhere, pauses_seconds=(0.0,))
    asked = [int(each.range.removeprefix("bytes=").rstrip("-") or 0) for each in registry.requests("GET", "/blobs/")]
    assert asked[0] == 0
    assert 0 < asked[1] <= 1_500_000
    assert (folder / "weights").read_bytes() == content


def test_a_registry_without_ranges_is_asked_from_the_beginning(
    registry: Registry, workplace: Path, nowhere: Surroundings
) -> None:
    content = bytes(range(256)) * 8192
    offer(registry, layer(registry, "weights", content))
    registry.troubles.break_after, registry.troubles.ranges = 1_500_000, False
    uri = f"oci://{registry.host}/models/chat:v1"
    folder = pulling.pull(uri, workplace, deaf, {}, surroundings=nowhere, pauses_seconds=(0.0,))
    assert (folder / "weights").read_bytes() == content


def test_files_of_an_earlier_artefact_of_the_same_tag_are_not_left_in_it(
    registry: Registry, pull: Callable[..., Path]
) -> None:
    uri = f"oci://{registry.host}/models/chat:v1"
    offer(registry, layer(registry, "old"))
    pull(uri)
    offer(registry, layer(registry, "new"))
    assert [path.name for path in pull(uri).iterdir()] == ["new"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_registry_that_is_busy_is_asked_again(
    registry: Registry, workplace: Path, nowhere: Surroundings, status: int
) -> None:
    offer(registry, layer(registry, "a"))
    registry.troubles.answers = {("GET", "/manifests/"): [status], ("GET", "/blobs/"): [status, status]}
    uri = f"oci://{registry.host}/models/chat:v1"
    folder = pulling.pull(uri, workplace, deaf, {}, surroundings=nowhere, pauses_seconds=(0.0, 0.0))
    assert (folder / "a").read_bytes() == b"abc"


def test_a_registry_that_stays_busy_is_told_as_unavailable(registry: Registry, pull: Callable[..., Path]) -> None:
    registry.troubles.answers = {("GET", "/manifests/"): [503]}
    with pytest.raises(ArtefactUnavailable, match="503 TROUBLE"):
        pull(f"oci://{registry.host}/models/chat:v1")


def test_what_is_not_there_is_told_with_the_registrys_own_code(registry: Registry, pull: Callable[..., Path]) -> None:
    with pytest.raises(ArtefactNotFound, match="404 MANIFEST_UNKNOWN"):
        pull(f"oci://{registry.host}/models/chat:v9")


@pytest.mark.parametrize("title", ["../escaped", "/etc/escaped", "a/../../escaped", ".", "..", "a\0b"])
def test_a_title_that_leads_out_of_the_folder_is_refused_before_anything_is_fetched(
    registry: Registry, pull: Callable[..., Path], title: str
) -> None:
    offer(registry, layer(registry, "fine"), layer(registry, title))
    with pytest.raises(ArtefactUnusable, match="outside the artefact's folder"):
        pull(f"oci://{registry.host}/models/chat:v1")
    assert registry.requests("GET", "/blobs/") == []


@pytest.mark.parametrize("titles", [("a", "a"), ("a", "./a"), ("a", "a/b")])
def test_two_files_at_one_place_are_refused(
    registry: Registry, pull: Callable[..., Path], titles: tuple[str, str]
) -> None:
    offer(registry, *(layer(registry, title) for title in titles))
    with pytest.raises(ArtefactUnusable, match="two of its files"):
        pull(f"oci://{registry.host}/models/chat:v1")


@pytest.mark.parametrize("media_type", [manifests.MANIFEST, IMAGE])
def test_an_image_of_a_container_is_refused_with_what_to_do(
    registry: Registry, pull: Callable[..., Path], media_type: str
) -> None:
    offer(registry, layer(registry, ""), media_type=media_type)
    with pytest.raises(ArtefactUnusable, match=r"layer without a title.*oras push"):
        pull(f"oci://{registry.host}/models/chat:v1")


def test_a_folder_as_an_archive_is_refused_with_what_to_do(registry: Registry, pull: Callable[..., Path]) -> None:
    offer(registry, layer(registry, "model", **{"io.deis.oras.content.unpack": "true"}))
    with pytest.raises(ArtefactUnusable, match=r"'model' as an archive.*from within it"):
        pull(f"oci://{registry.host}/models/chat:v1")


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{}", b'{"layers": [1]}', b'{"layers": [{"annotations": 1}]}'])
def test_what_is_no_manifest_is_refused(registry: Registry, pull: Callable[..., Path], content: bytes) -> None:
    registry.add_manifest("models/chat", "v1", content, manifests.MANIFEST)
    with pytest.raises(ArtefactUnusable):
        pull(f"oci://{registry.host}/models/chat:v1")


def test_of_an_index_the_one_artefact_of_ours_is_taken(
    registry: Registry, made: Path, push: Callable[..., pushing.Pushed], pull: Callable[..., Path]
) -> None:
    digest = push(made, f"oci://{registry.host}/models/chat").uri.partition("@")[2]
    others = {"digest": f"sha256:{'0' * 64}", "artifactType": "application/vnd.other"}
    listed = {"manifests": [others, {"digest": digest, "artifactType": manifests.ARTEFACT_TYPE}]}
    registry.add_manifest("models/chat", "all", json.dumps(listed).encode(), manifests.INDEX)
    assert (pull(f"oci://{registry.host}/models/chat:all") / "adapter_config.json").read_text() == '{"r": 4}'


def test_an_index_without_an_artefact_of_ours_is_refused(registry: Registry, pull: Callable[..., Path]) -> None:
    listed = {"manifests": [{"digest": f"sha256:{'0' * 64}", "platform": {"architecture": "amd64"}}]}
    registry.add_manifest("models/chat", "v1", json.dumps(listed).encode(), manifests.INDEX)
    with pytest.raises(ArtefactUnusable, match="an index with 0 manifests"):
        pull(f"oci://{registry.host}/models/chat:v1")


def test_nobody_is_told_to_log_in_where_the_registry_wants_a_login(
    registries: Callable[..., Registry], pull: Callable[..., Path]
) -> None:
    registry = registries(login="ann:secret")
    with pytest.raises(CredentialsUnusable, match=r"kubernetes\.io/dockerconfigjson"):
        pull(f"oci://{registry.host}/models/chat:v1")
