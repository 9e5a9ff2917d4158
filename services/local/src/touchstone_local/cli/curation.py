"""Commands of the data flywheel: feedback, queue, annotate."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

import click

from touchstone_local.cli.context import Session, run

if TYPE_CHECKING:
    from touchstone_local.curating import Client

SIGNALS = ("thumb-up", "thumb-down", "edit", "correction", "comment")

address_option = click.option(
    "--address",
    envvar="TOUCHSTONE_DATA_ADDRESS",
    default="",
    help="HOST:PORT of the data service; default: the platform's.",
)
revision_option = click.option("--revision", default="", help="Digest of the revision that answered, sha256:…")
kinds_option = click.option("--kind", "kinds", type=click.Choice(SIGNALS), multiple=True, help="Only this; repeatable.")


@click.group()
def feedback() -> None:
    """What people say of answers."""


@feedback.command()
@click.argument("file", type=click.File("r", encoding="utf-8"))
@address_option
@click.pass_obj
def record(session: Session, file: TextIO, address: str) -> None:
    """Record the feedback of FILE, JSON lines of touchstone.data.v1.Feedback; `-` reads standard input."""
    click.echo(f"{run(_record(_address(session, address), file))} recorded.")


@feedback.command()
@revision_option
@address_option
@click.pass_obj
def summary(session: Session, revision: str, address: str) -> None:
    """Count what was said of revisions."""
    from touchstone.data.v1 import curation_service_pb2 as pb  # noqa: PLC0415 (the start of every command must be quick)

    from touchstone_local import curating  # noqa: PLC0415

    request = pb.SummariseFeedbackRequest(filter=curating.chosen(revision, ()))
    _print(curating.summary_table(_ask(session, address, lambda client: client.curation.SummariseFeedback, request)))


@feedback.command("list")
@revision_option
@kinds_option
@click.option("--limit", type=click.IntRange(1, 50), default=20, show_default=True, help="Most pieces.")
@address_option
@click.pass_obj
def list_(session: Session, revision: str, kinds: tuple[str, ...], limit: int, address: str) -> None:
    """List feedback, oldest first."""
    from touchstone.data.v1 import curation_service_pb2 as pb  # noqa: PLC0415

    from touchstone_local import curating  # noqa: PLC0415

    request = pb.ListFeedbackRequest(filter=curating.chosen(revision, kinds), page_size=limit)
    found = _ask(session, address, lambda client: client.curation.ListFeedback, request)
    _print(curating.feedback_table(list(found.feedback)))


@feedback.command("export")
@click.argument("form", metavar="FORMAT", type=click.Choice(["preference", "chat"]))
@revision_option
@kinds_option
@address_option
@click.pass_obj
def export_feedback(session: Session, form: str, revision: str, kinds: tuple[str, ...], address: str) -> None:
    """Export feedback as training records, `preference` or `chat`."""
    from touchstone.data.v1 import curation_service_pb2 as pb  # noqa: PLC0415

    from touchstone_local import curating  # noqa: PLC0415

    request = pb.ExportFeedbackRequest(filter=curating.chosen(revision, kinds), format=curating.FORMATS[form])
    found = _ask(session, address, lambda client: client.curation.ExportFeedback, request)
    click.echo("\n".join(curating.export_lines(found.export)))


@feedback.command()
@click.option("--end-user", default="", help="Pseudonym whose feedback is forgotten.")
@click.option("--id", "feedback_id", default="", help="One piece of feedback.")
@address_option
@click.pass_obj
def forget(session: Session, end_user: str, feedback_id: str, address: str) -> None:
    """Forget one piece of feedback, or all of an end user."""
    from touchstone.data.v1 import feedback_service_pb2 as pb  # noqa: PLC0415

    request = pb.DeleteFeedbackRequest(end_user=end_user, feedback_id=feedback_id)
    gone = _ask(session, address, lambda client: client.feedback.DeleteFeedback, request)
    click.echo(f"{gone.feedback} pieces of feedback and {gone.items} items of queues are gone.")
    for uri in gone.exports:
        click.echo(f"removed: {uri}")


@click.group()
def queue() -> None:
    """Annotation queues."""


@queue.command()
@click.argument("name")
@click.option("--guideline", type=click.File("r", encoding="utf-8"), required=True, help="File with the guideline.")
@click.option("--choice", "choices", multiple=True, help="A label; repeatable.")
@click.option("--schema", type=click.File("r", encoding="utf-8"), default=None, help="JSON Schema of labels.")
@click.option("--annotators", type=click.IntRange(1, 16), default=3, show_default=True, help="People an item.")
@click.option("--overlap", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="Share that all do.")
@click.option("--min-alpha", type=float, default=None, help="Least agreement for an export.")
@click.option("--lease", type=click.IntRange(30, 86_400), default=900, show_default=True, help="Seconds of a claim.")
@address_option
@click.pass_obj
def create(  # noqa: PLR0913 (one parameter an option)
    session: Session,
    name: str,
    *,
    guideline: TextIO,
    choices: tuple[str, ...],
    schema: TextIO | None,
    annotators: int,
    overlap: float,
    min_alpha: float | None,
    lease: int,
    address: str,
) -> None:
    """Make the queue NAME."""
    from touchstone.data.v1 import curation_service_pb2 as pb  # noqa: PLC0415

    spec = pb.QueueSpec(
        name=name,
        guideline=guideline.read(),
        choices=choices,
        json_schema=schema.read() if schema else "",
        annotators_per_item=annotators,
        overlap=overlap,
        min_alpha=min_alpha,
        lease_seconds=lease,
    )
    made = _ask(session, address, lambda client: client.curation.CreateQueue, pb.CreateQueueRequest(spec=spec))
    click.echo(f"Queue {name}, guideline {made.queue.guideline_digest}.")


@queue.command()
@click.argument("name")
@click.option("--source", default="", help="Address of a file of records. Left out: feedback.")
@click.option("--digest", default="", help="The file's sha256:… digest.")
@click.option("--id-field", default="", help="Path of the field that names a record.")
@revision_option
@kinds_option
@click.option("--sample", type=click.IntRange(0), default=0, help="Take so many at random.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses which.")
@address_option
@click.pass_obj
def fill(  # noqa: PLR0913 (one parameter an option)
    session: Session,
    name: str,
    *,
    source: str,
    digest: str,
    id_field: str,
    revision: str,
    kinds: tuple[str, ...],
    sample: int,
    seed: int,
    address: str,
) -> None:
    """Put feedback, or the records of a file, into the queue NAME."""
    from touchstone.data.v1 import curation_service_pb2 as pb  # noqa: PLC0415
    from touchstone.data.v1 import data_service_pb2 as data_pb  # noqa: PLC0415

    from touchstone_local import curating  # noqa: PLC0415

    request = pb.AddItemsRequest(queue=name, sample=sample, seed=seed)
    if source:
        request.source.CopyFrom(data_pb.Source(name="records", uri=source, digest=digest, id_field=id_field))
    else:
        request.feedback.CopyFrom(curating.chosen(revision, kinds))
    done = _ask(session, address, lambda client: client.curation.AddItems, request)
    click.echo(f"{done.added} items added, {done.present} were there.")
    for reason, count in sorted(done.left_out.items()):
        click.echo(f"left out: {count}, {reason}")


@queue.command()
@click.argument("name", required=False, default="")
@address_option
@click.pass_obj
def show(session: Session, name: str, address: str) -> None:
    """Show how the queue NAME stands and how far people agree; without a name all queues."""
    from touchstone.data.v1 import curation_service_pb2 as pb  # noqa: PLC0415

    from touchstone_local import curating  # noqa: PLC0415

    if not name:
        found = _ask(session, address, lambda client: client.curation.ListQueues, pb.ListQueuesRequest())
        _print(curating.queues_table(found))
        return
    looked = _ask(session, address, lambda client: client.curation.GetQueue, pb.GetQueueRequest(queue=name))
    _print(curating.queues_table(pb.ListQueuesResponse(queues=[looked.queue])))
    click.echo("\n".join(curating.agreement_lines(looked)))
    _print(curating.agreement_table(looked))


@queue.command("export")
@click.argument("name")
@click.option("--allow-low-agreement", is_flag=True, help="Also below the queue's bound.")
@address_option
@click.pass_obj
def export_queue(session: Session, name: str, *, allow_low_agreement: bool, address: str) -> None:
    """Export the items of the queue NAME that are complete."""
    from touchstone.data.v1 import curation_service_pb2 as pb  # noqa: PLC0415

    from touchstone_local import curating  # noqa: PLC0415

    request = pb.ExportQueueRequest(queue=name, allow_low_agreement=allow_low_agreement)
    found = _ask(session, address, lambda client: client.curation.ExportQueue, request)
    click.echo("\n".join(curating.export_lines(found.export)))


@click.command()
@click.argument("name", metavar="QUEUE")
@click.option("--as", "annotator", required=True, help="Who you are, the same each time.")
@address_option
@click.pass_obj
def annotate(session: Session, name: str, annotator: str, address: str) -> None:
    """Label the items of QUEUE one after the other."""
    labelled = run(_annotate(_address(session, address), name, annotator))
    click.echo(f"{labelled} items labelled.")


COMMANDS = (feedback, queue, annotate)


class _Terminal:
    """The terminal that the command runs in."""

    def say(self, text: str) -> None:
        click.echo(text)

    def ask(self, question: str) -> str:
        from touchstone_local.annotating import QUIT  # noqa: PLC0415

        try:
            return str(click.prompt(question, default="", show_default=False))
        except click.Abort:  # the end of the input
            return QUIT


def _address(session: Session, address: str) -> str:
    return address or session.addresses().data


def _print(renderable: object) -> None:
    from rich.console import Console  # noqa: PLC0415

    Console(highlight=False).print(renderable)


def _ask(session: Session, address: str, method: "Callable[[Client], Any]", request: object) -> Any:
    from touchstone_local import curating  # noqa: PLC0415

    async def ask() -> Any:
        async with curating.connected(_address(session, address)) as client:
            return await curating.answer(method(client)(request, timeout=curating.LONG_SECONDS))

    return run(ask())


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


async def _annotate(address: str, name: str, annotator: str) -> int:
    from touchstone_local import curating  # noqa: PLC0415
    from touchstone_local.annotating import Annotating  # noqa: PLC0415

    async with curating.connected(address) as client:
        return await Annotating(client=client, queue=name, annotator=annotator, terminal=_Terminal()).run()
