"""An index from sources to hits, on both stores: built aside, activated at once, kept for a rollback, deleted whole."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from touchstone_retrieval import errors
from touchstone_retrieval.core.planning import Query
from touchstone_retrieval.core.spec import FieldPaths, IndexSpec, SearchMode, Source, SourceFormat
from touchstone_retrieval.service.pipeline import Progress

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning")

INDEX = "default/kb"
TEXTS = {
    "gold": "A touchstone tells gold from base metal.",
    "rankine": "In the Rankine cycle water turns into steam when it is heated.",
    "normans": "The Normans gave their name to Normandy, a region in France.",
    "prime": "A prime number has no divisors but one and itself.",
}


def silent(progress: Progress) -> None:
    """Report to nobody."""


@pytest.fixture
def documents(tmp_path: Path) -> Callable[..., str]:
    """Write records to a file and return its address."""

    def write(texts: dict[str, str], *, name: str = "docs.jsonl", tenant: str = "") -> str:
        lines = [json.dumps({"id": key, "text": text, "team": tenant}) for key, text in texts.items()]
        (tmp_path / name).write_text("\n".join(lines))
        return f"file://{tmp_path / name}"

    return write


@pytest.fixture
def spec(make_spec: Callable[..., IndexSpec], documents: Callable[..., str]) -> Callable[..., IndexSpec]:
    def make(texts: dict[str, str] = TEXTS, **changes: Any) -> IndexSpec:
        source = Source(
            name="docs", uri=documents(texts), format=SourceFormat.JSON_LINES, fields=FieldPaths(text="text", id="id")
        )
        return make_spec(**{"sources": (source,), **changes})

    return make


def names(bench: Any, text: str, **query: Any) -> list[str]:
    """Search and return the documents that were found, best first."""
    answer = bench.searching.search(Query(index=INDEX, text=text, **query))
    return [hit.passage.document_id.removeprefix("docs/") for hit in answer.hits]


@pytest.mark.parametrize("mode", [SearchMode.DENSE, SearchMode.SPARSE, SearchMode.HYBRID])
def test_what_was_built_and_activated_is_found(bench: Any, spec: Callable[..., IndexSpec], mode: SearchMode) -> None:
    manifest = bench.pipeline.build(INDEX, spec(), silent)
    assert (manifest.counts.documents, manifest.counts.chunks) == (4, 4)
    with pytest.raises(errors.NotActivated):
        names(bench, "water steam")
    bench.indexes.activate(INDEX, manifest.name)
    assert names(bench, "water turns into steam", mode=mode, top_k=1) == ["rankine"]
    assert names(bench, "a touchstone tells gold", mode=mode, top_k=1) == ["gold"]


def test_a_hit_is_the_documents_text_at_its_offsets(bench: Any, spec: Callable[..., IndexSpec]) -> None:
    manifest = bench.pipeline.build(INDEX, spec(), silent)
    bench.indexes.activate(INDEX, manifest.name)
    (hit,) = bench.searching.search(Query(index=INDEX, text="Normandy", top_k=1)).hits
    assert TEXTS["normans"][hit.passage.start : hit.passage.end] == hit.passage.text
    assert (hit.dense_rank is not None, hit.sparse_rank) == (True, 1)


def test_dense_search_ranks_as_an_exact_comparison_does(bench: Any, spec: Callable[..., IndexSpec]) -> None:
    texts = {f"d{number}": f"word{number} word{number % 7} word{number % 3}" for number in range(60)}
    manifest = bench.pipeline.build(INDEX, spec(texts), silent)
    bench.indexes.activate(INDEX, manifest.name)
    embedder = bench.embedders.embedder
    question = "word5 word2"
    exact = embedder.embed(list(texts.values())) @ embedder.embed([question])[0]
    wanted = {list(texts)[place] for place in np.argsort(-exact)[:10]}
    found = names(bench, question, mode=SearchMode.DENSE, top_k=10)
    assert len(wanted & set(found)) >= 9, "recall@10 of the approximate index"


def test_the_same_content_is_the_same_revision_and_embeds_nothing(bench: Any, spec: Callable[..., IndexSpec]) -> None:
    first = bench.pipeline.build(INDEX, spec(), silent)
    count = len(bench.embedders.embedder.embedded)
    assert bench.pipeline.build(INDEX, spec(), silent) == first
    assert len(bench.embedders.embedder.embedded) == count


def test_a_rebuild_embeds_what_was_embedded_before_and_keeps_that(bench: Any, spec: Callable[..., IndexSpec]) -> None:
    bench.pipeline.build(INDEX, spec(), silent)
    embedded = bench.embedders.embedder.embedded
    embedded.clear()
    more = {**TEXTS, "gold": "Gold is heavy."}
    bench.pipeline.build(INDEX, spec(more), silent, embed_again=True)
    assert sorted(embedded) == sorted(more.values())
    embedded.clear()
    bench.pipeline.build(INDEX, spec({**more, "silver": "Silver is light."}), silent)
    assert embedded == ["Silver is light."]


def test_a_changed_document_is_embedded_alone(bench: Any, spec: Callable[..., IndexSpec]) -> None:
    bench.pipeline.build(INDEX, spec(), silent)
    bench.embedders.embedder.embedded.clear()
    second = bench.pipeline.build(INDEX, spec({**TEXTS, "gold": "Gold is heavy."}), silent)
    assert bench.embedders.embedder.embedded == ["Gold is heavy."]
    assert len(bench.catalogue.index(INDEX).revisions) == 2
    assert second.counts.documents == 4


def test_a_search_sees_one_revision_whole(bench: Any, spec: Callable[..., IndexSpec]) -> None:
    old = bench.pipeline.build(INDEX, spec({f"o{n}": f"common old{n}" for n in range(20)}), silent)
    new = bench.pipeline.build(INDEX, spec({f"n{n}": f"common new{n}" for n in range(20)}), silent)
    bench.indexes.activate(INDEX, old.name)
    seen: list[set[str]] = []
    stop = threading.Event()

    def search() -> None:
        while not stop.is_set():
            seen.append({name[0] for name in names(bench, "common", top_k=20)})

    searching = threading.Thread(target=search)
    searching.start()
    for revision in (new, old, new, old, new):
        bench.indexes.activate(INDEX, revision.name)
    stop.set()
    searching.join()
    assert all(len(initials) == 1 for initials in seen), "a search never sees half of two revisions"


def test_the_revision_before_serves_again_after_a_rollback(bench: Any, spec: Callable[..., IndexSpec]) -> None:
    first = bench.pipeline.build(INDEX, spec(), silent)
    second = bench.pipeline.build(INDEX, spec({"gold": "Silver is light."}), silent)
    for revision in (first, second, first):
        bench.indexes.activate(INDEX, revision.name)
    assert names(bench, "prime divisors", top_k=1) == ["prime"]
    assert names(bench, "silver", top_k=1, revision=second.name) == ["gold"], "a revision can be searched by name"


def test_a_deleted_revision_is_gone_and_the_active_one_cannot_be(bench: Any, spec: Callable[..., IndexSpec]) -> None:
    first = bench.pipeline.build(INDEX, spec(), silent)
    second = bench.pipeline.build(INDEX, spec({"gold": "Silver is light."}), silent)
    bench.indexes.activate(INDEX, second.name)
    with pytest.raises(errors.RevisionActive):
        bench.indexes.delete_revision(INDEX, second.name)
    bench.indexes.delete_revision(INDEX, first.name)
    with pytest.raises(errors.RevisionNotFound):
        names(bench, "gold", revision=first.name)
    bench.indexes.delete_index(INDEX)
    with pytest.raises(errors.IndexNotFound):
        names(bench, "gold")


def test_a_tenant_sees_only_its_own(
    bench: Any, make_spec: Callable[..., IndexSpec], documents: Callable[..., str]
) -> None:
    sources = tuple(
        Source(
            name=team,
            uri=documents({team: f"The secret of {team}."}, name=f"{team}.jsonl", tenant=team),
            format=SourceFormat.JSON_LINES,
            fields=FieldPaths(text="text", id="id", metadata={"team": "team"}),
        )
        for team in ("red", "blue")
    )
    manifest = bench.pipeline.build(INDEX, make_spec(sources=sources, tenant_field="team"), silent)
    bench.indexes.activate(INDEX, manifest.name)
    assert names(bench, "the secret of red", tenant="blue", top_k=5) == ["blue/blue"]
    with pytest.raises(errors.SearchInvalid):
        names(bench, "the secret of red")


@pytest.mark.parametrize("stage", ["Parsing", "Embedding"])
def test_a_build_that_is_stopped_leaves_nothing_to_find_and_goes_on_later(
    bench: Any, spec: Callable[..., IndexSpec], stage: str
) -> None:
    class Stopped(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.stage == stage:
            raise Stopped

    with pytest.raises(Stopped):
        bench.pipeline.build(INDEX, spec(), stop)
    with pytest.raises(errors.IndexNotFound):
        names(bench, "gold")
    manifest = bench.pipeline.build(INDEX, spec(), silent)
    bench.indexes.activate(INDEX, manifest.name)
    assert names(bench, "gold metal", top_k=1) == ["gold"]
