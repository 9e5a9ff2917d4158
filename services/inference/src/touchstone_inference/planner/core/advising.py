"""How many replicas a load needs, together or with prefill and decode apart. Pure.

Each answer is a simulation of replicas among which requests are shared out at random: a router that looks at load does
better, so the answer is on the safe side. Bounds from the roofline say where to begin; a search by halves finds the
fewest replicas that keep to the objective.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from touchstone_inference.planner.core import memory, roofline, simulation
from touchstone_inference.planner.core.loads import Load, Objective, Request, arrivals, percentile
from touchstone_inference.planner.core.roofline import Placement
from touchstone_inference.planner.core.simulation import Engine, Outcome

REQUESTS = 600
"""How many requests each replica sees in a simulation; of the first sixth nothing is counted."""
WARM_UP = REQUESTS // 6
MAX_REPLICAS = 1024
MAX_ADDED = 32
"""How many replicas may be added to what each role needs alone."""
MAX_SIMULATED = 8
"""How many prefill replicas are simulated beside one decode replica."""
MOST_LOADED = 0.9
"""The share of what a replica can do at most that is planned for: its queue must empty again after a burst."""
TARGET = 0.95
"""The share of requests that must keep to an objective."""
SEED = 20240101


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """What an engine is told."""

    slots: int = 256
    step_tokens: int = 8192


class Forecast(NamedTuple):
    """What a load would see. Seconds."""

    first_token_p50: float
    first_token_p95: float
    per_token_p50: float
    per_token_p95: float
    good_share: float
    """The share of requests that keep to the objective."""
    load_share: float
    """Of what the replicas could do at most; of the busiest role."""
    output_tokens_per_second: float
    """Of the whole service."""
    preemptions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """So many replicas, and what they would give."""

    replicas: int = 0
    """Of replicas that do all; 0 where prefill and decode are apart."""
    prefill_replicas: int = 0
    decode_replicas: int = 0
    chips: int
    step_tokens: int
    """Of the replicas that prefill: the most tokens of one step."""
    forecast: Forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class Impossible:
    """No number of replicas does it, and why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisor:
    """A model on chips, under a load, with an objective."""

    placement: Placement
    load: Load
    objective: Objective = field(default_factory=Objective)
    scheduling: Scheduling = field(default_factory=Scheduling)

    def together(self) -> Plan | Impossible:
        """Plan replicas that prefill and decode."""
        engine = self.engine()
        most = _capacity(engine, self.load)
        found = _fewest(lambda count: self._is_good(self._forecast_together(engine, most, count)), self._at_least(most))
        if found is None:
            return Impossible(reason=self._why_not(self._forecast_together(engine, most, MAX_REPLICAS)))
        forecast = self._forecast_together(engine, most, found)
        return Plan(
            replicas=found,
            chips=found * self.placement.chips,
            step_tokens=self.scheduling.step_tokens,
            forecast=forecast,
        )

    def apart(self) -> Plan | Impossible:
        """Plan prefill and decode replicas.

        First the fewest of each for its own part of the objective; what each keeps alone they may miss together, since
        the first token waits for both: then one is added wherever it helps more.
        """
        prefilling, decoding = _prefilling(self.engine()), _decoding(self.engine())
        most = _Capacities(_capacity(prefilling, self.load), _capacity(decoding, self.load))
        prefills = _fewest(lambda count: self._prefills_in_time(prefilling, count), self._at_least(most.prefill))
        decodes = _fewest(lambda count: self._decodes_in_time(decoding, count), self._at_least(most.decode))
        if prefills is None or decodes is None:
            return Impossible(
                reason=self._why_not(self._forecast_apart(most, prefills or MAX_REPLICAS, decodes or MAX_REPLICAS))
            )
        forecast = self._forecast_apart(most, prefills, decodes)
        for _ in range(MAX_ADDED):
            if self._is_good(forecast):
                return Plan(
                    prefill_replicas=prefills,
                    decode_replicas=decodes,
                    chips=(prefills + decodes) * self.placement.chips,
                    step_tokens=self.scheduling.step_tokens,
                    forecast=forecast,
                )
            more = self._forecast_apart(most, prefills + 1, decodes), self._forecast_apart(most, prefills, decodes + 1)
            better = max(range(2), key=lambda which: more[which].good_share)
            prefills, decodes, forecast = prefills + (better == 0), decodes + (better == 1), more[better]
        return Impossible(reason=self._why_not(forecast))

    def _at_least(self, capacity: float) -> int:
        """Return how many replicas the load needs whatever the objective; each does so many requests a second."""
        return max(math.ceil(self.load.requests_per_second / capacity / MOST_LOADED), 1)

    def _prefills_in_time(self, engine: Engine, count: int) -> bool:
        """Tell whether prompts alone, and their way to the decode replica, keep to the time of the first token."""
        outcome = simulation.run(engine, arrivals(_share(self.load, count), REQUESTS, seed=SEED))
        counted = outcome.finished[WARM_UP:]
        late = [request.first_token_seconds + self._transfer_seconds(request) for request in counted]
        return percentile(late, TARGET) <= self.objective.first_token_seconds

    def _decodes_in_time(self, engine: Engine, count: int) -> bool:
        outcome = simulation.run(engine, arrivals(_share(self.load, count), REQUESTS, seed=SEED))
        each = [request.per_token_seconds for request in outcome.finished[WARM_UP:]]
        return percentile(each, TARGET) <= self.objective.per_token_seconds

    def _is_good(self, forecast: Forecast) -> bool:
        return forecast.good_share >= TARGET

    def _why_not(self, forecast: Forecast) -> str:
        """Say what even many replicas cannot keep."""
        late = [
            f"{what} takes {found * 1e3:.0f} ms where {wanted * 1e3:.0f} ms are wanted (p95)"
            for what, found, wanted in (
                ("the first token", forecast.first_token_p95, self.objective.first_token_seconds),
                ("a token", forecast.per_token_p95, self.objective.per_token_seconds),
            )
            if found > wanted
        ]
        found = "; ".join(late) or f"only {forecast.good_share:.0%} of the requests keep to the objective"
        return f"However many replicas: {found}. Use more chips a replica, faster ones, or a smaller model."

    def engine(self) -> Engine:
        """Describe one replica to the simulation."""
        room = memory.estimate(self.placement, step_tokens=self.scheduling.step_tokens)
        return Engine(
            law=lambda batch: roofline.step(self.placement, batch).seconds,
            slots=self.scheduling.slots,
            step_tokens=self.scheduling.step_tokens,
            cache_tokens=room.kv_tokens,
        )

    def _forecast_together(self, engine: Engine, capacity: float, replicas: int) -> Forecast:
        share = _share(self.load, replicas)
        outcome = simulation.run(engine, arrivals(share, REQUESTS, seed=SEED))
        return self._forecast(outcome.finished, [outcome], replicas, share.requests_per_second / capacity)

    def _forecast_apart(self, most: "_Capacities", prefills: int, decodes: int) -> Forecast:
        """Follow requests through prefill replicas, over the link, and into one decode replica.

        A decode replica hears from all prefill replicas: as many are simulated as send it a whole load.
        """
        chance = random.Random(SEED)  # noqa: S311 - a simulation
        simulated = max(min(round(prefills / decodes), MAX_SIMULATED), 1)
        share = decodes * simulated / prefills
        """How many decode replicas the simulated prefill replicas feed."""
        outcomes, handed = [], []
        for which in range(simulated):
            count = math.ceil(REQUESTS * max(share, 1.0) / simulated)
            requests = arrivals(_share(self.load, prefills), count, seed=SEED + which)
            outcome = simulation.run(_prefilling(self.engine()), requests)
            outcomes.append(outcome)
            handed += [request for request in outcome.finished if chance.random() * share < 1]
        came = sorted(((request.finished + self._transfer_seconds(request), request) for request in handed), key=_when)
        served = [
            Request(arrived=at, input_tokens=request.input_tokens, output_tokens=request.output_tokens)
            for at, request in came
        ]
        decoded = simulation.run(_decoding(self.engine()), served)
        for (_, asked), request in zip(came, served, strict=True):
            request.arrived = asked.arrived
        rate = self.load.requests_per_second
        busiest = max(rate / prefills / most.prefill, rate / decodes / most.decode)
        return self._forecast(served, [*outcomes, decoded], decodes, busiest)

    def _transfer_seconds(self, request: Request) -> float:
        """Tell how long a prompt's keys and values are under way, over the links of all chips of a replica at once."""
        size = request.input_tokens * self.placement.kv_token_bytes
        return size / self.placement.chips / self.placement.chip.link_bandwidth / self.placement.efficiency.links

    def _forecast(
        self, requests: Sequence[Request], outcomes: Sequence[Outcome], replicas: int, load_share: float
    ) -> Forecast:
        counted = sorted(requests, key=lambda request: request.arrived)[WARM_UP:]
        first = [request.first_token_seconds for request in counted]
        each = [request.per_token_seconds for request in counted if request.output_tokens > 1]
        return Forecast(
            first_token_p50=percentile(first, 0.5),
            first_token_p95=percentile(first, 0.95),
            per_token_p50=percentile(each, 0.5),
            per_token_p95=percentile(each, 0.95),
            good_share=sum(map(self.objective.is_kept_by, counted)) / len(counted) if counted else 0.0,
            load_share=load_share,
            output_tokens_per_second=self.load.requests_per_second * self.load.output_tokens,
            preemptions=sum(outcome.preemptions for outcome in outcomes) * replicas,
        )


class _Capacities(NamedTuple):
    """Requests a second that one replica of each role can do at most."""

    prefill: float
    decode: float


def _capacity(engine: Engine, load: Load) -> float:
    """Return the requests a second that a replica does when it never has to wait for any.

    Of a run in which all are there from the start, the last ones keep fewer slots busy than there are: only the middle
    is counted.
    """
    requests = arrivals(load, max(4 * engine.slots, REQUESTS), seed=SEED)
    for request in requests:
        request.arrived = 0.0
    ends = sorted(request.finished for request in simulation.run(engine, requests).finished)
    early, late = len(ends) // 4, 3 * len(ends) // 4
    return (late - early) / (ends[late] - ends[early])


def _fewest(is_enough: Callable[[int], bool], at_least: int) -> int | None:
    """Find the smallest number that is enough: doubling, then halving. None: not even the most are."""
    low, high = at_least - 1, at_least
    while not is_enough(high):
        if high >= MAX_REPLICAS:
            return None
        low, high = high, min(high * 2, MAX_REPLICAS)
    while high - low > 1:
        middle = (low + high) // 2
        if is_enough(middle):
            high = middle
        else:
            low = middle
    return high


def _when(entry: tuple[float, Request]) -> float:
    return entry[0]


def _share(load: Load, replicas: int) -> Load:
    """Give the load of one replica of several."""
    return Load(
        requests_per_second=load.requests_per_second / replicas,
        input_tokens=load.input_tokens,
        output_tokens=load.output_tokens,
        cached_share=load.cached_share,
        variation=load.variation,
    )


def _prefilling(engine: Engine) -> Engine:
    return Engine(
        law=engine.law,
        slots=engine.slots,
        step_tokens=engine.step_tokens,
        cache_tokens=engine.cache_tokens,
        prefills_only=True,
    )


def _decoding(engine: Engine) -> Engine:
    return Engine(
        law=engine.law,
        slots=engine.slots,
        step_tokens=engine.step_tokens,
        cache_tokens=engine.cache_tokens,
        has_prompts_ready=True,
    )
