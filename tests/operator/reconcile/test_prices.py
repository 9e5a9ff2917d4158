"""What answers cost: said of a ModelDeployment, kept with the runs that measure it."""

from typing import Any

import pytest
from touchstone_operator import objects
from touchstone_operator.adapters import evaluation

NAMESPACE = "default"
TOKENS = {"currency": "USD", "tokens": {"inputPerMillion": "0.15", "outputPerMillion": "0.6"}}
HOURS = {"currency": "EUR", "perReplicaHour": "2.5"}
SUITE = {"name": "golden", "task": "question-answering", "dataset": {"uri": f"file:///items#sha256={'0' * 64}"}}


def deploy(world: Any, price: dict[str, Any] | None) -> None:
    spec = {
        "model": {"uri": f"file:///model#sha256={'a' * 64}"},
        "engine": {"type": "Scripted"},
        "rollout": {"strategy": "Recreate", "drainSeconds": 1},
        "serving": {"mode": "Aggregated", "aggregated": {"replicas": 3}},
    }
    world.cluster.put_spec(objects.MODEL_DEPLOYMENT, "chat", spec | {"price": price} if price else spec)


def evaluate(world: Any, name: str, metric: str) -> None:
    spec = {
        "subject": {"type": "ModelDeployment", "modelDeploymentRef": {"name": "chat"}},
        "suites": [SUITE],
        "criteria": [
            {"name": "bound", "metric": f"golden/{metric}", "absolute": {"operator": "LessOrEqual", "value": "0.5"}}
        ],
    }
    world.cluster.put_spec(objects.EVAL_RUN, name, spec)


def status(world: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = world.cluster.objects["EvalRun", NAMESPACE, name].get("status") or {}
    return found


async def test_a_price_by_tokens_is_told_and_kept_with_the_run(world: Any) -> None:
    deploy(world, TOKENS)
    await world.settle()
    evaluate(world, "one", "answer_price")
    await world.settle()
    assert status(world, "one")["subjectPrice"] == TOKENS
    (request,) = world.evaluation.requests.values()
    sent = evaluation.run_spec(request).subject.price
    assert (sent.currency, sent.tokens.input_per_million, sent.tokens.output_per_million) == ("USD", 0.15, 0.6)


async def test_an_hour_of_the_revision_is_one_of_all_replicas_that_are_ready(world: Any) -> None:
    deploy(world, HOURS)
    await world.settle()
    evaluate(world, "one", "answer_price")
    await world.settle()
    assert status(world, "one")["subjectPrice"] == {"currency": "EUR", "perHour": "7.5"}
    (request,) = world.evaluation.requests.values()
    assert evaluation.run_spec(request).subject.price.per_hour == 7.5


@pytest.mark.parametrize(("metric", "is_reused"), [("answer_price", False), ("contains", True)])
async def test_another_price_makes_another_verdict_only_where_prices_are_judged(
    world: Any, metric: str, is_reused: bool
) -> None:
    deploy(world, TOKENS)
    await world.settle()
    evaluate(world, "one", metric)
    await world.settle()
    deploy(world, TOKENS | {"currency": "EUR"})
    await world.settle()
    evaluate(world, "two", metric)
    await world.settle()
    assert ("reusedFrom" in status(world, "two")) is is_reused
    evaluate(world, "three", metric)
    await world.settle()
    assert "reusedFrom" in status(world, "three"), "the price is the same again"


async def test_a_price_is_no_part_of_a_revision(world: Any) -> None:
    deploy(world, None)
    await world.settle()
    before = world.cluster.objects["ModelDeployment", NAMESPACE, "chat"]["status"]["stableRevision"]
    deploy(world, TOKENS)
    await world.settle()
    assert world.cluster.objects["ModelDeployment", NAMESPACE, "chat"]["status"]["stableRevision"] == before
