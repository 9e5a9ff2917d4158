"""What comes of a job by what its work does, and where it is given up."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from touchstone_runtime.errors import NotFound, Unavailable
from touchstone_runtime.jobs import Claim, Job, JobState, JobStore, Report, run_job
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


def until_final(store: JobStore, clock: FakeClock, work: Any, **options: Any) -> tuple[Job, int]:
    """Run a job as often as it takes; return it and how often it was run."""
    for runs in range(1, 50):
        run_job(store, "j", work, **options)
        clock.advance(1000)  # longer than any pause or lease
        if store.get("j").state.is_final:
            return store.get("j"), runs
    raise AssertionError(store.get("j"))


def stopping() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def stopped(_claim: Claim, report: Report) -> Mapping[str, Any]:
    report({})
    raise AssertionError("the worker has to stop")


def unavailable(_claim: Claim, _report: Report) -> Mapping[str, Any]:
    raise Unavailable("The engine did not answer.")


@pytest.mark.parametrize(("own", "expected"), [(None, 3), (0, 0), (5, 5)])
def test_a_job_that_is_given_back_too_often_is_given_up(
    store: JobStore, clock: FakeClock, own: int | None, expected: int
) -> None:
    store.create("j", "echo", {}, max_preemptions=own, max_attempts=1)
    job, runs = until_final(store, clock, stopped, stopping=stopping(), max_preemptions=3)
    assert runs == expected + 1
    assert (job.state, job.preemptions, job.attempts) == (JobState.FAILED, expected, 1)
    assert job.error is not None
    assert job.error["reason"] == "PreemptionLimitExceeded"
    assert f"gave the job back {expected} times" in job.error["message"]


@pytest.mark.parametrize(("own", "expected"), [(None, 3), (1, 1), (5, 5)])
def test_a_failure_that_may_pass_is_tried_again_as_often_as_the_job_says(
    store: JobStore, clock: FakeClock, own: int | None, expected: int
) -> None:
    store.create("j", "echo", {}, max_attempts=own)
    job, runs = until_final(store, clock, unavailable, max_attempts=3)
    assert (runs, job.attempts, job.state) == (expected, expected, JobState.FAILED)
    assert job.error == {"reason": "Unavailable", "message": "The engine did not answer."}


@pytest.mark.parametrize(("own", "expected"), [(None, 3), (1, 1), (5, 5)])
def test_a_job_whose_workers_vanish_is_given_up_after_as_many_attempts_as_it_says(
    store: JobStore, clock: FakeClock, own: int | None, expected: int
) -> None:
    store.create("j", "echo", {}, max_attempts=own)
    for _ in range(expected):
        assert store.claim("j", "killed before its end")
        clock.advance(LEASE)
    job, runs = until_final(store, clock, stopped, max_attempts=3)
    assert runs == 1
    assert job.error is not None
    assert job.error["reason"] == "PoisonTask"
    assert f"started {expected} times" in job.error["message"]


def test_preemptions_do_not_use_up_attempts(store: JobStore, clock: FakeClock) -> None:
    store.create("j", "echo", {}, max_attempts=2)
    for _ in range(10):
        run_job(store, "j", stopped, stopping=stopping())
    job, runs = until_final(store, clock, unavailable)
    assert (runs, job.attempts, job.preemptions) == (2, 2, 10)


def test_a_failure_that_will_not_pass_is_final_at_once(store: JobStore, clock: FakeClock) -> None:
    def work(_claim: Claim, _report: Report) -> Mapping[str, Any]:
        raise NotFound("The file is not there.")

    store.create("j", "echo", {})
    job, runs = until_final(store, clock, work)
    assert (runs, job.error) == (1, {"reason": "NotFound", "message": "The file is not there."})


def test_a_cancelled_job_ends_at_its_next_report(store: JobStore, clock: FakeClock) -> None:
    def work(_claim: Claim, report: Report) -> Mapping[str, Any]:
        store.cancel("j")
        report({})
        raise AssertionError("it was asked to stop")

    store.create("j", "echo", {})
    job, _ = until_final(store, clock, work)
    assert job.state is JobState.CANCELLED


def test_whoever_lost_the_claim_changes_nothing(store: JobStore, clock: FakeClock) -> None:
    def work(claim: Claim, _report: Report) -> Mapping[str, Any]:
        clock.advance(LEASE)
        assert store.claim("j", "another")
        return {"by": claim.token}

    store.create("j", "echo", {})
    run_job(store, "j", work)
    job = store.get("j")
    assert (job.state, job.result) == (JobState.RUNNING, {})


def test_a_defect_of_ours_ends_the_job_and_not_the_worker(store: JobStore, clock: FakeClock) -> None:
    def work(_claim: Claim, _report: Report) -> Mapping[str, Any]:
        raise ZeroDivisionError

    store.create("j", "echo", {})
    job, _ = until_final(store, clock, work)
    assert job.error is not None
    assert job.error["reason"] == "InternalError"
