"""Feedback and curation over gRPC: what a caller sends, and what comes back."""

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf import json_format
from touchstone.data.v1 import curation_service_pb2 as pb
from touchstone.data.v1 import curation_service_pb2_grpc as pb_grpc
from touchstone.data.v1 import data_service_pb2 as data_pb
from touchstone.data.v1 import feedback_service_pb2 as feedback_pb
from touchstone.data.v1 import feedback_service_pb2_grpc as feedback_grpc
from touchstone_data.api.feedback_servicer import FeedbackServicer
from touchstone_data.settings import ServerSettings
from touchstone_data.wiring import server
from touchstone_runtime import databases, errors, statuses, testing
from touchstone_runtime.errors import DomainError, Invalid

DIGEST = "sha256:" + "a" * 64


class Doors(NamedTuple):
    curation: Any
    feedback: Any


@asynccontextmanager
async def serving(root: Path, database_url: str) -> AsyncIterator[Doors]:
    settings = ServerSettings(
        database_url=database_url, broker_url="", listen="", artefacts_uri=f"file://{root}/store", file_root=root
    )
    engine = databases.connect(database_url)
    desk, curation = server.flywheel(settings, engine)
    async with testing.channel_to([curation.registered(), FeedbackServicer(desk).registered()]) as channel:
        yield Doors(pb_grpc.CurationServiceStub(channel), feedback_grpc.FeedbackServiceStub(channel))
    engine.dispose()


@pytest.fixture
async def doors(tmp_path: Path, database_url: str) -> AsyncIterator[Doors]:
    async with serving(tmp_path, database_url) as found:
        yield found


def feedback(number: int = 1, **signal: Any) -> feedback_pb.Feedback:
    return feedback_pb.Feedback(
        feedback_id=f"f-{number}",
        revision_digest=DIGEST,
        request_id="req-1",
        trace_id="0" * 31 + "1",
        messages=[feedback_pb.ConversationTurn(role="user", content=f"Question {number}? ünï \0 ok")],
        response="Answer.",
        end_user="user-1",
        consent=True,
        **(signal or {"thumb": feedback_pb.THUMB_DOWN}),
    )


async def record(doors: Doors, *given: feedback_pb.Feedback) -> None:
    for one in given:
        await doors.feedback.RecordFeedback(feedback_pb.RecordFeedbackRequest(feedback=one))


async def refused(call: Awaitable[object]) -> DomainError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return statuses.translate(caught.value, "data")


def fields(fault: DomainError) -> list[str]:
    assert isinstance(fault, Invalid), fault
    return [violation.field for violation in fault.violations]


@pytest.mark.parametrize(
    "signal",
    [
        {"thumb": feedback_pb.THUMB_UP},
        {"thumb": feedback_pb.THUMB_DOWN},
        {"edited_response": "Better."},
        {"comment": "Hm."},
        {
            "corrections": json_format.ParseDict(
                {"queue": "a", "n": 2, "deep": {"x": [1.5, None]}}, data_pb.Step().parameters
            )
        },
    ],
)
async def test_feedback_comes_back_as_it_was_sent(doors: Doors, signal: dict[str, Any]) -> None:
    sent = feedback(**signal)
    sent.given_time.FromDatetime(datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC))
    sent.retention_days = 30
    await record(doors, sent, sent)
    (found,) = (await doors.curation.ListFeedback(pb.ListFeedbackRequest())).feedback
    assert found.feedback == sent
    assert found.expiry_time.seconds - found.recorded_time.seconds == 30 * 86400


async def test_the_same_id_with_other_content_is_refused(doors: Doors) -> None:
    await record(doors, feedback())
    request = feedback_pb.RecordFeedbackRequest(feedback=feedback(comment="Other."))
    fault = await refused(doors.feedback.RecordFeedback(request))
    assert isinstance(fault, errors.AlreadyExists)
    assert fault.reason == "FEEDBACK_ID_TAKEN"


async def test_faults_of_feedback_come_back_by_field(doors: Doors) -> None:
    sent = feedback()
    sent.consent, sent.revision_digest, sent.end_user = False, "", "Ann Smith"
    fault = await refused(doors.feedback.RecordFeedback(feedback_pb.RecordFeedbackRequest(feedback=sent)))
    assert fields(fault) == ["feedback.consent", "feedback.revision_digest", "feedback.end_user"]
    for wrong in ({"thumb": feedback_pb.THUMB_UNSPECIFIED}, {"thumb": 9}):
        fault = await refused(
            doors.feedback.RecordFeedback(feedback_pb.RecordFeedbackRequest(feedback=feedback(**wrong)))
        )
        assert fields(fault) == ["feedback.signal"]
    assert fields(await refused(doors.feedback.RecordFeedback(feedback_pb.RecordFeedbackRequest()))) == ["feedback"]
    corrections = json_format.ParseDict({"n": 1}, data_pb.Step().parameters)
    corrections.fields["n"].number_value = float("inf")
    asked = feedback_pb.RecordFeedbackRequest(feedback=feedback(corrections=corrections))
    assert fields(await refused(doors.feedback.RecordFeedback(asked))) == ["feedback.corrections"]
    assert not (await doors.curation.ListFeedback(pb.ListFeedbackRequest())).feedback


async def test_pages_end_with_an_empty_token(doors: Doors) -> None:
    await record(doors, *(feedback(number) for number in range(5)))
    seen, token = [], ""
    while True:
        page = await doors.curation.ListFeedback(pb.ListFeedbackRequest(page_size=2, page_token=token))
        seen += [one.feedback.feedback_id for one in page.feedback]
        token = page.next_page_token
        if not token:
            break
    assert sorted(seen) == [f"f-{number}" for number in range(5)]
    assert fields(await refused(doors.curation.ListFeedback(pb.ListFeedbackRequest(page_size=-1)))) == ["page_size"]


async def test_from_feedback_to_an_export_over_the_door(doors: Doors, tmp_path: Path) -> None:
    await record(doors, *(feedback(number) for number in range(4)), feedback(9, thumb=feedback_pb.THUMB_UP))
    summary = (await doors.curation.SummariseFeedback(pb.SummariseFeedbackRequest())).summaries[0]
    assert (summary.thumbs_up, summary.thumbs_down, summary.up_share.value) == (1, 4, 0.2)
    spec = pb.QueueSpec(name="q", guideline="Say which.", choices=["a", "b"], annotators_per_item=2)
    made = (await doors.curation.CreateQueue(pb.CreateQueueRequest(spec=spec))).queue
    assert (made.spec.overlap, made.spec.lease_seconds, made.spec.HasField("min_alpha")) == (1, 900, False)
    assert (await doors.curation.CreateQueue(pb.CreateQueueRequest(spec=spec))).queue == made
    chosen = pb.FeedbackFilter(kinds=[pb.FEEDBACK_KIND_THUMB_DOWN])
    assert (await doors.curation.AddItems(pb.AddItemsRequest(queue="q", feedback=chosen))).added == 4
    for person in ("ann", "ben"):
        while True:
            claimed = await doors.curation.ClaimItem(pb.ClaimItemRequest(queue="q", annotator=person))
            if not claimed.HasField("item"):
                break
            shown = json_format.MessageToDict(claimed.item.fields)
            assert shown["response"] == "Answer."
            assert shown["signal"] == "ThumbDown"
            label = "b" if (person, claimed.item.item_id) == ("ben", "f-2") else "a"
            await doors.curation.SubmitAnnotation(
                pb.SubmitAnnotationRequest(queue="q", item_id=claimed.item.item_id, annotator=person, label=label)
            )
    looked = await doors.curation.GetQueue(pb.GetQueueRequest(queue="q"))
    assert looked.queue.progress.complete == 4
    assert looked.disputed == 1
    assert [(one.annotator, one.label) for one in looked.disputes[0].annotations] == [("ann", "a"), ("ben", "b")]
    assert looked.agreement.alpha == pytest.approx(0)
    assert looked.agreement.ci_low <= looked.agreement.alpha <= looked.agreement.ci_high
    assert [part.name for part in looked.agreement.parts] == ["a", "b"]
    export = (await doors.curation.ExportQueue(pb.ExportQueueRequest(queue="q"))).export
    assert export.uri.startswith(f"file://{tmp_path}/store/exports/")
    assert (export.records, dict(export.left_out)) == (4, {})
    (listed,) = (await doors.curation.ListQueues(pb.ListQueuesRequest())).queues
    assert listed == looked.queue
    gone = await doors.feedback.DeleteFeedback(feedback_pb.DeleteFeedbackRequest(end_user="user-1"))
    assert (gone.feedback, gone.items, list(gone.exports)) == (5, 4, [export.uri])
    assert list((tmp_path / "store/exports").iterdir()) == []


async def test_faults_of_queues_come_back_by_field(doors: Doors, tmp_path: Path) -> None:
    async def fault(call: Awaitable[object]) -> list[str]:
        return fields(await refused(call))

    make, add = doors.curation.CreateQueue, doors.curation.AddItems
    assert await fault(make(pb.CreateQueueRequest())) == ["spec"]
    spec = pb.QueueSpec(name="q", guideline="Say which.", choices=["a", "b"])
    await make(pb.CreateQueueRequest(spec=spec))
    other = pb.QueueSpec(name="q", guideline="Say it better.", choices=["a", "b"])
    assert (await refused(make(pb.CreateQueueRequest(spec=other)))).reason == "QUEUE_NAME_TAKEN"
    assert await fault(add(pb.AddItemsRequest(queue="q"))) == ["origin"]
    elsewhere = data_pb.Source(name="x", uri="ftp://x/y", format=99)
    assert await fault(add(pb.AddItemsRequest(queue="q", source=elsewhere))) == ["source.format"]
    elsewhere.format = 0
    keyed = data_pb.Source(name="x", uri="s3://x/y", credentials=data_pb.SecretReference(namespace="a", name="b"))
    assert await fault(add(pb.AddItemsRequest(queue="q", source=keyed))) == ["source.credentials"]
    asked = pb.AddItemsRequest(queue="q", source=elsewhere, sample=-1)
    assert await fault(add(asked)) == ["source.uri", "sample"]
    outside = data_pb.Source(name="x", uri="file:///etc/hostname", format=data_pb.SOURCE_FORMAT_TEXT)
    assert (await refused(add(pb.AddItemsRequest(queue="q", source=outside)))).reason == "SOURCE_INVALID"
    chosen = pb.FeedbackFilter(kinds=[77])
    assert await fault(add(pb.AddItemsRequest(queue="q", feedback=chosen))) == ["feedback.kinds[0]"]
    chosen = pb.FeedbackFilter(revision_digest="x")
    assert await fault(add(pb.AddItemsRequest(queue="q", feedback=chosen))) == ["feedback.revision_digest"]
    claim = pb.ClaimItemRequest(queue="q", annotator="")
    assert await fault(doors.curation.ClaimItem(claim)) == ["annotator"]
    skip = pb.SkipItemRequest(queue="q", item_id="i", annotator="ann", reason=" ")
    assert await fault(doors.curation.SkipItem(skip)) == ["reason"]
    submit = pb.SubmitAnnotationRequest(queue="q", item_id="i", annotator="ann", label="c")
    assert await fault(doors.curation.SubmitAnnotation(submit)) == ["label"]
    submit.annotator = "Ann Smith"
    assert await fault(doors.curation.SubmitAnnotation(submit)) == ["annotator", "label"]
    submit.label, submit.annotator = "a", "ann"
    assert (await refused(doors.curation.SubmitAnnotation(submit))).reason == "ITEM_NOT_FOUND"
    assert (await refused(doors.curation.GetQueue(pb.GetQueueRequest(queue="x")))).reason == "QUEUE_NOT_FOUND"
    assert await fault(doors.curation.ExportFeedback(pb.ExportFeedbackRequest())) == ["format"]
    summarise = pb.SummariseFeedbackRequest(filter=pb.FeedbackFilter(kinds=[pb.FEEDBACK_KIND_EDIT]))
    assert await fault(doors.curation.SummariseFeedback(summarise)) == ["filter.kinds"]
    for asked, field in (({}, "end_user"), ({"end_user": "a\0b"}, "end_user"), ({"feedback_id": "a b"}, "feedback_id")):
        assert await fault(doors.feedback.DeleteFeedback(feedback_pb.DeleteFeedbackRequest(**asked))) == [field]
