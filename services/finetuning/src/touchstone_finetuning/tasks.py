"""What the worker does with a training: the Celery twin of `api/`."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from touchstone_runtime import telemetry
from touchstone_runtime.jobs import Claim, Report
from touchstone_runtime.telemetry import names

from touchstone_finetuning.core import codec
from touchstone_finetuning.core.spec import TrainingSpec
from touchstone_finetuning.service.conducting import Conductor

TASK = "touchstone_finetuning.train"


class TrainingWork:
    """Sees the training of a claimed job through."""

    def __init__(self, conductor: Callable[[], Conductor], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Prepare, but load nothing.

        Args:
            conductor: Gives what runs trainings; called at the first job.
            monotonic: A clock.
        """
        self._conductor = conductor
        self._monotonic = monotonic
        self._duration = telemetry.meter(__name__).create_histogram(
            names.JOB_DURATION, unit="s", description="Time that a worker spent on one attempt at a job."
        )

    def __call__(self, claim: Claim, report: Report) -> Mapping[str, Any]:
        """Train; the result holds the artefact and its provenance."""
        started = self._monotonic()
        spec = codec.from_fields(claim.job.payload["spec"], TrainingSpec)
        try:
            result = self._conductor().conduct(spec, lambda progress: report(codec.to_fields(progress)))
        finally:
            self._duration.record(self._monotonic() - started, {names.JOB_KIND: claim.job.kind})
        written: Mapping[str, Any] = codec.to_fields(result)
        return written
