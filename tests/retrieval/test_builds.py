"""A build from what the operator asks for to what its worker does."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from touchstone_operator.adapters.retrieval import build_request
from touchstone_operator.api.ragindex import RagIndexSpec
from touchstone_retrieval.adapters import globs, records
from touchstone_retrieval.api.offload import Offload
from touchstone_retrieval.api.servicer import RetrievalServicer
from touchstone_retrieval.service.builds import Builds
from touchstone_retrieval.tasks import BuildWork
from touchstone_runtime.jobs import Job, JobStore

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning")

INDEX = "default/kb"


class Kept:
    """Sends nothing: the test does the work itself."""

    def send(self, job: Job) -> bool:
        del job
        return True

    def resend_overdue(self, kind: str) -> int:
        del kind
        return 0


@pytest.fixture
def jobs(tmp_path: Path) -> JobStore:
    return JobStore(f"sqlite:///{tmp_path}/jobs.sqlite")


@pytest.fixture
def door(bench: Any, jobs: JobStore) -> Iterator[RetrievalServicer]:
    builds = Builds(jobs=jobs, sender=Kept(), jmespath_fault=records.fault, glob_fault=globs.fault)
    threads = {name: Offload(name, threads=1) for name in ("searches", "others")}
    door = RetrievalServicer(builds, bench.indexes, bench.searching, **threads, search_timeout_seconds=1)
    yield door
    door.close()


@pytest.mark.parametrize(
    ("mode", "embedded"), [("Incremental", ["Silver is light."]), ("Rebuild", ["Gold is heavy.", "Silver is light."])]
)
async def test_a_rebuild_embeds_all_passages_and_an_increment_those_that_are_new(
    bench: Any, door: RetrievalServicer, jobs: JobStore, tmp_path: Path, mode: str, embedded: list[str]
) -> None:
    spec = RagIndexSpec.model_validate(
        {
            "store": {"type": "Embedded"},
            "embedding": {"model": {"uri": "file:///m"}, "tokenizer": {"uri": "file:///t"}, "dimensions": 16},
            "sources": [{"name": "docs", "uri": f"file://{tmp_path}/docs.jsonl", "fields": {"text": "text"}}],
            "update": {"mode": mode},
        }
    )
    work = BuildWork(lambda: bench.pipeline)
    for number, texts in enumerate((["Gold is heavy."], ["Gold is heavy.", "Silver is light."])):
        (tmp_path / "docs.jsonl").write_text("\n".join(json.dumps({"text": text}) for text in texts))
        bench.embedders.embedder.embedded.clear()
        await door.StartBuild(build_request(f"build-{number}", INDEX, spec), None)
        claim = jobs.claim(f"build-{number}", "worker")
        assert claim is not None
        work(claim, lambda _: None)
    assert sorted(bench.embedders.embedder.embedded) == embedded
