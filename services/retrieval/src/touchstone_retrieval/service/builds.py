"""Builds as their callers see them: started once, looked at, cancelled. Blocking; the door runs it in threads.

The record is stored before anything is sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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


class Sender(Protocol):
    """What is needed of `touchstone_runtime.jobs.Dispatcher`."""

    def send(self, job: Job) -> bool:
        """Send a job to the workers; a broker that is away is no error."""
        ...

    def resend_overdue(self, kind: str) -> int:
        """Send what nobody works on again; return how many were sent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """The making of one revision."""

    dispatch_id: str
    index: str
    state: JobState
    progress: Progress
    error: Mapping[str, str] | None
    """`reason` and `message` of a failed build, or of the last attempt of one that is tried again."""
    manifest: Manifest | None
    """Of a build that succeeded."""
    heartbeat_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """Starts builds and watches over them."""

    jobs: Jobs
    sender: Sender
    jmespath_fault: ExpressionFault
    glob_fault: ExpressionFault

    def start(self, dispatch_id: str, index: str, spec: IndexSpec, *, embed_again: bool = False) -> Build:
        """Start a build; the same dispatch id returns the same build.

        Args:
            dispatch_id: Names the build.
            index: `NAMESPACE/NAME` of the RagIndex.
            spec: What to build.
            embed_again: Whether passages are embedded whose embeddings are kept.

        Raises:
            SpecInvalid: With every fault.
            DispatchIdTaken: The dispatch id belongs to a different build.
        """
        faults = [*validation.dispatch_faults(dispatch_id), *validation.index_faults(index)]
        faults += validation.spec_faults(spec, jmespath_fault=self.jmespath_fault, glob_fault=self.glob_fault)
        if faults:
            raise errors.SpecInvalid(faults)
        payload = {"index": index, "spec": spec.to_document(), "embed_again": embed_again}
        job = self.jobs.create(dispatch_id, KIND, payload)
        if job.kind != KIND or job.payload["index"] != index or IndexSpec.from_document(job.payload["spec"]) != spec:
            raise errors.DispatchIdTaken(dispatch_id)
        if job.state is JobState.PENDING:
            self.sender.send(job)
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

    def resend_overdue(self) -> int:
        """Send builds that nobody works on again; return how many were sent."""
        return self.sender.resend_overdue(KIND)


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
