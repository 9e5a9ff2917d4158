"""What the tests of data share: all of a pipeline in one process over real files, and letters with known faults."""

import asyncio
import contextlib
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pyarrow.parquet as pq
import pytest
from touchstone.inference.v1 import inference_service_pb2 as inference
from touchstone.inference.v1 import inference_service_pb2_grpc as inference_grpc
from touchstone_data.adapters import plugins
from touchstone_data.adapters.database import PipelineDatabase
from touchstone_data.adapters.inference import GrpcModels, NoModels
from touchstone_data.adapters.snapshots import SnapshotShelf
from touchstone_data.adapters.sources import SourceFiles
from touchstone_data.adapters.tools import ResolverTools
from touchstone_data.adapters.workshops import FolderWorkshops
from touchstone_data.catalogue.detectors import StepDetectors
from touchstone_data.catalogue.token_counts import Tokenizers
from touchstone_data.core.generation import Program
from touchstone_data.core.planning import StageKind
from touchstone_data.core.spec import PipelineSpec, Source, StepUse
from touchstone_data.core.steps import Step
from touchstone_data.ports import Inference, Pipeline, Trials, Unit
from touchstone_data.reporting.page import HtmlReporter
from touchstone_data.service.course import Course
from touchstone_data.service.deciding_work import Deciding
from touchstone_data.service.inspecting import Inspecting
from touchstone_data.service.making import Maker
from touchstone_data.service.pipelines import PipelineDesk
from touchstone_data.service.reading_work import Reading
from touchstone_data.service.shard_work import ShardWork
from touchstone_data.service.working import Working
from touchstone_data.service.writing_work import Writing
from touchstone_runtime import channels
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.background import BackgroundLoop
from touchstone_runtime.jobs import Job, JobState, JobStore, run_job
from touchstone_runtime.testing import FakeClock, FakeSecrets

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = [
    "ash", "bay", "cod", "dew", "elm", "fog", "gum", "hay", "ivy", "jam",
    "kit", "log", "mud", "net", "oak", "pit", "rye", "sun", "tar", "urn",
]  # fmt: skip


def rows(count: int, *, words: int = 40) -> list[dict[str, Any]]:
    """Records of words at random, the same ones each time."""
    rng = random.Random(1)
    return [{"id": str(number), "text": " ".join(rng.choices(WORDS, k=words))} for number in range(count)]


@dataclass
class Queue:
    """A broker of one process: it holds what was sent until somebody works."""

    jobs: list[Job] = field(default_factory=list)

    def send(self, job: Job) -> bool:
        self.jobs.append(job)
        return True


class NoTrials:
    """Where no program is to be run."""

    def run(self, programs: Sequence[Program], beat: Callable[[], None]) -> list[str]:
        raise AssertionError("no program is to be run")


class Bench:
    """All of data in one process; only the broker is not real."""

    def __init__(
        self,
        root: Path,
        steps: Mapping[str, Step] | None = None,
        *,
        inference: Inference | None = None,
        trials: Trials | None = None,
    ) -> None:
        self.root = root
        self.clock = FakeClock(NOW)
        self.jobs = JobStore(f"sqlite:///{root}/data.sqlite", now=self.clock)
        self.steps = dict(steps or plugins.installed())
        self.pipelines = PipelineDatabase(self.jobs.engine, now=self.clock)
        self.queue = Queue()
        self.secrets = FakeSecrets()
        self.course = Course(self.pipelines, self.jobs, self.queue, self.steps)
        self.desk = PipelineDesk(self.pipelines, self.course, self.steps)
        resolver = Resolver(root / "cache")
        tools = ResolverTools(resolver, file_root=root)
        maker = Maker(self.steps, tools)
        shelf = SnapshotShelf(f"file://{root}/artefacts", root / "work", self.secrets, file_root=root)
        self.working = Working(
            self.pipelines,
            self.course,
            FolderWorkshops(root / "work" / "shards"),
            {
                StageKind.READ: Reading(SourceFiles(resolver, self.secrets, file_root=root), shelf),
                StageKind.WORK: ShardWork(maker, inference or NoModels(), trials or NoTrials()),
                StageKind.DECIDE: Deciding(maker),
                StageKind.WRITE: Writing(
                    self.pipelines,
                    shelf,
                    self.steps,
                    Inspecting(StepDetectors(), Tokenizers(tools), HtmlReporter()),
                    now=self.clock,
                ),
            },
            monotonic=itertools.count().__next__,  # each beat goes to the record
        )

    def work_one(self) -> Unit:
        """Take one job from the queue, as a worker does."""
        job = self.queue.jobs.pop(0)
        unit = Unit(**job.payload)

        def work(claim: object, report: Callable[[Mapping[str, Any]], None]) -> Mapping[str, Any]:
            self.working.do(unit, lambda: report({}))
            return {}

        run_job(self.jobs, job.id, work)
        return unit

    def run(self, spec: PipelineSpec, dispatch_id: str = "run-1") -> Pipeline:
        """Run a pipeline to its end."""
        self.desk.start(dispatch_id, spec)
        while self.queue.jobs:
            self.work_one()
        self.desk.repair_all()
        return self.pipelines.get(dispatch_id)

    def write(self, name: str, rows: Sequence[Any]) -> str:
        """Write JSON lines and return their address."""
        path = self.root / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return f"file://{path}"


DIGEST = "sha256:" + "d" * 64


class ScriptedModels(inference_grpc.InferenceServiceServicer):
    """A router whose revisions answer by a function of the request, at a pace; it may be away, or be another one."""

    def __init__(self, answer: Callable[[Any], str], *, digest: str = DIGEST) -> None:
        self.answer = answer
        self.digest = digest
        self.failures: dict[int, grpc.StatusCode] = {}
        """What questions are refused with, by their place among all that were asked."""
        self.pause_seconds = 0.0
        self.asked: list[Any] = []
        self.pinned: set[str] = set()
        self.at_once = self.most_at_once = 0

    async def Generate(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.asked.append(request)
        self.pinned.add(dict(context.invocation_metadata())["x-touchstone-revision"])
        if (status := self.failures.get(len(self.asked) - 1)) is not None:
            await context.abort(status, "not now")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.pause_seconds)
        finally:
            self.at_once -= 1
        yield inference.GenerateResponse(revision_digest=self.digest)
        text = self.answer(request)
        yield inference.GenerateResponse(text=text[:5])
        yield inference.GenerateResponse(text=text[5:])
        yield inference.GenerateResponse(finish_reason=1, revision_digest=self.digest)


@pytest.fixture
def loop() -> Iterator[BackgroundLoop]:
    with contextlib.closing(BackgroundLoop()) as found:
        yield found


@pytest.fixture
def serve_models(loop: BackgroundLoop) -> Iterator[Callable[..., GrpcModels]]:
    """Serve scripted models and return what a worker asks them by."""
    servers, open_channels = [], []

    async def begin(script: ScriptedModels, **options: Any) -> GrpcModels:
        server = grpc.aio.server()
        inference_grpc.add_InferenceServiceServicer_to_server(script, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
        channel = channels.connect(f"127.0.0.1:{port}", retry=False)
        open_channels.append(channel)
        return GrpcModels(loop, channel, **{"parallel": 4, "timeout_seconds": 10, **options})

    async def end() -> None:
        for channel in open_channels:
            await channel.close()
        for server in servers:
            await server.stop(None)

    yield lambda script, **options: loop.run(begin(script, **options))
    loop.run(end())


@pytest.fixture
def scripted() -> type[ScriptedModels]:
    return ScriptedModels


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def make_bench() -> type[Bench]:
    return Bench


@pytest.fixture
def make_spec() -> Callable[..., PipelineSpec]:
    """Make a pipeline of steps given as names or as (name, parameters)."""

    def make(uri: str, *steps: str | tuple[str, Mapping[str, Any]], **changes: Any) -> PipelineSpec:
        uses = [StepUse(name=s) if isinstance(s, str) else StepUse(name=s[0], parameters=s[1]) for s in steps]
        spec = PipelineSpec(name="letters", sources=(Source(name="raw", uri=uri),), steps=tuple(uses))
        return replace(spec, **changes)

    return make


@dataclass(frozen=True)
class Read:
    """A snapshot as it lies on the disk."""

    manifest: Mapping[str, Any]
    rows: Mapping[str, list[dict[str, Any]]]
    """By split."""
    dropped: list[dict[str, Any]]

    @property
    def all_rows(self) -> list[dict[str, Any]]:
        return [row for rows in self.rows.values() for row in rows]

    def dropped_by(self, step: str) -> set[str]:
        return {row["record_id"] for row in self.dropped if row["step"] == step}


@pytest.fixture
def read() -> Callable[[Pipeline], Read]:
    """Read the snapshot of a pipeline that succeeded."""

    def read(pipeline: Pipeline) -> Read:
        assert pipeline.state is JobState.SUCCEEDED, pipeline.error
        folder = Path(pipeline.snapshot_uri.removeprefix("file://"))
        manifest = json.loads((folder / "manifest.json").read_text())
        files = {file["split"]: pq.read_table(folder / file["path"]).to_pylist() for file in manifest["files"]}
        return Read(manifest, {split: rows for split, rows in files.items() if split}, files[""])

    return read
