"""What the worker does with a job: the Celery twin of `api/`."""

from collections.abc import Callable, Mapping
from typing import Any

from touchstone_runtime.jobs import Claim, Report

from touchstone_evaluation.ports import Documents, JobKind
from touchstone_evaluation.service.selections import Selecting, SelectionSpec

QUEUE = "evaluation"

Do = Callable[[str, int, Callable[[], None]], None]
"""Does the work of a run's job, given the run, the shard's number and a beat to call between items.

The beat raises when the work must stop.
"""


class JobWork:
    """The work of one kind of job."""

    def __init__(self, kind: JobKind, do: Do) -> None:
        self.kind = kind
        self._do = do

    def __call__(self, claim: Claim, report: Report) -> Mapping[str, Any]:
        """Do it; what it comes to is in the record of runs."""
        self._do(claim.job.payload["dispatch_id"], int(claim.job.payload["number"]), lambda: report({}))
        return {}


class SelectWork:
    """The work of choosing; what it comes to is the job's result."""

    kind = JobKind.SELECT

    def __init__(self, selecting: Selecting, documents: Documents) -> None:
        self._selecting = selecting
        self._documents = documents

    def __call__(self, claim: Claim, report: Report) -> Mapping[str, Any]:
        """Do it."""
        payload = claim.job.payload
        spec = self._documents.read(payload["spec"], SelectionSpec)
        result: Mapping[str, Any] = self._documents.write(self._selecting.select(payload["selection_id"], spec))
        return result
