"""The record of runs on both databases."""

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from touchstone_evaluation import errors
from touchstone_evaluation.adapters.database import RunDatabase
from touchstone_evaluation.adapters.predictions import PredictionDatabase
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.planning import Shard
from touchstone_evaluation.core.results import Conclusion
from touchstone_evaluation.core.runs import RunState, SuitePlan
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import RunSpec, Side, Subject, SubjectKind, Suite, Verdict
from touchstone_evaluation.core.task import Outcome
from touchstone_evaluation.ports import Plan, PredictionKey
from touchstone_runtime.jobs import JobStore
from touchstone_runtime.testing import FakeClock

SUBJECT = Subject(kind=SubjectKind.MODEL_DEPLOYMENT, name="default/chat", revision="r", digest="sha256:0")
SPEC = RunSpec(subject=SUBJECT, suites=(Suite(name="s", task="question-answering", parameters={"a": [1, None]}),))
ITEMS = [Item(id=str(number), question=f"{number}?", metadata={"n": number}) for number in range(4)]
PLAN = Plan(
    suites={"s": SuitePlan(dataset_digest="sha256:1", items=4, expected=4, left_out={})},
    items={"s": ITEMS},
    shards=[Shard(number=n, suite="s", items=(item.digest,)) for n, item in enumerate(ITEMS)],
    suite_digest="sha256:2",
)
KEY = PredictionKey(subject="sha256:0", item=ITEMS[0].digest, how="sha256:3", repeat=0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def jobs(database_url: str, clock: FakeClock) -> Iterator[JobStore]:
    store = JobStore(database_url, now=clock)
    yield store
    store.engine.dispose()


@pytest.fixture
def runs(jobs: JobStore, clock: FakeClock) -> RunDatabase:
    return RunDatabase(jobs.engine, now=clock)


def score(item: Item, value: float = 1.0) -> Score:
    return Score(asking=Asking("s", item.digest, Side.SUBJECT, 0), values={"contains": value}, output_tokens=3)


def test_a_run_is_recorded_once_and_another_specification_is_refused(runs: RunDatabase) -> None:
    first = runs.create("d", SPEC)
    assert runs.create("d", SPEC) == first
    with pytest.raises(errors.DispatchIdTaken):
        runs.create("d", RunSpec(subject=SUBJECT))


def test_an_asking_that_is_scored_twice_counts_once(runs: RunDatabase) -> None:
    runs.create("d", SPEC)
    runs.plan("d", PLAN)
    runs.record("d", [score(ITEMS[0])])
    runs.record("d", [score(ITEMS[0], 0.0), score(ITEMS[1])])
    assert [found.values["contains"] for found in runs.scores("d")] == [1.0, 1.0]
    assert (runs.get("d").progress.done, runs.get("d").progress.output_tokens) == (2, 6)


def test_a_shard_is_started_once_whoever_asks(runs: RunDatabase) -> None:
    runs.create("d", SPEC)
    runs.plan("d", PLAN)
    started: list[int] = []
    barrier = threading.Barrier(4)

    def first_of(waiting: Sequence[Shard], at_work: Sequence[Shard]) -> Sequence[Shard]:
        return waiting[:1]

    def start() -> None:
        barrier.wait()
        started.extend(shard.number for shard in runs.start_shards("d", first_of))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(started) == [0, 1, 2, 3]


def test_a_run_that_ended_changes_no_more(runs: RunDatabase) -> None:
    runs.create("d", SPEC)
    runs.plan("d", PLAN)
    runs.finish("d", Conclusion(verdict=Verdict.PASSED, message="It holds."), ())
    ended = runs.get("d")
    runs.record("d", [score(ITEMS[0])])
    runs.finish("d", Conclusion(verdict=Verdict.FAILED, message="No."), ())
    assert runs.cancel("d") == ended
    assert runs.get("d") == ended
    assert ended.conclusion is not None
    assert ended.conclusion.verdict is Verdict.PASSED
    assert runs.unfinished() == []


def test_a_verdict_outlives_what_it_was_made_of(jobs: JobStore, runs: RunDatabase, clock: FakeClock) -> None:
    predictions = PredictionDatabase(jobs.engine, now=clock)
    predictions.keep(KEY, Outcome(text="old"))
    runs.create("d", SPEC)
    runs.plan("d", PLAN)
    runs.record("d", [score(ITEMS[0])])
    runs.finish("d", Conclusion(verdict=Verdict.PASSED, message="It holds."), ())
    clock.advance(timedelta(days=31).total_seconds())
    runs.create("new", SPEC)
    runs.plan("new", PLAN)
    runs.record("new", [score(ITEMS[0])])
    runs.forget(clock() - timedelta(days=30))
    assert runs.get("d").state is RunState.COMPLETED
    assert runs.scores("d") == []
    assert len(runs.scores("new")) == 1
    assert predictions.find(KEY) is None
