"""A worker process for test_celery: writes a line for each effect; the first run of a job named `slow` never ends."""

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from touchstone_runtime import celery_app
from touchstone_runtime.celery_app import Report
from touchstone_runtime.jobs import Claim, JobStore

BROKER_URL, DATABASE_URL, QUEUE, EFFECTS = sys.argv[1:5]
app = celery_app.create_app("echo", broker_url=BROKER_URL, queue=QUEUE)
store = JobStore(DATABASE_URL, lease_seconds=1.0)


def work(claim: Claim, report: Report) -> Mapping[str, Any]:
    with Path(EFFECTS).open("a") as file:
        file.write(f"start {claim.job.id} {os.getpid()}\n")
    if claim.job.id == "poison":
        os.kill(os.getpid(), 9)
    if claim.job.id == "slow" and claim.job.attempts == 1:
        threading.Event().wait()
    with Path(EFFECTS).open("a") as file:
        file.write(f"done {claim.job.id}\n")
    return {"ok": True}


celery_app.job_task(app, "echo", lambda: store, work, max_attempts=2)
celery_app.run_worker(app)
