"""A worker process for test_celery: writes a line for each effect; the first run of a job named `slow` never ends."""

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from touchstone_runtime import celery_app
from touchstone_runtime.jobs import Claim, JobStore, Report

BROKER_URL, DATABASE_URL, QUEUE, EFFECTS = sys.argv[1:5]
LONG = 1_000_000


def work(claim: Claim, report: Report) -> Mapping[str, Any]:
    note("start", claim)
    if claim.job.id == "poison":
        os.kill(os.getpid(), 9)
    if claim.job.id == "slow" and claim.job.attempts == 1:
        threading.Event().wait()
    if claim.job.id == "stepwise" and not (Path(EFFECTS).parent / "finish").exists():
        for step in range(LONG):
            report({"step": step})
            threading.Event().wait(0.01)
    note("done", claim)
    return {"ok": True}


def note(what: str, claim: Claim) -> None:
    with Path(EFFECTS).open("a") as file:
        file.write(f"{what} {claim.job.id} {os.getpid()}\n")


app = celery_app.create_app("echo", broker_url=BROKER_URL, queue=QUEUE)
store = JobStore(DATABASE_URL, lease_seconds=1.0)
worker = celery_app.Worker(app, lambda: store)
worker.register("echo", work, max_attempts=2)
worker.run()
