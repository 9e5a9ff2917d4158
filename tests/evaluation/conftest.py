"""A whole evaluation: the real server and worker as processes, a real broker, revisions that answer by script."""

import asyncio
import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from touchstone.evaluation.v1 import evaluation_service_pb2 as pb
from touchstone.evaluation.v1 import evaluation_service_pb2_grpc as pb_grpc
from touchstone.inference.v1 import inference_service_pb2 as inference
from touchstone.inference.v1 import inference_service_pb2_grpc as inference_grpc
from touchstone.retrieval.v1 import retrieval_service_pb2 as retrieval
from touchstone.retrieval.v1 import retrieval_service_pb2_grpc as retrieval_grpc
from touchstone_runtime import channels, testing
from touchstone_runtime.revisions import digest_bytes
from touchstone_runtime.server import Servicer

REVISIONS = ("good", "weak", "down", "slow", "busy", "index", "judge", "partial")
ITEMS = 40


class Script:
    """What the doors answer as, and what one test asked them."""

    def __init__(self) -> None:
        self.begin("nothing")

    def begin(self, test: str) -> None:
        """Begin a test: its revisions have digests of their own, so that no earlier test's answers are known of them."""
        self.digests = {name: digest_bytes(f"{test} {name}".encode()) for name in REVISIONS}
        self.asked: list[tuple[str, str]] = []
        self.seeds: list[int] = []
        self.schemas: set[str] = set()


class ScriptedModel(inference_grpc.InferenceServiceServicer):
    """Answers questions about numbers.

    `good` and `slow` answer all right, `weak` every fifth, `down` none at all; `busy` refuses every question once.
    `judge` prefers what is no "no idea"; `partial` prefers what stands first.
    """

    def __init__(self, script: Script) -> None:
        self.script = script

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[Any]:
        script = self.script
        revision = dict(context.invocation_metadata())["x-touchstone-revision"]
        question = request.messages[0].content
        is_new = (revision, question) not in script.asked
        script.asked.append((revision, question))
        script.seeds.append(request.sampling.seed)
        script.schemas.add(request.json_schema)
        if revision == "down":
            await context.abort(grpc.StatusCode.INTERNAL, "out of order")
        if revision == "busy" and is_new:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "every slot is taken")
        if revision == "slow":
            await asyncio.sleep(0.15)
        last = question.split()[-1]
        number = int(last) if last.isdigit() else 0
        is_right = revision != "weak" or number % 5 == 0
        usage = inference.Usage(input_tokens=5, output_tokens=2)
        found = [inference.Citation(document_id=f"d{number if number % 2 == 0 else 999}", text=f"text {number}")]
        citations = found if "cited" in question else []
        digest = script.digests[revision]
        yield inference.GenerateResponse(revision=revision, revision_digest=digest, citations=citations)
        text = f"answer {number}" if is_right else "no idea"
        if revision in ("judge", "partial"):
            text = self._judged(question, is_partial=revision == "partial")
        elif "Python" in question:
            text = f"```python\ndef number():\n    return {number}\n```" if is_right else text
        elif request.json_schema:
            text = json.dumps({"answer": text})
        yield inference.GenerateResponse(text=text)
        yield inference.GenerateResponse(finish_reason=1, usage=usage, revision_digest=digest)

    @staticmethod
    def _judged(question: str, *, is_partial: bool) -> str:
        answers = re.findall(r"<((?:first-|second-)?answer-\w+)>\n(.*?)\n</\1>", question, re.DOTALL)
        good = ["no idea" not in text for _, text in answers]
        if len(good) == 1:
            scale = re.search(r"whole numbers from (\d+) .*? to (\d+) ", question)
            worst, best = (int(end) for end in scale.groups()) if scale else (0, 1)
            return json.dumps({"reason": "seen", "score": best if is_partial or good[0] else worst})
        if is_partial:
            return json.dumps({"reason": "seen", "better": "first"})
        better = "tie" if good[0] == good[1] else "first" if good[0] else "second"
        return json.dumps({"reason": "seen", "better": better})

    async def Score(self, request: Any, context: Any) -> inference.ScoreResponse:
        """`good` finds continuations with an even number probable, any other revision those with an odd one."""
        revision = dict(context.invocation_metadata())["x-touchstone-revision"]
        wanted = 0 if revision == "good" else 1
        scores = []
        for text in request.continuations:
            last = text.split()[-1]
            is_wanted = last.isdigit() and int(last) % 2 == wanted
            spread = inference.TokenDistribution(entropy=2.0, deviation=1.5) if request.distributions else None
            words, logprob = text.split(), -1.0 if is_wanted else -8.0
            tokens = [
                inference.TokenLogprob(token=word, logprob=logprob / len(words), distribution=spread) for word in words
            ]
            scores.append(inference.ContinuationScore(logprob=logprob, tokens=tokens))
        return inference.ScoreResponse(scores=scores, revision=revision)


class ScriptedIndex(retrieval_grpc.RetrievalServiceServicer):
    """Finds the right document for even numbers only."""

    def __init__(self, script: Script) -> None:
        self.script = script

    async def Search(self, request: Any, context: Any) -> Any:
        number = int(request.query.split()[-1])
        found = number if number % 2 == 0 else number + 1
        hits = [retrieval.Hit(document_id=f"d{found}", text=f"text {found}", score=1.0)]
        digest = self.script.digests["index"]
        return retrieval.SearchResponse(hits=hits, revision=request.revision, revision_digest=digest)


class Bench:
    """A server and a worker, each a process, and how to ask them."""

    items = ITEMS
    stub: Any

    def __init__(self, folder: Path, broker_url: str, script: Script, model_address: str) -> None:
        self.folder = folder
        self.script = script
        self.address = f"127.0.0.1:{testing.free_port()}"
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
        lines = [
            json.dumps({"question": f"What is {n}", "answers": [f"answer {n}"], "relevant_documents": [f"d{n}"]})
            for n in range(ITEMS)
        ]
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

    def kill_worker(self) -> None:
        """Kill the worker and start another, as a supervisor does."""
        self.kill("touchstone_evaluation.worker")
        self.processes["touchstone_evaluation.worker"] = self.start("touchstone_evaluation.worker")

    def kill(self, module: str) -> None:
        """Kill a process at once."""
        self.processes[module].kill()
        self.processes[module].wait()

    @property
    def digests(self) -> dict[str, str]:
        """The digests of the test's revisions."""
        return self.script.digests

    async def until_idle(self) -> None:
        """Wait until no job is left, of runs that were stopped either."""
        left = "SELECT id, state FROM jobs WHERE finished_at IS NULL"
        path = f"file:{self.folder}/evaluation.sqlite?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True)) as connection:
            async with asyncio.timeout(30):
                while connection.execute(left).fetchall():
                    await asyncio.sleep(0.05)

    async def start_run(self, dispatch_id: str, spec: pb.RunSpec) -> pb.Run:
        """Start a run."""
        response = await self.stub.StartRun(pb.StartRunRequest(dispatch_id=dispatch_id, spec=spec), timeout=20)
        return response.run

    async def get(self, dispatch_id: str) -> pb.Run:
        """Look at a run."""
        return (await self.stub.GetRun(pb.GetRunRequest(dispatch_id=dispatch_id))).run

    async def finished(self, dispatch_id: str, seconds: float = 60) -> pb.Run:
        """Wait for a run's end."""
        run = pb.Run()
        async for response in self.stub.WatchRun(pb.WatchRunRequest(dispatch_id=dispatch_id), timeout=seconds):
            run = response.run
        return run

    async def finished_after_restart(self, dispatch_id: str, seconds: float = 60) -> pb.Run:
        """Wait for a run's end at a server that is still starting."""
        async with asyncio.timeout(seconds):
            while True:
                try:
                    return await self.finished(dispatch_id, seconds)
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                    await asyncio.sleep(0.2)

    async def run(self, dispatch_id: str, spec: pb.RunSpec) -> pb.Run:
        """Run to the end."""
        await self.start_run(dispatch_id, spec)
        return await self.finished(dispatch_id)

    async def until_done(self, dispatch_id: str, items: int) -> None:
        """Wait until so many items are scored."""
        async with asyncio.timeout(30):
            while (await self.get(dispatch_id)).progress.items_done < items:
                await asyncio.sleep(0.05)

    def judge(self, revision: str) -> pb.Judge:
        """Name a judge."""
        kind = pb.SUBJECT_TYPE_MODEL_DEPLOYMENT
        subject = pb.Subject(type=kind, name="default/judge", revision=revision, digest=self.digests[revision])
        return pb.Judge(name=revision, subject=subject)

    def pairwise(self, *judges: str) -> pb.RunSpec:
        """Good against weak, which answers one question in five: by a judge who sees that, it wins 0.9."""
        spec = self.spec("good", "weak")
        spec.suites[0].task = "judge-pairwise"
        spec.suites[0].parameters.update({"rubric": "helpfulness@1"})
        spec.suites[0].judges.extend(self.judge(name) for name in judges)
        del spec.criteria[1:]
        spec.criteria[0].metric = "golden/win_rate"
        spec.criteria[0].relative.min_improvement = 0.1
        return spec

    def spec(self, subject: str, baseline: str = "", **execution: Any) -> pb.RunSpec:
        def revision(name: str) -> pb.Subject:
            kind = pb.SUBJECT_TYPE_MODEL_DEPLOYMENT
            return pb.Subject(type=kind, name="default/chat", revision=name, digest=self.digests[name])

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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors() -> AsyncIterator[tuple[Script, str]]:
    """A router and a retrieval service behind one address."""
    script = Script()
    servicers = [
        Servicer(
            "touchstone.inference.v1.InferenceService",
            lambda server: inference_grpc.add_InferenceServiceServicer_to_server(ScriptedModel(script), server),
        ),
        Servicer(
            "touchstone.retrieval.v1.RetrievalService",
            lambda server: retrieval_grpc.add_RetrievalServiceServicer_to_server(ScriptedIndex(script), server),
        ),
    ]
    async with testing.serve(servicers) as address:
        yield script, address


@pytest.fixture
def model(doors: tuple[Script, str]) -> Script:
    return doors[0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_bench(
    tmp_path_factory: pytest.TempPathFactory, broker_url: str, doors: tuple[Script, str]
) -> AsyncIterator[Bench]:
    async with ready(Bench(tmp_path_factory.mktemp("evaluation"), broker_url, *doors)) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def bench(shared_bench: Bench, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """The server and the worker of all tests of the module, with revisions of the test's own; ids of runs are not."""
    shared_bench.script.begin(request.node.name)
    yield shared_bench
    await shared_bench.until_idle()


@pytest_asyncio.fixture(loop_scope="module")
async def fragile_bench(
    tmp_path: Path, own_broker: Any, doors: tuple[Script, str], request: pytest.FixtureRequest
) -> AsyncIterator[Bench]:
    """A bench of the test's own, broker included, all of which may be killed."""
    doors[0].begin(request.node.name)
    async with ready(Bench(tmp_path, own_broker.url, *doors)) as found:
        yield found


@asynccontextmanager
async def ready(found: Bench) -> AsyncIterator[Bench]:
    async with channels.connect(found.address) as channel:
        await asyncio.wait_for(channel.channel_ready(), 30)
        found.stub = pb_grpc.EvaluationServiceStub(channel)
        yield found
    await asyncio.to_thread(found.stop)
