"""Claims about the door: what is refused, and that every fault is named."""

from dataclasses import replace

import pytest
from touchstone_retrieval.adapters import globs, records
from touchstone_retrieval.core import validation
from touchstone_retrieval.core.spec import (
    Chunking,
    ChunkingStrategy,
    FieldPaths,
    SearchDefaults,
    SearchMode,
    Source,
    SparseEncoding,
)


def faults(spec) -> list[str]:
    return [v.field for v in validation.spec_faults(spec, jmespath_fault=records.fault, glob_fault=globs.fault)]


def source(**changes) -> tuple[Source, ...]:
    return (replace(Source(name="docs", uri="https://example.org/a.md"), **changes),)


def test_a_plain_spec_has_no_faults(make_spec):
    assert faults(make_spec()) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sources": ()}, "spec.sources"),
        ({"sources": source() * 2}, "spec.sources"),
        ({"sources": source(name="A")}, "spec.sources[0].name"),
        ({"sources": source(uri="ftp://x/y")}, "spec.sources[0].uri"),
        ({"sources": source(uri="/etc/passwd")}, "spec.sources[0].uri"),
        ({"sources": source(uri="https://user:pass@example.org/")}, "spec.sources[0].uri"),
        ({"sources": source(ref="main")}, "spec.sources[0].ref"),
        ({"sources": source(uri="git+https://e.org/r", ref="--upload-pack=x")}, "spec.sources[0].ref"),
        ({"sources": source(records="data[")}, "spec.sources[0].records"),
        ({"sources": source(fields=FieldPaths(text="a b"))}, "spec.sources[0].fields.text"),
        ({"sources": source(fields=FieldPaths(metadata={"k": "]"}))}, "spec.sources[0].fields.metadata['k']"),
        ({"sources": source(metadata={"a=b": "c"})}, "spec.sources[0].metadata['a=b']"),
        ({"sources": source(include=("",))}, "spec.sources[0].include[0]"),
        ({"sources": source(exclude=("!x",))}, "spec.sources[0].exclude[0]"),
        ({"embedding": None, "sparse": SparseEncoding.NONE}, "spec.embedding"),
        ({"chunking": Chunking(max_tokens=15)}, "spec.chunking.max_tokens"),
        ({"chunking": Chunking(max_tokens=16, overlap_tokens=16)}, "spec.chunking.overlap_tokens"),
        (
            {"chunking": Chunking(strategy=ChunkingStrategy.DOCUMENT, overlap_tokens=1)},
            "spec.chunking.overlap_tokens",
        ),
        ({"tenant_field": "a b"}, "spec.tenant_field"),
        ({"defaults": SearchDefaults(top_k=101)}, "spec.defaults.top_k"),
        ({"defaults": SearchDefaults(min_score=float("nan"))}, "spec.defaults.min_score"),
        ({"defaults": SearchDefaults(dense_weight=float("nan"))}, "spec.defaults.dense_weight"),
        ({"defaults": SearchDefaults(dense_weight=0, sparse_weight=0)}, "spec.defaults.dense_weight"),
        ({"sparse": SparseEncoding.NONE, "defaults": SearchDefaults(mode=SearchMode.HYBRID)}, "spec.defaults.mode"),
    ],
)
def test_a_fault_is_reported_at_its_field(make_spec, change, field):
    assert field in faults(make_spec(**change))


def test_all_faults_are_reported_at_once(make_spec):
    spec = make_spec(sources=source(name="A", uri="x"), chunking=Chunking(max_tokens=1))

    assert faults(spec) == ["spec.sources[0].name", "spec.sources[0].uri", "spec.chunking.max_tokens"]


@pytest.mark.parametrize("index", ["", "docs", "a/b/c", "../x", "a/..", "A/b", "a/", "/b", "a/b..c", "a/-"])
def test_an_index_name_that_could_leave_its_folder_is_refused(index):
    assert list(validation.index_faults(index))


@pytest.mark.parametrize("index", ["default/docs", "team-a/support-kb", "a/b.c"])
def test_a_resource_name_is_an_index_name(index):
    assert not list(validation.index_faults(index))
