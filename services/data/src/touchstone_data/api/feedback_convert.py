"""Feedback: protos to our values and back. Pure."""

from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format
from google.protobuf.timestamp_pb2 import Timestamp
from touchstone.data.v1 import curation_service_pb2 as curation_pb
from touchstone.data.v1 import feedback_service_pb2 as pb
from touchstone_runtime.errors import Violation

from touchstone_data import errors
from touchstone_data.api import convert
from touchstone_data.core.feedback import Feedback, Filter, Layout, Recorded, Signal, Turn

SIGNALS = {
    curation_pb.FEEDBACK_KIND_THUMB_UP: Signal.THUMB_UP,
    curation_pb.FEEDBACK_KIND_THUMB_DOWN: Signal.THUMB_DOWN,
    curation_pb.FEEDBACK_KIND_EDIT: Signal.EDIT,
    curation_pb.FEEDBACK_KIND_CORRECTION: Signal.CORRECTION,
    curation_pb.FEEDBACK_KIND_COMMENT: Signal.COMMENT,
}
LAYOUTS = {
    curation_pb.FEEDBACK_FORMAT_PREFERENCE: Layout.PREFERENCE,
    curation_pb.FEEDBACK_FORMAT_CHAT: Layout.CHAT,
}
_THUMBS = {pb.THUMB_UP: Signal.THUMB_UP, pb.THUMB_DOWN: Signal.THUMB_DOWN}
_BY_FIELD = {
    "edited_response": Signal.EDIT,
    "corrections": Signal.CORRECTION,
    "comment": Signal.COMMENT,
}


def feedback_from(request: pb.RecordFeedbackRequest) -> Feedback:
    """Read feedback.

    Raises:
        FeedbackInvalid: It is missing, says nothing, or says what no JSON can hold.
    """
    if not request.HasField("feedback"):
        raise errors.FeedbackInvalid([Violation("feedback", "Must be set.")])
    sent = request.feedback
    return Feedback(
        id=sent.feedback_id,
        revision_digest=sent.revision_digest,
        request_id=sent.request_id,
        trace_id=sent.trace_id,
        messages=tuple(Turn(turn.role, turn.content) for turn in sent.messages),
        response=sent.response,
        signal=_signal(sent),
        edited=sent.edited_response,
        corrections=_corrections(sent),
        comment=sent.comment,
        end_user=sent.end_user,
        has_consent=sent.consent,
        retention_days=sent.retention_days,
        given_at=time_from(sent.given_time, "feedback.given_time") if sent.HasField("given_time") else None,
    )


def recorded_to(found: Recorded) -> curation_pb.RecordedFeedback:
    """Write recorded feedback."""
    given = found.feedback
    message = pb.Feedback(
        feedback_id=given.id,
        revision_digest=given.revision_digest,
        request_id=given.request_id,
        trace_id=given.trace_id,
        messages=[pb.ConversationTurn(role=turn.role, content=turn.content) for turn in given.messages],
        response=given.response,
        end_user=given.end_user,
        consent=given.has_consent,
        retention_days=given.retention_days,
    )
    match given.signal:
        case Signal.THUMB_UP:
            message.thumb = pb.THUMB_UP
        case Signal.THUMB_DOWN:
            message.thumb = pb.THUMB_DOWN
        case Signal.EDIT:
            message.edited_response = given.edited
        case Signal.CORRECTION:
            message.corrections.CopyFrom(convert.struct(given.corrections))
        case Signal.COMMENT:
            message.comment = given.comment
    if given.given_at:
        message.given_time.FromDatetime(given.given_at)
    return curation_pb.RecordedFeedback(
        feedback=message, recorded_time=time_to(found.recorded_at), expiry_time=time_to(found.expires_at)
    )


def filter_from(sent: curation_pb.FeedbackFilter, path: str = "filter") -> Filter:
    """Read a filter.

    Raises:
        FeedbackInvalid: It names a kind or a time that this version does not know.
    """
    unknown = [
        Violation(f"{path}.kinds[{place}]", f"{kind} is not a value that this version knows.")
        for place, kind in enumerate(sent.kinds)
        if kind not in SIGNALS
    ]
    if unknown:
        raise errors.FeedbackInvalid(unknown)
    after, before = sent.recorded_after, sent.recorded_before
    return Filter(
        revision_digest=sent.revision_digest,
        signals=tuple(SIGNALS[kind] for kind in sent.kinds),
        recorded_after=time_from(after, f"{path}.recorded_after") if sent.HasField("recorded_after") else None,
        recorded_before=time_from(before, f"{path}.recorded_before") if sent.HasField("recorded_before") else None,
    )


def layout_from(sent: Any) -> Layout:
    """Read a format. Raises FeedbackInvalid."""
    if sent not in LAYOUTS:
        raise errors.FeedbackInvalid([Violation("format", "Must be PREFERENCE or CHAT.")])
    return LAYOUTS[sent]


def time_from(sent: Timestamp, path: str) -> datetime:
    """Read a time. Raises FeedbackInvalid."""
    try:
        return sent.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise errors.FeedbackInvalid([Violation(path, f"Not a time: {error}.")]) from error


def time_to(found: datetime) -> Timestamp:
    """Write a time."""
    message = Timestamp()
    message.FromDatetime(found)
    return message


def _signal(sent: pb.Feedback) -> Signal:
    which = sent.WhichOneof("signal")
    if which == "thumb" and sent.thumb in _THUMBS:
        return _THUMBS[sent.thumb]
    if which not in _BY_FIELD:
        fault = "Set one of thumb (up or down), edited_response, corrections and comment."
        raise errors.FeedbackInvalid([Violation("feedback.signal", fault)])
    return _BY_FIELD[which]


def _corrections(sent: pb.Feedback) -> dict[str, Any]:
    try:
        return convert.document(sent.corrections) if sent.WhichOneof("signal") == "corrections" else {}
    except (json_format.Error, ValueError, OverflowError) as error:
        fault = f"Must hold values of JSON: {error}."
        raise errors.FeedbackInvalid([Violation("feedback.corrections", fault)]) from error
