"""A hundred jobs while broker, server, workers and their children are killed; `bench/ledger.py` does it by thousands."""

import dataclasses

import brokers
import ledger
import pytest

PLAN = ledger.Plan(
    jobs=100,
    poison_every=60,
    child_every=2,
    hand_over_seconds=0.1,
    step_seconds=0.5,
    between_kills_seconds=(0.5, 1.5),
    rounds=2,
    limit_seconds=100,
)


@pytest.mark.parametrize("broker", ledger.BROKERS)
def test_each_acknowledged_job_comes_to_one_end_whoever_is_killed(broker: str) -> None:
    if broker == "rabbitmq" and not brokers.RabbitMq.is_installed():
        pytest.skip("needs a RabbitMQ: apt-get install --no-install-recommends rabbitmq-server")
    told = ledger.play(dataclasses.replace(PLAN, broker=broker))
    assert told.acknowledged == PLAN.jobs
    assert set(told.faults.values()) == {0}, told
    # Whether a child is at work when its turn comes is up to the machine; the others are there in each round.
    assert set(told.kills) >= {"broker", "pause", "server", "worker"}, told
    assert told.begun_again > 0, "work was lost and begun again"
