"""The record of pipelines, on each database that is supported: of several that act at once, one does it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from touchstone_data import errors
from touchstone_data.adapters.database import PipelineDatabase
from touchstone_data.core.accounts import SourceCount, StepCount, UnitAccount
from touchstone_data.core.spec import PipelineSpec, Source, StepUse
from touchstone_data.ports import Unit
from touchstone_runtime import databases
from touchstone_runtime.jobs import JobState
from touchstone_runtime.testing import FakeClock

SPEC = PipelineSpec(
    name="letters",
    sources=(Source(name="raw", uri="file:///in.jsonl"),),
    steps=(StepUse(name="length", parameters={"min_words": 3, "deep": {"x": [1, 2.5, None]}}),),
)


@pytest.fixture
def pipelines(database_url: str) -> Iterator[PipelineDatabase]:
    engine = databases.connect(database_url)
    yield PipelineDatabase(engine, now=FakeClock())
    engine.dispose()


def test_a_pipeline_is_read_as_it_was_recorded(pipelines: PipelineDatabase) -> None:
    made = pipelines.create("run-1", SPEC)
    assert made.spec == SPEC
    assert pipelines.create("run-1", SPEC) == made
    assert pipelines.unfinished() == ["run-1"]
    with pytest.raises(errors.PipelineNotFound):
        pipelines.get("run-2")


def test_of_many_that_begin_a_stage_one_does(pipelines: PipelineDatabase) -> None:
    pipelines.create("run-1", SPEC)
    together = threading.Barrier(8)

    def begin(_: int) -> bool:
        together.wait()
        return pipelines.begin_stage("run-1", 1)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(begin, range(8))) == 1
    found = pipelines.get("run-1")
    assert (found.stage, found.state) == (1, JobState.RUNNING)


def test_the_first_account_of_a_unit_stays(pipelines: PipelineDatabase) -> None:
    pipelines.create("run-1", SPEC)
    source = SourceCount(name="raw", digest="sha256:0", records=9)
    first = UnitAccount(shards=3, sources=(source,), unreadable={"not JSON": 1})
    pipelines.record(Unit("run-1", 0, 0), first)
    pipelines.record(Unit("run-1", 0, 0), UnitAccount(shards=4))
    work = UnitAccount(steps={0: StepCount(records=8, changed=1, dropped={"too short": 2})}, facts={"a": [1]})
    pipelines.record(Unit("run-1", 1, 2), work)
    assert list(pipelines.accounts("run-1")) == [(Unit("run-1", 0, 0), first), (Unit("run-1", 1, 2), work)]
    assert pipelines.done("run-1", 1) == [2]
    assert pipelines.get("run-1").shards == 3


def test_what_has_ended_stays_ended(pipelines: PipelineDatabase) -> None:
    pipelines.create("run-1", SPEC)
    pipelines.end("run-1", JobState.CANCELLED)
    pipelines.end("run-1", JobState.FAILED, {"reason": "Late", "message": "Too late."})
    assert not pipelines.begin_stage("run-1", 1)
    found = pipelines.get("run-1")
    assert (found.state, found.error, found.snapshot) == (JobState.CANCELLED, None, None)
    assert pipelines.unfinished() == []
