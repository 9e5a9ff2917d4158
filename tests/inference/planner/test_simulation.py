"""The simulation is held to queueing theory, where theory has an answer."""

import math
import random

import pytest
from touchstone_inference.planner.core import simulation
from touchstone_inference.planner.core.loads import Load, Request, arrivals, percentile
from touchstone_inference.planner.core.roofline import Batch
from touchstone_inference.planner.core.simulation import Engine

SECONDS = 0.01


def constant(batch: Batch) -> float:
    """A step takes as long whatever is in it: what a bandwidth-bound engine does."""
    return SECONDS


def engine(*, slots: int = 1, step_tokens: int = 4096, cache_tokens: int = 10**9) -> Engine:
    return Engine(law=constant, slots=slots, step_tokens=step_tokens, cache_tokens=cache_tokens)


def poisson(rate: float, count: int, *, output_tokens: int, seed: int = 7) -> list[Request]:
    load = Load(requests_per_second=rate, input_tokens=100, output_tokens=output_tokens, variation=0)
    return arrivals(load, count, seed=seed)


@pytest.mark.parametrize("load_share", [0.3, 0.6, 0.8])
def test_one_slot_and_a_fixed_service_wait_as_pollaczek_and_khinchine_say(load_share: float) -> None:
    """M/D/1: the mean wait is rho D / (2 (1 - rho))."""
    service = SECONDS * 5
    outcome = simulation.run(engine(), poisson(load_share / service, 60_000, output_tokens=5))
    waits = [request.first_token_seconds - SECONDS for request in outcome.finished]
    expected = load_share * service / (2 * (1 - load_share))
    assert sum(waits) / len(waits) == pytest.approx(expected, rel=0.06)
    assert outcome.busy_seconds / outcome.seconds == pytest.approx(load_share, rel=0.02)


def test_exponential_services_wait_as_in_an_m_m_1_queue() -> None:
    """M/M/1: the mean wait is rho S / (1 - rho); lengths are exponential, in many short steps."""
    chance, rate, mean, load_share = random.Random(3), 0.7, 100, 0.7
    requests, now = [], 0.0
    for _ in range(60_000):
        now += chance.expovariate(rate / (mean * SECONDS))
        length = max(math.ceil(chance.expovariate(1 / mean)), 1)
        requests.append(Request(arrived=now, input_tokens=10, output_tokens=length))
    outcome = simulation.run(engine(), requests)
    waits = [request.first_token_seconds - SECONDS for request in outcome.finished]
    assert sum(waits) / len(waits) == pytest.approx(load_share * mean * SECONDS / (1 - load_share), rel=0.1)


def test_the_number_of_requests_present_is_their_rate_times_their_stay() -> None:
    """Little's law, with both sides counted apart."""
    outcome = simulation.run(engine(slots=16), poisson(40, 5_000, output_tokens=20))
    stays = [request.finished - request.arrived for request in outcome.finished]
    rate = len(outcome.finished) / outcome.seconds
    assert outcome.request_seconds / outcome.seconds == pytest.approx(rate * sum(stays) / len(stays), rel=1e-9)


def test_without_limits_nobody_waits_for_more_than_the_step_under_way() -> None:
    """M/D/infinity: what is present is the rate times the service, however much comes."""
    outcome = simulation.run(engine(slots=10**6, step_tokens=10**9), poisson(500, 20_000, output_tokens=50))
    stay = SECONDS * 50 + SECONDS / 2  # half a step passes until the next one begins
    assert outcome.request_seconds / outcome.seconds == pytest.approx(500 * stay, rel=0.03)
    assert max(request.first_token_seconds for request in outcome.finished) <= 2 * SECONDS + 1e-9


def test_a_saturated_engine_gives_one_token_a_slot_and_step() -> None:
    requests = [Request(arrived=0.0, input_tokens=1, output_tokens=200) for _ in range(640)]
    outcome = simulation.run(engine(slots=64), requests)
    tokens = sum(request.output_tokens for request in outcome.finished)
    assert tokens / outcome.seconds == pytest.approx(64 / SECONDS, rel=0.01)


def test_continuous_batching_gives_more_with_every_slot() -> None:
    rates = []
    for slots in (1, 4, 16, 64):
        requests = [Request(arrived=0.0, input_tokens=100, output_tokens=50) for _ in range(256)]
        rates.append(256 * 50 / simulation.run(engine(slots=slots), requests).seconds)
    assert rates == sorted(rates)
    assert rates[-1] > 40 * rates[0]


def test_a_step_never_has_more_tokens_or_requests_than_it_may() -> None:
    seen: list[Batch] = []

    def law(batch: Batch) -> float:
        seen.append(batch)
        return SECONDS

    bounded = Engine(law=law, slots=8, step_tokens=256, cache_tokens=10_000)
    load = Load(requests_per_second=20, input_tokens=900, output_tokens=60)
    outcome = simulation.run(bounded, arrivals(load, 400, seed=1))
    assert max(batch.tokens for batch in seen) <= 256
    assert max(batch.sampled for batch in seen) <= 8
    assert len(outcome.finished) == 400
    computed = sum(batch.tokens for batch in seen)
    needed = sum(request.input_tokens + request.output_tokens - 1 for request in outcome.finished)
    assert computed == needed if outcome.preemptions == 0 else computed > needed


def test_a_full_cache_takes_places_away_and_still_finishes_everybody_once() -> None:
    requests = [Request(arrived=0.0, input_tokens=100, output_tokens=300) for _ in range(40)]
    outcome = simulation.run(engine(slots=40, cache_tokens=5_000), requests)
    assert outcome.preemptions > 0
    assert sorted(map(id, outcome.finished)) == sorted(map(id, requests))
    assert all(0 <= request.first_token <= request.finished for request in requests)


def test_a_prompt_in_the_prefix_cache_costs_no_steps() -> None:
    def law(batch: Batch) -> float:
        return batch.tokens * 1e-3

    fresh = simulation.run(
        Engine(law=law, slots=1, step_tokens=64, cache_tokens=10**6),
        [Request(arrived=0, input_tokens=1000, output_tokens=1)],
    )
    cached = simulation.run(
        Engine(law=law, slots=1, step_tokens=64, cache_tokens=10**6),
        [Request(arrived=0, input_tokens=1000, output_tokens=1, cached_tokens=900)],
    )
    assert fresh.seconds == pytest.approx(1.0)
    assert cached.seconds == pytest.approx(0.1)


def test_a_prompt_from_a_prefill_engine_needs_one_token_computed() -> None:
    decode = Engine(law=constant, slots=1, step_tokens=64, cache_tokens=10**6, has_prompts_ready=True)
    outcome = simulation.run(decode, [Request(arrived=0, input_tokens=1000, output_tokens=3)])
    assert outcome.steps == 3


def test_arrivals_are_the_same_for_a_seed_and_of_the_asked_mean_and_variation() -> None:
    load = Load(requests_per_second=10, input_tokens=1000, output_tokens=200, variation=0.5)
    drawn = arrivals(load, 20_000, seed=5)
    assert drawn == arrivals(load, 20_000, seed=5)
    assert drawn[-1].arrived == pytest.approx(2000, rel=0.03)
    lengths = [request.input_tokens for request in drawn]
    mean = sum(lengths) / len(lengths)
    spread = math.sqrt(sum((length - mean) ** 2 for length in lengths) / len(lengths))
    assert mean == pytest.approx(1000, rel=0.02)
    assert spread / mean == pytest.approx(0.5, rel=0.03)


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([3.0, 1.0, 2.0, 4.0], 0.5) == 3.0
    assert percentile([], 0.95) == 0.0
