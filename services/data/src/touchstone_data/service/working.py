"""The work of a unit: read, work on a shard, decide or write, by the stage it belongs to.

A unit may be done twice, by a worker that was thought dead: both write the same, and the first account stays.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from touchstone_data.core.accounts import UnitAccount
from touchstone_data.core.planning import Stage, StageKind
from touchstone_data.core.spec import PipelineSpec
from touchstone_data.ports import Pipelines, Unit, Workshop, Workshops
from touchstone_data.service.course import Course

BEAT_SECONDS = 0.5

Beat = Callable[[], None]
"""Called between records; raises when the work must stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A unit with what belongs to it."""

    unit: Unit
    spec: PipelineSpec
    stages: tuple[Stage, ...]
    shards: int
    workshop: Workshop
    beat: Beat

    @property
    def stage(self) -> Stage:
        """The stage it belongs to."""
        return self.stages[self.unit.stage]


Work = Callable[[Task], UnitAccount]


class Working:
    """Does units, and sends what comes next."""

    def __init__(
        self,
        pipelines: Pipelines,
        course: Course,
        workshops: Workshops,
        works: Mapping[StageKind, Work],
        *,
        monotonic: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            pipelines: The record.
            course: Says what comes next.
            workshops: Where shards lie.
            works: What is done in each kind of stage.
            monotonic: Seconds of a clock that only goes forward.
        """
        self._monotonic = monotonic
        self._pipelines = pipelines
        self._course = course
        self._workshops = workshops
        self._works = works

    def do(self, unit: Unit, beat: Beat) -> None:
        """Do a unit; one that is done, or of a pipeline that has ended, is left alone.

        Raises:
            DomainError: It failed; of a retryable kind, it may be tried again.
        """
        pipeline = self._pipelines.get(unit.dispatch_id)
        if pipeline.state.is_final:
            return
        if unit.shard not in self._pipelines.done(unit.dispatch_id, unit.stage):
            task = Task(
                unit=unit,
                spec=pipeline.spec,
                stages=self._course.stages(pipeline.spec),
                shards=pipeline.shards,
                workshop=self._workshops.of(unit.dispatch_id),
                beat=self._pulse(unit.dispatch_id, beat),
            )
            if unit.stage == 0:
                self._workshops.tidy(self._pipelines.unfinished())
            self._pipelines.record(unit, self._works[task.stage.kind](task))
            if task.stage.is_by_shard and task.stage.input:  # what was read is kept: the report looks at it
                task.workshop.discard_records(task.stage.input, unit.shard)
        self._course.advance(unit.dispatch_id)

    def _pulse(self, dispatch_id: str, beat: Beat) -> Beat:
        """Make a beat that may come as often as it likes: one in BEAT_SECONDS goes to the record."""
        due = self._monotonic()

        def pulse() -> None:
            nonlocal due
            if (now := self._monotonic()) < due:
                return
            due = now + BEAT_SECONDS
            beat()
            if self._pipelines.get(dispatch_id).state.is_final:
                raise PipelineEnded(dispatch_id)

        return pulse


class PipelineEnded(Exception):
    """The pipeline was cancelled or has failed while a unit of it was at work."""
