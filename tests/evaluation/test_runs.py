"""Runs through the real server, a real worker process and a real broker, against revisions that answer by script."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone.evaluation.v1 import evaluation_service_pb2_grpc as pb_grpc
from touchstone.inference.v1 import inference_service_pb2 as inference
from touchstone.inference.v1 import inference_service_pb2_grpc as inference_grpc
from touchstone_runtime import channels, errors, testing
from touchstone_runtime.revisions import digest_bytes
from touchstone_runtime.server import Servicer

DIGESTS = {name: digest_bytes(name.encode()) for name in ("good", "weak", "down", "slow")}
ITEMS = 40


class ScriptedModel(inference_grpc.InferenceServiceServicer):
    """`good` and `slow` answer all questions right, `weak` every fifth, `down` none at all."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[Any]:
        revision = dict(context.invocation_metadata())["x-touchstone-revision"]
        question = request.messages[0].content
        self.asked.append((revision, question))
        if revision == "down":
            await context.abort(grpc.StatusCode.INTERNAL, "out of order")
        if revision == "slow":
            await asyncio.sleep(0.15)
        last = question.split()[-1]
        number = int(last) if last.isdigit() else 0
        is_right = revision != "weak" or number % 5 == 0
        usage = inference.Usage(input_tokens=5, output_tokens=2)
        yield inference.GenerateResponse(revision=revision, revision_digest=DIGESTS[revision])
        yield inference.GenerateResponse(text=f"answer {number}" if is_right else "no idea")
        yield inference.GenerateResponse(finish_reason=1, usage=usage, revision_digest=DIGESTS[revision])


class Bench:
    def __init__(self, folder: Path, broker_url: str, model_address: str) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.environ = {
            **os.environ,
            "TOUCHSTONE_LISTEN": self.address,
            "TOUCHSTONE_DATABASE_URL": f"sqlite:///{folder}/evaluation.sqlite",
            "TOUCHSTONE_BROKER_URL": broker_url.replace("/0", "/3"),
            "TOUCHSTONE_ARTEFACTS_URI": f"file://{folder}/artefacts",
            "TOUCHSTONE_INFERENCE_ADDRESS": model_address,
            "TOUCHSTONE_RETRIEVAL_ADDRESS": model_address,
            "TOUCHSTONE_JOB_LEASE_SECONDS": "2",
            "TOUCHSTONE_REPAIR_SECONDS": "0.3",
        }
        lines = [json.dumps({"question": f"What is {n}", "answers": [f"answer {n}"]}) for n in range(ITEMS)]
        (folder / "items.jsonl").write_text("\n".join(lines))
        self.processes = {name: self.start(name) for name in ("touchstone_evaluation", "touchstone_evaluation.worker")}

    def start(self, module: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{module}.log").open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", module], env=self.environ, stderr=log)

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(timeout=40)

    def spec(self, subject: str, baseline: str = "", **execution: Any) -> pb.RunSpec:
        def revision(name: str) -> pb.Subject:
            kind = pb.SUBJECT_TYPE_MODEL_DEPLOYMENT
            return pb.Subject(type=kind, name="default/chat", revision=name, digest=DIGESTS[name])

        criteria = [
            pb.Criterion(
                name="floor",
                metric="golden/contains",
                required=True,
                absolute=pb.AbsoluteCriterion(operator=pb.OPERATOR_GREATER_OR_EQUAL, value=0.5),
            )
        ]
        if baseline:
            relative = pb.RelativeCriterion(max_regression=0.05)
            criteria.append(pb.Criterion(name="regression", metric="golden/contains", required=True, relative=relative))
        dataset = pb.Dataset(uri=f"file://{self.folder}/items.jsonl")
        return pb.RunSpec(
            subject=revision(subject),
            baseline=revision(baseline) if baseline else None,
            suites=[pb.Suite(name="golden", task="question-answering", dataset=dataset)],
            criteria=criteria,
            execution=pb.Execution(**execution) if execution else None,
        )


@pytest.fixture
async def model() -> AsyncIterator[tuple[ScriptedModel, str]]:
    servicer = ScriptedModel()
    name = "touchstone.inference.v1.InferenceService"
    registered = Servicer(name, lambda s: inference_grpc.add_InferenceServiceServicer_to_server(servicer, s))
    async with testing.serve([registered]) as address:
        yield servicer, address


@pytest.fixture
async def bench(tmp_path: Path, broker_url: str, model: tuple[ScriptedModel, str]) -> AsyncIterator[Bench]:
    found = Bench(tmp_path, broker_url, model[1])
    yield found
    await asyncio.to_thread(found.stop)


@pytest.fixture
async def stub(bench: Bench) -> AsyncIterator[Any]:
    async with channels.connect(bench.address) as channel:
        await asyncio.wait_for(channel.channel_ready(), 30)
        yield pb_grpc.EvaluationServiceStub(channel)


async def finished(stub: Any, dispatch_id: str, seconds: float = 60) -> pb.Run:
    run = pb.Run()
    async for response in stub.WatchRun(pb.WatchRunRequest(dispatch_id=dispatch_id), timeout=seconds):
        run = response.run
    return run


async def run(stub: Any, dispatch_id: str, spec: pb.RunSpec) -> pb.Run:
    await stub.StartRun(pb.StartRunRequest(dispatch_id=dispatch_id, spec=spec), timeout=20)
    return await finished(stub, dispatch_id)


async def test_a_gain_passes_a_regression_fails_and_a_baseline_is_asked_once(
    bench: Bench, stub: Any, model: tuple[ScriptedModel, str]
) -> None:
    gain = await run(stub, "gain", bench.spec("good", "weak"))
    assert (gain.state, gain.verdict) == (pb.RUN_STATE_COMPLETED, pb.VERDICT_PASSED), gain.message
    (floor, change) = gain.criteria
    assert (floor.value, change.baseline, change.delta) == (1.0, 0.2, 0.8)
    assert change.ci_low > 0.5
    assert change.p_value < 1e-6
    assert {artifact.name for artifact in gain.artifacts} == {"report", "items"}

    regression = await run(stub, "regression", bench.spec("weak", "good"))
    assert regression.verdict == pb.VERDICT_FAILED
    assert regression.progress.items_reused == 2 * ITEMS, "both sides were asked before"
    assert len(model[0].asked) == 2 * ITEMS

    page = Path(gain.artifacts[0].uri.removeprefix("file://")).read_text()
    assert "Passed" in page
    assert "What is 1" not in page, "samples are logged only when told to"
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", ""), "it needs no network"


async def test_starting_again_returns_the_same_run_and_another_spec_is_refused(bench: Bench, stub: Any) -> None:
    first = await run(stub, "same", bench.spec("good"))
    again = await stub.StartRun(pb.StartRunRequest(dispatch_id="same", spec=bench.spec("good")))
    assert again.run.verdict == first.verdict
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.StartRun(pb.StartRunRequest(dispatch_id="same", spec=bench.spec("weak")))
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS


async def test_a_subject_that_fails_is_an_error_and_never_a_pass(bench: Bench, stub: Any) -> None:
    ended = await run(stub, "broken", bench.spec("down"))
    assert ended.verdict == pb.VERDICT_ERROR
    assert "failed" in ended.message


async def test_faults_of_a_specification_are_all_named(bench: Bench, stub: Any) -> None:
    spec = bench.spec("good")
    spec.suites[0].task = "telepathy"
    spec.criteria[0].metric = "other/contains"
    spec.suites[0].dataset.filter = "[?"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.StartRun(pb.StartRunRequest(dispatch_id="wrong", spec=spec))
    error = channels.translate(caught.value, "evaluation")
    assert isinstance(error, errors.Invalid)
    assert {v.field for v in error.violations} >= {
        "spec.suites[0].task",
        "spec.suites[0].dataset.filter",
        "spec.criteria[0].metric",
    }


async def test_a_dataset_that_cannot_be_read_ends_the_run_in_error(bench: Bench, stub: Any) -> None:
    spec = bench.spec("good")
    spec.suites[0].dataset.uri += ".absent"
    ended = await run(stub, "absent", spec)
    assert ended.verdict == pb.VERDICT_ERROR
    assert "absent" in ended.message


async def test_a_cancelled_run_has_no_verdict(bench: Bench, stub: Any) -> None:
    await stub.StartRun(pb.StartRunRequest(dispatch_id="stop", spec=bench.spec("slow", parallelism=1)))
    await stub.CancelRun(pb.CancelRunRequest(dispatch_id="stop"))
    ended = await finished(stub, "stop")
    assert (ended.state, ended.verdict) == (pb.RUN_STATE_CANCELLED, pb.VERDICT_UNSPECIFIED)


async def test_a_killed_worker_costs_no_item_and_scores_none_twice(
    bench: Bench, stub: Any, model: tuple[ScriptedModel, str]
) -> None:
    await stub.StartRun(pb.StartRunRequest(dispatch_id="kill", spec=bench.spec("slow")))
    async with asyncio.timeout(30):
        while (await stub.GetRun(pb.GetRunRequest(dispatch_id="kill"))).run.progress.items_done < 5:
            await asyncio.sleep(0.05)
    worker = bench.processes["touchstone_evaluation.worker"]
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    bench.processes["touchstone_evaluation.worker"] = bench.start("touchstone_evaluation.worker")
    ended = await finished(stub, "kill")
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    assert ended.progress.items_done == ITEMS
    lines = Path(ended.artifacts[1].uri.removeprefix("file://")).read_text().splitlines()
    assert len({json.loads(line)["item"] for line in lines}) == len(lines) == ITEMS


async def test_a_load_is_measured_with_its_objectives(bench: Bench, stub: Any) -> None:
    spec = bench.spec("slow")
    suite = pb.Suite(name="load", task="load")
    suite.parameters.update({"requests": 12, "concurrency": 4, "ttftMillis": 50})
    del spec.suites[:]
    spec.suites.append(suite)
    spec.criteria[0].metric = "load/throughput_tokens_per_second"
    spec.criteria[0].absolute.value = 1
    ended = await run(stub, "load", spec)
    assert ended.verdict == pb.VERDICT_PASSED, ended.message
    values = {metric.metric: metric.value for metric in ended.metrics}
    assert values["load/ttft_p50_millis"] >= 150
    assert values["load/goodput_ratio"] == 0, "each first token comes after 150 ms; the objective is 50"
    assert values["load/error_ratio"] == 0
    assert ended.usage.wall_seconds > 0


async def test_tasks_are_listed_with_their_metrics(stub: Any) -> None:
    tasks = {task.name: task for task in (await stub.ListTasks(pb.ListTasksRequest())).tasks}
    assert set(tasks) == {"load", "question-answering", "retrieval"}
    assert {"contains", "exact_match", "token_f1"} <= {metric.name for metric in tasks["question-answering"].metrics}
    assert all(metric.description for task in tasks.values() for metric in task.metrics)
