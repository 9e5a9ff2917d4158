"""Commands on telemetry: trace."""

from datetime import UTC, datetime

import click

from touchstone_local.cli.context import Session, run


@click.command()
@click.argument("trace_id", required=False, default="")
@click.option("--last", is_flag=True, help="The newest trace.")
@click.option("--limit", default=20, show_default=True, help="Traces in the list.")
@click.option("--service", default="", help="Traces that this service takes part in.")
@click.pass_obj
def trace(session: Session, trace_id: str, *, last: bool, limit: int, service: str) -> None:
    """Show a trace as a tree: by its id or the beginning of it, or the last; without either, list them."""
    run(_trace(session, trace_id, last=last, limit=limit, service=service))


COMMANDS = (trace,)


async def _trace(session: Session, trace_id: str, *, last: bool, limit: int, service: str) -> None:
    from touchstone_local import fields, traces  # noqa: PLC0415
    from touchstone_local.collector.core import tree  # noqa: PLC0415
    from touchstone_local.errors import TraceNotFound  # noqa: PLC0415

    address = session.addresses().traces
    if last:
        newest = await traces.latest(address, limit=1, service=service)
        if not newest:
            raise TraceNotFound("The collector has no trace yet. Ask a model something, and look again.")
        trace_id = fields.text(newest[0], "trace_id")
    if trace_id:
        click.echo(tree.render(await traces.fetch(address, trace_id)))
        return
    for summary in await traces.latest(address, limit=limit, service=service):
        click.echo(_summary_line(summary))


def _summary_line(summary: object) -> str:
    from touchstone_local import fields  # noqa: PLC0415
    from touchstone_local.collector.core import tree  # noqa: PLC0415

    start = datetime.fromtimestamp(fields.integer(summary, "start_nanos") / 1e9, tz=UTC).astimezone()
    seconds = fields.at(summary, "duration_seconds")
    took = tree.duration(float(seconds)) if isinstance(seconds, int | float) else ""
    mark = click.style("✗", fg="red") if fields.flag(summary, "has_error") else " "
    name = f"{fields.text(summary, 'service')}: {fields.text(summary, 'root')}"
    spans = fields.integer(summary, "spans")
    return f"{start:%H:%M:%S}  {fields.text(summary, 'trace_id')}  {mark} {took:>9}  {spans:>3} spans  {name}"
