"""Ranking the revisions that runs measured, through the real server."""

import math
from typing import Any

import grpc
import pytest
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone_runtime import channels, errors

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def ranked(bench: Any, *dispatch_ids: str, metric: str, **options: Any) -> pb.RankRevisionsResponse:
    request = pb.RankRevisionsRequest(dispatch_ids=dispatch_ids, metric=metric, **options)
    response: pb.RankRevisionsResponse = await bench.stub.RankRevisions(request)
    return response


async def refused(bench: Any, *dispatch_ids: str, metric: str, **options: Any) -> errors.DomainError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ranked(bench, *dispatch_ids, metric=metric, **options)
    return channels.translate(caught.value, "evaluation")


async def test_revisions_meet_about_each_item_that_all_were_asked(bench: Any) -> None:
    for name in ("good", "weak", "slow"):
        await bench.run(name, bench.spec(name))
    found = await ranked(bench, "good", "weak", "slow", metric="golden/contains")
    first, second, last = found.standings
    assert [s.player for s in found.standings] == [f"default/chat@{name}" for name in ("good", "slow", "weak")]
    assert (found.items, found.matches) == (bench.items, 3 * bench.items)
    assert {s.group for s in found.standings} == {0}
    # Of 40 items the weak one ties 8 and loses 32: 36 points to 4.
    assert first.rating == pytest.approx(second.rating)
    assert first.rating - last.rating == pytest.approx(400 * math.log10(36 / 4))
    assert (last.points, last.matches) == (8.0, 2 * bench.items)
    assert last.ci_high < first.ci_low
    assert (first.subject.revision, first.subject.digest) == ("good", bench.digests["good"])

    alike = await refused(bench, "good", "weak", metric="golden/contains", control_length=True)
    assert alike.reason == "RANKING_IMPOSSIBLE"
    assert "cannot be told" in alike.message, "all answers are of one length"


async def test_what_pairwise_judges_said_are_matches(bench: Any) -> None:
    await bench.run("duel", bench.pairwise("judge"))
    found = await ranked(bench, "duel", metric="golden/win_rate")
    assert [s.player for s in found.standings] == ["default/chat@good", "default/chat@weak"]
    assert found.matches == bench.items
    assert found.standings[0].rating - found.standings[1].rating == pytest.approx(400 * math.log10(0.9 / 0.1))


async def test_what_cannot_be_ranked_is_refused_with_the_reason(bench: Any) -> None:
    await bench.run("one", bench.spec("good"))
    other = bench.spec("weak")
    other.suites[0].sampling.seed = 7
    await bench.run("other", other)
    differing = await refused(bench, "one", "other", metric="golden/contains")
    assert (differing.reason, "sampling" in differing.message) == ("RANKING_IMPOSSIBLE", True)
    assert "nobody met" in (await refused(bench, "one", metric="golden/contains")).message
    assert "no mean" in (await refused(bench, "one", "one", metric="golden/latency_p95_millis")).message
    assert "no metric" in (await refused(bench, "one", metric="golden/charm")).message
    assert (await refused(bench, "nobody", metric="golden/contains")).reason == "RUN_NOT_FOUND"
    invalid = await refused(bench, metric="contains", confidence=2)
    assert isinstance(invalid, errors.Invalid)
    assert [violation.field for violation in invalid.violations] == ["dispatch_ids", "metric", "confidence"]
