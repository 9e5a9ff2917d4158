"""touchstone.evaluation.v1.EvaluationService over the use cases."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone.evaluation.v1 import evaluation_service_pb2_grpc as pb_grpc
from touchstone_runtime.server import Servicer

from touchstone_evaluation.api import convert, selection_specs, specs
from touchstone_evaluation.core import costs
from touchstone_evaluation.core.spec import DEFAULT_CONFIDENCE, Goal
from touchstone_evaluation.core.task import Metric, Task
from touchstone_evaluation.service.evaluations import Evaluations, RankQuestion
from touchstone_evaluation.service.selections import Selections

NAME = "touchstone.evaluation.v1.EvaluationService"
WATCH_SECONDS = 0.5

_GOALS = {Goal.MAXIMIZE: pb.GOAL_MAXIMIZE, Goal.MINIMIZE: pb.GOAL_MINIMIZE}


class EvaluationServicer(pb_grpc.EvaluationServiceServicer):
    """Evaluation behind gRPC; the record is blocking, so each call goes through a thread."""

    def __init__(self, evaluations: Evaluations, selections: Selections) -> None:
        self._evaluations = evaluations
        self._selections = selections

    def registered(self) -> Servicer:
        """Return what a server adds."""
        return Servicer(NAME, lambda server: pb_grpc.add_EvaluationServiceServicer_to_server(self, server))

    async def StartRun(self, request: pb.StartRunRequest, context: Any) -> pb.StartRunResponse:  # noqa: N802
        """Begin a run."""
        spec = specs.read(request.spec)
        run = await asyncio.to_thread(self._evaluations.start, request.dispatch_id, spec)
        return pb.StartRunResponse(run=convert.run(run))

    async def GetRun(self, request: pb.GetRunRequest, context: Any) -> pb.GetRunResponse:  # noqa: N802
        """Return a run."""
        run = await asyncio.to_thread(self._evaluations.get, request.dispatch_id)
        return pb.GetRunResponse(run=convert.run(run))

    async def WatchRun(self, request: pb.WatchRunRequest, context: Any) -> AsyncIterator[pb.WatchRunResponse]:  # noqa: N802
        """Send a run now and after each change, until its end."""
        last = None
        while True:
            run = await asyncio.to_thread(self._evaluations.get, request.dispatch_id)
            if run != last:
                yield pb.WatchRunResponse(run=convert.run(run))
            if run.state.is_final:
                return
            last = run
            await asyncio.sleep(WATCH_SECONDS)

    async def CancelRun(self, request: pb.CancelRunRequest, context: Any) -> pb.CancelRunResponse:  # noqa: N802
        """Stop a run."""
        run = await asyncio.to_thread(self._evaluations.cancel, request.dispatch_id)
        return pb.CancelRunResponse(run=convert.run(run))

    async def RankRevisions(  # noqa: N802
        self, request: pb.RankRevisionsRequest, context: Any
    ) -> pb.RankRevisionsResponse:
        """Rank the revisions that runs measured."""
        question = RankQuestion(
            dispatch_ids=tuple(request.dispatch_ids),
            metric=request.metric,
            control_length=request.control_length,
            confidence=request.confidence or DEFAULT_CONFIDENCE,
        )
        return convert.leaderboard(await asyncio.to_thread(self._evaluations.rank, question))

    async def DiagnoseRun(self, request: pb.DiagnoseRunRequest, context: Any) -> pb.DiagnoseRunResponse:  # noqa: N802
        """Say what the failures of a run were short of."""
        confidence = request.confidence or DEFAULT_CONFIDENCE
        found = await asyncio.to_thread(self._evaluations.diagnose, request.dispatch_id, confidence)
        return pb.DiagnoseRunResponse(diagnoses=[convert.diagnosis(*finding) for finding in found])

    async def StartSelection(  # noqa: N802
        self, request: pb.StartSelectionRequest, context: Any
    ) -> pb.StartSelectionResponse:
        """Begin to choose."""
        spec = selection_specs.read(request.spec)
        found = await asyncio.to_thread(self._selections.start, request.selection_id, spec)
        return pb.StartSelectionResponse(selection=selection_specs.write(found))

    async def GetSelection(  # noqa: N802
        self, request: pb.GetSelectionRequest, context: Any
    ) -> pb.GetSelectionResponse:
        """Return a selection."""
        found = await asyncio.to_thread(self._selections.get, request.selection_id)
        return pb.GetSelectionResponse(selection=selection_specs.write(found))

    async def ListTasks(self, request: pb.ListTasksRequest, context: Any) -> pb.ListTasksResponse:  # noqa: N802
        """List the tasks that suites may name."""
        return pb.ListTasksResponse(tasks=[_task(task) for task in self._evaluations.tasks()])


def _task(task: Task) -> pb.Task:
    return pb.Task(
        name=task.name,
        version=task.version,
        description=task.description,
        parameters_schema=json.dumps(task.parameters_schema),
        metrics=[_metric(metric) for metric in costs.listed(task)],
    )


def _metric(metric: Metric) -> pb.Metric:
    return pb.Metric(
        name=metric.name,
        goal=_GOALS[metric.goal],
        is_binary=metric.is_binary,
        description=metric.description,
    )
