"""Rankings from matches, beside other implementations and planted truths."""

import itertools
import math

import choix
import numpy as np
import pytest
from touchstone_evaluation.core import matches as ranking
from touchstone_evaluation.core.matches import CENTER, SCALE, Confounded, Match

CITATIONS = {
    ("Biometrika", "Communications"): (730, 33),
    ("Biometrika", "JASA"): (498, 320),
    ("Biometrika", "JRSS-B"): (221, 284),
    ("Communications", "JASA"): (68, 813),
    ("Communications", "JRSS-B"): (17, 276),
    ("JASA", "JRSS-B"): (142, 325),
}
"""How often statistical journals cited each other (Stigler, 1994; Agresti, Categorical Data Analysis, 1990, p. 448)."""


def played(counts: dict[tuple[str, str], tuple[int, int]]) -> list[Match]:
    found = []
    for (first, second), (won, lost) in counts.items():
        found += [Match(first, second, 1.0, None)] * won + [Match(first, second, 0.0, None)] * lost
    return [match._replace(cluster=number) for number, match in enumerate(found)]


def drawn(
    strengths: dict[str, float], clusters: int, random: np.random.Generator, *, effect: float = 0.0
) -> list[Match]:
    """Every pair meets about every item; items are what clusters are."""
    found = []
    for cluster in range(clusters):
        for first, second in itertools.combinations(strengths, 2):
            covariates = (float(random.normal()),) if effect else ()
            odds = strengths[first] - strengths[second] + effect * sum(covariates)
            is_won = random.random() < 1 / (1 + math.exp(-odds))
            found.append(Match(first, second, float(is_won), cluster, covariates))
    return found


def test_strengths_of_journals_are_those_of_the_literature() -> None:
    names = ["Biometrika", "Communications", "JASA", "JRSS-B"]
    strengths = ranking.bradley_terry(played(CITATIONS), names).strengths
    # The estimates of R's BradleyTerry2 on the same table, with Biometrika at 0.
    assert strengths - strengths[0] == pytest.approx([0, -2.94907, -0.47957, 0.26895], abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_strengths_equal_another_implementations(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = {f"model-{n}": float(random.normal()) for n in range(6)}
    matches = drawn(truth, 40, random)
    names = sorted(truth)
    pairs = [(m.first, m.second) if m.points else (m.second, m.first) for m in matches]
    reference = choix.opt_pairwise(len(names), [(names.index(a), names.index(b)) for a, b in pairs], tol=1e-12)
    assert ranking.bradley_terry(matches, names).strengths == pytest.approx(reference - reference.mean(), abs=1e-6)


def test_a_tie_is_half_a_win_for_each() -> None:
    matches = [Match("a", "b", 1, n) for n in range(6)] + [Match("a", "b", 0.5, 6 + n) for n in range(4)]
    strengths = ranking.bradley_terry(matches, ["a", "b"]).strengths
    assert strengths[0] - strengths[1] == pytest.approx(math.log(8 / 2))
    doubled = [(0, 1)] * 16 + [(1, 0)] * 4
    reference = choix.opt_pairwise(2, doubled, tol=1e-12)
    assert strengths == pytest.approx(reference - reference.mean(), abs=1e-6)


def test_odds_of_ten_to_one_are_400() -> None:
    matches = [Match("a", "b", float(n < 10), n) for n in range(11)]
    best, worst = ranking.rank(matches).standings
    assert (best.player, best.rating - worst.rating) == ("a", pytest.approx(SCALE))
    assert best.rating + worst.rating == pytest.approx(2 * CENTER)
    assert (best.matches, best.points, worst.points) == (11, 10, 1)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(5)
    truth = {"a": 0.6, "b": 0.2, "c": -0.1, "d": -0.7}
    held = []
    for _ in range(250):
        for standing in ranking.rank(drawn(truth, 60, random)).standings:
            assert standing.interval is not None
            rating = CENTER + truth[standing.player] * SCALE / math.log(10)
            held.append(standing.interval.low <= rating <= standing.interval.high)
    assert 0.93 <= np.mean(held) <= 0.97


def test_matches_about_one_item_do_not_count_as_many() -> None:
    random = np.random.default_rng(6)
    once = drawn({"a": 0.5, "b": -0.5}, 50, random)
    copied = [match for match in once for _ in range(10)]
    single, tenfold = (ranking.rank(matches).standings[0].interval for matches in (once, copied))
    assert single is not None
    assert tenfold == pytest.approx(single)
    strangers = [match._replace(cluster=number) for number, match in enumerate(copied)]
    narrow = ranking.rank(strangers).standings[0].interval
    assert narrow is not None
    assert narrow.high - narrow.low < 0.5 * (single.high - single.low)


def test_who_never_lost_to_another_is_not_given_a_number() -> None:
    matches = [Match("best", "a", 1, 0), Match("best", "b", 1, 1), Match("a", "b", 1, 2), Match("b", "a", 1, 3)]
    standings = ranking.rank(matches).standings
    assert [(s.player, s.group) for s in standings] == [("best", 0), ("a", 1), ("b", 1)]
    assert standings[0].interval is None
    assert standings[1].rating == pytest.approx(standings[2].rating)


def test_players_that_never_met_are_not_compared() -> None:
    matches = [Match("a", "b", 0.5, 0), Match("c", "d", 0.5, 1)]
    assert len({standing.group for standing in ranking.rank(matches).standings}) == 2


def test_elo_moves_by_what_was_not_expected() -> None:
    matches = [Match("a", "b", 1, 0), Match("a", "b", 1, 1)]
    expected = 1 / (1 + 10 ** (-32 / 400))
    assert ranking.elo(matches, ["a", "b"], step=32) == pytest.approx(
        [1016 + 32 * (1 - expected), 984 - 32 * (1 - expected)]
    )


def test_elo_owes_to_the_order_what_bradley_and_terry_do_not() -> None:
    matches = [Match("a", "b", float(n < 30), n) for n in range(60)]
    forward, backward = (ranking.elo(order, ["a", "b"], step=32) for order in (matches, matches[::-1]))
    assert forward[0] < CENTER - 50, "who lost last is rated low"
    assert backward[0] > CENTER + 50
    for standing in ranking.rank(matches).standings:
        assert standing.rating == pytest.approx(CENTER)
        assert standing.elo_spread.high - standing.elo_spread.low > 5


def test_what_a_covariate_does_is_told_from_what_players_do() -> None:
    random = np.random.default_rng(8)
    found = ranking.rank(drawn({"a": 0.4, "b": 0.0, "c": -0.4}, 400, random, effect=0.8))
    (effect,) = found.effects
    scale = SCALE / math.log(10)
    assert effect.interval.low <= 0.8 * scale <= effect.interval.high
    assert effect.interval.low > 0
    assert [standing.player for standing in found.standings] == ["a", "b", "c"]
    assert found.standings[0].rating - CENTER == pytest.approx(0.4 * scale, abs=35)


def test_a_covariate_that_differs_only_as_the_players_do_is_refused() -> None:
    matches = [Match("a", "b", float(n % 3 > 0), n, (1.0,)) for n in range(12)]
    with pytest.raises(Confounded, match="cannot be told"):
        ranking.rank(matches)
