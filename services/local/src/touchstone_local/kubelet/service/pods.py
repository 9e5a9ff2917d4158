"""Keeping one Pod as its specification says: start, probe, restart, report, end."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from touchstone_local import fields
from touchstone_local.errors import DomainError, ObjectNotFound
from touchstone_local.fields import Object
from touchstone_local.kubelet.core import environment, launching, podstatus, records, templates
from touchstone_local.kubelet.core.podstatus import Health
from touchstone_local.kubelet.core.records import ContainerRecord, Ended, PodRecord, Run
from touchstone_local.kubelet.errors import CannotStart, NotYet
from touchstone_local.kubelet.ports import Pods, Prober, Processes, Records
from touchstone_local.kubelet.service.probes import NEW, ContainerProbes

RETRY_SECONDS = 1.0
"""Pause before what failed is tried again: a missing ConfigMap, an API server that is away."""
KILLED_EXIT_CODE = 137
UNKNOWN_EXIT_CODE = 255
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all Pods share."""

    pods: Pods
    processes: Processes
    prober: Prober
    records: Records
    now: Callable[[], datetime]
    base_environ: Mapping[str, str]
    """Variables that every container gets."""
    python: str
    """The interpreter that stands in for `python`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """A process that was asked to end."""

    kill_at: datetime
    reason: str
    message: str


class _Sources:
    """The ConfigMaps and Secrets of one namespace."""

    def __init__(self, pods: Pods, namespace: str) -> None:
        self._pods = pods
        self._namespace = namespace

    def config_map(self, name: str) -> Object | None:
        return self._pods.config_map(self._namespace, name)

    def secret(self, name: str) -> Object | None:
        return self._pods.secret(self._namespace, name)


class PodKeeper:
    """Keeps one Pod. `run` it in a task; it returns once the Pod is gone."""

    def __init__(self, pod: Object | None, record: PodRecord, surroundings: Surroundings) -> None:
        self._pod = pod
        self._last_pod: Object = pod or {}
        self._record = record
        self._around = surroundings
        self._wake = asyncio.Event()
        self._probes: dict[str, ContainerProbes] = {}
        self._endings: dict[str, _Ending] = {}
        self._is_gone = False
        self._reported: Object = {}

    @property
    def ip(self) -> str:
        """The Pod's address."""
        return self._record.ip

    def update(self, pod: Object | None) -> None:
        """Take note of the Pod as it is now; None: it is gone from the cluster."""
        if pod is not self._pod:
            self._pod = pod
            self._last_pod = pod or self._last_pod
            self._wake.set()

    async def run(self) -> None:
        """Keep the Pod until it is gone."""
        for container in self._record.containers:
            if container.run is not None:
                self._adopt(container.name, container.run)
        async with asyncio.TaskGroup() as probes:
            while not self._is_gone:
                self._wake.clear()
                again_at = await self.step(probes)
                await self._sleep(again_at)

    async def step(self, probes: asyncio.TaskGroup) -> datetime | None:
        """Do what is due now; return when something will be due though nothing changes."""
        try:
            return await self._step(probes)
        except DomainError as error:
            _log.warning("Pod %s/%s: %s", self._record.namespace, self._record.name, error.message)
            return self._around.now() + timedelta(seconds=RETRY_SECONDS)

    async def _step(self, probes: asyncio.TaskGroup) -> datetime | None:
        now = self._around.now()
        for container in self._record.containers:
            self._collect(container, now)
        if self._pod is None or fields.is_terminating(self._pod):
            return await self._end(now)
        moments = [self._kill_overdue(now)]
        for spec in fields.items(self._pod, "spec", "containers"):
            moments.append(await self._keep(spec, probes, now))
        await self._report(now)
        return min((moment for moment in moments if moment is not None), default=None)

    async def _keep(self, spec: Object, probes: asyncio.TaskGroup, now: datetime) -> datetime | None:
        """Start a container that is due, or probe one that runs."""
        name = fields.text(spec, "name")
        container = self._record.container(name)
        if container.run is None:
            if container.is_done:
                return None
            if container.retry_at is not None and container.retry_at > now:
                return container.retry_at
            await self._start(spec, container, now)
            return now if self._record.container(name).run else self._record.container(name).retry_at
        if name in self._endings or name not in self._probes:
            return None
        failed = self._probes[name].failed
        if failed is not None:
            message = f"Container {name} failed {failed.value}, will be restarted"
            return self._ask_to_end(name, container.run, now, reason="Error", message=message)
        return self._probes[name].launch_due(probes, now=self._around.now)

    async def _start(self, spec: Object, container: ContainerRecord, now: datetime) -> None:
        try:
            launch = await self._prepare(spec)
            run = self._around.processes.start(self._record, container.name, launch)
        except NotYet as error:
            self._block(container, "CreateContainerConfigError", error.message, now, seconds=RETRY_SECONDS)
        except CannotStart as error:
            self._block(container, "CreateContainerError", error.message, now, seconds=10 * RETRY_SECONDS)
        else:
            self._save(self._record.with_container(records.started(container, run)))
            self._watch(container.name, run, spec, launch.environ)

    async def _prepare(self, spec: Object) -> launching.Launch:
        pod = self._last_pod
        namespace = self._record.namespace
        await self._around.pods.fetch(namespace, *environment.references(spec))
        return launching.prepare(
            spec,
            pod,
            pod_ip=self._record.ip,
            sources=_Sources(self._around.pods, namespace),
            base=self._around.base_environ,
            python=self._around.python,
        )

    def _adopt(self, name: str, run: Run) -> None:
        """Take over a process that an earlier kubelet started."""
        containers = fields.items(self._last_pod, "spec", "containers")
        spec = next((each for each in containers if fields.text(each, "name") == name), {})
        statuses = fields.items(self._last_pod, "status", "containerStatuses")
        status = next((each for each in statuses if fields.text(each, "name") == name), {})
        before = Health(is_started=fields.flag(status, "started"), is_ready=fields.flag(status, "ready"))
        self._watch(name, run, spec, self._around.base_environ, before=before)

    def _watch(self, name: str, run: Run, spec: Object, environ: Mapping[str, str], *, before: Health = NEW) -> None:
        self._probes[name] = ContainerProbes(
            spec,
            ip=self._record.ip,
            environ=environ,
            started_at=run.started_at,
            prober=self._around.prober,
            changed=self._wake.set,
            before=before,
        )
        self._around.processes.on_exit(run, self._wake.set)

    def _collect(self, container: ContainerRecord, now: datetime) -> None:
        """Take note of a process that ended."""
        run = container.run
        if run is None or self._around.processes.is_running(run):
            return
        self._around.processes.kill(run)
        ending = self._endings.pop(container.name, None)
        self._probes.pop(container.name, None)
        code = self._around.processes.exit_code(self._record, container.name)
        if code is None:
            code = UNKNOWN_EXIT_CODE if ending is None else KILLED_EXIT_CODE
        how = Ended(
            exit_code=code,
            reason=ending.reason if ending else "Completed" if code == 0 else "Error",
            started_at=run.started_at,
            finished_at=now,
            message=ending.message if ending else "",
        )
        policy = fields.text(self._last_pod, "spec", "restartPolicy", default="Always")
        self._save(self._record.with_container(records.ended(container, how, policy=policy)))

    async def _end(self, now: datetime) -> datetime | None:
        """End a Pod that was asked to go or is gone."""
        for container in self._record.containers:
            if container.run is not None and container.name not in self._endings:
                self._ask_to_end(container.name, container.run, now, reason="Error", message="")
        kill_at = self._kill_overdue(now)
        if self._record.is_running:
            return kill_at
        if self._pod is not None:
            try:
                await self._around.pods.remove(self._pod)
            except ObjectNotFound:
                _log.debug("Pod %s/%s was removed by someone else.", self._record.namespace, self._record.name)
        self._around.records.forget(self._record)
        self._is_gone = True
        return None

    def _ask_to_end(self, name: str, run: Run, now: datetime, *, reason: str, message: str) -> datetime:
        kill_at = now + timedelta(seconds=self._grace_seconds())
        self._endings[name] = _Ending(kill_at=kill_at, reason=reason, message=message)
        self._around.processes.ask_to_end(run)
        return kill_at

    def _kill_overdue(self, now: datetime) -> datetime | None:
        """Kill what did not end in time; return when the next one is overdue."""
        upcoming = []
        for name, ending in self._endings.items():
            run = self._record.container(name).run
            if run is not None and ending.kill_at <= now:
                self._around.processes.kill(run)
                upcoming.append(now + timedelta(seconds=RETRY_SECONDS))
            else:
                upcoming.append(ending.kill_at)
        return min(upcoming, default=None)

    def _grace_seconds(self) -> int:
        asked = fields.at(self._last_pod, "metadata", "deletionGracePeriodSeconds")
        if isinstance(asked, int):
            return asked
        return fields.integer(
            self._last_pod, "spec", "terminationGracePeriodSeconds", default=templates.DEFAULT_GRACE_SECONDS
        )

    def _block(self, container: ContainerRecord, reason: str, message: str, now: datetime, *, seconds: float) -> None:
        retry_at = now + timedelta(seconds=seconds)
        stuck = records.blocked(container, reason=reason, message=message, retry_at=retry_at)
        self._record = self._record.with_container(stuck)

    async def _report(self, now: datetime) -> None:
        if self._pod is None:
            return
        health = {name: probes.health for name, probes in self._probes.items()}
        status = podstatus.render(self._pod, self._record, health, now=now)
        current = fields.mapping(self._pod, "status")
        if status == self._reported or all(current.get(field) == value for field, value in status.items()):
            return
        self._pod = self._last_pod = await self._around.pods.report(self._pod, status)
        self._reported = status

    def _save(self, record: PodRecord) -> None:
        self._record = record
        self._around.records.save(record)

    async def _sleep(self, again_at: datetime | None) -> None:
        if self._is_gone:
            return
        seconds = None if again_at is None else max(0.0, (again_at - self._around.now()).total_seconds())
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
