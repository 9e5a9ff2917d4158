"""Any order of edits, verdicts, engine outages and kills: traffic follows evidence, and everything settles."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from touchstone_operator import objects

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("apply"), st.sampled_from(["good", "better", "bad"])),
        st.tuples(st.just("rounds"), st.integers(1, 12)),
        st.tuples(st.just("kubelet"), st.booleans()),
        st.tuples(st.just("kill"), st.integers(1, 6)),
    ),
    min_size=3,
    max_size=14,
)


def passed(world: Any) -> set[str]:
    """Revisions that an EvalRun passed."""
    runs = [obj for (kind, _, _), obj in world.cluster.objects.items() if kind == "EvalRun"]
    return {r["status"]["subjectRevision"] for r in runs if (r.get("status") or {}).get("verdict") == "Passed"}


async def tell(world: Any, template: dict[str, Any], events: list[tuple[str, Any]]) -> None:
    ever_passed: set[str] = set()
    for event, value in events:
        if event == "apply":
            prompt = {"configMapKeyRef": {"name": "prompts", "key": value}}
            world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", {**template, "prompt": prompt})
        elif event == "rounds":
            for _ in range(value):
                await world.round()
                ever_passed |= passed(world)
        elif event == "kubelet":
            world.has_kubelet = value
        else:
            world.cluster.kill_after = world.cluster.writes + value
    world.has_kubelet, world.cluster.kill_after = True, None
    await world.settle()
    ever_passed |= passed(world)
    for weights in world.weights:
        assert sum(weights.values()) in (0, 100), weights
        assert set(weights) <= ever_passed, "traffic without evidence"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=EVENTS)
def test_traffic_follows_evidence_in_any_order(world: Any, apply: Any, events: list[tuple[str, Any]]) -> None:
    apply()
    template = world.deployment()["spec"]
    fresh = type(world)()
    fresh.cluster.objects["ConfigMap", "default", "prompts"] = world.cluster.objects["ConfigMap", "default", "prompts"]

    def verdict(run: Any) -> str:
        manifest = fresh.cluster.objects["ConfigMap", "default", run.subjects.subject.name]["data"]["manifest.json"]
        return "Failed" if "poem" in manifest else "Passed"

    fresh.evaluation.verdict = verdict
    asyncio.run(tell(fresh, template, events))
