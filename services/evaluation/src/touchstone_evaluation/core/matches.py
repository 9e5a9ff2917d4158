"""Ranking from matches: who is better than whom, by how much, and how surely. Pure.

Bradley and Terry (Rank Analysis of Incomplete Block Designs, Biometrika 1952): the first of a match wins with
probability s(a - b), s being the logistic function and a, b the strengths of both. A tie is half a win for each.
Strengths are told on Elo's scale: 400 / ln(10) times the strength, about 1000; 400 more are odds of ten to one.
Covariates (how much longer the first answer is, say) join as x * effect: strengths are then those of answers that are
alike in them, as in the style control of Chatbot Arena (Li et al., 2024).

Intervals are of the sandwich estimator over clusters (White, 1982; matches about one item are no strangers), with the
t distribution of as many degrees of freedom as there are clusters, less one.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special
from scipy.sparse import coo_array, csgraph

from touchstone_evaluation.core.results import Interval
from touchstone_evaluation.core.statistics import Floats

CENTER = 1000.0
"""The mean rating of those that are ranked together."""
SCALE = 400.0
"""A difference of this much is odds of ten to one."""
ELO_STEP = 4.0
"""How far one match moves Elo's ratings, at the most."""
ELO_ORDERS = 100
"""Orders of the matches in which Elo is computed."""
ELO_MATCHES = 20_000
"""The most matches that Elo is computed of."""
_TOLERANCE = 1e-10
_STEPS = 100


class Confounded(ValueError):
    """What is owed to the players and what to the covariates cannot be told apart."""


class Match(NamedTuple):
    """One comparison of two players."""

    first: str
    second: str
    points: float
    """Of the first: 1 it won, 0 it lost, 0.5 neither."""
    cluster: Hashable
    """What matches belong together by, as the item that they are about."""
    covariates: tuple[float, ...] = ()
    """How the first differs from the second otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a player stands."""

    player: str
    group: int
    """From 0. Ratings compare players of one group only: between groups one side won every match, or there was none."""
    rating: float
    """By Bradley and Terry; the mean of the group is 1000."""
    interval: Interval | None
    """None: alone in its group, or there are too few clusters."""
    elo: float
    """The median over orders of the matches."""
    elo_spread: Interval
    """The middle 95 % over orders: how much an Elo rating owes to the order alone."""
    matches: int
    points: float
    """Wins, and half of the ties."""


class Effect(NamedTuple):
    """What a covariate does: the rating that one more of it is worth, all else alike."""

    value: float
    interval: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """A ranking."""

    standings: tuple[Standing, ...]
    """By group, then the best first."""
    effects: tuple[Effect, ...] = ()
    """Of the covariates; none where there is more than one group."""


class Fit(NamedTuple):
    """Strengths and effects with their covariance."""

    strengths: Floats
    """Of the players, natural logarithm of odds, mean 0."""
    effects: Floats
    covariance: Floats
    """Of both, in that order."""
    clusters: int


def rank(matches: Sequence[Match], *, confidence: float = 0.95, seed: int = 0) -> Ranking:
    """Rank the players of some matches.

    Args:
        matches: At least one; all with the same covariates.
        confidence: The level of the intervals, each by itself.
        seed: Draws the orders for Elo.
    """
    players = sorted({name for match in matches for name in (match.first, match.second)})
    groups = _groups(matches, players)
    elo = _elo_over_orders(matches, players, np.random.default_rng(seed))
    records = _records(matches)
    standings: list[Standing] = []
    effects: tuple[Effect, ...] = ()
    for number, group in enumerate(groups):
        inner = [match for match in matches if match.first in group and match.second in group]
        fit = bradley_terry(inner, group) if len(group) > 1 else None
        standings += _standings(group, fit, elo, records, number=number, confidence=confidence)
        if fit and len(groups) == 1:
            effects = _effects(fit, len(group), confidence)
    return Ranking(standings=tuple(standings), effects=effects)


def bradley_terry(matches: Sequence[Match], players: Sequence[str]) -> Fit:
    """Fit strengths by the greatest likelihood, by Newton's method.

    Args:
        matches: Of these players, each of whom can be reached from each by wins and ties (Ford, 1957): else the
            greatest likelihood lies at infinity.
        players: At least two.

    Raises:
        Confounded: Players and covariates cannot be told apart.
    """
    design = _design(matches, players)
    points = np.array([match.points for match in matches])
    whole = _whole(len(players), design.shape[1] - len(players))
    inputs = design @ whole
    if np.linalg.matrix_rank(inputs) < inputs.shape[1]:
        raise Confounded("The covariates differ as the players do: what is owed to which cannot be told.")
    found = np.zeros(inputs.shape[1])
    for _ in range(_STEPS):
        chances = special.expit(inputs @ found)
        gradient = inputs.T @ (points - chances)
        step = np.linalg.solve(_information(inputs, chances), gradient)
        while _likelihood(inputs, points, found + step) < _likelihood(inputs, points, found) - _TOLERANCE:
            step /= 2
        found = found + step
        if np.abs(step).max() < _TOLERANCE:
            break
    else:
        raise Confounded("The covariates alone tell who wins: what is owed to the players cannot be told.")
    covariance, clusters = _sandwich(matches, inputs, points, found)
    both = whole @ found
    return Fit(both[: len(players)], both[len(players) :], whole @ covariance @ whole.T, clusters)


def elo(matches: Sequence[Match], players: Sequence[str], *, step: float = ELO_STEP) -> Floats:
    """Rate players one match after the other (Elo, The Rating of Chessplayers, 1978): the order matters."""
    rated: Floats = _elo(matches, players, np.arange(len(matches))[None, :], step)[0]
    return rated


def _elo_over_orders(
    matches: Sequence[Match], players: Sequence[str], random: np.random.Generator
) -> dict[str, tuple[float, Interval]]:
    count = min(len(matches), ELO_MATCHES)
    orders = np.array([random.permutation(len(matches))[:count] for _ in range(ELO_ORDERS)])
    ratings = _elo(matches, players, orders, ELO_STEP)
    low, median, high = np.percentile(ratings, [2.5, 50, 97.5], axis=0)
    return {
        name: (float(median[place]), Interval(float(low[place]), float(high[place])))
        for place, name in enumerate(players)
    }


def _elo(
    matches: Sequence[Match],
    players: Sequence[str],
    orders: "np.ndarray[tuple[int, int], np.dtype[np.int64]]",
    step: float,
) -> Floats:
    """Rate in several orders at once: orders x players."""
    places = {name: place for place, name in enumerate(players)}
    first = np.array([places[match.first] for match in matches])[orders]
    second = np.array([places[match.second] for match in matches])[orders]
    points = np.array([match.points for match in matches])[orders]
    ratings = np.full((len(orders), len(players)), CENTER)
    rows = np.arange(len(orders))
    for turn in range(orders.shape[1]):
        one, other = first[:, turn], second[:, turn]
        expected = special.expit((ratings[rows, one] - ratings[rows, other]) * math.log(10) / SCALE)
        moved = step * (points[:, turn] - expected)
        ratings[rows, one] += moved
        ratings[rows, other] -= moved
    return ratings


def _groups(matches: Sequence[Match], players: Sequence[str]) -> list[list[str]]:
    """Tell players apart that no strengths compare: the strong components of who did not lose to whom, best first."""
    places = {name: place for place, name in enumerate(players)}
    over = [(m.first, m.second) for m in matches if m.points > 0] + [
        (m.second, m.first) for m in matches if m.points < 1
    ]
    rows, columns = ([places[pair[side]] for pair in over] for side in (0, 1))
    graph = coo_array((np.ones(len(over)), (rows, columns)), shape=(len(players), len(players))).tocsr()
    count, labels = csgraph.connected_components(graph, connection="strong")
    reach = csgraph.shortest_path(graph, unweighted=True) < math.inf
    groups = [[name for place, name in enumerate(players) if labels[place] == label] for label in range(count)]
    # Who reaches more players stands above those whom he reaches.
    return sorted(groups, key=lambda group: (-int(reach[places[group[0]]].sum()), group))


def _design(matches: Sequence[Match], players: Sequence[str]) -> Floats:
    """Write matches as rows: 1 for the first, -1 for the second, then the covariates."""
    places = {name: place for place, name in enumerate(players)}
    design = np.zeros((len(matches), len(players) + len(matches[0].covariates)))
    for row, match in enumerate(matches):
        design[row, places[match.first]], design[row, places[match.second]] = 1, -1
        design[row, len(players) :] = match.covariates
    return design


def _whole(players: int, covariates: int) -> Floats:
    """Make strengths and effects of free parameters: strengths that sum to 0 have one less."""
    whole = np.zeros((players + covariates, players - 1 + covariates))
    whole[: players - 1, : players - 1] = np.eye(players - 1)
    whole[players - 1, : players - 1] = -1
    whole[players:, players - 1 :] = np.eye(covariates)
    return whole


def _information(inputs: Floats, chances: Floats) -> Floats:
    information: Floats = inputs.T @ (inputs * (chances * (1 - chances))[:, None])
    return information


def _likelihood(inputs: Floats, points: Floats, found: Floats) -> float:
    """The logarithm of the likelihood."""
    odds = inputs @ found
    return float(np.sum(points * special.log_expit(odds) + (1 - points) * special.log_expit(-odds)))


def _sandwich(matches: Sequence[Match], inputs: Floats, points: Floats, found: Floats) -> tuple[Floats, int]:
    chances = special.expit(inputs @ found)
    bread = np.linalg.inv(_information(inputs, chances))
    numbers = {name: number for number, name in enumerate(dict.fromkeys(match.cluster for match in matches))}
    scores = np.zeros((len(numbers), inputs.shape[1]))
    np.add.at(scores, [numbers[match.cluster] for match in matches], inputs * (points - chances)[:, None])
    small = len(numbers) / max(1, len(numbers) - 1)
    covariance: Floats = bread @ (scores.T @ scores * small) @ bread
    return covariance, len(numbers)


def _records(matches: Sequence[Match]) -> dict[str, list[float]]:
    """The points of every match of each player."""
    found: dict[str, list[float]] = defaultdict(list)
    for match in matches:
        found[match.first].append(match.points)
        found[match.second].append(1 - match.points)
    return found


def _standings(
    group: Sequence[str],
    fit: Fit | None,
    elo_ratings: dict[str, tuple[float, Interval]],
    records: Mapping[str, Sequence[float]],
    *,
    number: int,
    confidence: float,
) -> list[Standing]:
    found = []
    for place, name in enumerate(group):
        rating = CENTER + _on_scale(float(fit.strengths[place])) if fit else CENTER
        error = _on_scale(math.sqrt(fit.covariance[place, place])) if fit else 0.0
        found.append(
            Standing(
                player=name,
                group=number,
                rating=rating,
                interval=_around(rating, error, fit.clusters, confidence) if fit and fit.clusters > 1 else None,
                elo=elo_ratings[name][0],
                elo_spread=elo_ratings[name][1],
                matches=len(records[name]),
                points=sum(records[name]),
            )
        )
    return sorted(found, key=lambda standing: (-standing.rating, standing.player))


def _effects(fit: Fit, players: int, confidence: float) -> tuple[Effect, ...]:
    return tuple(
        Effect(
            _on_scale(float(value)),
            _around(
                _on_scale(float(value)),
                _on_scale(math.sqrt(fit.covariance[players + place, players + place])),
                fit.clusters,
                confidence,
            ),
        )
        for place, value in enumerate(fit.effects)
    )


def _around(value: float, error: float, clusters: int, confidence: float) -> Interval:
    reach = error * float(special.stdtrit(max(1, clusters - 1), (1 + confidence) / 2))
    return Interval(value - reach, value + reach)


def _on_scale(strength: float) -> float:
    return strength * SCALE / math.log(10)
