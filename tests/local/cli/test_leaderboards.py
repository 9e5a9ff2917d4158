"""Rankings as tables."""

import io

import pytest
from rich.console import Console
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone_local import leaderboards
from touchstone_local.errors import NothingToRank

RUNS = {
    "first": {"status": {"dispatchId": "uid-1-1"}},
    "second": {"status": {"reusedFrom": "first"}},
    "waiting": {"status": {}},
}


def text_of(renderable: object) -> str:
    out = io.StringIO()
    Console(file=out, width=140, color_system=None).print(renderable)
    return out.getvalue()


def test_a_reused_verdict_is_ranked_by_the_run_that_it_came_from() -> None:
    assert leaderboards.dispatch_ids(RUNS, ["first", "second"]) == ["uid-1-1", "uid-1-1"]


@pytest.mark.parametrize("name", ["waiting", "nobody"])
def test_a_run_that_measured_nothing_is_named(name: str) -> None:
    with pytest.raises(NothingToRank, match=name):
        leaderboards.dispatch_ids(RUNS, [name])


def test_a_ranking_says_what_no_rating_compares() -> None:
    best = pb.Standing(player="default/chat@best", group=0, rating=1000, elo=1040, points=3, matches=3)
    rest = [
        pb.Standing(player=f"default/chat@{name}", group=1, rating=rating, ci_low=rating - 9, ci_high=rating + 9)
        for name, rating in (("b", 1010), ("c", 990))
    ]
    found = pb.RankRevisionsResponse(standings=[best, *rest], matches=9, items=3)
    lines = text_of(leaderboards.table(found, "golden/win_rate")).splitlines()
    assert "9 matches about 3 items" in lines[0]
    (row,) = [line for line in lines if "best" in line]
    assert row.split()[1:3] == ["–", "–"]
    (row,) = [line for line in lines if "chat@b" in line and "best" not in line]
    assert "1001 … 1019" in row
    assert "no rating compares" in leaderboards.remarks(found)[0]
