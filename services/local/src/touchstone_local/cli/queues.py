"""Commands of annotation: queue, annotate."""

from typing import TextIO

import click

from touchstone_local.cli import curation
from touchstone_local.cli.context import Session, run


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
@curation.address_option
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
    made = curation.ask(session, address, lambda client: client.curation.CreateQueue, pb.CreateQueueRequest(spec=spec))
    click.echo(f"Queue {name}, guideline {made.queue.guideline_digest}.")


@queue.command()
@click.argument("name")
@click.option("--source", default="", help="Address of a file of records. Left out: feedback.")
@click.option("--digest", default="", help="The file's sha256:… digest.")
@click.option("--id-field", default="", help="Path of the field that names a record.")
@curation.revision_option
@curation.kinds_option
@click.option("--sample", type=click.IntRange(0), default=0, help="Take so many at random.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses which.")
@curation.address_option
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
    done = curation.ask(session, address, lambda client: client.curation.AddItems, request)
    click.echo(f"{done.added} items added, {done.present} were there.")
    for reason, count in sorted(done.left_out.items()):
        click.echo(f"left out: {count}, {reason}")


@queue.command()
@click.argument("name", required=False, default="")
@curation.address_option
@click.pass_obj
def show(session: Session, name: str, address: str) -> None:
    """Show how the queue NAME stands and how far people agree; without a name all queues."""
    from touchstone.data.v1 import curation_service_pb2 as pb  # noqa: PLC0415

    from touchstone_local import curating  # noqa: PLC0415

    if not name:
        found = curation.ask(session, address, lambda client: client.curation.ListQueues, pb.ListQueuesRequest())
        curation.show(curating.queues_table(found))
        return
    looked = curation.ask(session, address, lambda client: client.curation.GetQueue, pb.GetQueueRequest(queue=name))
    curation.show(curating.queues_table(pb.ListQueuesResponse(queues=[looked.queue])))
    click.echo("\n".join(curating.agreement_lines(looked)))
    curation.show(curating.agreement_table(looked))


@queue.command("export")
@click.argument("name")
@click.option("--allow-low-agreement", is_flag=True, help="Also below the queue's bound.")
@curation.address_option
@click.pass_obj
def export_queue(session: Session, name: str, *, allow_low_agreement: bool, address: str) -> None:
    """Export the items of the queue NAME that are complete."""
    from touchstone.data.v1 import curation_service_pb2 as pb  # noqa: PLC0415

    from touchstone_local import curating  # noqa: PLC0415

    request = pb.ExportQueueRequest(queue=name, allow_low_agreement=allow_low_agreement)
    found = curation.ask(session, address, lambda client: client.curation.ExportQueue, request)
    click.echo("\n".join(curating.export_lines(found.export)))


@click.command()
@click.argument("name", metavar="QUEUE")
@click.option("--as", "annotator", required=True, help="Who you are, the same each time.")
@click.option("--page", is_flag=True, help="On a page in the browser, until Ctrl-C.")
@curation.address_option
@click.pass_obj
def annotate(session: Session, name: str, annotator: str, *, page: bool, address: str) -> None:
    """Label the items of QUEUE one after the other."""
    where = curation.address_of(session, address)
    if page:
        run(_page(where, name, annotator))
        return
    labelled = run(_annotate(where, name, annotator))
    click.echo(f"{labelled} items labelled.")


COMMANDS = (queue, annotate)


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


async def _annotate(address: str, name: str, annotator: str) -> int:
    from touchstone_local import curating  # noqa: PLC0415
    from touchstone_local.annotating import Annotating  # noqa: PLC0415

    async with curating.connected(address) as client:
        return await Annotating(client=client, queue=name, annotator=annotator, terminal=_Terminal()).run()


async def _page(address: str, name: str, annotator: str) -> None:
    from touchstone_local import annotation_page, curating  # noqa: PLC0415

    async with curating.connected(address) as client:
        await annotation_page.serve(client, name, annotator, lambda url: click.echo(f"Annotate on {url}"))
