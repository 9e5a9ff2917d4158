"""Rankings of revisions: asking for them, and showing them."""

from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from rich.table import Table
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone.evaluation.v1 import evaluation_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels

from touchstone_local import fields
from touchstone_local.errors import NothingToRank

TIMEOUT_SECONDS = 60.0


def dispatch_ids(evalruns: Mapping[str, Mapping[str, object]], names: Sequence[str]) -> list[str]:
    """Say how the evaluation service knows runs; where an earlier verdict stood in, it is that run's scores.

    Args:
        evalruns: All EvalRuns of the namespace, by name.
        names: Which of them.

    Raises:
        NothingToRank: One is not there, or has measured nothing.
    """
    found = []
    for name in names:
        run, seen = evalruns.get(name), {name}
        while run is not None and (earlier := fields.text(run, "status", "reusedFrom")) and earlier not in seen:
            seen.add(earlier)
            run = evalruns.get(earlier)
        dispatch_id = fields.text(run, "status", "dispatchId") if run else ""
        if not dispatch_id:
            raise NothingToRank(name)
        found.append(dispatch_id)
    return found


async def rank(
    address: str, runs: Sequence[str], metric: str, *, control_length: bool = False
) -> pb.RankRevisionsResponse:
    """Ask the evaluation service for a ranking. Raises what the service answers."""
    request = pb.RankRevisionsRequest(dispatch_ids=runs, metric=metric, control_length=control_length)
    async with channels.connect(address) as channel:
        try:
            stub: Any = pb_grpc.EvaluationServiceStub(channel)
            response: pb.RankRevisionsResponse = await stub.RankRevisions(request, timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            raise channels.translate(error, "evaluation") from error
        return response


def table(response: pb.RankRevisionsResponse, metric: str) -> Table:
    """Show a ranking: a row a revision."""
    title = f"{metric}: {response.matches} matches about {response.items} items"
    shown = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("revision", "rating", "interval", "Elo", "by order alone", "points", "matches"):
        shown.add_column(name, justify="left" if name == "revision" else "right", no_wrap=True)
    group = 0
    for standing in response.standings:
        if standing.group != group:
            shown.add_section()
            group = standing.group
        has_interval = standing.HasField("ci_low")
        shown.add_row(
            standing.player,
            f"{standing.rating:.0f}" if has_interval else "–",
            f"{standing.ci_low:.0f} … {standing.ci_high:.0f}" if has_interval else "–",
            f"{standing.elo:.0f}",
            f"{standing.elo_low:.0f} … {standing.elo_high:.0f}",
            f"{standing.points:g}",
            f"{standing.matches}",
        )
    return shown


def remarks(response: pb.RankRevisionsResponse) -> list[str]:
    """Say what the table does not."""
    said = []
    if len({standing.group for standing in response.standings}) > 1:
        said.append(
            "Lines part revisions of which one side won every match, or that never met: no rating compares them."
        )
    if response.HasField("length_effect"):
        effect = response.length_effect
        said.append(
            f"Ratings are of answers of equal length; one of twice the length is worth {effect.value:+.0f} "
            f"({effect.ci_low:+.0f} … {effect.ci_high:+.0f})."
        )
    return said
