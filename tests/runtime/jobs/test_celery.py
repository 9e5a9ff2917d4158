"""Jobs through a real broker and real worker processes, some of which are killed."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from touchstone_runtime import celery_app
from touchstone_runtime.jobs import JobState, JobStore

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
            celery_app.redispatch(self.store, "echo", self.dispatch)
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
