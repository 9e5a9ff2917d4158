"""The job store: one claim at a time, tokens that rise, ends that are final."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from touchstone_runtime import databases
from touchstone_runtime.jobs import Claim, ClaimLost, JobNotFound, JobState, JobStore
from touchstone_runtime.testing import FakeClock

LEASE = 30.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(database_url: str, clock: FakeClock) -> Iterator[JobStore]:
    store = JobStore(database_url, now=clock, lease_seconds=LEASE)
    yield store
    store.engine.dispose()


def claimed(store: JobStore, job_id: str = "j") -> Claim:
    claim = store.claim(job_id, "w")
    assert claim is not None
    return claim


def test_creating_a_job_again_returns_the_first(store: JobStore) -> None:
    first = store.create("j", "build", {"a": 1})
    assert store.create("j", "build", {"a": 2}) == first


def test_an_unknown_job_is_not_found(store: JobStore) -> None:
    with pytest.raises(JobNotFound, match="'j' does not exist"):
        store.get("j")


def test_a_live_lease_keeps_others_away_and_a_dead_one_does_not(store: JobStore, clock: FakeClock) -> None:
    store.create("j", "build", {})
    first = claimed(store)
    assert store.claim("j", "other") is None
    assert store.overdue("build") == []
    clock.advance(LEASE)
    assert [job.id for job in store.overdue("build")] == ["j"]
    second = claimed(store)
    assert second.token > first.token
    with pytest.raises(ClaimLost):
        store.heartbeat("j", first.token)
    with pytest.raises(ClaimLost):
        store.finish("j", first.token, JobState.SUCCEEDED)


def test_heartbeats_prolong_a_lease(store: JobStore, clock: FakeClock) -> None:
    store.create("j", "build", {})
    claim = claimed(store)
    for _ in range(5):
        clock.advance(LEASE * 0.9)
        assert store.heartbeat("j", claim.token, {"done": 1}) is False
    assert store.claim("j", "other") is None
    assert store.get("j").progress == {"done": 1}


def test_a_running_job_learns_that_it_was_cancelled(store: JobStore) -> None:
    store.create("j", "build", {})
    claim = claimed(store)
    assert store.cancel("j").state is JobState.RUNNING
    assert store.heartbeat("j", claim.token) is True
    store.finish("j", claim.token, JobState.CANCELLED)
    assert store.claim("j", "w") is None


def test_a_pending_job_is_cancelled_at_once(store: JobStore) -> None:
    store.create("j", "build", {})
    assert store.cancel("j").state is JobState.CANCELLED
    assert store.claim("j", "w") is None


def test_a_released_job_is_claimable_after_its_pause(store: JobStore, clock: FakeClock) -> None:
    store.create("j", "build", {})
    fault = {"reason": "StoreAway", "message": "The store is away."}
    store.release("j", claimed(store).token, after_seconds=5, error=fault)
    assert store.get("j").error == fault
    assert store.claim("j", "w") is None
    clock.advance(5)
    again = claimed(store)
    assert again.job.attempts == 2
    assert store.finish("j", again.token, JobState.SUCCEEDED).error is None


def test_a_preempted_job_is_claimable_at_once_and_was_not_attempted(store: JobStore) -> None:
    store.create("j", "build", {})
    for preemptions in range(1, 4):
        claim = claimed(store)
        assert claim.job.attempts == 1
        store.preempt("j", claim.token)
        job = store.get("j")
        assert (job.state, job.attempts, job.preemptions) == (JobState.PENDING, 0, preemptions)
    with pytest.raises(ClaimLost):
        store.preempt("j", claim.token)


def test_a_claim_that_ran_out_is_an_attempt_and_no_preemption(store: JobStore, clock: FakeClock) -> None:
    """Or a job that kills its workers would never be given up."""
    store.create("j", "build", {})
    claimed(store)
    clock.advance(LEASE)
    job = claimed(store).job
    assert (job.attempts, job.preemptions) == (2, 0)


def test_of_the_jobs_that_wait_the_highest_priority_goes_first_then_the_oldest(
    store: JobStore, clock: FakeClock
) -> None:
    for name, priority in (("old", 0), ("urgent", 9), ("young", 0), ("soon", 3)):
        store.create(name, "build", {}, priority=priority)
        clock.advance(1)
    assert [job.id for job in store.overdue("build")] == ["urgent", "soon", "old", "young"]


@pytest.mark.parametrize("bound", [{"priority": 10}, {"priority": -1}, {"max_attempts": 0}, {"max_preemptions": -1}])
def test_a_number_out_of_bounds_is_refused(store: JobStore, bound: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=rf"{next(iter(bound))} is .* must be from"):
        store.create("j", "build", {}, **bound)


OLDER = sa.MetaData()
OLDER_JOBS = sa.Table(
    "jobs", OLDER, sa.Column("id", sa.String(160), primary_key=True), sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("state", sa.String(16), nullable=False), sa.Column("payload", sa.JSON, nullable=False),
    sa.Column("progress", sa.JSON, nullable=False), sa.Column("result", sa.JSON, nullable=False),
    sa.Column("error", sa.JSON), sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("token", sa.Integer, nullable=False), sa.Column("worker", sa.String(128), nullable=False),
    sa.Column("cancel_requested", sa.Boolean, nullable=False), sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("started_at", sa.DateTime), sa.Column("finished_at", sa.DateTime), sa.Column("heartbeat_at", sa.DateTime),
    sa.Column("claimable_at", sa.DateTime, nullable=False), sa.Index("jobs_by_kind_and_state", "kind", "state"),
)  # fmt: skip
"""The table as it was before preemptions were counted."""


def test_jobs_of_an_older_version_go_on_and_the_older_version_still_records_some(
    database_url: str, clock: FakeClock
) -> None:
    engine = databases.connect(database_url)
    row = {
        "kind": "build", "state": "PENDING", "payload": {"a": 1}, "progress": {}, "result": {}, "attempts": 3,
        "token": 3, "worker": "w", "cancel_requested": False, "created_at": clock().replace(tzinfo=None),
        "claimable_at": clock().replace(tzinfo=None),
    }  # fmt: skip
    databases.create_tables(engine, OLDER)
    with engine.begin() as connection:
        connection.execute(sa.insert(OLDER_JOBS).values(id="before", **row))
    store = JobStore(engine, now=clock, lease_seconds=LEASE)
    with engine.begin() as connection:
        connection.execute(sa.insert(OLDER_JOBS).values(id="since", **row))
    for name in ("before", "since"):
        job = claimed(store, name).job
        assert (job.payload, job.attempts, job.preemptions, job.priority) == ({"a": 1}, 4, 0, 0)
        assert (job.max_attempts, job.max_preemptions) == (None, None)
    store.engine.dispose()


CLAIM = (
    "import sys; from touchstone_runtime.jobs import JobStore; print(JobStore(sys.argv[1]).claim('j', 'w') is not None)"
)


def test_of_many_processes_one_gets_the_job(database_url: str) -> None:
    store = JobStore(database_url)
    store.create("j", "build", {})
    store.engine.dispose()
    command = [sys.executable, "-c", CLAIM, database_url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    results = [process.communicate(timeout=30)[0].strip() for process in processes]
    assert sorted(results) == ["False", "False", "False", "True"]


class Life(RuleBasedStateMachine):
    """Claims, beats, ends, cancels and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.store = JobStore("sqlite://", now=self.clock, lease_seconds=LEASE)
        self.store.create("j", "build", {})
        self.tokens: list[int] = []
        self.end: JobState | None = None

    @rule()
    def claim(self) -> None:
        before = self.store.get("j")
        claim = self.store.claim("j", "w")
        if claim is not None:
            assert not before.state.is_final
            assert all(claim.token > token for token in self.tokens)
            self.tokens.append(claim.token)

    @rule(seconds=st.sampled_from([1.0, LEASE / 2, LEASE, LEASE * 3]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: len(self.tokens) > 1)
    @rule(data=st.data())
    def use_a_stale_token(self, data: st.DataObject) -> None:
        with pytest.raises(ClaimLost):
            self.store.heartbeat("j", data.draw(st.sampled_from(self.tokens[:-1])))

    @precondition(lambda self: self.tokens and self.end is None)
    @rule(state=st.sampled_from([JobState.SUCCEEDED, JobState.FAILED]))
    def finish(self, state: JobState) -> None:
        if self.store.get("j").state is JobState.RUNNING:
            self.store.finish("j", self.tokens[-1], state)

    @precondition(lambda self: self.tokens and self.end is None)
    @rule()
    def release(self) -> None:
        if self.store.get("j").state is JobState.RUNNING:
            self.store.release("j", self.tokens[-1])

    @precondition(lambda self: self.tokens and self.end is None)
    @rule()
    def preempt(self) -> None:
        if self.store.get("j").state is JobState.RUNNING:
            self.store.preempt("j", self.tokens[-1])

    @invariant()
    def each_claim_is_an_attempt_or_a_preemption(self) -> None:
        job = self.store.get("j")
        assert job.attempts + job.preemptions == len(self.tokens)

    @rule()
    def cancel(self) -> None:
        self.store.cancel("j")

    @invariant()
    def an_end_is_final(self) -> None:
        state = self.store.get("j").state
        assert self.end in (None, state)
        self.end = state if state.is_final else None

    def teardown(self) -> None:
        self.store.engine.dispose()


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
