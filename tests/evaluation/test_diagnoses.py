"""What a run's failures were short of, through the real server."""

from typing import Any

import grpc
import pytest
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone_runtime import channels

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_wrong_answers_of_a_run_ask_for_retrieval(bench: Any) -> None:
    await bench.run("weak", bench.spec("weak"))
    (found,) = (await bench.stub.DiagnoseRun(pb.DiagnoseRunRequest(dispatch_id="weak"))).diagnoses
    assert (found.suite, found.answers) == ("golden", bench.items)
    largest = found.parts[0]
    assert (largest.lack, largest.count) == (pb.LACK_KNOWLEDGE, 32), "every fifth of forty is right"
    assert found.advice == pb.ADVICE_RETRIEVE
    assert largest.ci_low > 0.5
    assert len(largest.examples) == 5


async def test_a_run_that_is_unknown_or_not_done_is_refused(bench: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.stub.DiagnoseRun(pb.DiagnoseRunRequest(dispatch_id="none"))
    assert channels.translate(caught.value, "evaluation").reason == "RUN_NOT_FOUND"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await bench.stub.DiagnoseRun(pb.DiagnoseRunRequest(dispatch_id="none", confidence=2))
    assert channels.translate(caught.value, "evaluation").reason != "RUN_NOT_FOUND"
