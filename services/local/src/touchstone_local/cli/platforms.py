"""Commands of the platform itself: up, down, status, logs."""

import asyncio
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from touchstone_local.cli.context import Session, run

if TYPE_CHECKING:
    from rich.table import Table

    from touchstone_local.supervisor.core.state import PlatformState


@click.command()
@click.option("--foreground", is_flag=True, help="Stay, and stop the platform with Ctrl-C.")
@click.option("--timeout", "timeout_seconds", default=300.0, show_default=True, help="Seconds until it has failed.")
@click.pass_obj
def up(session: Session, *, foreground: bool, timeout_seconds: float) -> None:
    """Start the platform and return when it is ready."""
    run(_up(session, foreground=foreground, timeout_seconds=timeout_seconds))


@click.command()
@click.option("--purge", is_flag=True, help="Remove the state folder too.")
@click.pass_obj
def down(session: Session, *, purge: bool) -> None:
    """Stop the platform with all its Pods. Its state is kept."""
    run(_down(session, purge=purge))


@click.command()
@click.pass_obj
def status(session: Session) -> None:
    """Show the platform's processes and resources."""
    run(_status(session))


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on as the log grows.")
@click.option("--lines", default=100, show_default=True, help="Lines to begin with.")
@click.option("-c", "--container", default="", help="Container of the Pod.")
@click.option("-n", "--namespace", default="default", show_default=True, help="Namespace of the Pod.")
@click.option("--raw", is_flag=True, help="As it was written: JSON lines stay JSON.")
@click.pass_obj
def logs(session: Session, name: str, *, follow: bool, lines: int, container: str, namespace: str, raw: bool) -> None:
    """Show the log of a process (router, operator, …) or of a Pod (pod/NAME)."""
    from touchstone_local import logs as log_files  # noqa: PLC0415

    path = log_files.find(session.folder, name, container=container, namespace=namespace)
    run(_print_log(path, lines=lines, follow=follow, raw=raw))


COMMANDS = (up, down, status, logs)


async def _up(session: Session, *, foreground: bool, timeout_seconds: float) -> None:
    from touchstone_local import platform  # noqa: PLC0415
    from touchstone_local.supervisor.core.addresses import Addresses  # noqa: PLC0415

    began = time.monotonic()
    narrator = Narrator()
    try:
        state = await platform.start(
            session.state_dir,
            kubeconfig=session.kubeconfig,
            on_progress=narrator.tell,
            timeout_seconds=timeout_seconds,
        )
    except asyncio.CancelledError:
        click.echo("Stopping what was started…")
        await platform.stop(session.state_dir)
        raise
    addresses = Addresses(state.subnet)
    click.secho(f"The platform is ready ({time.monotonic() - began:.1f} s).", fg="green", bold=True)
    click.echo(f"  Kubernetes  export KUBECONFIG={state.kubeconfig}")
    click.echo(f"  OpenAI API  http://{addresses.http}/v1")
    click.echo(f"  gRPC        {addresses.router}")
    click.echo("Next: touchstone apply -f examples/support-assistant, touchstone status, touchstone down")
    if foreground:
        try:
            await platform.wait_until_stopped(state)
        except asyncio.CancelledError:
            click.echo("Stopping…")
            await platform.stop(session.state_dir)


async def _down(session: Session, *, purge: bool) -> None:
    from touchstone_local import platform  # noqa: PLC0415

    did_run = await platform.stop(session.state_dir, purge=purge)
    kept = "its state is removed" if purge else f"its state is kept in {session.state_dir}"
    click.echo(f"The platform is stopped; {kept}." if did_run else f"No platform was running; {kept}.")


class Narrator:
    """Tells each step of a start once."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def tell(self, state: "PlatformState") -> None:
        """Say what has become ready or was started again."""
        from touchstone_local.supervisor.core.state import ProcessPhase  # noqa: PLC0415

        for process in state.processes:
            if self._told.get(process.name) == process.phase:
                continue
            self._told[process.name] = process.phase
            if process.phase in (ProcessPhase.READY, ProcessPhase.COMPLETED):
                where = f"  {process.address}" if process.address else ""
                click.echo(f"  {click.style('✓', fg='green')} {process.name:<18}{where}")
            elif process.phase is ProcessPhase.RESTARTING:
                click.echo(f"  {click.style('↻', fg='yellow')} {process.name:<18}  {process.message}")


async def _status(session: Session) -> None:
    from rich.console import Console  # noqa: PLC0415

    from touchstone_local import platform  # noqa: PLC0415

    state = platform.read(session.state_dir)
    console = Console(highlight=False, width=None if shutil.get_terminal_size().columns > 100 else 120)
    table, total = _process_table(state, session)
    console.print(table)
    console.print(
        f"{state.phase}. Memory of all processes: [bold]{_megabytes(total)}[/bold]. Network {state.subnet}.0/24."
    )
    await _print_resources(session)


def _process_table(state: "PlatformState", session: Session) -> "tuple[Table, int]":
    """Return the table of processes and Pods, and what they use together, in bytes."""
    from rich.table import Table  # noqa: PLC0415

    from touchstone_local import processes  # noqa: PLC0415
    from touchstone_local.kubelet.adapters.records import load  # noqa: PLC0415
    from touchstone_local.processes import Identity  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    for name, justify in (("PROCESS", "left"), ("STATE", "left"), ("PID", "right"), ("MEMORY", "right")):
        table.add_column(name, justify="right" if justify == "right" else "left")
    table.add_column("RESTARTS", justify="right")
    table.add_column("ADDRESS")
    total = 0
    supervisor = Identity(state.supervisor_pid, state.supervisor_create_time)
    rows = [("supervisor", "Ready", supervisor, 0, "")]
    rows += [
        (each.name, each.phase.value, Identity(each.pid, each.create_time), each.restarts, each.address)
        for each in state.processes
    ]
    for record in load(session.folder.pods):
        for container in record.containers:
            run_now = container.run
            identity = Identity(run_now.pid, run_now.create_time) if run_now else Identity(0, 0.0)
            phase = "Running" if run_now else container.waiting_reason or "Ended"
            rows.append((f"pod/{record.name}", phase, identity, container.restarts, record.ip))
    listed = {identity for _, _, identity, _, _ in rows}
    for name, phase, identity, restarts, address in rows:
        used = processes.usage(identity, without=listed).memory_bytes if identity.pid else 0
        total += used
        table.add_row(name, phase, str(identity.pid or ""), _megabytes(used) if used else "", str(restarts), address)
    return table, total


async def _print_resources(session: Session) -> None:
    from touchstone_local.errors import DomainError  # noqa: PLC0415
    from touchstone_local.kube import tables  # noqa: PLC0415
    from touchstone_local.kube.resources import TOUCHSTONE_KINDS  # noqa: PLC0415

    async with await session.connect() as cluster:
        for resource in TOUCHSTONE_KINDS:
            try:
                table = await cluster.table(resource)
            except DomainError as error:
                click.echo(f"\n{resource.plural}: {error.message}")
                continue
            lines = tables.render(table, with_namespace=True, prefix=f"{resource.kind.lower()}/")
            if lines:
                click.echo("\n" + "\n".join(lines))


async def _print_log(path: Path, *, lines: int, follow: bool, raw: bool) -> None:
    from touchstone_local import logs as log_files  # noqa: PLC0415

    async for text in log_files.follow(path, lines=lines, forever=follow):
        click.echo(text if raw else log_files.readable(text), nl=False)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
