"""The server and workers as processes, over gRPC and a real broker: a worker may be killed at any time."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from touchstone.data.v1 import data_service_pb2 as pb
from touchstone.data.v1 import data_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels, statuses
from touchstone_runtime.errors import Invalid

from .conftest import rows

FINAL = (pb.PIPELINE_STATE_SUCCEEDED, pb.PIPELINE_STATE_FAILED, pb.PIPELINE_STATE_CANCELLED)


class Processes:
    """A server and its workers."""

    def __init__(self, root: Path, broker_url: str, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._environment = {
            **os.environ,
            "TOUCHSTONE_DATABASE_URL": f"sqlite:///{root}/data.sqlite",
            "TOUCHSTONE_BROKER_URL": broker_url,
            "TOUCHSTONE_ARTEFACTS_URI": f"file://{root}/artefacts",
            "TOUCHSTONE_WORK_DIR": f"{root}/work",
            "TOUCHSTONE_FILE_ROOT": str(root),
            "TOUCHSTONE_LISTEN": self.address,
            "TOUCHSTONE_JOB_LEASE_SECONDS": "2",
            "TOUCHSTONE_REPAIR_SECONDS": "0.2",
        }
        self.server = self._start("touchstone_data")
        self.workers = [self.worker()]

    def worker(self) -> "subprocess.Popen[bytes]":
        return self._start("touchstone_data.worker")

    def _start(self, module: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-m", module], env=self._environment)

    def stop(self) -> list[int]:
        running = [self.server, *self.workers]
        for process in running:
            process.send_signal(signal.SIGTERM)
        return [process.wait(30) for process in running]


@pytest.fixture
def processes(tmp_path: Path, broker_url: str, free_tcp_port: int) -> Iterator[Processes]:
    found = Processes(tmp_path, broker_url, free_tcp_port)
    yield found
    for process in (found.server, *found.workers):
        process.kill()
        process.wait()


@pytest.fixture
async def stub(processes: Processes) -> AsyncIterator[pb_grpc.DataServiceStub]:
    async with channels.connect(processes.address) as channel:
        yield pb_grpc.DataServiceStub(channel)


def request(root: Path, count: int, *steps: tuple[str, dict[str, Any]]) -> pb.StartPipelineRequest:
    (root / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows(count, words=60)))
    message = pb.StartPipelineRequest(dispatch_id="run-1")
    spec = {
        "name": "letters",
        "sources": [{"name": "raw", "uri": f"file://{root}/in.jsonl", "licence": "CC0-1.0"}],
        "steps": [{"name": name, "parameters": parameters} for name, parameters in steps],
        "shard_records": 100,
        "licence": "CC0-1.0",
    }
    json_format.ParseDict(spec, message.spec)
    return message


async def ended(stub: Any, seconds: float = 90) -> pb.Pipeline:
    async with asyncio.timeout(seconds):
        while True:
            found: pb.Pipeline = (await stub.GetPipeline(pb.GetPipelineRequest(dispatch_id="run-1"))).pipeline
            if found.state in FINAL:
                return found
            await asyncio.sleep(0.1)


STEPS = (("fix-text", {}), ("deduplicate-fuzzy", {"bands": 4}), ("split", {"validation": 0.2, "seed": 3}))


async def test_a_pipeline_survives_the_death_of_its_workers(processes: Processes, stub: Any, tmp_path: Path) -> None:
    asked = request(tmp_path, 1500, *STEPS)
    await stub.StartPipeline(asked, wait_for_ready=True)
    killed = 0
    async with asyncio.timeout(90):
        while killed < 3:
            found = (await stub.GetPipeline(pb.GetPipelineRequest(dispatch_id="run-1"))).pipeline
            assert found.state not in FINAL
            if found.progress.stages_done > killed:
                processes.workers[-1].kill()
                processes.workers[-1].wait()
                processes.workers.append(processes.worker())
                killed += 1
            await asyncio.sleep(0.02)
    found = await ended(stub)
    assert found.state == pb.PIPELINE_STATE_SUCCEEDED, found.error
    assert found.snapshot.records == 1500
    assert [file.split for file in found.snapshot.files] == ["train", "validation", ""]
    assert found.snapshot.sources[0].records == 1500
    assert json_format.MessageToDict(found.snapshot.steps[2].parameters)["seed"] == 3
    again = (await stub.StartPipeline(asked)).pipeline
    assert again.snapshot.digest == found.snapshot.digest
    processes.workers = processes.workers[-1:]
    assert processes.stop() == [0, 0]


async def test_faults_come_back_as_field_violations(processes: Processes, stub: Any, tmp_path: Path) -> None:
    asked = request(tmp_path, 1, ("length", {"min_words": -1, "least": 2}), ("quality", {"rules": ["mine"]}))
    asked.spec.sources[0].format = 99
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.StartPipeline(asked, wait_for_ready=True)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    asked.spec.sources[0].format = 0
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.StartPipeline(asked)
    fault = statuses.translate(caught.value, "data")
    assert isinstance(fault, Invalid)
    fields = {violation.field for violation in fault.violations}
    assert fields == {
        "spec.steps[0].parameters", "spec.steps[0].parameters.min_words", "spec.steps[1].parameters.rules[0]",
    }  # fmt: skip


async def test_steps_are_listed_with_their_schemas(processes: Processes, stub: Any) -> None:
    listed = await stub.ListSteps(pb.ListStepsRequest(), wait_for_ready=True)
    found = {step.name: step for step in listed.steps}
    assert {"clean-html", "redact-pii", "deduplicate-fuzzy", "split", "to-chat"} <= set(found)
    assert found["deduplicate-fuzzy"].is_per_corpus
    assert json.loads(found["length"].parameters_schema)["properties"]["min_words"]["minimum"] == 0


async def test_a_cancelled_pipeline_ends(processes: Processes, stub: Any, tmp_path: Path) -> None:
    await stub.StartPipeline(request(tmp_path, 3000, *STEPS), wait_for_ready=True)
    await stub.CancelPipeline(pb.CancelPipelineRequest(dispatch_id="run-1"))
    assert (await ended(stub)).state == pb.PIPELINE_STATE_CANCELLED
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetPipeline(pb.GetPipelineRequest(dispatch_id="other"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
