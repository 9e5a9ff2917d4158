"""Artefacts: one folder by its contents, there whole or not at all."""

import shutil
from pathlib import Path

import pytest
from touchstone_finetuning.adapters.outputs import FolderOutputs
from touchstone_finetuning.adapters.sources import ArtefactSources
from touchstone_finetuning.core.spec import Source
from touchstone_finetuning.errors import OutputPushFailed
from touchstone_runtime.artefacts import Resolver, UriInvalid


@pytest.fixture
def sources(tmp_path: Path) -> ArtefactSources:
    return ArtefactSources(Resolver(tmp_path / "cache"), file_root=tmp_path)


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
    published = FolderOutputs(sources).publish(made, f"file://{tmp_path}/out")
    found = sources.fetch(Source(uri=published.uri))
    assert found.digest == published.digest
    assert (found.path / "inner" / "weights").read_bytes() == b"abc"
    assert published.size_bytes == 5


def test_the_same_contents_are_published_once(tmp_path: Path, sources: ArtefactSources, made: Path) -> None:
    outputs = FolderOutputs(sources)
    first = outputs.publish(made, f"file://{tmp_path}/out")
    assert outputs.publish(made, f"file://{tmp_path}/out") == first
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
        FolderOutputs(sources).publish(made, "file:///somewhere/else")


def test_what_the_platform_made_may_be_read_but_not_written(tmp_path: Path, made: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(made, store / "datasets")
    sources = ArtefactSources(Resolver(tmp_path / "cache"), file_root=tmp_path / "files", store=store)
    assert sources.fetch(Source(uri=f"file://{store}/datasets")).path == store / "datasets"
    with pytest.raises(UriInvalid, match=r"must lie below .*/files$"):
        sources.own_file(f"file://{store}/datasets")


def test_a_place_that_cannot_be_written_leaves_nothing_half(
    tmp_path: Path, sources: ArtefactSources, made: Path
) -> None:
    (tmp_path / "out").write_text("a file where a folder should be")
    with pytest.raises(OutputPushFailed, match="could not be written"):
        FolderOutputs(sources).publish(made, f"file://{tmp_path}/out")


def test_what_is_published_to_google_has_its_digest(sources: ArtefactSources, made: Path, google_storage: str) -> None:
    outputs = FolderOutputs(sources)
    outputs.check(f"{google_storage}/out")
    published = outputs.publish(made, f"{google_storage}/out")
    found = sources.fetch(Source(uri=published.uri))
    assert found.digest == published.digest
    assert (found.path / "inner" / "weights").read_bytes() == b"abc"


def test_a_bucket_that_is_not_there_is_told(sources: ArtefactSources, made: Path, google_storage: str) -> None:
    with pytest.raises(OutputPushFailed, match="could not be written"):
        FolderOutputs(sources).publish(made, f"{google_storage}-of-nobody/out")
