"""Protos to the planner's values and back. No decisions."""

import dataclasses

from touchstone.inference.v1 import planning_service_pb2 as pb
from touchstone_runtime.errors import Invalid, Violation

from touchstone_inference.chips import Precision
from touchstone_inference.planner.core.advising import Impossible, Plan
from touchstone_inference.planner.core.roofline import Bound, Step
from touchstone_inference.planner.service.planning import Answer, Question

MAX_CONFIG_BYTES = 1 << 20

_PRECISIONS: dict[int, Precision] = {
    pb.PRECISION_UNSPECIFIED: Precision.FLOAT16,
    pb.PRECISION_FLOAT32: Precision.FLOAT32,
    pb.PRECISION_FLOAT16: Precision.FLOAT16,
    pb.PRECISION_FLOAT8: Precision.FLOAT8,
    pb.PRECISION_INT8: Precision.INT8,
    pb.PRECISION_INT4: Precision.INT4,
}
_BOUNDS = {
    Bound.COMPUTE: pb.BOUND_COMPUTE,
    Bound.BANDWIDTH: pb.BOUND_BANDWIDTH,
    Bound.LINKS: pb.BOUND_LINKS,
    Bound.OVERHEAD: pb.BOUND_OVERHEAD,
}


def question(request: pb.PlanServingRequest) -> Question:
    """Read a request. Raises Invalid for a precision that is none, and for a config.json that is too long."""
    if len(request.model_config) > MAX_CONFIG_BYTES:
        raise Invalid([Violation("model_config", "is longer than 1 MiB")])
    asked = Question(
        model=request.model_name,
        model_config=request.model_config,
        chip=request.chip,
        tensor_parallel=request.tensor_parallel or 1,
        pipeline_parallel=request.pipeline_parallel or 1,
        weights=_precision("weight_precision", request.weight_precision),
        kv=_precision("kv_precision", request.kv_precision),
        ttft_p95_millis=request.objective.ttft_p95_millis,
        itl_p95_millis=request.objective.itl_p95_millis,
        slots=request.max_num_seqs or 256,
        step_tokens=request.max_num_batched_tokens,
    )
    if not request.HasField("load"):
        return asked
    load = request.load
    return dataclasses.replace(
        asked,
        requests_per_second=load.requests_per_second,
        input_tokens=load.input_tokens,
        output_tokens=load.output_tokens,
        cached_share=load.cached_share,
        variation=load.length_variation if load.HasField("length_variation") else asked.variation,
    )


def _precision(field: str, value: int) -> Precision:
    if value not in _PRECISIONS:
        raise Invalid([Violation(field, "is no Precision")])
    return _PRECISIONS[value]


def answer(found: Answer) -> pb.PlanServingResponse:
    """Write an answer."""
    room = found.memory
    return pb.PlanServingResponse(
        parameters=found.shape.parameters,
        chips_per_replica=found.chips,
        memory=pb.MemoryEstimate(
            weight_bytes=room.weight_bytes,
            activation_bytes=room.activation_bytes,
            kv_bytes=room.kv_bytes,
            kv_token_bytes=room.kv_token_bytes,
            full_requests=found.full_requests,
        ),
        ridge_flops_per_byte=found.ridge,
        prefill=_step(1, found.prefill),
        decode=[_step(point.requests, point.step) for point in found.decode],
        compute_bound_requests=found.compute_bound_requests,
        together=_plan(found.together) if found.together else None,
        apart=_plan(found.apart) if found.apart else None,
        advice=found.advice,
    )


def _step(requests: int, found: Step) -> pb.StepEstimate:
    return pb.StepEstimate(
        requests=requests,
        seconds=found.seconds,
        bound=_BOUNDS[found.bound],
        flops_per_byte=found.intensity,
        compute_seconds=found.compute_seconds,
        bandwidth_seconds=found.bandwidth_seconds,
        link_seconds=found.link_seconds,
    )


def _plan(found: Plan | Impossible) -> pb.ServingPlan:
    if isinstance(found, Impossible):
        return pb.ServingPlan(impossible_because=found.reason)
    forecast = found.forecast
    return pb.ServingPlan(
        replicas=found.replicas,
        prefill_replicas=found.prefill_replicas,
        decode_replicas=found.decode_replicas,
        chips=found.chips,
        max_num_batched_tokens=found.step_tokens,
        ttft_p50_seconds=forecast.first_token_p50,
        ttft_p95_seconds=forecast.first_token_p95,
        itl_p50_seconds=forecast.per_token_p50,
        itl_p95_seconds=forecast.per_token_p95,
        good_share=forecast.good_share,
        load_share=forecast.load_share,
        output_tokens_per_second=forecast.output_tokens_per_second,
    )
