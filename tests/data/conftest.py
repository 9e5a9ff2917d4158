"""What the tests of data share: all of a pipeline in one process over real files, and letters with known faults."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from touchstone_data.adapters import plugins
from touchstone_data.adapters.database import PipelineDatabase
from touchstone_data.adapters.snapshots import SnapshotShelf
from touchstone_data.adapters.sources import SourceFiles
from touchstone_data.adapters.tools import ResolverTools
from touchstone_data.adapters.workshops import FolderWorkshops
from touchstone_data.catalogue.detectors import StepDetectors
from touchstone_data.core.planning import StageKind
from touchstone_data.core.spec import PipelineSpec, Source, StepUse
from touchstone_data.core.steps import Step
from touchstone_data.ports import Pipeline, Unit
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
from touchstone_runtime.artefacts import Resolver
from touchstone_runtime.jobs import Job, JobState, JobStore, run_job
from touchstone_runtime.testing import FakeClock

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Queue:
    """A broker of one process: it holds what was sent until somebody works."""

    jobs: list[Job] = field(default_factory=list)

    def send(self, job: Job) -> bool:
        self.jobs.append(job)
        return True


class Bench:
    """All of data in one process; only the broker is not real."""

    def __init__(self, root: Path, steps: Mapping[str, Step] | None = None) -> None:
        self.root = root
        self.clock = FakeClock(NOW)
        self.jobs = JobStore(f"sqlite:///{root}/data.sqlite", now=self.clock)
        self.steps = dict(steps or plugins.installed())
        self.pipelines = PipelineDatabase(self.jobs.engine, now=self.clock)
        self.queue = Queue()
        self.course = Course(self.pipelines, self.jobs, self.queue, self.steps)
        self.desk = PipelineDesk(self.pipelines, self.course, self.steps)
        resolver = Resolver(root / "cache")
        maker = Maker(self.steps, ResolverTools(resolver, file_root=root))
        shelf = SnapshotShelf(f"file://{root}/artefacts", root / "work", file_root=root)
        self.working = Working(
            self.pipelines,
            self.course,
            FolderWorkshops(root / "work" / "shards"),
            {
                StageKind.READ: Reading(SourceFiles(resolver, file_root=root)),
                StageKind.WORK: ShardWork(maker),
                StageKind.DECIDE: Deciding(maker),
                StageKind.WRITE: Writing(
                    self.pipelines, shelf, self.steps, Inspecting(StepDetectors(), HtmlReporter()), now=self.clock
                ),
            },
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
