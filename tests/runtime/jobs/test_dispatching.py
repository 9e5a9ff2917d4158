"""Sending and sending again."""

from collections.abc import Iterator

import pytest
from touchstone_runtime.errors import Unavailable
from touchstone_runtime.jobs import Dispatcher, Job, JobStore
from touchstone_runtime.testing import FakeClock


class Broker:
    """Takes messages while it is there."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.is_away = False

    def send(self, job: Job) -> None:
        if self.is_away:
            raise Unavailable("The broker is away.")
        self.taken.append(job.id)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(clock: FakeClock) -> Iterator[JobStore]:
    store = JobStore("sqlite://", now=clock)
    yield store
    store.engine.dispose()


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def dispatcher(store: JobStore, broker: Broker, clock: FakeClock) -> Dispatcher:
    return Dispatcher(store, broker.send, monotonic=clock.monotonic)


def test_a_job_that_waits_in_a_long_queue_is_sent_ever_more_seldom(
    store: JobStore, broker: Broker, dispatcher: Dispatcher, clock: FakeClock
) -> None:
    dispatcher.send(store.create("j", "echo", {}))
    for _ in range(3600):  # an hour, looked at every second
        clock.advance(1)
        dispatcher.resend_overdue("echo")
    # 2 + 4 + ... + 32 = 62 s for the first six, then one a minute
    assert len(broker.taken) == 6 + (3600 - 62) // 60


def test_a_job_that_went_back_is_sent_at_once(
    store: JobStore, broker: Broker, dispatcher: Dispatcher, clock: FakeClock
) -> None:
    dispatcher.send(store.create("j", "echo", {}))
    claim = store.claim("j", "worker")
    assert claim is not None
    store.release("j", claim.token)
    assert dispatcher.resend_overdue("echo") == 1


def test_a_job_whose_worker_had_to_stop_is_sent_at_once(store: JobStore, dispatcher: Dispatcher) -> None:
    """It was taken for the attempt that was sent before, and waited up to a minute."""
    dispatcher.send(store.create("j", "echo", {}))
    claim = store.claim("j", "worker")
    assert claim is not None
    store.preempt("j", claim.token)
    assert dispatcher.resend_overdue("echo") == 1


def test_a_broker_that_was_away_gets_the_job_at_the_next_round(
    store: JobStore, broker: Broker, dispatcher: Dispatcher
) -> None:
    broker.is_away = True
    assert not dispatcher.send(store.create("j", "echo", {}))
    broker.is_away = False
    assert dispatcher.resend_overdue("echo") == 1
    assert broker.taken == ["j"]


def test_a_job_that_somebody_works_on_is_not_sent(store: JobStore, broker: Broker, dispatcher: Dispatcher) -> None:
    store.create("j", "echo", {})
    store.claim("j", "worker")
    assert dispatcher.resend_overdue("echo") == 0
