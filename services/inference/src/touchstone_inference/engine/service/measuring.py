"""What an engine reaches: shares of its chips' peaks while it serves, and its own peak before it does."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping

from opentelemetry.metrics import Observation
from touchstone_runtime import telemetry
from touchstone_runtime.telemetry import names

from touchstone_inference import chips
from touchstone_inference.engine.core.generation import Generation, Sampling
from touchstone_inference.engine.core.utilization import Gauge, Utilization
from touchstone_inference.engine.ports import Measured, Model

PEAK_TOKENS = 32
"""Output tokens of each request of the peak's measurement."""
WARM_UP_TOKENS = 2
MAX_PEAK_REQUESTS = 256

logger = logging.getLogger(__name__)


class Measuring:
    """Looks at an engine's counters whenever it is asked."""

    def __init__(
        self, model: Model, *, chip: str, attributes: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the model, the name of its chip if its driver's is not known, and what its metrics are told apart by."""
        self._model = model
        self._chip = chip
        self._attributes = dict(attributes)
        self._clock = clock
        self._gauge: Gauge | None = None
        self.peak_output_tokens_per_second = 0.0

    def start(self) -> None:
        """Begin, once the model is loaded: without a chip whose peaks are known there is nothing to tell."""
        if not isinstance(self._model, Measured):
            return
        found = chips.CHIPS.get(self._chip) if self._chip else chips.of_device(self._model.device_name)
        if found is None:
            return
        self._gauge = Gauge(found, self._model.precision)
        self.utilization()
        meter = telemetry.meter(__name__)
        meter.create_observable_gauge(names.MFU, [lambda _: self._observe("mfu")], unit="1")
        meter.create_observable_gauge(names.MBU, [lambda _: self._observe("mbu")], unit="1")

    def utilization(self) -> Utilization | None:
        """Return the shares over about the last minute; None where chip or work are not known."""
        if self._gauge is None or not isinstance(self._model, Measured):
            return None
        return self._gauge.look(self._model.work(), now_seconds=self._clock())

    def _observe(self, which: str) -> Iterable[Observation]:
        found = self.utilization()
        if found is not None:
            yield Observation(found.mfu if which == "mfu" else found.mbu, self._attributes)

    async def measure_peak(self, seconds: float) -> None:
        """Generate in all slots at once and note the tokens a second; a model that takes longer has no peak noted.

        A first round is not counted: an engine prepares for batches of a new size when it first sees one.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._generate_in_all_slots(WARM_UP_TOKENS)
                begun = self._clock()
                tokens = await self._generate_in_all_slots(PEAK_TOKENS)
                self.peak_output_tokens_per_second = tokens / (self._clock() - begun)
        except TimeoutError:
            logger.warning("the engine's peak is not known: measuring it took too long", extra={"seconds": seconds})
            return
        logger.info("peak measured", extra={"output_tokens_per_second": round(self.peak_output_tokens_per_second, 1)})

    async def _generate_in_all_slots(self, tokens: int) -> int:
        count = min(self._model.description.slots, MAX_PEAK_REQUESTS)
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._generate(number, tokens)) for number in range(count)]
        return sum(task.result() for task in asked)

    async def _generate(self, number: int, tokens: int) -> int:
        """Have the model count on from a number, which it does not soon stop to, and count its tokens."""
        counting = ", ".join(str(number * 1000 + step) for step in range(8))
        request = Generation(prompt=f"{counting},", sampling=Sampling(max_output_tokens=tokens))
        said = 0
        async for piece in self._model.generate(request):
            if piece.end is not None:
                said = piece.end.usage.output_tokens
        return said
