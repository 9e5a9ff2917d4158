"""Records of training data."""

import pytest
from touchstone_finetuning.core import records
from touchstone_finetuning.core.recipe import Format
from touchstone_finetuning.core.records import Pair, RecordInvalid, Turn

ASKED, ANSWERED = Turn("user", "2 + 2?"), Turn("assistant", "4")


def turns(*given: Turn) -> list[dict[str, str]]:
    return [turn._asdict() for turn in given]


def test_a_chat_is_its_turns() -> None:
    assert records.conversation({"messages": turns(ASKED, ANSWERED)}, Format.CHATML) == (ASKED, ANSWERED)


@pytest.mark.parametrize(
    ("fields", "question"),
    [
        ({"instruction": "Add.", "input": "2 and 2", "output": "4"}, "Add.\n\n2 and 2"),
        ({"instruction": "Add 2 and 2.", "input": "", "output": "4"}, "Add 2 and 2."),
        ({"instruction": "Add 2 and 2.", "output": "4"}, "Add 2 and 2."),
    ],
)
def test_an_instruction_is_a_question_with_its_input(fields: dict[str, object], question: str) -> None:
    assert records.conversation(fields, Format.ALPACA) == (Turn("user", question), ANSWERED)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"},
        {"prompt": turns(ASKED), "chosen": turns(ANSWERED), "rejected": turns(Turn("assistant", "5"))},
        {"prompt": turns(ASKED), "chosen": turns(ASKED, ANSWERED), "rejected": turns(ASKED, Turn("assistant", "5"))},
    ],
)
def test_a_preference_is_a_pair_however_it_is_written(fields: dict[str, object]) -> None:
    assert records.pair(fields) == Pair((ASKED,), ANSWERED, Turn("assistant", "5"))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "`messages` must be a list"),
        ({"messages": []}, "at least one turn"),
        ({"messages": ["hello"]}, r"`messages\[0\]` must be"),
        ({"messages": [{"role": "robot", "content": "x"}]}, r"`messages\[0\].role` must be one of"),
        ({"messages": [{"role": "assistant", "content": None}]}, r"`messages\[0\].content` must be a string"),
        ({"messages": turns(ASKED)}, "nothing to learn"),
    ],
)
def test_a_bad_chat_is_told_with_its_field(fields: dict[str, object], told: str) -> None:
    with pytest.raises(RecordInvalid, match=told):
        records.conversation(fields, Format.CHATML)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"prompt": "a", "chosen": "b"}, "`rejected` must be a list"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "nothing is preferred"),
        ({"prompt": "a", "chosen": turns(ANSWERED, ASKED), "rejected": "b"}, "one turn of the assistant"),
        ({"prompt": "", "chosen": "b", "rejected": "c"}, "`prompt` must be a string that is not empty"),
    ],
)
def test_a_bad_preference_is_told_with_its_field(fields: dict[str, object], told: str) -> None:
    with pytest.raises(RecordInvalid, match=told):
        records.pair(fields)


@pytest.mark.parametrize("fields", [{}, {"text": ""}, {"text": 3}])
def test_a_text_that_is_none_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(RecordInvalid, match="`text` must be a string"):
        records.text(fields)
