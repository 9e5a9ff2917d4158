"""A cluster, processes and probes that behave, in memory."""

import asyncio
import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from touchstone_local import fields
from touchstone_local.errors import ClusterUnavailable, ObjectNotFound
from touchstone_local.fields import Object
from touchstone_local.kubelet.core.launching import Launch
from touchstone_local.kubelet.core.probing import Probe
from touchstone_local.kubelet.core.records import PodRecord, Run
from touchstone_local.kubelet.service.pods import PodKeeper, Surroundings
from touchstone_local.kubelet.service.workloads import WorkloadController


class Clock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class MemoryCluster:
    """Objects with versions, graceful deletion of Pods, and garbage collection; implements `Pods` and `Workloads`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.objects: dict[tuple[str, str], Any] = {}
        self.configuration: dict[str, Object] = {}
        self.is_away = False
        self.writes = 0
        self._version = 0

    def add(self, obj: Mapping[str, Any]) -> Any:
        self._version += 1
        stored = copy.deepcopy(dict(obj))
        metadata = stored["metadata"] = dict(stored["metadata"])
        metadata.setdefault("uid", f"uid-{self._version}")
        metadata.setdefault("creationTimestamp", fields.timestamp(self.clock()))
        metadata["resourceVersion"] = str(self._version)
        self.objects[stored["kind"], fields.key(stored)] = stored
        return stored

    def of(self, kind: str) -> tuple[Any, ...]:
        return tuple(obj for (each, _), obj in self.objects.items() if each == kind)

    def deployments(self) -> tuple[Object, ...]:
        return self.of("Deployment")

    def jobs(self) -> tuple[Object, ...]:
        return self.of("Job")

    def pods(self) -> tuple[Object, ...]:
        return self.of("Pod")

    def config_map(self, namespace: str, name: str) -> Object | None:
        return self.configuration.get(name)

    def secret(self, namespace: str, name: str) -> Object | None:
        return None

    async def fetch(self, namespace: str, config_maps: frozenset[str], secrets: frozenset[str]) -> None:
        self._answer()

    async def create_pod(self, pod: Object) -> None:
        self._answer()
        self.add(pod)

    async def delete_pod(self, pod: Object) -> None:
        self._answer()
        stored = self.objects[pod["kind"], fields.key(pod)]
        stored["metadata"]["deletionTimestamp"] = fields.timestamp(self.clock())
        stored["metadata"]["deletionGracePeriodSeconds"] = stored["spec"].get("terminationGracePeriodSeconds", 30)
        self.add(stored)

    async def remove(self, pod: Object) -> None:
        self._answer()
        if self.objects.pop(("Pod", fields.key(pod)), None) is None:
            raise ObjectNotFound("It is gone.")

    async def delete_job(self, job: Object) -> None:
        self._answer()
        del self.objects["Job", fields.key(job)]

    async def report(self, obj: Object, status: Object) -> Object:
        self._answer()
        self.writes += 1
        stored = self.objects.get((str(obj["kind"]), fields.key(obj)))
        if stored is None:
            raise ObjectNotFound("It is gone.")
        return self.add({**stored, "status": {**stored.get("status", {}), **status}})

    def _answer(self) -> None:
        if self.is_away:
            raise ClusterUnavailable("The API server does not answer.")


class MemoryProcesses:
    """Processes that end when the test says so."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.alive: dict[Run, bool] = {}
        self.launches: list[Launch] = []
        self.codes: dict[str, int] = {}
        self.asked: list[Run] = []
        self.obeys = True
        self.callbacks: dict[Run, Callable[[], None]] = {}

    @property
    def running(self) -> list[Run]:
        return [run for run, is_alive in self.alive.items() if is_alive]

    def start(self, pod: PodRecord, container: str, launch: Launch) -> Run:
        run = Run(pid=len(self.alive) + 100, create_time=0.0, started_at=self.clock())
        self.alive[run] = True
        self.launches.append(launch)
        self.codes.pop(container, None)
        return run

    def end(self, container: str, code: int) -> None:
        self.codes[container] = code
        for run in self.running:
            self.kill(run)

    def is_running(self, run: Run) -> bool:
        return self.alive.get(run, False)

    def exit_code(self, pod: PodRecord, container: str) -> int | None:
        return self.codes.get(container)

    def kill_strays(self, known: Collection[Run]) -> int:
        strays = [run for run in self.running if run not in known]
        for run in strays:
            self.kill(run)
        return len(strays)

    def ask_to_end(self, run: Run) -> None:
        self.asked.append(run)
        if self.obeys:
            self.kill(run)

    def kill(self, run: Run) -> None:
        self.alive[run] = False
        self.callbacks.pop(run, lambda: None)()

    def on_exit(self, run: Run, callback: Callable[[], None]) -> None:
        self.callbacks[run] = callback


class MemoryProber:
    """Containers that are as well as the test says."""

    def __init__(self) -> None:
        self.well = True
        self.asked = 0

    async def probe(self, probe: Probe, *, ip: str, environ: Mapping[str, str]) -> bool:
        self.asked += 1
        return self.well


class MemoryRecords:
    """Records that outlive a kubelet of the test."""

    def __init__(self) -> None:
        self.kept: dict[str, PodRecord] = {}

    def load(self) -> list[PodRecord]:
        return list(self.kept.values())

    def save(self, record: PodRecord) -> None:
        self.kept[record.uid] = record

    def forget(self, record: PodRecord) -> None:
        self.kept.pop(record.uid, None)


@dataclass
class World:
    """All of it."""

    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.cluster = MemoryCluster(self.clock)
        self.processes = MemoryProcesses(self.clock)
        self.prober = MemoryProber()
        self.records = MemoryRecords()
        suffixes = iter(range(10_000))
        self.controller = WorkloadController(self.cluster, now=self.clock, new_suffix=lambda: f"{next(suffixes):05d}")
        self.surroundings = Surroundings(
            pods=self.cluster,
            processes=self.processes,
            prober=self.prober,
            records=self.records,
            now=self.clock,
            base_environ={"PATH": "/bin"},
            python="/venv/python",
        )

    def keeper(self, pod: Object, record: PodRecord | None = None) -> PodKeeper:
        from touchstone_local.kubelet.core.records import ContainerRecord  # noqa: PLC0415

        fresh = PodRecord(
            uid=fields.uid(pod),
            namespace=fields.namespace(pod),
            name=fields.name(pod),
            ip="127.88.9.100",
            started_at=self.clock(),
            containers=(ContainerRecord(name="main"),),
        )
        return PodKeeper(pod, record or fresh, self.surroundings)

    async def step(self, keeper: PodKeeper, *, seconds: float = 0.0) -> Object:
        """Let time pass, let the keeper act, let its probes answer, and return the Pod as the cluster shows it."""
        self.clock.advance(seconds)
        for _ in range(3):
            async with asyncio.TaskGroup() as group:
                await keeper.step(group)
        pods = self.cluster.pods()
        if pods:
            keeper.update(pods[0])
        return pods[0] if pods else {}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def make_world() -> type[World]:
    return World
