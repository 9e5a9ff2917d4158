"""The arithmetic is held to what others measured on real chips. Run as a program it prints every point.

Sources: LMDeploy 0.1.0a1, docs/en/benchmark/a100_fp16.md (A100-80GB, 16 bits, the static benchmark: so many requests at
once, all alike); TensorRT-LLM 0.6.1 and 0.5, docs/source/performance.md (tables "Peak Throughput" and "Low Latency").
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from touchstone_inference.chips import CHIPS, Precision
from touchstone_inference.planner.core import memory, roofline, simulation
from touchstone_inference.planner.core.known import KNOWN
from touchstone_inference.planner.core.loads import Request
from touchstone_inference.planner.core.roofline import Placement

STEP_TOKENS = 8192
ROUNDS = 3
"""How often every slot is filled: a benchmark's start and end matter less then."""


class Point(NamedTuple):
    source: str
    model: str
    chip: str
    tensor: int
    precision: Precision
    requests: int
    input_tokens: int
    output_tokens: int
    measured: float
    """Output tokens a second of all chips; for first tokens milliseconds."""
    is_fitted: bool = False
    """Whether the planner's efficiencies were fitted to it."""


def _lmdeploy(model: str, tensor: int, is_fitted: bool, rows: list[tuple[int, int, int, float]]) -> list[Point]:
    return [Point("LMDeploy", model, "a100-80gb", tensor, Precision.FLOAT16, *row, is_fitted=is_fitted) for row in rows]


THROUGHPUT = [
    *_lmdeploy("llama-2-7b", 1, True, [
        (1, 1, 128, 100.02), (1, 128, 128, 102.21), (1, 128, 2048, 98.92), (1, 2048, 128, 86.1), (1, 2048, 2048, 93.78),
        (16, 1, 128, 1504.72), (16, 128, 128, 1272.47), (16, 128, 2048, 1010.62), (16, 2048, 128, 348.87),
        (16, 2048, 2048, 601.63), (32, 128, 128, 2125.47), (32, 128, 2048, 1462.12), (32, 2048, 128, 450.43),
        (32, 2048, 2048, 733.34), (64, 128, 128, 3024.07), (64, 128, 2048, 1852.06), (64, 2048, 128, 493.46),
        (64, 2048, 2048, 755.65),
    ]),
    *_lmdeploy("llama-2-13b", 1, True, [
        (1, 1, 128, 57.49), (1, 128, 2048, 55.29), (1, 2048, 128, 48.99), (16, 128, 128, 757.3), (16, 128, 2048, 605.88),
        (16, 2048, 128, 257.92), (16, 2048, 2048, 366.67), (32, 128, 128, 1301.27), (32, 2048, 128, 291.54),
        (64, 128, 128, 2033.22), (64, 128, 2048, 998.86), (64, 2048, 2048, 387.86),
    ]),
    *_lmdeploy("llama-2-70b", 4, True, [(1, 1, 128, 33.94), (1, 128, 2048, 32.38), (1, 2048, 128, 28.32)]),
    *_lmdeploy("llama-2-70b", 4, False, [
        (16, 128, 128, 439.77), (16, 128, 2048, 482.99),
        (16, 2048, 128, 189.34), (32, 2048, 2048, 636.23), (64, 128, 128, 1159.84), (64, 128, 2048, 1391.8),
        (64, 2048, 128, 270.47), (64, 2048, 2048, 930.46),
    ]),
    *(Point("TensorRT-LLM", model, chip, tensor, precision, *row) for model, chip, tensor, precision, *row in (
        ("llama-2-7b", "h100-sxm", 1, Precision.FLOAT8, 768, 128, 128, 19694),
        ("llama-2-7b", "h100-sxm", 1, Precision.FLOAT8, 112, 128, 2048, 6818),
        ("llama-2-7b", "h100-sxm", 1, Precision.FLOAT8, 80, 2048, 128, 2244),
        ("llama-2-7b", "h100-sxm", 1, Precision.FLOAT8, 48, 2048, 2048, 2740),
        ("llama-2-70b", "h100-sxm", 2, Precision.FLOAT8, 1024, 128, 128, 2 * 2657),
        ("llama-2-70b", "h100-sxm", 4, Precision.FLOAT8, 480, 128, 2048, 4 * 1486),
        ("llama-2-70b", "h100-sxm", 2, Precision.FLOAT8, 96, 2048, 128, 2 * 306),
        ("llama-2-70b", "h100-sxm", 2, Precision.FLOAT8, 64, 2048, 2048, 2 * 547),
        ("llama-2-7b", "l40s", 1, Precision.FLOAT8, 64, 128, 128, 3240),
        ("llama-2-7b", "l40s", 1, Precision.FLOAT8, 64, 128, 2048, 1622),
        ("llama-2-7b", "l40s", 1, Precision.FLOAT8, 32, 2048, 128, 581),
        ("llama-2-7b", "l40s", 1, Precision.FLOAT8, 16, 2048, 2048, 531),
        ("llama-2-7b", "a100-80gb", 1, Precision.FLOAT16, 384, 128, 128, 5586),
        ("llama-2-7b", "a100-80gb", 1, Precision.FLOAT16, 60, 128, 2048, 1928),
        ("llama-2-7b", "a100-80gb", 1, Precision.FLOAT16, 52, 2048, 128, 591),
        ("llama-2-7b", "a100-80gb", 2, Precision.FLOAT16, 64, 2048, 2048, 2 * 782),
        ("llama-2-70b", "a100-80gb", 4, Precision.FLOAT16, 1280, 128, 128, 4 * 670),
        ("llama-2-70b", "a100-80gb", 4, Precision.FLOAT16, 240, 128, 2048, 4 * 525),
        ("llama-2-70b", "a100-80gb", 4, Precision.FLOAT16, 120, 2048, 128, 4 * 79),
    )),
]  # fmt: skip

FIRST_TOKEN = [
    Point("TensorRT-LLM", model, chip, tensor, precision, 1, *row, is_fitted=is_fitted)
    for model, chip, tensor, precision, is_fitted, *row in (
        ("llama-2-7b", "h100-sxm", 1, Precision.FLOAT8, False, 128, 1, 7),
        ("llama-2-7b", "h100-sxm", 1, Precision.FLOAT8, True, 2048, 1, 36),
        ("llama-2-70b", "h100-sxm", 4, Precision.FLOAT8, False, 128, 1, 26),
        ("llama-2-70b", "h100-sxm", 4, Precision.FLOAT8, False, 2048, 1, 109),
        ("llama-2-7b", "l40s", 1, Precision.FLOAT8, False, 128, 1, 14),
        ("llama-2-7b", "l40s", 1, Precision.FLOAT8, False, 2048, 1, 73),
        ("llama-2-7b", "a100-80gb", 1, Precision.FLOAT16, False, 128, 1, 16),
        ("llama-2-7b", "a100-80gb", 1, Precision.FLOAT16, False, 2048, 1, 133),
        ("llama-2-70b", "a100-80gb", 4, Precision.FLOAT16, False, 128, 1, 47),
        ("llama-2-70b", "a100-80gb", 4, Precision.FLOAT16, False, 2048, 1, 377),
    )
]


def placement(point: Point) -> Placement:
    precision = point.precision
    return Placement(
        shape=KNOWN[point.model], chip=CHIPS[point.chip], tensor=point.tensor, weights=precision, compute=precision,
        kv=precision,
    )  # fmt: skip


def throughput(point: Point) -> float:
    """Simulate so many slots that are always full; output tokens a second."""
    placed = placement(point)
    engine = simulation.Engine(
        law=lambda batch: roofline.step(placed, batch).seconds,
        slots=point.requests,
        step_tokens=STEP_TOKENS,
        cache_tokens=memory.estimate(placed, step_tokens=STEP_TOKENS).kv_tokens,
    )
    requests = [
        Request(arrived=0.0, input_tokens=point.input_tokens, output_tokens=point.output_tokens)
        for _ in range(point.requests * ROUNDS)
    ]
    return len(requests) * point.output_tokens / simulation.run(engine, requests).seconds


def first_token_millis(point: Point) -> float:
    return roofline.step(placement(point), roofline.prefill(point.input_tokens)).seconds * 1e3


def ratios(points: Sequence[Point]) -> dict[bool, list[float]]:
    """Planned over measured, apart for points that were fitted to and others."""
    found: dict[bool, list[float]] = {True: [], False: []}
    for point in points:
        planned = throughput(point) if point in THROUGHPUT else first_token_millis(point)
        found[point.is_fitted].append(planned / point.measured)
    return found


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def test_throughput_is_estimated_within_a_quarter_where_it_was_fitted() -> None:
    fitted = ratios(THROUGHPUT)[True]
    assert len(fitted) >= 30
    assert all(0.8 < ratio < 1.25 for ratio in fitted)


def test_throughput_that_was_not_fitted_is_estimated_within_a_third_for_three_points_of_four() -> None:
    """The rest is 70b on several chips where early releases lost time that is gone since: too good by up to 2.2."""
    others = ratios(THROUGHPUT)[False]
    assert len(others) >= 25
    assert 0.85 < geometric_mean(others) < 1.18
    assert sum(3 / 4 < ratio < 4 / 3 for ratio in others) / len(others) >= 0.75
    assert all(0.8 < ratio < 2.2 for ratio in others)


def test_first_tokens_of_long_prompts_are_estimated_within_a_quarter() -> None:
    """Those of short prompts are estimated too short, by up to 1.75: a few milliseconds that are not arithmetic."""
    long = [point for point in FIRST_TOKEN if point.input_tokens > 1000]
    assert all(0.8 < first_token_millis(point) / point.measured < 1.26 for point in long)
    assert all(first_token_millis(point) / point.measured > 0.55 for point in FIRST_TOKEN)


def main() -> None:
    print("| source | model | chips | requests | in | out | measured | planned | ratio |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for points, planned, unit in ((THROUGHPUT, throughput, "tok/s"), (FIRST_TOKEN, first_token_millis, "ms")):
        for point in points:
            found = planned(point)
            mark = " (fitted)" if point.is_fitted else ""
            print(
                f"| {point.source}{mark} | {point.model} {point.precision} | {point.tensor} x {point.chip} | "
                f"{point.requests} | {point.input_tokens} | {point.output_tokens} | {point.measured:,.0f} {unit} | "
                f"{found:,.0f} | {found / point.measured:.2f} |"
            )


if __name__ == "__main__":
    main()
