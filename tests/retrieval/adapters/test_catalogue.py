"""The catalogue on both databases."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from touchstone_retrieval import errors
from touchstone_retrieval.adapters.catalogue import SqlCatalogue
from touchstone_retrieval.core.manifest import Counts, Identity, Manifest, SourceRevision
from touchstone_retrieval.core.spec import Chunking, IndexSpec, Source, SparseEncoding
from touchstone_runtime import databases

INDEX = "default/kb"
BUILT_AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def catalogue(database_url: str) -> Iterator[SqlCatalogue]:
    engine = databases.connect(database_url)
    yield SqlCatalogue(engine)
    engine.dispose()


def built(content: str, *, hours: int = 0) -> Manifest:
    spec = IndexSpec(
        sources=(Source(name="docs", uri="file:///docs"),), chunking=Chunking(), sparse=SparseEncoding.BM25
    )
    identity = Identity(spec=spec, sources=(SourceRevision(name="docs", digest=content),), embedder_digest="")
    return Manifest(
        index=INDEX,
        identity=identity,
        counts=Counts(documents=1, chunks=1, failed_documents=0),
        average_length=1.0,
        size_bytes=1,
        built_at=BUILT_AT + timedelta(hours=hours),
    )


def test_a_revision_is_active_only_when_it_was_activated(catalogue: SqlCatalogue) -> None:
    first = built("one")
    catalogue.add(first)
    with pytest.raises(errors.NotActivated):
        catalogue.manifest(INDEX, "")
    catalogue.activate(INDEX, first.name)
    assert catalogue.manifest(INDEX, "") == first


def test_activating_another_keeps_the_one_before_for_a_rollback(catalogue: SqlCatalogue) -> None:
    first, second = built("one"), built("two", hours=1)
    for manifest in (first, second):
        catalogue.add(manifest)
        catalogue.activate(INDEX, manifest.name)
    record = catalogue.index(INDEX)
    assert (record.active_revision, record.previous_revision) == (second.name, first.name)
    assert [manifest.name for manifest in record.revisions] == [second.name, first.name]


def test_the_active_revision_is_not_removed(catalogue: SqlCatalogue) -> None:
    first = built("one")
    catalogue.add(first)
    catalogue.activate(INDEX, first.name)
    with pytest.raises(errors.RevisionActive):
        catalogue.remove(INDEX, first.name)
    assert catalogue.manifest(INDEX, first.name) == first


def test_a_revision_that_many_workers_finish_at_once_is_recorded_once(catalogue: SqlCatalogue) -> None:
    manifest = built("one")
    barrier = threading.Barrier(4)

    def add(_: int) -> None:
        barrier.wait()
        catalogue.add(manifest)

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(add, range(4)))
    assert len(catalogue.index(INDEX).revisions) == 1


def test_a_removed_index_is_not_found(catalogue: SqlCatalogue) -> None:
    manifest = built("one")
    catalogue.add(manifest)
    assert list(catalogue.remove_index(INDEX)) == [manifest.name]
    with pytest.raises(errors.IndexNotFound):
        catalogue.index(INDEX)
