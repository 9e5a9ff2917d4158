"""Commands about what people say of answers: feedback."""

from typing import TextIO

import click

from touchstone_local.cli import curation
from touchstone_local.cli.context import Session, run


@click.group()
def feedback() -> None:
    """What people say of answers."""


@feedback.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@curation.address_option
@click.pass_obj
def record(session: Session, file: TextIO, address: str) -> None:
    """Record the feedback of FILE, JSON lines of touchstone.data.v1.Feedback; `-` reads standard input."""
    click.echo(f"{run(_record(curation.address_of(session, address), file))} recorded.")


@feedback.command()
@curation.revision_option
@curation.address_option
@click.pass_obj
def summary(session: Session, revision: str, address: str) -> None:
    """Count what was said of revisions."""
    from touchstone.data.v1 import curation_service_pb2 as pb  # noqa: PLC0415 (the start of every command must be quick)

    from touchstone_local import curating  # noqa: PLC0415

    request = pb.SummariseFeedbackRequest(filter=curating.chosen(revision, ()))
    curation.show(
        curating.summary_table(
            curation.ask(session, address, lambda client: client.curation.SummariseFeedback, request)
        )
    )


@feedback.command("list")
@curation.revision_option
@curation.kinds_option
@click.option("--limit", type=click.IntRange(1, 50), default=20, show_default=True, help="Most pieces.")
@curation.address_option
@click.pass_obj
def list_(session: Session, revision: str, kinds: tuple[str, ...], limit: int, address: str) -> None:
    """List feedback, oldest first."""
    from touchstone.data.v1 import curation_service_pb2 as pb  # noqa: PLC0415

    from touchstone_local import curating  # noqa: PLC0415

    request = pb.ListFeedbackRequest(filter=curating.chosen(revision, kinds), page_size=limit)
    found = curation.ask(session, address, lambda client: client.curation.ListFeedback, request)
    curation.show(curating.feedback_table(list(found.feedback)))


@feedback.command("export")
@click.argument("form", metavar="FORMAT", type=click.Choice(["preference", "chat"]))
@curation.revision_option
@curation.kinds_option
@curation.address_option
@click.pass_obj
def export_feedback(session: Session, form: str, revision: str, kinds: tuple[str, ...], address: str) -> None:
    """Export feedback as training records, `preference` or `chat`."""
    from touchstone.data.v1 import curation_service_pb2 as pb  # noqa: PLC0415

    from touchstone_local import curating  # noqa: PLC0415

    request = pb.ExportFeedbackRequest(filter=curating.chosen(revision, kinds), format=curating.FORMATS[form])
    found = curation.ask(session, address, lambda client: client.curation.ExportFeedback, request)
    click.echo("\n".join(curating.export_lines(found.export)))


@feedback.command()
@click.option("--end-user", default="", help="Pseudonym whose feedback is forgotten.")
@click.option("--id", "feedback_id", default="", help="One piece of feedback.")
@curation.address_option
@click.pass_obj
def forget(session: Session, end_user: str, feedback_id: str, address: str) -> None:
    """Forget one piece of feedback, or all of an end user."""
    from touchstone.data.v1 import feedback_service_pb2 as pb  # noqa: PLC0415

    request = pb.DeleteFeedbackRequest(end_user=end_user, feedback_id=feedback_id)
    gone = curation.ask(session, address, lambda client: client.feedback.DeleteFeedback, request)
    click.echo(f"{gone.feedback} pieces of feedback and {gone.items} items of queues are gone.")
    for uri in gone.exports:
        click.echo(f"removed: {uri}")


COMMANDS = (feedback,)


async def _record(address: str, file: TextIO) -> int:
    from touchstone.data.v1 import feedback_service_pb2 as pb  # noqa: PLC0415

    from touchstone_local import curating  # noqa: PLC0415

    recorded = 0
    async with curating.connected(address) as client:
        for one in curating.parsed(iter(file)):
            request = pb.RecordFeedbackRequest(feedback=one)
            await curating.answer(client.feedback.RecordFeedback(request, timeout=curating.TIMEOUT_SECONDS))
            recorded += 1
    return recorded
