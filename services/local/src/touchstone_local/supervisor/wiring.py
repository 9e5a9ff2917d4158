"""Puts the supervisor together."""

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from touchstone_local import fields, processes
from touchstone_local.layout import StateFolder
from touchstone_local.processes import Identity
from touchstone_local.supervisor.adapters import board, locks, valkey
from touchstone_local.supervisor.adapters.checks import NetworkChecks
from touchstone_local.supervisor.adapters.processes import PodProcesses, SupervisedProcesses
from touchstone_local.supervisor.core import plan
from touchstone_local.supervisor.core.addresses import Addresses
from touchstone_local.supervisor.core.state import Phase, PlatformState
from touchstone_local.supervisor.service import Outside, Pace, Supervisor
from touchstone_local.supervisor.settings import SupervisorSettings, base_environment


async def run(settings: SupervisorSettings) -> None:
    """Run a platform until cancelled.

    Raises:
        PlatformBusy: One already runs in the state folder.
        StartFailed: A process did not become ready.
    """
    folder = StateFolder(settings.state_dir.resolve())
    for each in folder.folders():
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locks.state_folder(folder):
        before = board.read(folder.platform)
        survivors = _survivors(before)
        recorded = "" if before is None else before.subnet
        with locks.subnet(recorded, is_ours=bool(survivors)) as subnet:
            options = _options(settings, folder, Addresses(subnet))
            await _supervisor(options).run(survivors)


def _survivors(before: PlatformState | None) -> Mapping[str, tuple[Identity, str]]:
    """Return the processes of an earlier supervisor that still run."""
    known = () if before is None else before.processes
    found = {each.name: (Identity(each.pid, each.create_time), each.fingerprint) for each in known if each.pid}
    return {name: survivor for name, survivor in found.items() if processes.is_alive(survivor[0])}


def _options(settings: SupervisorSettings, folder: StateFolder, addresses: Addresses) -> plan.Options:
    external = settings.external_kubeconfig
    return plan.Options(
        folder=folder,
        addresses=addresses,
        python=sys.executable,
        base_environ=base_environment(),
        valkey=valkey.program(),
        broker_url=valkey.configure(folder, addresses.broker),
        external_kubeconfig=None if external is None else external.resolve(),
    )


def _supervisor(options: plan.Options) -> Supervisor:
    me = processes.identify(os.getpid())
    initial = PlatformState(
        phase=Phase.STARTING,
        subnet=options.addresses.subnet,
        kubeconfig=str(options.kubeconfig),
        is_embedded=options.external_kubeconfig is None,
        supervisor_pid=me.pid,
        supervisor_create_time=me.create_time,
        started_at=fields.timestamp(datetime.now(UTC)),
        processes=(),
    )
    outside = Outside(
        processes=SupervisedProcesses(options.folder),
        checks=NetworkChecks(),
        board=board.FileBoard(options.folder.platform),
        pods=PodProcesses(options.folder),
    )
    return Supervisor(
        plan.processes(options),
        initial,
        outside,
        folder=options.folder,
        now=lambda: datetime.now(UTC),
        pace=Pace(),
    )
