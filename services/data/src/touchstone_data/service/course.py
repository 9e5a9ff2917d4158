"""The course of a pipeline: which units come next. Each step may be repeated: jobs are named by what they do.

A stage begins when all units of the one before are done. Its jobs are recorded first, then the stage is begun, then
they are sent: whoever dies in between leaves what `repair`, or the server's sending of overdue jobs, takes up.
"""

import logging
from collections.abc import Mapping

from touchstone_runtime.jobs import Job, JobState, JobStore

from touchstone_data.core import planning
from touchstone_data.core.planning import Stage
from touchstone_data.core.spec import PipelineSpec
from touchstone_data.core.steps import Step
from touchstone_data.ports import JobKind, Pipeline, Pipelines, Sender, Unit

logger = logging.getLogger(__name__)


class Course:
    """Moves pipelines forward."""

    def __init__(self, pipelines: Pipelines, jobs: JobStore, sender: Sender, steps: Mapping[str, Step]) -> None:
        self._pipelines = pipelines
        self._jobs = jobs
        self._sender = sender
        self._steps = steps

    def stages(self, spec: PipelineSpec) -> tuple[Stage, ...]:
        """Plan the stages of a pipeline."""
        return planning.stages([self._steps[use.name].by_corpus is not None for use in spec.steps])

    def begin(self, dispatch_id: str) -> None:
        """Send the first unit of a pipeline that is recorded."""
        self._sender.send(self._ensure(Unit(dispatch_id, 0, 0)))

    def advance(self, dispatch_id: str) -> None:
        """Begin the next stage if all units of this one are done."""
        pipeline = self._pipelines.get(dispatch_id)
        if pipeline.state.is_final:
            return
        stages = self.stages(pipeline.spec)
        stage = stages[pipeline.stage]
        if self._undone(pipeline, stage) or stage.number + 1 == len(stages):
            return
        following = stages[stage.number + 1]
        jobs = [self._ensure(unit) for unit in _units(pipeline, following)]
        if self._pipelines.begin_stage(dispatch_id, following.number):
            for job in jobs:
                self._sender.send(job)

    def repair(self, dispatch_id: str) -> None:
        """See that a pipeline goes on: what was lost is made again; one whose work was given up has failed."""
        pipeline = self._pipelines.get(dispatch_id)
        if pipeline.state.is_final:
            return
        for unit in self._undone(pipeline, self.stages(pipeline.spec)[pipeline.stage]):
            job = self._ensure(unit)
            if job.state is JobState.FAILED:
                logger.warning("pipeline failed", extra={"dispatch_id": dispatch_id, "job": job.id})
                self._pipelines.end(dispatch_id, JobState.FAILED, job.error)
                return
        self.advance(dispatch_id)

    def _undone(self, pipeline: Pipeline, stage: Stage) -> list[Unit]:
        done = set(self._pipelines.done(pipeline.dispatch_id, stage.number))
        return [unit for unit in _units(pipeline, stage) if unit.shard not in done]

    def _ensure(self, unit: Unit) -> Job:
        return self._jobs.create(job_id(unit), JobKind.UNIT, unit._asdict())


def job_id(unit: Unit) -> str:
    """Name a job after what it does, so that it is there once."""
    return f"{unit.dispatch_id}/{unit.stage}/{unit.shard}"


def _units(pipeline: Pipeline, stage: Stage) -> list[Unit]:
    shards = pipeline.shards if stage.is_by_shard else 1
    return [Unit(pipeline.dispatch_id, stage.number, shard) for shard in range(shards)]
