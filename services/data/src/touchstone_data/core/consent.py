"""What feedback must satisfy before it is kept: that it may be, whose it is, how large it is. Pure."""

import json
import re
from collections.abc import Iterator

import rfc8785
from touchstone_runtime.errors import Violation

from touchstone_data.core.feedback import ROLES, Feedback, Filter, Signal

MAX_BYTES = 256 * 1024
"""Of conversation, answer and signal together."""
MAX_COMMENT_BYTES = 8 * 1024
MAX_CORRECTIONS = 64
MAX_TURNS = 256
MAX_RETENTION_DAYS = 3650

_ID = re.compile(r"[!-~]{1,128}")
_TRACE = re.compile(r"[0-9a-f]{32}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def feedback_faults(feedback: Feedback) -> Iterator[Violation]:
    """Check feedback; every fault is told, each with its field's path in the request."""
    if not feedback.has_consent:
        yield Violation("feedback.consent", "Must be true: nothing is recorded that may not be kept and learned from.")
    yield from id_faults(feedback.id, "feedback.feedback_id")
    yield from _digest_faults(feedback.revision_digest, "feedback.revision_digest")
    for value, name in ((feedback.request_id, "request_id"), (feedback.end_user, "end_user")):
        if value:
            yield from id_faults(value, f"feedback.{name}")
    if feedback.trace_id and not _TRACE.fullmatch(feedback.trace_id):
        yield Violation("feedback.trace_id", "Must be 32 lower-case hexadecimal digits, or empty.")
    if not 0 <= feedback.retention_days <= MAX_RETENTION_DAYS:
        yield Violation("feedback.retention_days", f"Must be 1 to {MAX_RETENTION_DAYS}, or 0 for the default.")
    yield from _conversation_faults(feedback)
    yield from _signal_faults(feedback)
    if size_bytes(feedback) > MAX_BYTES:
        yield Violation("feedback", f"Must take at most {MAX_BYTES} bytes with conversation, answer and signal.")


def filter_faults(chosen: Filter, path: str) -> Iterator[Violation]:
    """Check a filter."""
    if chosen.revision_digest:
        yield from _digest_faults(chosen.revision_digest, f"{path}.revision_digest")


def id_faults(value: str, path: str) -> Iterator[Violation]:
    """Check an id or a pseudonym."""
    if not _ID.fullmatch(value):
        yield Violation(path, "Must be 1 to 128 visible ASCII characters.")


def size_bytes(feedback: Feedback) -> int:
    """Return how large what people wrote is."""
    texts = (*(turn.content for turn in feedback.messages), feedback.response, feedback.edited, feedback.comment)
    return sum(len(text.encode()) for text in texts) + len(json.dumps(dict(feedback.corrections)))


def _digest_faults(digest: str, path: str) -> Iterator[Violation]:
    if not _DIGEST.fullmatch(digest):
        yield Violation(path, "Must be sha256: and 64 lower-case hexadecimal digits, as GenerateResponse says.")


def _conversation_faults(feedback: Feedback) -> Iterator[Violation]:
    if not 1 <= len(feedback.messages) <= MAX_TURNS:
        yield Violation("feedback.messages", f"Must hold 1 to {MAX_TURNS} turns: those that were answered.")
    elif all(turn.role == "system" for turn in feedback.messages):
        yield Violation("feedback.messages", "Must hold a turn that is not the system's.")
    for place, turn in enumerate(feedback.messages):
        if turn.role not in ROLES:
            yield Violation(f"feedback.messages[{place}].role", f"Must be one of {', '.join(ROLES)}.")
    if not feedback.response:
        yield Violation("feedback.response", "Must be set: the answer that this is about.")


def _signal_faults(feedback: Feedback) -> Iterator[Violation]:
    if feedback.signal is Signal.EDIT and not feedback.edited:
        yield Violation("feedback.edited_response", "Must not be empty.")
    if feedback.signal is Signal.CORRECTION:
        if not 1 <= len(feedback.corrections) <= MAX_CORRECTIONS:
            yield Violation("feedback.corrections", f"Must hold 1 to {MAX_CORRECTIONS} fields.")
        try:
            rfc8785.dumps(dict(feedback.corrections))
        except rfc8785.CanonicalizationError as error:
            yield Violation("feedback.corrections", f"Must hold values of JSON: {error}.")
    if feedback.signal is Signal.COMMENT and not 0 < len(feedback.comment.encode()) <= MAX_COMMENT_BYTES:
        yield Violation("feedback.comment", f"Must be 1 to {MAX_COMMENT_BYTES} bytes.")
