"""The server and workers as processes, over gRPC and a real broker: whoever is killed, one training runs at a time."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from touchstone.finetuning.v1 import finetuning_service_pb2 as pb
from touchstone.finetuning.v1 import finetuning_service_pb2_grpc as pb_grpc
from touchstone_runtime import channels
from touchstone_runtime.artefacts import remote

SCRIPT = Path(__file__).with_name("scripted_trainer.py")
FINAL = (pb.TRAINING_STATE_SUCCEEDED, pb.TRAINING_STATE_FAILED, pb.TRAINING_STATE_CANCELLED)

Process = subprocess.Popen[bytes]


class Processes:
    """A server and its workers, whose interpreter for trainings runs a trainer without weights."""

    def __init__(self, root: Path, broker_url: str, port: int, **more: str) -> None:
        self.root = root
        self.address = f"127.0.0.1:{port}"
        python = root / "python"
        python.write_text(f'#!/bin/sh\nshift 3\nexec {sys.executable} {SCRIPT} "$@"\n')
        python.chmod(0o755)
        self._environment = {
            **os.environ,
            "TOUCHSTONE_DATABASE_URL": f"sqlite:///{root}/finetuning.sqlite",
            "TOUCHSTONE_BROKER_URL": broker_url,
            "TOUCHSTONE_WORK_DIR": f"{root}/work",
            "TOUCHSTONE_FILE_ROOT": str(root),
            "TOUCHSTONE_LISTEN": self.address,
            "TOUCHSTONE_TRAINER_PYTHON": str(python),
            "TOUCHSTONE_JOB_LEASE_SECONDS": "2",
            "TOUCHSTONE_REDISPATCH_SECONDS": "0.2",
            **more,
        }
        self.running: list[Process] = [self._start("touchstone_finetuning")]

    def worker(self) -> Process:
        """Start one more worker."""
        self.running.append(self._start("touchstone_finetuning.worker"))
        return self.running[-1]

    def _start(self, module: str) -> Process:
        return subprocess.Popen([sys.executable, "-m", module], env=self._environment)

    def trainers(self) -> list[psutil.Process]:
        """The trainers that are at work; a kubelet's have a shell round them."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if (line := process.info["cmdline"] or [])[1:2] == [str(SCRIPT)] and str(self.root) in line[-1]
        ]


@pytest.fixture
def more() -> dict[str, str]:
    """More of the environment of server and workers."""
    return {}


@pytest.fixture
def processes(tmp_path: Path, broker_url: str, free_tcp_port: int, more: dict[str, str]) -> Iterator[Processes]:
    found = Processes(tmp_path, broker_url, free_tcp_port, **more)
    yield found
    for process in found.running:
        process.kill()
        process.wait()


@pytest.fixture
async def stub(processes: Processes) -> AsyncIterator[Any]:
    async with channels.connect(processes.address) as channel:
        yield pb_grpc.FinetuningServiceStub(channel)


def request(root: Path, *script: str) -> pb.StartTrainingRequest:
    (root / "base").write_text("\n".join(script))
    (root / "data.jsonl").write_text('{"messages": []}\n')
    spec = pb.TrainingSpec(
        run=str(root),
        base=pb.BaseModel(uri=f"file://{root}/base"),
        objective=pb.OBJECTIVE_SUPERVISED,
        adapter=pb.Adapter(rank=4, alpha=8),
        data=pb.TrainingData(uri=f"file://{root}/data.jsonl", format=pb.RECORD_FORMAT_CHAT_ML),
        output_uri=f"file://{root}/out",
    )
    return pb.StartTrainingRequest(dispatch_id="uid-1", spec=spec)


async def seen(stub: Any, claim: Callable[[pb.Training], bool], seconds: float = 60) -> pb.Training:
    async with asyncio.timeout(seconds):
        while True:
            found: pb.Training = (await stub.GetTraining(pb.GetTrainingRequest(dispatch_id="uid-1"))).training
            if claim(found):
                return found
            await asyncio.sleep(0.1)


def has_ended(training: pb.Training) -> bool:
    return training.state in FINAL


def is_at(step: int) -> Callable[[pb.Training], bool]:
    return lambda training: training.step >= step


async def gone(processes: Processes) -> None:
    async with asyncio.timeout(10):
        while processes.trainers():
            await asyncio.sleep(0.05)


async def test_a_killed_worker_takes_its_trainer_along_and_another_goes_on(processes: Processes, stub: Any) -> None:
    worker = processes.worker()
    await stub.StartTraining(request(processes.root, "steps 3", "wait", "steps 6"), wait_for_ready=True)
    await seen(stub, is_at(3))
    assert len(processes.trainers()) == 1
    worker.kill()
    await gone(processes)
    processes.worker()
    ended = await seen(stub, has_ended)
    assert ended.state == pb.TRAINING_STATE_SUCCEEDED, ended.error
    assert (ended.step, ended.attempts, ended.preemptions) == (6, 2, 0)
    assert list(ended.notes) == ["Begins at step 3."]
    assert len(list((processes.root / "out").iterdir())) == 1


async def test_a_stopped_worker_is_a_preemption_and_no_attempt(processes: Processes, stub: Any) -> None:
    worker = processes.worker()
    await stub.StartTraining(request(processes.root, "steps 3", "wait", "steps 6"), wait_for_ready=True)
    await seen(stub, is_at(3))
    worker.send_signal(signal.SIGTERM)
    processes.worker()
    ended = await seen(stub, has_ended)
    assert (ended.state, ended.step) == (pb.TRAINING_STATE_SUCCEEDED, 6)
    assert (ended.attempts, ended.preemptions) == (1, 1)


async def test_a_cancelled_training_is_gone_within_seconds(processes: Processes, stub: Any) -> None:
    processes.worker()
    await stub.StartTraining(request(processes.root, "steps 3", "wait"), wait_for_ready=True)
    await seen(stub, is_at(3))
    await stub.CancelTraining(pb.CancelTrainingRequest(dispatch_id="uid-1"))
    await gone(processes)
    assert (await seen(stub, has_ended)).state == pb.TRAINING_STATE_CANCELLED


class TestOnACluster:
    """Each training is a Job, here a process of the embedded kubelet."""

    @pytest.fixture
    def more(self, cluster: Any, template: Any) -> dict[str, str]:
        return {
            "TOUCHSTONE_TRAINER": "Kubernetes",
            "TOUCHSTONE_TRAINER_JOB": json.dumps(template),
            "TOUCHSTONE_QUEUES": "finetuning,large",
            "KUBECONFIG": str(cluster.kubeconfig),
        }

    async def test_a_worker_that_is_killed_leaves_its_trainer_to_the_next(
        self, processes: Processes, stub: Any, cluster: Any
    ) -> None:
        worker = processes.worker()
        go = processes.root / "go"
        asked = request(processes.root, "steps 3", f"until {go}", "steps 6")
        asked.spec.queue = "large"
        await stub.StartTraining(asked, wait_for_ready=True)
        await seen(stub, is_at(3))
        (trainer,) = processes.trainers()
        worker.kill()
        processes.worker()
        await seen(stub, lambda training: training.attempts == 2 and training.step == 3)
        assert processes.trainers() == [trainer]
        go.touch()
        ended = await seen(stub, has_ended)
        assert ended.state == pb.TRAINING_STATE_SUCCEEDED, ended.error
        assert (ended.step, ended.attempts, ended.preemptions) == (6, 2, 0)
        assert list(ended.notes) == ["Begins at step 0."]
        assert len(list((processes.root / "out").iterdir())) == 1

    async def test_a_cancelled_training_is_gone_within_seconds(self, processes: Processes, stub: Any) -> None:
        processes.worker()
        await stub.StartTraining(request(processes.root, "steps 3", "wait"), wait_for_ready=True)
        await seen(stub, is_at(3))
        await stub.CancelTraining(pb.CancelTrainingRequest(dispatch_id="uid-1"))
        await gone(processes)
        assert (await seen(stub, has_ended)).state == pb.TRAINING_STATE_CANCELLED


class TestBehindCredentials:
    """The base and the artefact lie in a store of a team's own, whose keys a Secret of the cluster holds."""

    @pytest.fixture
    def more(self, cluster: Any) -> dict[str, str]:
        return {"KUBECONFIG": str(cluster.kubeconfig)}

    @pytest.fixture
    def asked(self, processes: Processes, team_storage: dict[str, str]) -> pb.StartTrainingRequest:
        asked = request(processes.root, "steps 3")
        filesystem, path = remote.place("s3://team-a/base", team_storage)
        filesystem.put_file(str(processes.root / "base"), path)
        secret = pb.SecretReference(namespace="default", name="store")
        asked.spec.base.CopyFrom(pb.BaseModel(uri="s3://team-a/base", credentials=secret))
        asked.spec.output_uri = "s3://team-a/out"
        asked.spec.output_credentials.CopyFrom(secret)
        asked.spec.limits.max_attempts = 100
        return asked

    async def test_a_training_waits_for_its_secret_and_no_record_holds_what_it_says(
        self, processes: Processes, stub: Any, asked: Any, cluster: Any, team_storage: dict[str, str]
    ) -> None:
        processes.worker()
        await stub.StartTraining(asked, wait_for_ready=True)
        await seen(stub, lambda training: training.attempts > 0 and training.state == pb.TRAINING_STATE_PENDING)
        await asyncio.to_thread(cluster.keep_secret, "store", team_storage)
        ended = await seen(stub, has_ended)
        assert ended.state == pb.TRAINING_STATE_SUCCEEDED, ended.error
        assert ended.artifact.uri.startswith("s3://team-a/out/")
        kept = [path for path in processes.root.rglob("*") if path.is_file()]
        assert kept
        assert [path for path in kept if b"never-to-be-seen" in path.read_bytes()] == []
