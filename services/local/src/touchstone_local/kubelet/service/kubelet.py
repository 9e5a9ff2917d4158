"""The kubelet: one loop over workloads, and one keeper a Pod."""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime

from touchstone_local import fields
from touchstone_local.errors import NoFreeAddress
from touchstone_local.fields import Object
from touchstone_local.kubelet.core import addresses
from touchstone_local.kubelet.core.records import ContainerRecord, PodRecord
from touchstone_local.kubelet.ports import Workloads
from touchstone_local.kubelet.service.pods import PodKeeper, Surroundings
from touchstone_local.kubelet.service.workloads import WorkloadController

RESYNC_SECONDS = 10.0
"""How often everything is looked at though nothing has changed."""
_log = logging.getLogger(__name__)


class Kubelet:
    """Runs what the cluster asks for on this machine; `changed` is set by whoever sees the cluster change."""

    def __init__(
        self,
        cluster: Workloads,
        controller: WorkloadController,
        surroundings: Surroundings,
        *,
        subnet: str,
        changed: asyncio.Event,
    ) -> None:
        self._cluster = cluster
        self._controller = controller
        self._around = surroundings
        self._subnet = subnet
        self._last_ip = ""
        self._changed = changed
        self._keepers: dict[str, PodKeeper] = {}

    async def run(self) -> None:
        """Run until cancelled. What runs goes on running: the next kubelet takes it over."""
        async with asyncio.TaskGroup() as group:
            self._adopt(group)
            while True:
                self._changed.clear()
                again_at = await self._controller.reconcile()
                self._assign(group)
                await self._sleep(again_at)

    def _adopt(self, group: asyncio.TaskGroup) -> None:
        """Take over the Pods of an earlier kubelet, those that are gone from the cluster too: they must end."""
        known = {fields.uid(pod): pod for pod in self._cluster.pods()}
        records = self._around.records.load()
        runs = {each.run for record in records for each in record.containers if each.run is not None}
        strays = self._around.processes.kill_strays(runs)
        if strays:
            _log.warning("Killed %s processes that an earlier kubelet started without recording them.", strays)
        for record in records:
            _log.info("Taking over Pod %s/%s.", record.namespace, record.name)
            self._keep(known.get(record.uid), self._in_subnet(record), group)

    def _assign(self, group: asyncio.TaskGroup) -> None:
        """Give each new Pod a keeper, and tell the others how their Pods are now."""
        present = {fields.uid(pod): pod for pod in self._cluster.pods()}
        for uid, keeper in self._keepers.items():
            keeper.update(present.get(uid))
        for uid, pod in present.items():
            if uid not in self._keepers and fields.text(pod, "status", "phase") not in ("Succeeded", "Failed"):
                try:
                    record = self._new_record(pod)
                except NoFreeAddress as error:
                    _log.error("Pod %s must wait: %s", fields.key(pod), error.message)
                    continue
                self._keep(pod, record, group)

    def _new_record(self, pod: Object) -> PodRecord:
        taken = {keeper.ip for keeper in self._keepers.values()}
        self._last_ip = addresses.choose(self._subnet, taken=taken, last=self._last_ip)
        return PodRecord(
            uid=fields.uid(pod),
            namespace=fields.namespace(pod),
            name=fields.name(pod),
            ip=self._last_ip,
            started_at=self._around.now(),
            containers=tuple(
                ContainerRecord(name=fields.text(each, "name")) for each in fields.items(pod, "spec", "containers")
            ),
        )

    def _in_subnet(self, record: PodRecord) -> PodRecord:
        """Return the record with an address of this platform: its /24 may have changed while nothing ran."""
        if record.ip.startswith(f"{self._subnet}.") or record.is_running:
            return record
        taken = {keeper.ip for keeper in self._keepers.values()}
        return replace(record, ip=addresses.choose(self._subnet, taken=taken))

    def _keep(self, pod: Object | None, record: PodRecord, group: asyncio.TaskGroup) -> None:
        keeper = PodKeeper(pod, record, self._around)
        self._keepers[record.uid] = keeper
        group.create_task(self._run(record.uid, keeper), name=f"pod {record.namespace}/{record.name}")

    async def _run(self, uid: str, keeper: PodKeeper) -> None:
        try:
            await keeper.run()
        except Exception:  # noqa: BLE001 (one Pod that surprises us must not end the others)
            _log.exception("Pod %s is given up until the kubelet starts again.", uid)
            return
        del self._keepers[uid]
        self._changed.set()

    async def _sleep(self, again_at: datetime | None) -> None:
        seconds = RESYNC_SECONDS
        if again_at is not None:
            seconds = min(seconds, max(0.0, (again_at - self._around.now()).total_seconds()))
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
