"""Advice, its bounds and its refusals."""

import dataclasses

import pytest
from touchstone_inference.chips import CHIPS, Precision, of_device
from touchstone_inference.planner.core import memory, roofline
from touchstone_inference.planner.core.advising import Impossible, Plan
from touchstone_inference.planner.core.known import KNOWN
from touchstone_inference.planner.core.roofline import Bound, Placement
from touchstone_inference.planner.service import planning
from touchstone_inference.planner.service.planning import Question
from touchstone_runtime.errors import Invalid

ASKED = Question(
    model="llama-3.1-8b", chip="h100-sxm", requests_per_second=10, input_tokens=2000, output_tokens=100,
    ttft_p95_millis=800, itl_p95_millis=40, step_tokens=2048,
)  # fmt: skip


def placed(name: str = "llama-3.1-8b", *, tensor: int = 1, pipeline: int = 1) -> Placement:
    return Placement(shape=KNOWN[name], chip=CHIPS["h100-sxm"], tensor=tensor, pipeline=pipeline)


def test_a_step_of_one_request_reads_every_weight_once() -> None:
    """16.06 GB at 3.35 TB/s are 4.8 ms at the chip's peak: no engine can be faster than that."""
    step = roofline.step(placed(), roofline.decode(1, 100))
    read = 2 * (KNOWN["llama-3.1-8b"].parameters - KNOWN["llama-3.1-8b"].head_parameters)
    assert step.moved_bytes == pytest.approx(read, rel=0.01)
    assert step.seconds > read / 3.35e12
    assert step.bound is Bound.BANDWIDTH


def test_prefill_is_bound_by_arithmetic_and_decode_by_bandwidth() -> None:
    assert roofline.step(placed(), roofline.prefill(2000)).bound is Bound.COMPUTE
    assert roofline.step(placed(), roofline.decode(32, 2000)).bound is Bound.BANDWIDTH


def test_the_operations_of_a_long_prompt_are_two_a_parameter_and_token_and_what_it_attends_to() -> None:
    shape, tokens = KNOWN["llama-2-7b"], 4096
    step = roofline.step(placed("llama-2-7b"), roofline.prefill(tokens))
    layers = 2 * (shape.parameters - 2 * shape.head_parameters) * tokens
    attention = sum(4 * shape.layers * shape.hidden * (place + 1) for place in range(tokens))
    assert step.flops == pytest.approx(layers + attention + 2 * shape.head_parameters)


def test_a_batch_grows_into_the_arithmetic_bound_only_while_contexts_are_short() -> None:
    short = roofline.compute_bound_batch(placed(), 16, at_most=4096)
    assert short is not None
    assert roofline.step(placed(), roofline.decode(short, 16)).bound is Bound.COMPUTE
    assert roofline.step(placed(), roofline.decode(short - 1, 16)).bound is Bound.BANDWIDTH
    assert roofline.compute_bound_batch(placed(), 8000, at_most=4096) is None


@pytest.mark.parametrize("split", [{"tensor": 4}, {"pipeline": 4}])
def test_more_chips_a_replica_make_steps_shorter_but_not_by_as_much(split: dict[str, int]) -> None:
    one = roofline.step(placed("llama-2-7b"), roofline.prefill(4000)).seconds
    four = roofline.step(placed("llama-2-7b", **split), roofline.prefill(4000)).seconds
    assert one / 4 < four < one / 2


def test_a_pipeline_does_not_make_a_single_request_faster() -> None:
    one = roofline.step(placed("llama-2-7b"), roofline.decode(1, 500)).seconds
    assert roofline.step(placed("llama-2-7b", pipeline=4), roofline.decode(1, 500)).seconds >= one


def test_memory_is_shared_by_weights_activations_and_the_cache() -> None:
    room = memory.estimate(placed(), step_tokens=8192)
    assert room.weight_bytes == 2 * KNOWN["llama-3.1-8b"].parameters
    assert room.kv_token_bytes == 2 * 32 * 8 * 128 * 2  # key and value, layers, KV heads, dimension, bytes
    # vLLM's own log for this model on an 80 GB chip tells of about 55 GiB and 430,000 to 460,000 tokens.
    assert 380_000 < room.kv_tokens < 470_000


def test_a_plan_keeps_to_the_objective_and_one_replica_fewer_does_not() -> None:
    found = planning.plan(dataclasses.replace(ASKED, requests_per_second=60)).together
    assert isinstance(found, Plan)
    assert found.replicas > 1
    assert found.forecast.good_share >= 0.95
    assert found.forecast.first_token_p95 <= 0.8
    tight = dataclasses.replace(ASKED, requests_per_second=60 * (found.replicas) / (found.replicas - 1) * 1.05)
    more = planning.plan(tight).together
    assert isinstance(more, Plan)
    assert more.replicas > found.replicas


def test_more_load_never_needs_fewer_replicas() -> None:
    counts = []
    for rate in (5, 20, 80, 320):
        answer = planning.plan(dataclasses.replace(ASKED, requests_per_second=rate))
        assert isinstance(answer.together, Plan)
        assert isinstance(answer.apart, Plan)
        counts.append((answer.together.chips, answer.apart.chips))
    assert counts == sorted(counts)


def test_long_prompts_want_more_prefill_and_long_answers_more_decode() -> None:
    reading = planning.plan(
        dataclasses.replace(ASKED, requests_per_second=40, input_tokens=6000, output_tokens=20)
    ).apart
    writing = planning.plan(
        dataclasses.replace(ASKED, requests_per_second=40, input_tokens=200, output_tokens=800)
    ).apart
    assert isinstance(reading, Plan)
    assert isinstance(writing, Plan)
    assert reading.prefill_replicas > reading.decode_replicas
    assert writing.decode_replicas > writing.prefill_replicas


def test_small_steps_hold_decoding_up_less() -> None:
    """Chunked prefill (Agrawal et al., Sarathi-Serve, 2024): the same replicas keep to a shorter time between tokens."""
    strict = dataclasses.replace(ASKED, requests_per_second=20, input_tokens=6000, output_tokens=200, itl_p95_millis=15)
    large = planning.plan(dataclasses.replace(strict, step_tokens=8192)).together
    best = planning.plan(dataclasses.replace(strict, step_tokens=0)).together
    assert isinstance(large, Plan)
    assert isinstance(best, Plan)
    assert best.step_tokens < 8192
    assert best.chips < large.chips


def test_an_objective_that_no_number_of_replicas_keeps_is_told_with_what_misses_it() -> None:
    answer = planning.plan(dataclasses.replace(ASKED, itl_p95_millis=2))
    assert isinstance(answer.together, Impossible)
    assert isinstance(answer.apart, Impossible)
    assert "a token takes" in answer.together.reason
    assert "2 ms are wanted" in answer.together.reason
    assert answer.advice[-1] == answer.together.reason


def test_a_plan_is_the_same_each_time() -> None:
    assert planning.plan(ASKED) == planning.plan(ASKED)


def test_without_a_load_there_are_bounds_and_no_plan() -> None:
    answer = planning.plan(dataclasses.replace(ASKED, requests_per_second=0))
    assert answer.together is answer.apart is None
    assert [point.requests for point in answer.decode] == [1, 4, 16, 64, answer.full_requests]


def test_a_model_that_does_not_fit_is_refused_with_what_is_missing() -> None:
    with pytest.raises(Invalid, match=r"GB are missing beside 141\.1 GB of weights"):
        planning.check(dataclasses.replace(ASKED, model="llama-3.1-70b"))
    planning.check(dataclasses.replace(ASKED, model="llama-3.1-70b", tensor_parallel=4))
    planning.check(dataclasses.replace(ASKED, model="llama-3.1-70b", weights=Precision.INT4))


def test_all_faults_of_a_question_are_told_at_once() -> None:
    wrong = Question(model="gpt-9", chip="abacus", tensor_parallel=0, cached_share=1, requests_per_second=-1)
    with pytest.raises(Invalid) as refused:
        planning.check(wrong)
    fields = [violation.field for violation in refused.value.violations]
    assert fields == ["model", "chip", "tensor_parallel", "requests_per_second", "cached_share"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tensor_parallel": 3}, "tensor_parallel"),
        ({"pipeline_parallel": 64}, "pipeline_parallel"),
        ({"input_tokens": 200_000}, "input_tokens"),
        ({"kv": Precision.INT4}, "kv"),
        ({"itl_p95_millis": -1}, "itl_p95_millis"),
        ({"model_config": "{}"}, "model"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(changes: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        planning.check(dataclasses.replace(ASKED, **changes))  # type: ignore[arg-type] # a table of changes
    assert [violation.field for violation in refused.value.violations] == [field]


@pytest.mark.parametrize(
    ("device", "chip"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H100 PCIe", "h100-pcie"),
        ("NVIDIA A100-SXM4-80GB", "a100-80gb"),
        ("NVIDIA L4", "l4"),
        ("NVIDIA L40S", "l40s"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA H20", None),
        ("NVIDIA GeForce RTX 3060", None),
    ],
)
def test_a_chip_is_found_by_the_name_that_its_driver_has_for_it(device: str, chip: str | None) -> None:
    found = of_device(device)
    assert (found.name if found else None) == chip
