"""The door: what is refused with its field, what is started once, what is told."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from touchstone.finetuning.v1 import finetuning_service_pb2 as pb
from touchstone.finetuning.v1 import finetuning_service_pb2_grpc as pb_grpc
from touchstone_finetuning.api import convert
from touchstone_finetuning.api.servicer import FinetuningServicer
from touchstone_finetuning.core import codec
from touchstone_finetuning.core.admission import Platform
from touchstone_finetuning.core.resources import Resources
from touchstone_finetuning.core.spec import TrainingSpec
from touchstone_finetuning.service.trainings import Trainings
from touchstone_runtime.jobs import Dispatcher, Job, JobStore
from touchstone_runtime.server import GrpcServer, ServerSettings

PLATFORM = Platform(queues=("finetuning", "large"))


@pytest.fixture
def sent() -> list[Job]:
    return []


@pytest.fixture
def jobs(tmp_path: Path) -> JobStore:
    return JobStore(f"sqlite:///{tmp_path}/finetuning.sqlite")


@pytest_asyncio.fixture
async def stub(jobs: JobStore, sent: list[Job]) -> AsyncIterator[Any]:
    trainings = Trainings(jobs=jobs, sender=Dispatcher(jobs, sent.append), platform=PLATFORM)
    server = GrpcServer(ServerSettings(listen="127.0.0.1:0"), [FinetuningServicer(trainings).registered()])
    async with server, grpc.aio.insecure_channel(server.address) as channel:
        yield pb_grpc.FinetuningServiceStub(channel)


def request(**changes: object) -> pb.StartTrainingRequest:
    spec = pb.TrainingSpec(
        run="uid",
        base=pb.BaseModel(uri="file:///base"),
        objective=pb.OBJECTIVE_SUPERVISED,
        adapter=pb.Adapter(rank=8, alpha=16),
        data=pb.TrainingData(uri="file:///data.jsonl", format=pb.RECORD_FORMAT_CHAT_ML),
        output_uri="file:///out",
        limits=pb.Limits(max_attempts=4, max_preemptions=2),
        priority=7,
    )
    spec.MergeFrom(pb.TrainingSpec(**changes))  # type: ignore[arg-type]
    return pb.StartTrainingRequest(dispatch_id="uid-1", spec=spec)


def violations(error: grpc.aio.AioRpcError) -> dict[str, str]:
    status = rpc_status.from_call(error)
    found = {}
    for detail in status.details:
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            found |= {each.field: each.description for each in bad.field_violations}
    return found


async def test_a_training_is_started_once(stub: Any, sent: list[Job]) -> None:
    first = (await stub.StartTraining(request())).training
    again = (await stub.StartTraining(request())).training
    assert first == again
    assert first.state == pb.TRAINING_STATE_PENDING
    assert [job.id for job in sent] == ["uid-1"]
    assert (sent[0].max_attempts, sent[0].max_preemptions, sent[0].priority) == (4, 2, 7)


@pytest.mark.parametrize(("limits", "expected"), [(pb.Limits(max_preemptions=0), 0), (pb.Limits(), 10)])
def test_a_limit_of_zero_is_not_an_unset_one(limits: pb.Limits, expected: int) -> None:
    """An explicit 0 was read as unset: a training that was to be given up at the first lost node had ten."""
    asked = request()
    asked.spec.limits.CopyFrom(limits)
    assert convert.spec_from(asked).max_preemptions == expected


@pytest.mark.parametrize("rate", [0.0, -1.0])
async def test_a_learning_rate_that_learns_nothing_is_refused(stub: Any, rate: float) -> None:
    """An explicit 0 was read as unset and trained at 2e-4."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.StartTraining(request(hyperparameters=pb.Hyperparameters(learning_rate=rate)))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(raised.value)) == {"spec.hyperparameters.learning_rate"}


async def test_a_dispatch_id_of_another_training_is_refused(stub: Any) -> None:
    await stub.StartTraining(request())
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.StartTraining(request(output_uri="file:///elsewhere"))
    assert raised.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_every_fault_is_told_with_its_field(stub: Any, sent: list[Job]) -> None:
    faulty = request(
        base=pb.BaseModel(uri="ftp://x"),
        adapter=pb.Adapter(rank=600),
        data=pb.TrainingData(format=pb.RECORD_FORMAT_PREFERENCE, validation_split=0.7),
        hyperparameters=pb.Hyperparameters(learning_rate=-1),
        output_uri="pvc://x",
        priority=11,
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.StartTraining(faulty)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert set(violations(raised.value)) == {
        "spec.base.uri", "spec.adapter.rank", "spec.data.format", "spec.data.validation_split",
        "spec.hyperparameters.learning_rate", "spec.output_uri", "spec.priority",
    }  # fmt: skip
    assert sent == []


async def test_what_the_platform_does_not_have_is_refused_with_the_way_out(stub: Any, sent: list[Job]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.StartTraining(request(resources=pb.Resources(gpu=pb.Gpu(count=1)), queue="huge"))
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    told = violations(raised.value)
    assert "finetuning.trainer.mode: Job" in told["spec.resources.gpu"]
    assert told["spec.queue"] == "There is no such queue here. Take one of finetuning, large."
    assert sent == []


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (pb.Resources(cpu="four"), "cpu"),
        (pb.Resources(memory="0Gi"), "memory"),
        (pb.Resources(gpu=pb.Gpu(count=65)), "gpu.count"),
        (pb.Resources(gpu=pb.Gpu(count=0, resource_name="gpu")), "gpu.resource_name"),
    ],
)
async def test_resources_that_are_none_are_refused(stub: Any, asked: pb.Resources, field: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.StartTraining(request(resources=asked))
    assert f"spec.resources.{field}" in violations(raised.value)


async def test_resources_and_queue_are_kept_with_the_training(stub: Any, sent: list[Job]) -> None:
    asked = pb.Resources(cpu="2", memory="4Gi")
    await stub.StartTraining(request(resources=asked, queue="large"))
    spec = codec.from_fields(sent[0].payload["spec"], TrainingSpec)
    assert (spec.resources, spec.queue) == (Resources(cpu="2", memory="4Gi"), "large")
    assert (spec.resources.threads, spec.resources.memory_bytes) == (2, 4 * 2**30)


async def test_what_is_missing_is_told(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.StartTraining(pb.StartTrainingRequest(dispatch_id="x"))
    assert {"spec.base", "spec.data", "spec.objective", "spec.data.format"} <= set(violations(raised.value))


async def test_a_merge_is_refused_with_the_fields_of_its_models(stub: Any) -> None:
    models = [pb.MergedModel(model=pb.BaseModel(uri="ftp://x"), density=1.5)]
    spec = pb.TrainingSpec(
        run="uid",
        base=pb.BaseModel(uri="file:///base"),
        merge=pb.Merge(type=pb.MERGE_TYPE_SLERP, models=models),
        output_uri="file:///out",
    )
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.StartTraining(pb.StartTrainingRequest(dispatch_id="x", spec=spec))
    assert set(violations(raised.value)) == {
        "spec.merge.models[0].model.uri", "spec.merge.models", "spec.merge.models[0].density",
    }  # fmt: skip


async def test_a_training_that_waits_is_cancelled_at_once(stub: Any) -> None:
    await stub.StartTraining(request())
    cancelled = (await stub.CancelTraining(pb.CancelTrainingRequest(dispatch_id="uid-1"))).training
    assert cancelled.state == pb.TRAINING_STATE_CANCELLED
    assert (await stub.GetTraining(pb.GetTrainingRequest(dispatch_id="uid-1"))).training == cancelled


async def test_an_unknown_training_is_not_found(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.GetTraining(pb.GetTrainingRequest(dispatch_id="none"))
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
