"""Commands about what was measured: report, diagnose, rank."""

import click

from touchstone_local.cli.context import Session, namespace_option, run


@click.command()
@click.argument("evalrun")
@namespace_option
@click.option("--open", "open_report", is_flag=True, help="Open the HTML report.")
@click.pass_obj
def report(session: Session, evalrun: str, namespace: str, *, open_report: bool) -> None:
    """Show what an EVALRUN measured, against what, and its verdict."""
    run(_report(session, evalrun, namespace, open_report=open_report))


@click.command()
@click.argument("metric")
@click.argument("evalruns", nargs=-1, required=True)
@namespace_option
@click.option("--control-length", is_flag=True, help="Compare answers as if they were equally long.")
@click.pass_obj
def rank(session: Session, metric: str, evalruns: tuple[str, ...], namespace: str, *, control_length: bool) -> None:
    """Rank the revisions that EVALRUNS measured, head to head by METRIC, `SUITE/METRIC`."""
    run(_rank(session, metric, evalruns, namespace, control_length=control_length))


@click.command()
@click.argument("evalrun")
@namespace_option
@click.pass_obj
def diagnose(session: Session, evalrun: str, namespace: str) -> None:
    """Say whether the failures of an EVALRUN are of form or of knowledge, and what that asks for."""
    run(_diagnose(session, evalrun, namespace))


COMMANDS = (report, diagnose, rank)


async def _report(session: Session, name: str, namespace: str, *, open_report: bool) -> None:
    from rich.console import Console  # noqa: PLC0415

    from touchstone_local import reports  # noqa: PLC0415
    from touchstone_local.kube.resources import EVAL_RUNS  # noqa: PLC0415

    async with await session.connect() as cluster:
        evalrun = await cluster.get(EVAL_RUNS, name=name, namespace=namespace)
    console = Console(highlight=False)
    console.print(reports.gate_table(evalrun))
    console.print(reports.verdict(evalrun))
    for remark in reports.remarks(evalrun):
        click.echo(f"  {remark}")
    where = reports.report_uri(evalrun)
    click.echo(f"Report: {where}" if where else "There is no report yet; the run has not finished.")
    if open_report and where:
        click.launch(where)


async def _diagnose(session: Session, name: str, namespace: str) -> None:
    from rich.console import Console  # noqa: PLC0415

    from touchstone_local import diagnoses, fields, leaderboards  # noqa: PLC0415
    from touchstone_local.kube.resources import EVAL_RUNS  # noqa: PLC0415

    async with await session.connect() as cluster:
        listing = await cluster.list(EVAL_RUNS, namespace=namespace)
    (dispatch_id,) = leaderboards.dispatch_ids({fields.name(each): each for each in listing.items}, [name])
    console = Console(highlight=False)
    for found in (await diagnoses.diagnose(session.addresses().evaluation, dispatch_id)).diagnoses:
        console.print(diagnoses.table(found))
        click.echo(diagnoses.advice(found))


async def _rank(session: Session, metric: str, names: tuple[str, ...], namespace: str, *, control_length: bool) -> None:
    from rich.console import Console  # noqa: PLC0415

    from touchstone_local import fields, leaderboards  # noqa: PLC0415
    from touchstone_local.kube.resources import EVAL_RUNS  # noqa: PLC0415

    async with await session.connect() as cluster:
        listing = await cluster.list(EVAL_RUNS, namespace=namespace)
    runs = leaderboards.dispatch_ids({fields.name(each): each for each in listing.items}, names)
    address = session.addresses().evaluation
    found = await leaderboards.rank(address, runs, metric, control_length=control_length)
    Console(highlight=False).print(leaderboards.table(found, metric))
    for remark in leaderboards.remarks(found):
        click.echo(remark)
