"""Feedback: what somebody said of an answer, and what can be learned from it. Pure.

A better answer is the edited one, or the answer with its corrections put in. It makes a pair with the answer that was
given (direct preference optimisation) or ends the conversation in its stead (supervised tuning).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from touchstone_data.core.records import Drop, Json

ROLES = ("system", "user", "assistant", "tool")
NO_BETTER, UNCHANGED, NOT_LIKED = "no better answer", "the better answer is the same", "no answer to learn"
CONFIDENCE = 0.95


class Signal(StrEnum):
    """What sort of feedback something is."""

    THUMB_UP = "ThumbUp"
    THUMB_DOWN = "ThumbDown"
    EDIT = "Edit"
    CORRECTION = "Correction"
    COMMENT = "Comment"


class Layout(StrEnum):
    """What feedback is exported as."""

    PREFERENCE = "Preference"
    CHAT = "Chat"


class Turn(NamedTuple):
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What somebody said of one answer."""

    id: str
    revision_digest: str
    """Of the revision that answered."""
    request_id: str = ""
    trace_id: str = ""
    messages: tuple[Turn, ...]
    """What was answered."""
    response: str
    signal: Signal
    edited: str = ""
    """The answer as it should have been; of an edit."""
    corrections: Mapping[str, Json] = field(default_factory=dict)
    """The right values by field; of a correction."""
    comment: str = ""
    end_user: str = ""
    """A pseudonym; empty: nobody's."""
    has_consent: bool
    retention_days: int = 0
    """0: the server's default."""
    given_at: datetime | None = None
    """None: when it is recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Feedback as it lies there."""

    feedback: Feedback
    recorded_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which feedback is meant; what is empty means all."""

    revision_digest: str = ""
    signals: tuple[Signal, ...] = ()
    end_user: str = ""
    recorded_after: datetime | None = None
    """Inclusive."""
    recorded_before: datetime | None = None
    """Exclusive."""


class Share(NamedTuple):
    """A share with its interval of confidence."""

    value: float
    low: float
    high: float


def share(successes: int, trials: int) -> Share | None:
    """Return a share with its interval after Wilson (1927); None of nothing."""
    if not trials:
        return None
    from scipy.stats import binomtest  # noqa: PLC0415 - its import takes a second

    interval = binomtest(successes, trials).proportion_ci(confidence_level=CONFIDENCE, method="wilson")
    return Share(successes / trials, float(interval.low), float(interval.high))


def better(feedback: Feedback) -> str:
    """Return the answer as it should have been; empty where nobody said that.

    Corrections go into an answer that is a JSON object; of any other answer one correction that is a text takes the
    place.
    """
    if feedback.signal is Signal.EDIT:
        return feedback.edited
    if feedback.signal is not Signal.CORRECTION:
        return ""
    try:
        given: Any = json.loads(feedback.response)
    except ValueError:
        given = None
    if isinstance(given, dict):
        merged = {**given, **feedback.corrections}
        return feedback.response if merged == given else json.dumps(merged, ensure_ascii=False)
    values = list(feedback.corrections.values())
    return values[0] if len(values) == 1 and isinstance(values[0], str) else ""


def exported(feedback: Feedback, layout: Layout) -> Mapping[str, Json] | Drop:
    """Write feedback as a training record, or say why it is none."""
    answer = better(feedback)
    head: dict[str, Json] = {"id": feedback.id, "lineage": lineage(feedback)}
    if layout is Layout.PREFERENCE:
        if not answer:
            return Drop(reason=NO_BETTER)
        if answer == feedback.response:
            return Drop(reason=UNCHANGED)
        return {**head, "prompt": turns(feedback.messages), "chosen": answer, "rejected": feedback.response}
    answer = feedback.response if feedback.signal is Signal.THUMB_UP else answer
    if not answer:
        return Drop(reason=NOT_LIKED)
    return {**head, "messages": turns([*feedback.messages, Turn("assistant", answer)])}


def item_fields(feedback: Feedback) -> Mapping[str, Json]:
    """Write feedback as something to annotate: without the end user."""
    said = feedback.edited or feedback.comment
    if feedback.signal is Signal.CORRECTION:
        said = json.dumps(feedback.corrections, ensure_ascii=False, sort_keys=True)
    return {
        "messages": turns(feedback.messages),
        "response": feedback.response,
        "signal": str(feedback.signal),
        "said": said,
    }


def turns(conversation: Sequence[Turn]) -> list[dict[str, str]]:
    """Write turns as chat models are tuned on them."""
    return [turn._asdict() for turn in conversation]


def lineage(feedback: Feedback) -> Mapping[str, Json]:
    """Say where a training record comes from."""
    return {
        "feedback_id": feedback.id,
        "revision_digest": feedback.revision_digest,
        "signal": str(feedback.signal),
    }
