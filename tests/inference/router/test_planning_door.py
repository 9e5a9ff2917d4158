"""PlanServing through a real router: computed beside it, refused before anything is computed."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from touchstone.inference.v1 import planning_service_pb2 as pb
from touchstone.inference.v1 import planning_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels, errors


@pytest.fixture
async def stub(doors: Any) -> AsyncIterator[Any]:
    async with channels.connect(doors.grpc) as channel:
        yield pb_grpc.PlanningServiceStub(channel)


async def test_a_plan_comes_with_memory_bounds_and_both_ways_to_serve(stub: Any) -> None:
    answer = await stub.PlanServing(
        pb.PlanServingRequest(
            model_name="llama-3.1-8b",
            chip="h100-sxm",
            load=pb.PlannedLoad(requests_per_second=20, input_tokens=1000, output_tokens=100),
            objective=pb.PlannedObjective(ttft_p95_millis=800, itl_p95_millis=40),
            max_num_batched_tokens=2048,
        )
    )
    assert answer.memory.weight_bytes == 2 * answer.parameters
    assert answer.prefill.bound == pb.BOUND_COMPUTE
    assert {step.bound for step in answer.decode} == {pb.BOUND_BANDWIDTH}
    assert answer.together.replicas >= 1
    assert answer.together.good_share >= 0.95
    assert answer.apart.prefill_replicas >= 1
    assert answer.apart.decode_replicas >= 1
    assert answer.advice


@pytest.mark.parametrize(
    ("request_", "fields", "said"),
    [
        (
            pb.PlanServingRequest(model_name="llama-3.1-70b", chip="abacus", tensor_parallel=65),
            ["chip", "tensor_parallel"],
            "is not known",
        ),
        (pb.PlanServingRequest(model_config="{", chip="l4"), ["model_config"], "is no JSON"),
        (pb.PlanServingRequest(model_name="llama-3.1-70b", chip="l4"), ["tensor_parallel"], "GB are missing"),
    ],
)
async def test_faults_are_told_by_their_fields(
    stub: Any, request_: pb.PlanServingRequest, fields: list[str], said: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.PlanServing(request_)
    refused = channels.translate(caught.value, "router")
    assert isinstance(refused, errors.Invalid)
    assert [violation.field for violation in refused.violations] == fields
    assert said in refused.violations[0].description
