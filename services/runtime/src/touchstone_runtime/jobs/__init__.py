"""The record of work: what was asked for, who works on it, what came of it.

A broker only carries job ids; this record decides. A worker claims a job with a fencing token that rises with every
claim; whoever holds an older token is refused. A claim lasts as long as its heartbeats; a job whose claim has run out
is overdue and is sent again. A finished job never runs again.
"""

from touchstone_runtime.jobs.dispatching import Dispatcher
from touchstone_runtime.jobs.records import Claim, ClaimLost, Job, JobNotFound, JobState
from touchstone_runtime.jobs.running import Cancelled, Preempted, Report, Work, run_job
from touchstone_runtime.jobs.store import JobStore
from touchstone_runtime.jobs.tables import Base

__all__ = [
    "Base",
    "Cancelled",
    "Claim",
    "ClaimLost",
    "Dispatcher",
    "Job",
    "JobNotFound",
    "JobState",
    "JobStore",
    "Preempted",
    "Report",
    "Work",
    "run_job",
]
