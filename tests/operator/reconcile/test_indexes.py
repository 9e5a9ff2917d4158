"""Indexes through the reconcilers: a revision becomes active only on evidence, and the active one is never lost."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from touchstone_operator import objects

from .conftest import rag_index

INDEX = "default/kb"


def spec(**changes: Any) -> dict[str, Any]:
    """An index whose content is told by `chunking.maxTokens` and by how many documents the sources hold."""
    suite = {"name": "search", "task": "retrieval", "dataset": {"uri": f"file:///items#sha256={'0' * 64}"}}
    criterion = {
        "name": "recall",
        "metric": "search/recall_at_3",
        "absolute": {"operator": "GreaterOrEqual", "value": "0.9"},
    }
    gate = {"name": "recall", "evalRunTemplate": {"spec": {"suites": [suite], "criteria": [criterion]}}}
    gates = [gate | changes.pop("gate", {})]
    return rag_index(**{"chunking": {"maxTokens": 100}, "promotion": {"gates": gates}, **changes})


@pytest.fixture
def apply(world: Any) -> Callable[..., None]:
    def apply_spec(**changes: Any) -> None:
        world.cluster.put_spec(objects.RAG_INDEX, "kb", spec(**changes))

    return apply_spec


def conclude(world: Any, verdict: str) -> None:
    world.evaluation.verdict = lambda _: verdict


async def test_a_built_revision_becomes_active_after_its_gate(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    status = world.index_status()
    (revision,) = status["revisions"]
    assert status["activeRevision"] == revision["name"] == world.retrieval.stored[INDEX].active_revision
    assert (revision["documents"], revision["gates"][0]["verdict"]) == (100, "Passed")
    assert world.index_condition("Ready")[0] == "True"
    assert world.index_condition("Promoted")[0] == "True"
    assert "candidateRevision" not in status
    (request,) = world.evaluation.requests.values()
    assert request.subjects.subject.name == revision["name"]


@pytest.mark.parametrize(("verdict", "reason"), [("Failed", "EvalGateFailed"), ("Error", "EvalGateError")])
async def test_a_failed_gate_leaves_the_active_revision(
    world: Any, apply: Callable[..., None], verdict: str, reason: str
) -> None:
    apply()
    await world.settle()
    first = world.index_status()["activeRevision"]
    conclude(world, verdict)
    apply(chunking={"maxTokens": 200})
    await world.settle()
    assert world.index_status()["activeRevision"] == first
    assert world.retrieval.activations == [first]
    assert world.index_condition("Stalled") == ("True", reason)
    assert world.index_condition("Ready")[0] == "True", "searches go on"


@pytest.mark.parametrize(("policy", "is_active"), [("Pause", False), ("Fail", False), ("Pass", True)])
async def test_an_inconclusive_verdict_counts_as_the_gate_says(
    world: Any, apply: Callable[..., None], policy: str, is_active: bool
) -> None:
    apply()
    await world.settle()
    first = world.index_status()["activeRevision"]
    conclude(world, "Inconclusive")
    apply(chunking={"maxTokens": 200}, gate={"onInconclusive": policy})
    await world.settle()
    assert (world.index_status()["activeRevision"] != first) is is_active


async def test_an_empty_source_does_not_wipe_an_index(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    first = world.index_status()["activeRevision"]
    world.retrieval.documents = 10
    apply(chunking={"maxTokens": 200})
    await world.settle()
    assert world.index_status()["activeRevision"] == first
    message = next(c["message"] for c in world.index_status()["conditions"] if c["type"] == "Stalled")
    assert "10 documents" in message
    assert "maxDeleteRatio" in message


async def test_a_failure_that_may_pass_is_tried_again(world: Any, apply: Callable[..., None]) -> None:
    world.retrieval.failure = ("SourceUnreachable", "The host did not answer.")
    apply()
    for _ in range(20):
        await world.round()
    assert world.index_condition("Indexed") == ("False", "SourceUnreachable")
    assert world.index_condition("Stalled")[0] != "True"
    world.retrieval.failure = None
    await world.settle()
    assert world.index_condition("Ready")[0] == "True"
    assert len(world.retrieval.builds) == 2


async def test_a_failure_that_will_not_pass_waits_for_a_person(world: Any, apply: Callable[..., None]) -> None:
    world.retrieval.failure = ("SourceInvalid", "It is no archive.")
    apply()
    await world.settle()
    assert world.index_condition("Stalled") == ("True", "SourceInvalid")
    assert len(world.retrieval.builds) == 1
    world.retrieval.failure = None
    apply(chunking={"maxTokens": 200})
    await world.settle()
    assert world.index_condition("Ready")[0] == "True"


async def test_a_scheduled_build_of_the_same_sources_changes_nothing(world: Any, apply: Callable[..., None]) -> None:
    apply(schedule="0 * * * *")
    await world.settle()
    before = world.index_status()
    seen: set[str] = set()
    for _ in range(2):
        world.clock.advance(3600)
        for _ in range(20):
            await world.round()
            seen.add(world.index_condition("Reconciling")[0])
    after = world.index_status()
    assert len(world.retrieval.builds) == 3
    assert [r["name"] for r in after["revisions"]] == [r["name"] for r in before["revisions"]]
    assert len(world.evaluation.requests) == 1, "the same revision needs no second verdict"
    assert "True" not in seen, "what the spec asks for is active already"
    assert after["nextScheduleTime"] > before["nextScheduleTime"]


async def test_a_schedule_keeps_its_hour_when_the_clocks_change(world: Any, apply: Callable[..., None]) -> None:
    # The clocks of Berlin go forward on 2026-03-29: three in the morning is two o'clock UTC before, one after.
    world.clock.advance(timedelta(days=86).total_seconds())  # 2026-03-28
    apply(schedule="0 3 * * *", timeZone="Europe/Berlin")
    await world.settle()
    assert world.index_status()["nextScheduleTime"] == "2026-03-28T02:00:00Z"
    world.clock.advance(timedelta(hours=3).total_seconds())
    await world.settle()
    assert world.index_status()["nextScheduleTime"] == "2026-03-29T01:00:00Z"


async def test_a_schedule_without_a_next_time_is_told(world: Any, apply: Callable[..., None]) -> None:
    apply(schedule="0 0 30 2 *")
    await world.settle()
    assert world.index_condition("Stalled") == ("True", "InvalidSchedule")


async def test_changed_sources_become_a_gated_revision(world: Any, apply: Callable[..., None]) -> None:
    apply(schedule="0 * * * *")
    await world.settle()
    first = world.index_status()["activeRevision"]
    world.retrieval.documents = 101
    world.clock.advance(3600)
    await world.settle()
    assert world.index_status()["activeRevision"] != first
    assert len(world.evaluation.requests) == 2


async def test_old_revisions_are_kept_to_the_limit_and_the_active_one_always(
    world: Any, apply: Callable[..., None]
) -> None:
    for size in (100, 200, 300, 400):
        apply(chunking={"maxTokens": size}, revisionHistoryLimit=1)
        await world.settle()
    status = world.index_status()
    names = [r["name"] for r in status["revisions"]]
    assert len(names) == 2
    assert status["activeRevision"] in names
    assert sorted(world.retrieval.stored[INDEX].revisions) == sorted(names)


async def test_a_suspended_index_builds_nothing(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    builds = len(world.retrieval.builds)
    apply(chunking={"maxTokens": 200}, suspend=True)
    await world.settle()
    assert len(world.retrieval.builds) == builds
    assert world.index_condition("Ready")[0] == "True"
    apply(chunking={"maxTokens": 200})
    await world.settle()
    assert len(world.retrieval.builds) == builds + 1


async def test_a_service_that_is_away_loses_nothing(world: Any, apply: Callable[..., None]) -> None:
    world.retrieval.is_away = True
    apply()
    for _ in range(10):
        await world.round()
    assert world.index_condition("StoreReachable") == ("False", "RetrievalUnavailable")
    world.retrieval.is_away = False
    await world.settle()
    assert world.index_condition("StoreReachable")[0] == "True"
    assert world.index_condition("Ready")[0] == "True"


async def test_an_index_that_the_store_lost_is_built_again(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    active = world.index_status()["activeRevision"]
    world.retrieval.stored.clear()
    await world.settle()
    assert world.retrieval.stored[INDEX].active_revision == active


async def test_an_edit_during_a_build_cancels_it(world: Any, apply: Callable[..., None]) -> None:
    apply()
    for _ in range(3):
        await world.round()
    (first,) = world.retrieval.builds
    apply(chunking={"maxTokens": 200})
    await world.settle()
    assert world.retrieval.cancelled == {first}
    assert world.index_condition("Ready")[0] == "True"
    assert world.index_status()["activeRevision"].endswith("200100")


async def test_a_deleted_index_takes_its_vectors_with_it(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    world.cluster.ask_to_go(objects.RAG_INDEX, "kb")
    await world.settle()
    assert world.names("RagIndex") == []
    assert world.retrieval.stored == {}


async def test_a_deletion_waits_for_the_service_but_not_for_ever(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    world.retrieval.is_away = True
    world.cluster.ask_to_go(objects.RAG_INDEX, "kb")
    await world.round()
    assert world.names("RagIndex") == ["kb"], "its vectors are still there"
    world.clock.advance(timedelta(minutes=11).total_seconds())
    await world.round()
    assert world.names("RagIndex") == []


async def test_a_settled_index_is_left_alone(world: Any, apply: Callable[..., None]) -> None:
    apply()
    await world.settle()
    before = world.cluster.writes
    for _ in range(50):
        await world.round()
    assert world.cluster.writes == before


async def story(world: Any, kill_after: int | None) -> dict[str, Any]:
    """Good, then a change that passes, then one that fails, the operator killed after a write; return the end."""
    world.cluster.kill_after = kill_after
    for size, verdict in ((100, "Passed"), (200, "Passed"), (300, "Failed")):
        conclude(world, verdict)
        world.cluster.put_spec(objects.RAG_INDEX, "kb", spec(chunking={"maxTokens": size}))
        await world.settle()
    status = world.index_status()
    return {
        "active": status["activeRevision"],
        "revisions": [(r["name"], [g["verdict"] for g in r["gates"]]) for r in status["revisions"]],
        "stalled": world.index_condition("Stalled"),
        "ready": world.index_condition("Ready"),
        "stored": world.retrieval.stored[INDEX],
        "runs": len(world.evaluation.requests),
    }


async def test_an_operator_killed_after_any_write_comes_to_the_same_end(world: Any) -> None:
    undisturbed = type(world)()
    wanted = await story(undisturbed, None)
    assert wanted["active"].endswith("200100")
    for write in range(1, undisturbed.cluster.writes + 1):
        killed = type(world)()
        assert await story(killed, write) == wanted, f"killed after write {write}"


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("apply"), st.sampled_from([100, 200, 300])),
        st.tuples(st.just("rounds"), st.integers(1, 12)),
        st.tuples(st.just("documents"), st.sampled_from([100, 101, 5])),
        st.tuples(st.just("away"), st.booleans()),
        st.tuples(st.just("kill"), st.integers(1, 6)),
        st.tuples(st.just("wait"), st.sampled_from([60, 3600])),
    ),
    min_size=3,
    max_size=14,
)


async def tell(world: Any, events: list[tuple[str, Any]]) -> None:
    def verdict(request: Any) -> str:
        return "Failed" if request.subjects.subject.name.endswith("300100") else "Passed"

    world.evaluation.verdict = verdict
    world.cluster.put_spec(objects.RAG_INDEX, "kb", spec(schedule="0 * * * *"))
    for event, value in events:
        if event == "apply":
            changed = spec(schedule="0 * * * *", chunking={"maxTokens": value})
            world.cluster.put_spec(objects.RAG_INDEX, "kb", changed)
        elif event == "rounds":
            for _ in range(value):
                await world.round()
        elif event == "documents":
            world.retrieval.documents = value
        elif event == "away":
            world.retrieval.is_away = value
        elif event == "wait":
            world.clock.advance(value)
        else:
            world.cluster.kill_after = world.cluster.writes + value
    world.retrieval.is_away, world.cluster.kill_after = False, None
    for _ in range(120):
        await world.round()
    passed = {run.subjects.subject.name for run in world.evaluation.requests.values() if verdict(run) == "Passed"}
    assert set(world.retrieval.activations) <= passed, "a revision became active without evidence"
    active = world.index_status().get("activeRevision")
    assert world.retrieval.stored.get(INDEX) is None or world.retrieval.stored[INDEX].active_revision == (active or "")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS)
def test_an_index_becomes_active_on_evidence_in_any_order(world: Any, events: list[tuple[str, Any]]) -> None:
    asyncio.run(tell(type(world)(), events))
