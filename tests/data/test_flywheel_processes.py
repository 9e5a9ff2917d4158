"""The server as a process: what it acknowledged outlives it, and who may give feedback cannot read it."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from touchstone.data.v1 import curation_service_pb2 as pb
from touchstone.data.v1 import curation_service_pb2_grpc as pb_grpc
from touchstone.data.v1 import data_service_pb2 as data_pb
from touchstone.data.v1 import data_service_pb2_grpc as data_grpc
from touchstone.data.v1 import feedback_service_pb2 as feedback_pb
from touchstone.data.v1 import feedback_service_pb2_grpc as feedback_grpc
from touchstone_runtime import channels

DIGEST = "sha256:" + "a" * 64
EXAMPLE = Path(__file__).parents[2] / "examples/feedback/flywheel.py"


class Server:
    """The server of data, which may be killed and started again."""

    def __init__(self, root: Path, broker_url: str, database_url: str, ports: tuple[int, int]) -> None:
        self.address, self.feedback_address = (f"127.0.0.1:{port}" for port in ports)
        self._environment = {
            **os.environ,
            "TOUCHSTONE_DATABASE_URL": database_url,
            "TOUCHSTONE_BROKER_URL": broker_url,
            "TOUCHSTONE_ARTEFACTS_URI": f"file://{root}/artefacts",
            "TOUCHSTONE_FILE_ROOT": str(root),
            "TOUCHSTONE_LISTEN": self.address,
            "TOUCHSTONE_FEEDBACK_LISTEN": self.feedback_address,
            "TOUCHSTONE_WORK_DIR": f"{root}/work",
        }
        self.start()

    def start(self) -> None:
        self.process = self.run("touchstone_data")

    def run(self, module: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-m", module], env=self._environment)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def server(tmp_path: Path, broker_url: str, database_url: str, free_tcp_port_factory: Any) -> Iterator[Server]:
    found = Server(tmp_path, broker_url, database_url, (free_tcp_port_factory(), free_tcp_port_factory()))
    yield found
    found.kill()


def given(number: int) -> feedback_pb.RecordFeedbackRequest:
    return feedback_pb.RecordFeedbackRequest(
        feedback=feedback_pb.Feedback(
            feedback_id=f"f-{number:05}",
            revision_digest=DIGEST,
            messages=[feedback_pb.ConversationTurn(role="user", content=f"Question {number}?")],
            response="Answer.",
            thumb=feedback_pb.THUMB_DOWN,
            consent=True,
        )
    )


async def listed(stub: Any) -> set[str]:
    found, token = set(), ""
    while True:
        page = await stub.ListFeedback(pb.ListFeedbackRequest(page_size=50, page_token=token), wait_for_ready=True)
        found |= {one.feedback.feedback_id for one in page.feedback}
        token = page.next_page_token
        if not token:
            return found


async def test_a_server_that_is_killed_loses_nothing_that_it_acknowledged(server: Server) -> None:
    acknowledged: set[str] = set()
    labelled: set[str] = set()
    async with channels.connect(server.address, retry=False) as channel:
        feedback: Any = feedback_grpc.FeedbackServiceStub(channel)
        curation: Any = pb_grpc.CurationServiceStub(channel)
        await feedback.RecordFeedback(given(0), wait_for_ready=True)
        spec = pb.QueueSpec(name="q", guideline="Say which.", choices=["a", "b"], annotators_per_item=1)
        await curation.CreateQueue(pb.CreateQueueRequest(spec=spec))
        await curation.AddItems(pb.AddItemsRequest(queue="q", feedback=pb.FeedbackFilter()))

        async def give(start: int) -> None:
            with suppress(grpc.aio.AioRpcError):
                for number in range(start, 100_000, 4):
                    await feedback.RecordFeedback(given(number))
                    acknowledged.add(f"f-{number:05}")

        async def label() -> None:
            with suppress(grpc.aio.AioRpcError):
                while True:
                    await curation.AddItems(pb.AddItemsRequest(queue="q", feedback=pb.FeedbackFilter()))
                    item = (await curation.ClaimItem(pb.ClaimItemRequest(queue="q", annotator="ann"))).item.item_id
                    if item:
                        await curation.SubmitAnnotation(
                            pb.SubmitAnnotationRequest(queue="q", item_id=item, annotator="ann", label="a")
                        )
                        labelled.add(item)

        async def kill() -> None:
            async with asyncio.timeout(60):
                while len(acknowledged) < 60 or len(labelled) < 10:
                    await asyncio.sleep(0.01)
            server.kill()

        await asyncio.gather(*(give(start) for start in range(1, 5)), label(), kill())
    server.start()
    async with channels.connect(server.address) as channel:  # the old one may still be dying
        curation = pb_grpc.CurationServiceStub(channel)
        assert await listed(curation) >= acknowledged
        progress = (await curation.GetQueue(pb.GetQueueRequest(queue="q"))).queue.progress
        assert len(labelled) <= progress.annotations <= len(labelled) + 1


async def test_the_door_for_feedback_takes_feedback_and_serves_nothing_else(server: Server) -> None:
    async with channels.connect(server.feedback_address, retry=False) as channel:
        feedback: Any = feedback_grpc.FeedbackServiceStub(channel)
        await feedback.RecordFeedback(given(1), wait_for_ready=True)
        for call, request in (
            (pb_grpc.CurationServiceStub(channel).ListFeedback, pb.ListFeedbackRequest()),
            (data_grpc.DataServiceStub(channel).ListSteps, data_pb.ListStepsRequest()),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(request)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    async with channels.connect(server.address, retry=False) as channel:
        assert await listed(pb_grpc.CurationServiceStub(channel)) == {"f-00001"}
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0


def test_the_example_turns_the_wheel_once(tmp_path: Path, broker_url: str, free_tcp_port_factory: Any) -> None:
    database_url = f"sqlite:///{tmp_path}/data.sqlite"
    server = Server(tmp_path, broker_url, database_url, (free_tcp_port_factory(), free_tcp_port_factory()))
    worker = server.run("touchstone_data.worker")
    try:
        asyncio.run(until_serving(server.address))
        command = [sys.executable, str(EXAMPLE), server.address]
        found = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    finally:
        server.kill()
        worker.kill()
        worker.wait()
    assert found.returncode == 0, found.stdout + found.stderr
    told = found.stdout.splitlines()
    assert told[0].startswith("alpha 0.")
    assert "  ann and ben: 1.00" in told
    assert told[-1].startswith(f"snapshot of 30 records: file://{tmp_path}/artefacts/datasets/letters-")


async def until_serving(address: str) -> None:
    async with channels.connect(address) as channel:
        await data_grpc.DataServiceStub(channel).ListSteps(data_pb.ListStepsRequest(), wait_for_ready=True)
