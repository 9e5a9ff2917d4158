"""Jobs through a real broker and real worker processes, some of which are killed."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import brokers
import kombu
import pytest
from amqp.exceptions import NotFound
from touchstone_runtime import celery_app
from touchstone_runtime.jobs import Dispatcher, JobState, JobStore

WORKER = Path(__file__).with_name("echo_worker.py")


LEASE_SECONDS = 1.0


class Bench:
    def __init__(self, folder: Path, broker: brokers.Broker) -> None:
        self.effects = folder / "effects"
        self.effects.touch()
        self.database_url = f"sqlite:///{folder}/jobs.sqlite"
        self.store = JobStore(self.database_url, lease_seconds=LEASE_SECONDS)
        self.queue = folder.name
        self.broker = broker
        self.app = celery_app.create_app("echo", broker_url=broker.url, queue=self.queue)
        self.dispatcher = Dispatcher(
            self.store, lambda job: celery_app.send(self.app, "echo", job.id, priority=job.priority)
        )
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_worker(self) -> subprocess.Popen[bytes]:
        arguments = [self.broker.url, self.database_url, self.queue, str(self.effects)]
        with (self.effects.parent / "worker.log").open("ab") as log:
            worker = subprocess.Popen([sys.executable, str(WORKER), *arguments], stderr=log)
        self.workers.append(worker)
        return worker

    def dispatch(self, job_id: str, **options: int) -> None:
        celery_app.send(self.app, "echo", job_id, **options)

    def is_running(self, job_id: str) -> bool:
        return self.store.get(job_id).state is JobState.RUNNING

    def step(self, job_id: str) -> int:
        step: int = self.store.get(job_id).progress.get("step", 0)
        return step

    def finish(self) -> None:
        """Let stepwise jobs come to their end: those that begin from now on."""
        (self.effects.parent / "finish").touch()

    def until(self, claim: Callable[[], bool], seconds: float = 20) -> None:
        """Poll, sending what is overdue again and replacing workers that died, as servers and supervisors do."""
        deadline = time.monotonic() + seconds
        while not claim():
            assert time.monotonic() < deadline, self.effects.read_text()
            self.dispatcher.resend_overdue("echo")
            if self.workers[-1].poll() is not None:
                self.start_worker()
            time.sleep(0.1)

    def is_final(self, job_id: str) -> bool:
        return self.store.get(job_id).state.is_final


@contextlib.contextmanager
def opened(folder: Path, broker: brokers.Broker) -> Iterator[Bench]:
    bench = Bench(folder, broker)
    yield bench
    for worker in bench.workers:
        worker.kill()
        worker.wait()
    bench.app.close()
    bench.store.engine.dispose()


@pytest.fixture
def bench(tmp_path: Path, broker: brokers.Broker) -> Iterator[Bench]:
    with opened(tmp_path, broker) as bench:
        yield bench


@pytest.fixture
def rabbitmq_bench(tmp_path: Path, rabbitmq: brokers.Broker) -> Iterator[Bench]:
    with opened(tmp_path, rabbitmq) as bench:
        yield bench


@pytest.fixture
def valkey_bench(tmp_path: Path, valkey: brokers.Broker) -> Iterator[Bench]:
    with opened(tmp_path, valkey) as bench:
        yield bench


def test_a_worker_takes_from_its_own_queues_only(bench: Bench) -> None:
    app = celery_app.create_app("echo", broker_url=bench.broker.url, queue="idle", more_queues=(bench.queue,))
    for name, queue in (("theirs", "idle"), ("ours", bench.queue)):
        bench.store.create(name, "echo", {})
        celery_app.send(app, "echo", name, queue=queue)
    app.close()
    bench.start_worker()
    deadline = time.monotonic() + 20
    while not bench.is_final("ours"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert bench.store.get("theirs").state is JobState.PENDING


def test_a_job_that_is_sent_many_times_runs_once(bench: Bench) -> None:
    bench.store.create("one", "echo", {})
    for _ in range(3):
        bench.dispatch("one")
    bench.start_worker()
    bench.until(lambda: bench.is_final("one"))
    assert bench.store.get("one").result == {"ok": True}
    assert bench.effects.read_text().count("done one") == 1


def test_a_job_whose_worker_was_killed_is_done_by_the_next(bench: Bench) -> None:
    bench.store.create("slow", "echo", {})
    worker = bench.start_worker()
    bench.dispatch("slow")
    bench.until(lambda: "start slow" in bench.effects.read_text())
    worker.kill()
    bench.until(lambda: bench.is_final("slow"))
    assert bench.store.get("slow").state is JobState.SUCCEEDED
    assert bench.effects.read_text().count("done slow") == 1


def test_a_job_that_kills_its_workers_is_given_up(bench: Bench) -> None:
    bench.store.create("poison", "echo", {})
    bench.start_worker()
    bench.until(lambda: bench.is_final("poison"))
    job = bench.store.get("poison")
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert job.error["reason"] == "PoisonTask"


def test_a_worker_that_is_stopped_gives_its_job_back_and_the_attempt_does_not_count(bench: Bench) -> None:
    bench.store.create("stepwise", "echo", {})
    worker = bench.start_worker()
    bench.dispatch("stepwise")
    bench.until(lambda: bench.step("stepwise") > 3)
    for _ in range(3):  # more often than max_attempts allows
        worker.terminate()
        assert worker.wait(20) == 0
        assert bench.store.get("stepwise").state is JobState.PENDING
        worker = bench.start_worker()
        bench.until(lambda: bench.is_running("stepwise"))
    bench.finish()
    worker.terminate()
    bench.until(lambda: bench.is_final("stepwise"))
    job = bench.store.get("stepwise")
    assert (job.state, job.attempts) == (JobState.SUCCEEDED, 1)
    assert job.preemptions >= 3


def test_a_worker_that_is_stopped_while_the_broker_is_away_ends(bench: Bench) -> None:
    """Celery waits for its broker for ever, also when it was told to end; pods were killed after minutes."""
    bench.store.create("one", "echo", {})
    worker = bench.start_worker()
    bench.until(lambda: bench.is_final("one"))
    bench.broker.kill()
    worker.terminate()
    try:
        assert worker.wait(20) == 0
    finally:
        bench.broker.start()


def test_a_broker_that_is_killed_while_a_job_is_at_work_and_another_waits_costs_neither(bench: Bench) -> None:
    for name in ("stepwise", "one"):
        bench.store.create(name, "echo", {})
    bench.start_worker()
    bench.dispatch("stepwise")
    bench.until(lambda: bench.step("stepwise") > 3)
    bench.broker.until_kept(bench.queue)
    bench.dispatch("one")
    bench.broker.kill()
    step = bench.step("stepwise")
    try:
        bench.until(lambda: bench.step("stepwise") > step + 3)  # no step needs a broker
    finally:
        bench.broker.start()
    bench.store.cancel("stepwise")
    bench.until(lambda: bench.is_final("stepwise") and bench.is_final("one"), 40)
    assert bench.store.get("stepwise").attempts == 1
    assert bench.effects.read_text().count("done one") == 1


def test_a_broker_that_is_paused_for_longer_than_a_claim_lasts_never_makes_two_run_at_once(bench: Bench) -> None:
    bench.store.create("stepwise", "echo", {})
    bench.start_worker()
    bench.start_worker()
    bench.dispatch("stepwise")
    bench.until(lambda: bench.step("stepwise") > 3)
    bench.broker.pause()
    deadline = time.monotonic() + 3 * LEASE_SECONDS
    try:
        while time.monotonic() < deadline:
            assert bench.store.overdue("echo") == []
            time.sleep(0.1)
    finally:
        bench.broker.resume()
    for _ in range(3):
        bench.dispatch("stepwise")
    step = bench.step("stepwise")
    bench.until(lambda: bench.step("stepwise") > step + 100)
    bench.store.cancel("stepwise")
    bench.until(lambda: bench.is_final("stepwise"))
    assert bench.effects.read_text().count("start stepwise") == 1


def test_of_the_messages_that_wait_in_valkey_the_highest_priority_is_taken_first(valkey_bench: Bench) -> None:
    bench = valkey_bench
    for name, priority in (("low", 0), ("high", 9)):
        bench.store.create(name, "echo", {}, priority=priority)
        bench.dispatch(name, priority=priority)
    bench.start_worker()
    bench.until(lambda: bench.is_final("low") and bench.is_final("high"))
    done = [line.split()[1] for line in bench.effects.read_text().splitlines() if line.startswith("done")]
    assert done == ["high", "low"]


def test_what_a_quorum_queue_took_outlives_its_broker_and_needs_no_sending_again(
    rabbitmq_bench: Bench,
) -> None:
    bench = rabbitmq_bench
    bench.dispatch("declares the queue")
    bench.broker.until_kept(bench.queue)
    for number in range(20):
        bench.store.create(f"job-{number}", "echo", {})
        bench.dispatch(f"job-{number}")
    bench.broker.kill()
    bench.broker.start()
    bench.start_worker()
    deadline = time.monotonic() + 20
    while overdue := bench.store.overdue("echo"):
        assert time.monotonic() < deadline, overdue
        time.sleep(0.1)
    bench.until(lambda: all(bench.is_final(f"job-{number}") for number in range(20)))
    assert bench.effects.read_text().count("done") == 20


def test_a_job_that_takes_longer_than_rabbitmq_waits_for_its_message_runs_once(rabbitmq_bench: Bench) -> None:
    """The broker then closes the channel, which by itself ends Celery's worker."""
    bench = rabbitmq_bench
    bench.store.create("stepwise", "echo", {})
    bench.store.create("one", "echo", {})
    worker = bench.start_worker()
    bench.dispatch("stepwise")
    bench.until(lambda: bench.step("stepwise") > 800, 40)  # of 10 ms each: twice as long, and more
    assert worker.poll() is None
    bench.store.cancel("stepwise")
    bench.until(lambda: bench.is_final("stepwise") and bench.is_final("one"), 30)
    assert worker.poll() is None
    assert bench.effects.read_text().count("start stepwise") == 1


def test_a_broker_that_hangs_is_unavailable_within_seconds(bench: Bench) -> None:
    """Whoever sent a job to a Valkey that hung was never heard of again."""
    bench.dispatch("one")
    bench.broker.pause()
    began = time.monotonic()
    try:
        with pytest.raises(celery_app.BrokerUnavailable):
            bench.dispatch("one")
    finally:
        bench.broker.resume()
    assert time.monotonic() - began < 30
    bench.dispatch("one")


def test_a_queue_that_does_not_come_back_with_its_broker_holds_a_sender_up_for_seconds_only(
    rabbitmq_bench: Bench,
) -> None:
    """RabbitMQ's channel then answers nothing, not even that it is closed, for a minute each time."""
    bench = rabbitmq_bench
    bench.dispatch("one")
    bench.broker.kill()  # before the queue was written down
    bench.broker.start()
    began = time.monotonic()
    with pytest.raises(celery_app.BrokerUnavailable):
        bench.dispatch("one")
    assert time.monotonic() - began < 30


def test_a_queue_of_another_type_is_refused_in_a_sentence(rabbitmq_bench: Bench) -> None:
    bench = rabbitmq_bench
    with kombu.Connection(bench.broker.url) as connection:
        connection.default_channel.queue_declare(bench.queue, durable=True, auto_delete=False)
    with pytest.raises(celery_app.BrokerUnavailable, match="inequivalent arg 'x-queue-type'"):
        bench.dispatch("one")


def test_a_worker_declares_its_queue_and_no_queues_for_delayed_tasks(rabbitmq_bench: Bench) -> None:
    bench = rabbitmq_bench
    bench.store.create("one", "echo", {})
    bench.start_worker()
    bench.until(lambda: bench.is_final("one"))
    with kombu.Connection(bench.broker.url) as connection:
        connection.default_channel.queue_declare(bench.queue, passive=True)
        with pytest.raises(NotFound):
            connection.default_channel.queue_declare("celery_delayed_0", passive=True)
