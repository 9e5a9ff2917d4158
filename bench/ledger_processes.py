"""The processes that `ledger.py` kills: a server that records and sends jobs, and a worker that works on them.

Every job takes two steps. Some take them in a child process, and fail for a while when that is killed; some are poison,
and kill their worker.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from touchstone_runtime import celery_app
from touchstone_runtime.errors import Unavailable
from touchstone_runtime.jobs import Claim, Dispatcher, JobStore, Report

KIND, QUEUE = "ledger", "ledger"
LEASE_SECONDS = 2.0
THREADS = 4
POISON, CHILD = "poison", "child"
"""What the names of jobs begin with that are more than a job."""
POISON_ATTEMPTS = 3
MAX_ATTEMPTS = 20
"""More than jobs need elsewhere: who dies here takes all four jobs of its worker along, every few seconds."""


def serve(database: str, broker: str) -> None:
    """Record each job whose id comes in by a line, send it, and say so; send again what is overdue."""
    store = JobStore(database, lease_seconds=LEASE_SECONDS)
    app = celery_app.create_app(KIND, broker_url=broker, queue=QUEUE)
    dispatcher = Dispatcher(store, lambda job: celery_app.send(app, KIND, job.id, priority=job.priority))

    def repair() -> None:
        while True:
            dispatcher.resend_overdue(KIND)
            time.sleep(0.5)

    threading.Thread(target=repair, daemon=True).start()
    for line in sys.stdin:
        name = line.strip()
        job = store.create(name, KIND, {}, max_attempts=POISON_ATTEMPTS if name.startswith(POISON) else None)
        print(job.id, flush=True)
        dispatcher.send(job)


def work(database: str, broker: str, log: str, step_seconds: float) -> None:
    """Work on jobs until killed; a step takes up to so many seconds."""
    store = JobStore(database, lease_seconds=LEASE_SECONDS)

    def one(claim: Claim, report: Report) -> Mapping[str, Any]:
        note("begin", claim)
        if claim.job.id.startswith(POISON):
            os.kill(os.getpid(), signal.SIGKILL)
        for step in range(2):
            seconds = random.uniform(0, step_seconds)
            if not claim.job.id.startswith(CHILD):
                time.sleep(seconds)
            elif subprocess.run(["sleep", str(seconds)], check=False).returncode:
                note("end", claim)
                raise Unavailable("The child was killed.")
            report({"step": step})
        note("end", claim)
        return {"token": claim.token}

    def note(what: str, claim: Claim) -> None:
        with Path(log).open("a") as file:
            file.write(f"{what} {claim.job.id} {claim.token} {os.getpid()} {time.monotonic()}\n")

    worker = celery_app.Worker(celery_app.create_app(KIND, broker_url=broker, queue=QUEUE), lambda: store)
    worker.register(KIND, one, max_attempts=MAX_ATTEMPTS)
    worker.run(concurrency=THREADS)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", database, broker]:
            serve(database, broker)
        case ["work", database, broker, log, step_seconds]:
            work(database, broker, log, float(step_seconds))
        case arguments:
            raise SystemExit(f"not for people: run ledger.py ({arguments})")
