"""Entropy and deviation over a vocabulary, held to their definitions."""

import math
import random

import pytest
from touchstone_inference.engine.core.distributions import CONSIDERED, distribution
from touchstone_inference.engine.core.scoring import cut


@pytest.mark.parametrize("told", [1, 40, 1000])
def test_a_uniform_distribution_has_the_logarithm_of_its_size_as_entropy_however_much_is_told(told: int) -> None:
    found = distribution([-math.log(1000)] * told, 1000)
    assert found.entropy == pytest.approx(math.log(1000))
    assert found.deviation == pytest.approx(0, abs=1e-6)


def test_two_outcomes_have_the_moments_of_a_coin() -> None:
    found = distribution([math.log(0.9), math.log(0.1)], 2)
    assert found.entropy == pytest.approx(0.325083, abs=1e-6)
    assert found.deviation == pytest.approx(math.log(9) * math.sqrt(0.09))


def gaussian(scale: float) -> list[float]:
    noise = random.Random(7)
    return [noise.gauss(0, scale) for _ in range(50_000)]


def zipf(exponent: float) -> list[float]:
    return [-exponent * math.log(rank) for rank in range(1, 50_001)]


@pytest.mark.parametrize(
    "logits",
    [gaussian(1.0), gaussian(3.0), gaussian(6.0), zipf(0.8), zipf(1.5)],
    ids=["flat", "middling", "peaked", "long tail", "short tail"],
)
def test_what_is_not_told_changes_little(logits: list[float]) -> None:
    norm = math.log(math.fsum(math.exp(logit) for logit in logits))
    logprobs = sorted((logit - norm for logit in logits), reverse=True)
    exact, found = distribution(logprobs, len(logprobs)), distribution(logprobs[:CONSIDERED], len(logprobs))
    assert found.entropy == pytest.approx(exact.entropy, rel=0.02)
    assert found.deviation == pytest.approx(exact.deviation, rel=0.15)


@pytest.mark.parametrize(
    ("before", "whole", "expected"),
    [
        ([5, 6], [5, 6, 7], ([5, 6], [5, 6, 7])),
        ([5, 6], [5, 9, 7], ([5, 9], [5, 9, 7])),  # the boundary fell into a token
        ([], [7, 8], ([1], [1, 7, 8])),
        ([1], [1, 7, 8], ([1], [1, 7, 8])),  # a tokenizer that writes the marker itself
    ],
)
def test_a_continuation_begins_behind_as_many_tokens_as_the_prompt_has(
    before: list[int], whole: list[int], expected: tuple[list[int], list[int]]
) -> None:
    assert cut(before, whole, begin=1) == expected
