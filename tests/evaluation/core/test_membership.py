"""Min-K% and Min-K%++, held to their definitions over whole distributions."""

import numpy as np
import pytest
from touchstone_evaluation.catalogue.membership import TASK
from touchstone_evaluation.core import membership
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.task import Likelihood, Outcome, Place


def by_definition(logits: np.ndarray, tokens: np.ndarray, percent: float) -> tuple[float, float]:
    """Both scores as the papers write them, from logits of tokens x vocabulary."""
    logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    probabilities = np.exp(logprobs)
    mu = (probabilities * logprobs).sum(axis=1)
    sigma = np.sqrt((probabilities * logprobs**2).sum(axis=1) - mu**2)
    found = logprobs[np.arange(len(tokens)), tokens]
    count = int(len(tokens) * percent / 100)
    return float(np.sort(found)[:count].mean()), float(np.sort((found - mu) / sigma)[:count].mean())


@pytest.mark.parametrize("percent", [10, 20, 50, 100])
def test_both_scores_equal_their_definitions(percent: float) -> None:
    noise = np.random.default_rng(5)
    logits, tokens = noise.normal(0, 3, (40, 500)), noise.integers(0, 500, 40)
    logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    probabilities = np.exp(logprobs)
    entropies = -(probabilities * logprobs).sum(axis=1)
    deviations = np.sqrt((probabilities * (logprobs + entropies[:, None]) ** 2).sum(axis=1))
    places = [
        Place(*map(float, found)) for found in zip(logprobs[np.arange(40), tokens], entropies, deviations, strict=True)
    ]
    expected = by_definition(logits, tokens, percent)
    found = membership.min_k(places, percent), membership.min_k_plus_plus(places, percent)
    assert found == pytest.approx(expected, rel=1e-9)


def test_a_text_of_fewer_tokens_than_count_has_its_least_expected_one() -> None:
    places = [Place(-1.0, 1.0, 1.0), Place(-3.0, 1.0, 2.0)]
    assert membership.min_k(places, 20) == -3.0
    assert membership.min_k_plus_plus(places, 20) == -1.0


def test_a_place_without_any_doubt_says_nothing() -> None:
    assert membership.min_k_plus_plus([Place(0.0, 0.0, 0.0)], 100) == 0.0


def test_an_item_is_suspected_or_a_reference() -> None:
    assert TASK.unfit(Item(id="1", question="a text", answers=("suspected",))) == ""
    assert "suspected" in TASK.unfit(Item(id="1", question="a text", answers=("yes",)))
    likelihood = Likelihood(-4.0, 2, False, (Place(-1.0, 1.0, 1.0), Place(-3.0, 1.0, 2.0)))
    found = TASK.score(Item(id="1", question="a text", answers=("reference",)), Outcome(likelihoods=(likelihood,)), {})
    assert found["suspected"] == 0
    assert found["mean_logprob"] == -2
