"""Pipelines as their callers see them: started once, looked at, cancelled. Blocking; the door runs it in threads.

The record is stored before anything is sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from touchstone_runtime.jobs import JobState

from touchstone_data import errors
from touchstone_data.core import planning, validation
from touchstone_data.core.spec import PipelineSpec
from touchstone_data.core.steps import Step
from touchstone_data.ports import Pipeline, Pipelines
from touchstone_data.service.course import Course


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a pipeline is."""

    stage: str = ""
    stages_done: int
    stages_total: int
    shards_done: int = 0
    shards_total: int = 0
    records_read: int = 0
    records_dropped: int = 0


class PipelineDesk:
    """Starts pipelines and watches over them."""

    def __init__(self, pipelines: Pipelines, course: Course, steps: Mapping[str, Step]) -> None:
        self._pipelines = pipelines
        self._course = course
        self._steps = steps

    def start(self, dispatch_id: str, spec: PipelineSpec) -> tuple[Pipeline, Progress]:
        """Start a pipeline; the same dispatch id returns the same pipeline.

        Raises:
            SpecInvalid: With every fault.
            DispatchIdTaken: The dispatch id belongs to a different specification.
        """
        faults = [*validation.dispatch_faults(dispatch_id), *validation.spec_faults(spec, self._steps)]
        if faults:
            raise errors.SpecInvalid(faults)
        pipeline = self._pipelines.create(dispatch_id, spec)
        if pipeline.spec != spec:
            raise errors.DispatchIdTaken(dispatch_id)
        if pipeline.state is JobState.PENDING:
            self._course.begin(dispatch_id)
        return pipeline, self._progress(pipeline)

    def get(self, dispatch_id: str) -> tuple[Pipeline, Progress]:
        """Read a pipeline. Raises PipelineNotFound."""
        pipeline = self._pipelines.get(dispatch_id)
        return pipeline, self._progress(pipeline)

    def cancel(self, dispatch_id: str) -> tuple[Pipeline, Progress]:
        """Cancel a pipeline; its workers stop before their next step. Raises PipelineNotFound."""
        self._pipelines.get(dispatch_id)
        self._pipelines.end(dispatch_id, JobState.CANCELLED)
        return self.get(dispatch_id)

    def steps(self) -> Sequence[Step]:
        """List the steps that are installed, by name."""
        return [self._steps[name] for name in sorted(self._steps)]

    def repair_all(self) -> None:
        """See that unfinished pipelines go on."""
        for dispatch_id in self._pipelines.unfinished():
            self._course.repair(dispatch_id)

    def _progress(self, pipeline: Pipeline) -> Progress:
        stages = self._course.stages(pipeline.spec)
        accounts = [account for _, account in self._pipelines.accounts(pipeline.dispatch_id)]
        read = sum(source.records for account in accounts for source in account.sources)
        dropped = sum(account.dropped for account in accounts)
        if pipeline.state.is_final:
            is_whole = pipeline.state is JobState.SUCCEEDED
            done = len(stages) if is_whole else pipeline.stage
            return Progress(stages_done=done, stages_total=len(stages), records_read=read, records_dropped=dropped)
        stage = stages[pipeline.stage]
        return Progress(
            stage=planning.title(stage, [use.name for use in pipeline.spec.steps]),
            stages_done=pipeline.stage,
            stages_total=len(stages),
            shards_done=len(self._pipelines.done(pipeline.dispatch_id, stage.number)),
            shards_total=pipeline.shards if stage.is_by_shard else 1,
            records_read=read,
            records_dropped=dropped,
        )
