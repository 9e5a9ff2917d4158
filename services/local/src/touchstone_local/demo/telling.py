"""The demo for people: what is done, what is waited for, what came of it."""

import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from touchstone_local import answers, fields, platform, reports, traces
from touchstone_local.answers import Answer, Turn
from touchstone_local.cli.models import print_facts
from touchstone_local.cli.platforms import Narrator
from touchstone_local.collector.core import tree
from touchstone_local.demo import artefacts
from touchstone_local.demo.steps import MODEL, NAMESPACE, Seen, Step, walk
from touchstone_local.fields import Object
from touchstone_local.kube.cluster import Cluster
from touchstone_local.kube.resources import MODEL_DEPLOYMENTS
from touchstone_local.supervisor.core.addresses import Addresses

QUESTION = "In the Rankine cycle, what does water turn into when heated?"


async def tell(state_dir: Path, example: Path, *, keep: bool, console: Console) -> None:
    """Run the demo from an empty machine to the last trace, and stop the platform unless it is kept.

    Raises:
        DomainError: Something cannot be had, started, or came out otherwise than it should.
    """
    began = time.monotonic()
    console.rule("[bold]1  Model, embedder and data")
    await artefacts.fetch(example, platform.folder(state_dir).artefacts / "artefacts", console)
    console.rule("[bold]2  The platform")
    state = await platform.start(state_dir, on_progress=Narrator().tell)
    addresses = Addresses(state.subnet)
    try:
        console.print(f"  export KUBECONFIG={state.kubeconfig}", highlight=False)
        console.rule("[bold]3  Traffic moves only on evidence")
        seen = await _steps(example, Path(state.kubeconfig), console)
        console.rule("[bold]4  An answer, and where its time went")
        await _ask(addresses, console)
        _reports(seen, console)
    finally:
        if not keep:
            console.rule("[bold]5  Stopping")
            await platform.stop(state_dir)
    console.print(f"\nDone in [bold]{time.monotonic() - began:.0f} s[/].")
    console.print(
        "Next: [bold]make up[/] starts the platform again with all its state; then "
        f"[bold].venv/bin/touchstone chat {MODEL}[/], [bold]kubectl get touchstone[/], "
        "[bold].venv/bin/touchstone report EVALRUN[/].",
        highlight=False,
    )


async def _steps(example: Path, kubeconfig: Path, console: Console) -> list[Seen]:
    seen: list[Seen] = []
    telling = _Telling(console)
    async with await Cluster.connect(kubeconfig) as cluster:
        walking = walk(cluster, example, kubeconfig, on_begin=telling.begin, on_change=telling.change)
        async for each in walking:
            seen.append(each)
            telling.end(each)
    return seen


class _Telling:
    """Says each thing once."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ""

    def begin(self, step: Step, command: str) -> None:
        self._last = ""
        self._console.print(f"\n[bold cyan]{step.letter}[/] [bold]{step.title}[/]")
        self._console.print(f"  $ {command}", style="dim", highlight=False)

    def change(self, step: Step, obj: Object) -> None:
        message = fields.text(fields.condition(obj, "Reconciling"), "message")
        if step.resource is MODEL_DEPLOYMENTS:
            message = fields.text(obj, "status", "rollout", "message", default=message)
        if message and message != self._last:
            self._last = message
            self._console.print(f"  … {message}", style="dim", highlight=False)

    def end(self, seen: Seen) -> None:
        if seen.is_reused:
            name = fields.name(seen.gate)
            self._console.print(f"  The verdict of {name} stands: same digests, same verdict, no second run.")
        elif seen.gate:
            self._console.print(reports.gate_table(seen.gate))
            self._console.print(Text("  ").append_text(reports.verdict(seen.gate)))
        what = "refused; it never had traffic" if seen.step.is_rejected else "accepted"
        colour = "red" if seen.step.is_rejected else "green"
        self._console.print(
            f"  [{colour}]{what}[/] after {seen.seconds:.1f} s; [bold]{seen.serving}[/] serves", highlight=False
        )


async def _ask(addresses: Addresses, console: Console) -> None:
    console.print(f"  [bold]{QUESTION}[/]")
    answer = Answer()
    console.print("  ", end="")
    async for piece, answer in answers.ask(  # noqa: B007 - the last one is kept
        addresses.router, f"{NAMESPACE}/{MODEL}", [Turn("user", QUESTION)]
    ):
        console.print(piece, end="", markup=False, highlight=False, soft_wrap=True)
    console.print()
    print_facts(answer)
    console.print()
    rendered = tree.render(await traces.settled(addresses.traces, answer.trace_id))
    console.print(rendered, markup=False, highlight=False, soft_wrap=True)


def _reports(seen: list[Seen], console: Console) -> None:
    console.print("\nReports:")
    for each in seen:
        where = reports.report_uri(each.gate)
        if where and not each.is_reused:
            console.print(f"  {each.step.letter}  {where}", highlight=False, soft_wrap=True)
