"""What the worker does with a job: the Celery twin of `api/`."""

from collections.abc import Callable, Mapping
from typing import Any

from touchstone_runtime.jobs import Cancelled, Claim, Report

from touchstone_data.ports import Unit
from touchstone_data.service.working import Beat, PipelineEnded

QUEUE = "data"

Do = Callable[[Unit, Beat], None]


class UnitWork:
    """The work of a unit; what it comes to is in the record of pipelines."""

    def __init__(self, do: Callable[[], Do]) -> None:
        """Prepare, but load nothing.

        Args:
            do: Gives what does a unit; called at the first job.
        """
        self._do = do

    def __call__(self, claim: Claim, report: Report) -> Mapping[str, Any]:
        """Do it."""
        payload = claim.job.payload
        try:
            self._do()(Unit(**payload), lambda: report({}))
        except PipelineEnded as error:
            raise Cancelled from error
        return {}
