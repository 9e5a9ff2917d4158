"""Claims about identities and manifests."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from touchstone_retrieval.core.manifest import Counts, Identity, Manifest, SourceRevision
from touchstone_retrieval.core.spec import Chunking, IndexSpec, SearchDefaults


def identity(spec: IndexSpec) -> Identity:
    return Identity(spec=spec, sources=(SourceRevision(name="docs", digest="sha256:1"),), embedder_digest="sha256:2")


def manifest(spec: IndexSpec) -> Manifest:
    return Manifest(
        index="default/docs",
        identity=identity(spec),
        counts=Counts(documents=2, chunks=3, failed_documents=1, failures={"NotJson": 1}),
        average_length=12.5,
        size_bytes=4096,
        built_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_spec_survives_its_document(make_spec):
    spec = make_spec(tenant_field="team", defaults=SearchDefaults(min_score=0.1))

    assert IndexSpec.from_document(spec.to_document()) == spec


def test_a_manifest_survives_its_text(make_spec):
    written = manifest(make_spec())

    assert Manifest.from_json(written.to_json()) == written
    assert written.name == f"docs-{written.digest.removeprefix('sha256:')[:10]}"


def test_a_manifest_that_was_changed_is_refused(make_spec):
    text = manifest(make_spec()).to_json().replace('"sha256:1"', '"sha256:9"')

    with pytest.raises(ValueError, match="hashes to"):
        Manifest.from_json(text)


def test_the_digest_changes_with_everything_that_changes_an_answer(make_spec):
    base = identity(make_spec())
    changed = [
        identity(make_spec(chunking=Chunking(max_tokens=100))),
        identity(make_spec("file:///elsewhere")),
        replace(base, embedder_digest="sha256:3"),
        replace(base, sources=(SourceRevision(name="docs", digest="sha256:9"),)),
    ]

    assert len({base.digest(), *(c.digest() for c in changed)}) == 5


def test_where_and_when_it_was_built_does_not_change_the_digest(make_spec):
    first = manifest(make_spec())
    second = replace(first, index="other/docs", size_bytes=1, built_at=datetime(2027, 1, 1, tzinfo=UTC))

    assert first.name == second.name
