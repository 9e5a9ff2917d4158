"""What is asked of a service, and what came of it: requests, their lengths, their times. Pure."""

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests as they come: at random (a Poisson process), of lengths that vary."""

    requests_per_second: float
    input_tokens: int
    """Mean."""
    output_tokens: int
    """Mean."""
    cached_share: float = 0.0
    """The share of a prompt whose keys and values lie in the prefix cache."""
    variation: float = 0.5
    """Standard deviation of lengths over their mean; 0: all alike."""


@dataclass(slots=True)
class Request:
    """One request, and when what happened to it. Seconds of the simulation's clock."""

    arrived: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int = 0
    """Of the input; they need room but no work."""
    first_token: float = -1.0
    """Negative: none came yet."""
    finished: float = -1.0

    @property
    def is_finished(self) -> bool:
        """Whether all its tokens came."""
        return self.finished >= 0

    @property
    def first_token_seconds(self) -> float:
        """From its arrival to the first token."""
        return self.first_token - self.arrived

    @property
    def per_token_seconds(self) -> float:
        """The mean time between tokens after the first; 0 for fewer than two."""
        return (self.finished - self.first_token) / (self.output_tokens - 1) if self.output_tokens > 1 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What 95 of 100 requests must keep to. Seconds; infinity: anything goes."""

    first_token_seconds: float = float("inf")
    per_token_seconds: float = float("inf")

    def is_kept_by(self, request: Request) -> bool:
        """Tell whether a request kept to all of it: such requests are the goodput (Zhong et al., DistServe, 2024)."""
        return (
            request.is_finished
            and request.first_token_seconds <= self.first_token_seconds
            and request.per_token_seconds <= self.per_token_seconds
        )


def arrivals(load: Load, count: int, *, seed: int) -> list[Request]:
    """Draw requests; the same seed gives the same ones. Lengths are of a gamma distribution, 1 or more."""
    chance = random.Random(seed)  # noqa: S311 - a simulation
    now, found = 0.0, []
    for _ in range(count):
        now += chance.expovariate(load.requests_per_second)
        length = _length(chance, load.input_tokens, load.variation)
        found.append(
            Request(
                arrived=now,
                input_tokens=length,
                output_tokens=_length(chance, load.output_tokens, load.variation),
                cached_tokens=min(int(length * load.cached_share), length - 1),
            )
        )
    return found


def _length(chance: random.Random, mean: int, variation: float) -> int:
    if variation == 0:
        return mean
    shape = variation**-2
    return max(round(chance.gammavariate(shape, mean / shape)), 1)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that this share of the values does not exceed; 0 for none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
