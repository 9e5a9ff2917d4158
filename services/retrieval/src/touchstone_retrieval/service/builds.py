"""Builds as their callers see them: started once, looked at, cancelled. Blocking; the door runs it in threads.

The record is stored before anything is sent, and the broker is not believed: what is overdue is sent again.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from touchstone_runtime.jobs import Job, JobNotFound, JobState

from touchstone_retrieval import errors
from touchstone_retrieval.core import validation
from touchstone_retrieval.core.manifest import Manifest
from touchstone_retrieval.core.spec import IndexSpec
from touchstone_retrieval.core.validation import ExpressionFault
from touchstone_retrieval.service.pipeline import Progress

KIND = "build-index"
"""The kind of the jobs."""

RESEND_SECONDS = 60.0
"""How long a message may lie in the queue before it is taken for lost."""

logger = logging.getLogger(__name__)


class Jobs(Protocol):
    """What is needed of `touchstone_runtime.jobs.JobStore`."""

    def create(self, job_id: str, kind: str, payload: Mapping[str, Any]) -> Job:
        """Record a job; the same id returns the stored one."""
        ...

    def get(self, job_id: str) -> Job:
        """Read a job."""
        ...

    def cancel(self, job_id: str) -> Job:
        """Ask for a job's end."""
        ...

    def overdue(self, kind: str) -> list[Job]:
        """List jobs that nobody works on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """The making of one revision."""

    dispatch_id: str
    index: str
    state: JobState
    progress: Progress
    error: Mapping[str, str] | None
    """`reason` and `message` of a failed build."""
    manifest: Manifest | None
    """Of a build that succeeded."""
    heartbeat_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """Starts builds and watches over them."""

    jobs: Jobs
    dispatch: Callable[[str], None]
    """Sends a job to the workers; may raise when the broker is away."""
    jmespath_fault: ExpressionFault
    glob_fault: ExpressionFault
    monotonic: Callable[[], float] = time.monotonic
    _sent: dict[tuple[str, int], float] = field(default_factory=dict)
    """When a job was last sent, by its id and the number of its attempts."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, dispatch_id: str, index: str, spec: IndexSpec) -> Build:
        """Start a build; the same dispatch id returns the same build.

        Raises:
            SpecInvalid: With every fault.
            DispatchIdTaken: The dispatch id belongs to a different build.
        """
        faults = [*validation.dispatch_faults(dispatch_id), *validation.index_faults(index)]
        faults += validation.spec_faults(spec, jmespath_fault=self.jmespath_fault, glob_fault=self.glob_fault)
        if faults:
            raise errors.SpecInvalid(faults)
        job = self.jobs.create(dispatch_id, KIND, {"index": index, "spec": spec.to_document()})
        if job.kind != KIND or job.payload["index"] != index or IndexSpec.from_document(job.payload["spec"]) != spec:
            raise errors.DispatchIdTaken(dispatch_id)
        if job.state is JobState.PENDING:
            self._send(job)
        return _build(job)

    def get(self, dispatch_id: str) -> Build:
        """Read a build."""
        try:
            return _build(self.jobs.get(dispatch_id))
        except JobNotFound as error:
            raise errors.BuildNotFound(dispatch_id) from error

    def cancel(self, dispatch_id: str) -> Build:
        """Cancel a build; its worker stops after the batch at hand. Cancelling an ended build changes nothing."""
        try:
            return _build(self.jobs.cancel(dispatch_id))
        except JobNotFound as error:
            raise errors.BuildNotFound(dispatch_id) from error

    def redispatch(self) -> int:
        """Send overdue builds again, each at most once in `RESEND_SECONDS` and attempt; returns how many."""
        overdue = self.jobs.overdue(KIND)
        with self._lock:
            for key in self._sent.keys() - {(job.id, job.attempts) for job in overdue}:
                if self.monotonic() - self._sent[key] > RESEND_SECONDS:
                    del self._sent[key]
        return sum(self._send(job) for job in overdue)

    def _send(self, job: Job) -> bool:
        key = (job.id, job.attempts)
        with self._lock:
            if self.monotonic() - self._sent.get(key, float("-inf")) < RESEND_SECONDS:
                return False
            self._sent[key] = self.monotonic()
        try:
            self.dispatch(job.id)
        except Exception:  # any client's error for a broker that is away: the record stands, the next round sends it
            logger.warning("build not sent", extra={"job": job.id}, exc_info=True)
            with self._lock:
                self._sent.pop(key, None)
            return False
        return True


def _build(job: Job) -> Build:
    if job.kind != KIND:
        raise errors.BuildNotFound(job.id)
    manifest = job.result.get("manifest")
    return Build(
        dispatch_id=job.id,
        index=job.payload["index"],
        state=job.state,
        progress=Progress(**job.progress) if job.progress else Progress(""),
        error=job.error,
        manifest=Manifest.from_json(manifest) if manifest else None,
        heartbeat_at=job.heartbeat_at,
    )
