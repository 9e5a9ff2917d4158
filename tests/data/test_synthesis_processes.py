"""Workers as processes that ask a model over gRPC: slow answers lose no claim, and a killed worker's are not paid again."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from touchstone.data.v1 import data_service_pb2 as pb
from touchstone.data.v1 import data_service_pb2_grpc as pb_grpc
from touchstone.inference.v1 import inference_service_pb2_grpc as inference_grpc
from touchstone_runtime import channels

COUNT = 60
PARALLEL = 4
LEASE_SECONDS = 2
FINAL = (pb.PIPELINE_STATE_SUCCEEDED, pb.PIPELINE_STATE_FAILED, pb.PIPELINE_STATE_CANCELLED)


def said(request: Any) -> str:
    """A new instruction that no other is like, by the seed of the question; the judge likes all."""
    if "Criteria:" in request.messages[0].content:
        return '{"reason": "fine", "meets": "yes"}'
    words = [f"word{request.sampling.seed}x{place}" for place in range(6)]
    return json.dumps({"instruction": " ".join(words), "answer": "yes"})


@pytest.fixture
async def model(scripted: Any) -> AsyncIterator[Any]:
    """A model that takes its time; the address is that of its router."""
    script = scripted(said)
    script.pause_seconds = 0.3
    server = grpc.aio.server()
    inference_grpc.add_InferenceServiceServicer_to_server(script, server)
    script.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield script
    await server.stop(None)


class Processes:
    """A server and its workers."""

    def __init__(self, root: Path, broker_url: str, port: int, router: str) -> None:
        self.address = f"127.0.0.1:{port}"
        self._environment = {
            **os.environ,
            "TOUCHSTONE_DATABASE_URL": f"sqlite:///{root}/data.sqlite",
            "TOUCHSTONE_BROKER_URL": broker_url.replace("/0", "/5"),
            "TOUCHSTONE_ARTEFACTS_URI": f"file://{root}/artefacts",
            "TOUCHSTONE_WORK_DIR": f"{root}/work",
            "TOUCHSTONE_FILE_ROOT": str(root),
            "TOUCHSTONE_LISTEN": self.address,
            "TOUCHSTONE_JOB_LEASE_SECONDS": str(LEASE_SECONDS),
            "TOUCHSTONE_REPAIR_SECONDS": "0.2",
            "TOUCHSTONE_INFERENCE_ADDRESS": router,
            "TOUCHSTONE_PARALLEL_ASKS": str(PARALLEL),
        }
        self.all = [self.start("touchstone_data"), self.start("touchstone_data.worker")]

    def start(self, module: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-m", module], env=self._environment)

    def kill_worker(self) -> None:
        """Kill the last worker and start another."""
        self.all[-1].kill()
        self.all[-1].wait()
        self.all.append(self.start("touchstone_data.worker"))


@pytest.fixture
def processes(tmp_path: Path, broker_url: str, free_tcp_port: int, model: Any) -> Iterator[Processes]:
    found = Processes(tmp_path, broker_url, free_tcp_port, model.address)
    yield found
    for process in found.all:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.fixture
async def stub(processes: Processes) -> AsyncIterator[Any]:
    async with channels.connect(processes.address) as channel:
        yield pb_grpc.DataServiceStub(channel)


def request(root: Path) -> pb.StartPipelineRequest:
    rows = [
        {"id": str(n), "instruction": f"Explain number {n} to a child.", "output": "It is so."} for n in range(COUNT)
    ]
    (root / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    judge = {"model": "writer", "criteria": "It is new.", "scale": "yes-no"}
    spec = {
        "name": "tasks",
        "sources": [{"name": "raw", "uri": f"file://{root}/in.jsonl"}],
        "text_fields": ["instruction"],
        "steps": [{"name": "generate-instructions", "parameters": {"model": "writer", "judge": judge}}],
        "models": [
            {
                "name": "writer",
                "deployment": "default/chat",
                "revision": "chat-0123456789",
                "digest": "sha256:" + "d" * 64,
            }
        ],
    }
    message = pb.StartPipelineRequest(dispatch_id="run-1")
    json_format.ParseDict(spec, message.spec)
    return message


async def ended(stub: Any) -> pb.Pipeline:
    async with asyncio.timeout(90):
        while True:
            found: pb.Pipeline = (await stub.GetPipeline(pb.GetPipelineRequest(dispatch_id="run-1"))).pipeline
            if found.state in FINAL:
                return found
            await asyncio.sleep(0.1)


async def test_slow_answers_lose_no_claim(processes: Processes, stub: Any, model: Any, tmp_path: Path) -> None:
    processes.all.append(processes.start("touchstone_data.worker"))  # who would take the shard over
    await stub.StartPipeline(request(tmp_path), wait_for_ready=True)
    found = await ended(stub)
    assert found.state == pb.PIPELINE_STATE_SUCCEEDED, found.error
    assert found.snapshot.records == 2 * COUNT
    assert found.snapshot.steps[0].made == COUNT
    assert [model.digest for model in found.snapshot.models] == ["sha256:" + "d" * 64]
    assert len(model.asked) == 2 * COUNT, "asking took several leases, and nobody else asked"
    assert 2 * COUNT * model.pause_seconds / PARALLEL > 3 * LEASE_SECONDS


async def test_a_killed_workers_answers_are_not_paid_again(
    processes: Processes, stub: Any, model: Any, tmp_path: Path
) -> None:
    await stub.StartPipeline(request(tmp_path), wait_for_ready=True)
    async with asyncio.timeout(60):
        for answered in (20, 70):  # while instructions are made, and while they are judged
            while len(model.asked) < answered:
                await asyncio.sleep(0.02)
            processes.kill_worker()
    found = await ended(stub)
    assert found.state == pb.PIPELINE_STATE_SUCCEEDED, found.error
    assert found.snapshot.records == 2 * COUNT
    asked = Counter(one.SerializeToString(deterministic=True) for one in model.asked)
    assert len(asked) == 2 * COUNT
    assert sum(asked.values()) - len(asked) <= 2 * PARALLEL, "only what was under way when a worker died is asked again"
