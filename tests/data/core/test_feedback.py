"""What can be learned from feedback, and what feedback is refused."""

import json
from dataclasses import replace
from typing import Any

import pytest
from touchstone_data.core import consent, feedback
from touchstone_data.core.feedback import Feedback, Layout, Signal, Turn
from touchstone_data.core.records import Drop
from touchstone_finetuning.core import records as training
from touchstone_finetuning.core.recipe import Format

DIGEST = "sha256:" + "a" * 64
GIVEN = Feedback(
    id="f-1",
    revision_digest=DIGEST,
    messages=(Turn("system", "Be brief."), Turn("user", "Where is it?")),
    response="There.",
    signal=Signal.EDIT,
    edited="In the drawer.",
    has_consent=True,
)


def corrected(response: str, corrections: dict[str, Any]) -> Feedback:
    return replace(GIVEN, signal=Signal.CORRECTION, edited="", response=response, corrections=corrections)


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (GIVEN, "In the drawer."),
        (replace(GIVEN, signal=Signal.THUMB_UP, edited=""), ""),
        (corrected("billing", {"queue": "shipping"}), "shipping"),
        (
            corrected('{"queue": "billing", "urgent": true}', {"queue": "shipping"}),
            '{"queue": "shipping", "urgent": true}',
        ),
        (corrected('{"queue":"billing"}', {"queue": "billing"}), '{"queue":"billing"}'),
        (corrected("billing, urgent", {"queue": "shipping", "urgent": False}), ""),
        (corrected("[1]", {"count": 2}), ""),
    ],
)
def test_a_better_answer_is_the_edit_or_the_answer_with_its_corrections(given: Feedback, answer: str) -> None:
    assert feedback.better(given) == answer


def test_an_edit_is_a_pair_and_a_conversation_that_trainings_take() -> None:
    pair = feedback.exported(GIVEN, Layout.PREFERENCE)
    chat = feedback.exported(GIVEN, Layout.CHAT)
    assert not isinstance(pair, Drop)
    assert not isinstance(chat, Drop)
    read = training.pair(json.loads(json.dumps(pair)))
    assert [turn.content for turn in (*read.prompt, read.chosen, read.rejected)] == [
        "Be brief.", "Where is it?", "In the drawer.", "There.",
    ]  # fmt: skip
    said = training.conversation(json.loads(json.dumps(chat)), Format.CHATML)
    assert said[-1] == training.Turn("assistant", "In the drawer.")
    assert pair["lineage"] == {"feedback_id": "f-1", "revision_digest": DIGEST, "signal": "Edit"}


@pytest.mark.parametrize(
    ("given", "layout", "reason"),
    [
        (replace(GIVEN, signal=Signal.THUMB_UP), Layout.PREFERENCE, feedback.NO_BETTER),
        (replace(GIVEN, edited="There."), Layout.PREFERENCE, feedback.UNCHANGED),
        (replace(GIVEN, signal=Signal.THUMB_DOWN), Layout.CHAT, feedback.NOT_LIKED),
        (replace(GIVEN, signal=Signal.COMMENT, comment="Hm."), Layout.CHAT, feedback.NOT_LIKED),
    ],
)
def test_what_teaches_nothing_is_left_out_with_its_reason(given: Feedback, layout: Layout, reason: str) -> None:
    assert feedback.exported(given, layout) == Drop(reason=reason)


def test_an_answer_that_was_liked_is_learned_as_it_was() -> None:
    chat = feedback.exported(replace(GIVEN, signal=Signal.THUMB_UP), Layout.CHAT)
    assert not isinstance(chat, Drop)
    assert feedback.turns([Turn("assistant", "There.")])[0] == chat["messages"][-1]  # type: ignore[index,call-overload]


def test_nobody_is_named_in_an_item() -> None:
    assert "somebody" not in json.dumps(feedback.item_fields(replace(GIVEN, end_user="somebody", comment="x")))


# Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17, 1998, table I, method 3.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_shares_have_the_published_intervals(successes: int, trials: int, low: float, high: float) -> None:
    found = feedback.share(successes, trials)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    assert feedback.share(0, 0) is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"has_consent": False}, "feedback.consent"),
        ({"id": ""}, "feedback.feedback_id"),
        ({"id": "a b"}, "feedback.feedback_id"),
        ({"revision_digest": "chat-1"}, "feedback.revision_digest"),
        ({"end_user": "né"}, "feedback.end_user"),
        ({"request_id": "x" * 129}, "feedback.request_id"),
        ({"trace_id": "12"}, "feedback.trace_id"),
        ({"retention_days": 3651}, "feedback.retention_days"),
        ({"retention_days": -1}, "feedback.retention_days"),
        ({"messages": ()}, "feedback.messages"),
        ({"messages": (Turn("system", "x"),)}, "feedback.messages"),
        ({"messages": (Turn("person", "x"),)}, "feedback.messages[0].role"),
        ({"response": ""}, "feedback.response"),
        ({"response": "x" * 256 * 1024}, "feedback"),
        ({"edited": ""}, "feedback.edited_response"),
        ({"signal": Signal.COMMENT, "comment": "x" * 8193}, "feedback.comment"),
        ({"signal": Signal.CORRECTION}, "feedback.corrections"),
        ({"signal": Signal.CORRECTION, "corrections": {"n": 2**60}}, "feedback.corrections"),
    ],
)
def test_feedback_that_may_not_be_kept_is_refused_by_field(change: dict[str, Any], field: str) -> None:
    assert list(consent.feedback_faults(GIVEN)) == []
    assert [fault.field for fault in consent.feedback_faults(replace(GIVEN, **change))] == [field]
