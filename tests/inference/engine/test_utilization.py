"""Shares of a chip's peaks, from counters and a clock that the test holds; and the peak of a real scripted engine."""

import pytest
from touchstone_inference.chips import CHIPS, Precision
from touchstone_inference.engine.adapters.scripted import Scripted
from touchstone_inference.engine.core import arguments
from touchstone_inference.engine.core.utilization import Gauge, Work
from touchstone_inference.engine.service.measuring import PEAK_TOKENS, Measuring

H100 = CHIPS["h100-sxm"]


def test_shares_are_of_the_peaks_over_the_time_between_two_looks() -> None:
    gauge = Gauge(H100, Precision.FLOAT16)
    assert gauge.look(Work(5e15, 5e12), now_seconds=100) is None
    found = gauge.look(Work(5e15 + 989e12, 5e12 + 3.35e12), now_seconds=102)
    assert found is not None
    assert (found.chip, found.window_seconds) == ("h100-sxm", 2)
    assert found.mfu == pytest.approx(0.5)
    assert found.mbu == pytest.approx(0.5)


def test_eight_bit_products_are_held_to_the_eight_bit_peak() -> None:
    gauge = Gauge(H100, Precision.FLOAT8)
    gauge.look(Work(), now_seconds=0)
    found = gauge.look(Work(flops=1979e12), now_seconds=1)
    assert found is not None
    assert found.mfu == pytest.approx(1.0)


def test_a_look_reaches_back_about_a_minute_and_no_further() -> None:
    gauge = Gauge(H100, Precision.FLOAT16)
    for second in range(0, 601, 5):
        work = Work(flops=989e12 * max(second - 300, 0))
        found = gauge.look(work, now_seconds=second)
    assert found is not None
    assert found.window_seconds == 60
    assert found.mfu == pytest.approx(1.0)


def test_an_idle_engine_reaches_nothing() -> None:
    gauge = Gauge(H100, Precision.FLOAT16)
    gauge.look(Work(7e15, 7e12), now_seconds=0)
    found = gauge.look(Work(7e15, 7e12), now_seconds=60)
    assert found is not None
    assert (found.mfu, found.mbu) == (0, 0)


async def test_the_peak_is_measured_with_all_slots_busy() -> None:
    given = {"slots": "8", "time-to-first-token-millis": "1", "time-per-output-token-millis": "1"}
    model = Scripted(max_model_len=512, arguments=arguments.read(given, arguments.SCRIPTED), rules=())
    ticks = iter([10.0, 12.0])
    measuring = Measuring(model, chip="", attributes={}, clock=lambda: next(ticks))
    await measuring.measure_peak(30)
    said = measuring.peak_output_tokens_per_second * 2
    assert 8 < said <= 8 * PEAK_TOKENS, "each of eight requests echoes its prompt"
    assert said == int(said)


async def test_a_peak_that_takes_too_long_is_not_told() -> None:
    given = {"time-to-first-token-millis": "60000"}
    model = Scripted(max_model_len=512, arguments=arguments.read(given, arguments.SCRIPTED), rules=())
    measuring = Measuring(model, chip="", attributes={})
    await measuring.measure_peak(0.05)
    assert measuring.peak_output_tokens_per_second == 0


def test_a_model_whose_work_is_not_counted_reaches_nothing_known() -> None:
    model = Scripted(max_model_len=512, arguments=arguments.read({}, arguments.SCRIPTED), rules=())
    measuring = Measuring(model, chip="h100-sxm", attributes={})
    measuring.start()
    assert measuring.utilization() is None
