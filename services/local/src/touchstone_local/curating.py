"""Talking to the data service about feedback and annotation queues, and showing what it says."""

from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc
from google.protobuf import json_format
from rich.table import Table
from touchstone.data.v1 import curation_service_pb2 as pb
from touchstone.data.v1 import curation_service_pb2_grpc as pb_grpc
from touchstone.data.v1 import feedback_service_pb2 as feedback_pb
from touchstone.data.v1 import feedback_service_pb2_grpc as feedback_grpc
from touchstone_runtime import channels
from touchstone_runtime.errors import Invalid, Violation

T = TypeVar("T")

TIMEOUT_SECONDS = 60.0
LONG_SECONDS = 600.0
"""For what reads many records: filling a queue, exports."""
KINDS = {
    "thumb-up": pb.FEEDBACK_KIND_THUMB_UP,
    "thumb-down": pb.FEEDBACK_KIND_THUMB_DOWN,
    "edit": pb.FEEDBACK_KIND_EDIT,
    "correction": pb.FEEDBACK_KIND_CORRECTION,
    "comment": pb.FEEDBACK_KIND_COMMENT,
}
FORMATS = {"preference": pb.FEEDBACK_FORMAT_PREFERENCE, "chat": pb.FEEDBACK_FORMAT_CHAT}
SHOWN_CHARACTERS = 60


class Client:
    """The data service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.curation: Any = pb_grpc.CurationServiceStub(channel)
        self.feedback: Any = feedback_grpc.FeedbackServiceStub(channel)


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Client]:
    """Open the data service."""
    async with channels.connect(address) as channel:
        yield Client(channel)


async def answer(call: Awaitable[T]) -> T:
    """Await one call. Raises what the service answers."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise channels.translate(error, "data") from error


def chosen(revision: str, kinds: tuple[str, ...]) -> pb.FeedbackFilter:
    """Write a filter."""
    return pb.FeedbackFilter(revision_digest=revision, kinds=[KINDS[kind] for kind in kinds])


def parsed(lines: Iterator[str]) -> Iterator[feedback_pb.Feedback]:
    """Read feedback from JSON lines.

    Raises:
        Invalid: A line is none.
    """
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield json_format.Parse(line, feedback_pb.Feedback())
            except json_format.ParseError as error:
                raise Invalid([Violation(f"line {number}", f"Is no feedback: {error}")]) from error


def summary_table(found: pb.SummariseFeedbackResponse) -> Table:
    """Show what was said of revisions: a row a revision."""
    shown = _table("revision", "up", "down", "share up", "edits", "corrections", "comments")
    for one in found.summaries:
        share = one.up_share
        told = f"{share.value:.0%} ({share.ci_low:.0%} to {share.ci_high:.0%})" if one.HasField("up_share") else "–"
        counts = (one.thumbs_up, one.thumbs_down, told, one.edits, one.corrections, one.comments)
        shown.add_row(one.revision_digest, *map(str, counts))
    return shown


def feedback_table(found: list[pb.RecordedFeedback]) -> Table:
    """Show feedback: a row a piece."""
    shown = _table("feedback", "revision", "what", "answer", "until")
    for one in found:
        given = one.feedback
        which = given.WhichOneof("signal")
        said = feedback_pb.Thumb.Name(given.thumb).removeprefix("THUMB_").lower() if which == "thumb" else which
        until = one.expiry_time.ToDatetime().date().isoformat()
        shown.add_row(given.feedback_id, given.revision_digest[:17], said, _short(given.response), until)
    return shown


def queues_table(found: pb.ListQueuesResponse) -> Table:
    """Show queues: a row a queue."""
    shown = _table("queue", "items", "complete", "annotations", "claimed", "skipped", "people")
    for one in found.queues:
        progress = one.progress
        counts = (progress.items, progress.complete, progress.annotations, progress.claimed, progress.skipped)
        shown.add_row(one.spec.name, *map(str, counts), str(progress.annotators))
    return shown


def agreement_lines(found: pb.GetQueueResponse) -> Iterator[str]:
    """Say how far annotators agree, and what they dispute."""
    agreement, spec = found.agreement, found.queue.spec
    if not agreement.HasField("alpha"):
        yield "Agreement cannot be told yet: no item has two annotations, or all labels are the same."
    else:
        bound = f"; {spec.min_alpha:g} is asked" if spec.HasField("min_alpha") else ""
        interval = f"{agreement.ci_low:.2f} to {agreement.ci_high:.2f}"
        yield f"Krippendorff's alpha {agreement.alpha:.3f} ({interval}) over {agreement.items} items{bound}."
    yield f"{found.disputed} items are disputed."


def agreement_table(found: pb.GetQueueResponse) -> Table:
    """Show agreement by part of the label and by pair of people."""
    shown = _table("of", "items", "alpha")
    for part in found.agreement.parts:
        shown.add_row(part.name, "", f"{part.alpha:.3f}" if part.HasField("alpha") else "–")
    for pair in found.agreement.pairs:
        alpha = f"{pair.alpha:.3f}" if pair.HasField("alpha") else "–"
        shown.add_row(f"{pair.first} and {pair.second}", str(pair.items), alpha)
    return shown


def export_lines(found: pb.Export) -> Iterator[str]:
    """Say where an export lies, as a pipeline names it."""
    yield f"uri: {found.uri}"
    yield f"digest: {found.digest}"
    yield f"records: {found.records}"
    for reason, count in sorted(found.left_out.items()):
        yield f"left out: {count}, {reason}"


def _table(*names: str) -> Table:
    shown = Table(box=None, pad_edge=False)
    for place, name in enumerate(names):
        shown.add_column(name, justify="right" if place else "left", overflow="fold")  # digests are for copying
    return shown


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"
