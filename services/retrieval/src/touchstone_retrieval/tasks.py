"""What the worker does with a build: the Celery twin of `api/`."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from touchstone_runtime import telemetry
from touchstone_runtime.jobs import Claim, Report
from touchstone_runtime.telemetry import names

from touchstone_retrieval.core.spec import IndexSpec
from touchstone_retrieval.service.pipeline import Pipeline, Progress

TASK = "touchstone_retrieval.build"
QUEUE = "retrieval"

REPORT_SECONDS = 0.5
"""The shortest time between two reports of the same stage."""


class BuildWork:
    """Builds the revision of a claimed job."""

    def __init__(self, pipeline: Callable[[], Pipeline], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Prepare, but load nothing.

        Args:
            pipeline: Gives the pipeline; called at the first job.
            monotonic: A clock.
        """
        self._pipeline = pipeline
        self._monotonic = monotonic
        self._duration = telemetry.meter(__name__).create_histogram(
            names.JOB_DURATION, unit="s", description="Time that a worker spent on one attempt at a job."
        )

    def __call__(self, claim: Claim, report: Report) -> Mapping[str, Any]:
        """Build; the result holds the manifest as JSON."""
        started = self._monotonic()
        last_stage, last_told = "", float("-inf")

        def tell(progress: Progress) -> None:
            nonlocal last_stage, last_told
            now = self._monotonic()
            if progress.stage == last_stage and now - last_told < REPORT_SECONDS:
                return
            last_stage, last_told = progress.stage, now
            report(progress._asdict())

        try:
            payload = claim.job.payload
            spec, embed_again = IndexSpec.from_document(payload["spec"]), payload.get("embed_again", False)
            manifest = self._pipeline().build(payload["index"], spec, tell, embed_again=embed_again)
        finally:
            self._duration.record(self._monotonic() - started, {names.JOB_KIND: claim.job.kind})
        return {"manifest": manifest.to_json()}
