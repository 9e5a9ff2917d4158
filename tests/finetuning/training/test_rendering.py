"""Conversations to tokens and labels."""

import copy
from importlib.resources import files
from typing import Any

import pytest
from touchstone_finetuning.core.masking import IGNORED
from touchstone_finetuning.core.records import Pair, RecordInvalid, Turn
from touchstone_finetuning.training.rendering import Renderer

SYSTEM, ASKED = Turn("system", "Be short."), Turn("user", "Capital of France? 🙂")
ANSWERED, AGAIN, LAST = Turn("assistant", "Paris."), Turn("user", "And Spain?"), Turn("assistant", "Madrid 🙂.")
WHOLE = (SYSTEM, ASKED, ANSWERED, AGAIN, LAST)
MARKERS = {
    "llama3": ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    "cohere": ["<|END_OF_TURN_TOKEN|>"],
    "gemma": ["<start_of_turn>", "<end_of_turn>"],
    "phi3": ["<|user|>", "<|assistant|>", "<|end|>"],
    "qwen3_instruct_2507": [],
}
"""Chat templates of which trl has a twin that marks the answers."""


def plain(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def runs(labels: list[int]) -> list[list[int]]:
    """The runs of labels that the loss is of."""
    found: list[list[int]] = [[]]
    for label in labels:
        if label == IGNORED:
            found.append([])
        else:
            found[-1].append(label)
    return [run for run in found if run]


def test_the_loss_is_of_every_answer_with_the_end_of_its_turn(tokenizer: Any) -> None:
    ids, labels = Renderer(tokenizer).conversation(WHOLE)
    assert runs(labels) == [plain(tokenizer, "Paris.<|im_end|>"), plain(tokenizer, "Madrid 🙂.<|im_end|>")]
    assert ids == tokenizer.apply_chat_template([turn._asdict() for turn in WHOLE], return_dict=False)
    assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))


def test_pairs_share_their_prompt_and_end_with_the_end_of_their_turn(tokenizer: Any) -> None:
    prompt, chosen, rejected = Renderer(tokenizer).pair(Pair(WHOLE[:4], LAST, Turn("assistant", "Rome")))
    assert tokenizer.decode(prompt).endswith("And Spain?<|im_end|>\n<|im_start|>assistant\n")
    assert chosen == plain(tokenizer, "Madrid 🙂.<|im_end|>")
    assert rejected == plain(tokenizer, "Rome<|im_end|>")


def test_a_text_ends_with_the_end_of_text(tokenizer: Any) -> None:
    assert Renderer(tokenizer).text("Gold.") == [*plain(tokenizer, "Gold."), tokenizer.eos_token_id]


@pytest.mark.parametrize("family", MARKERS)
def test_answers_are_where_trl_marks_them_in_other_families(tokenizer: Any, family: str) -> None:
    speaking = copy.deepcopy(tokenizer)
    speaking.add_special_tokens({"additional_special_tokens": MARKERS[family]})
    templates = files("trl") / "chat_templates"
    turns = WHOLE[1:]
    speaking.chat_template = (templates / f"{family}.jinja").read_text()
    ids, labels = Renderer(speaking).conversation(turns)
    speaking.chat_template = (templates / f"{family}_training.jinja").read_text()
    marked = speaking.apply_chat_template([turn._asdict() for turn in turns], return_assistant_tokens_mask=True)
    theirs = [
        token if is_answer else IGNORED
        for token, is_answer in zip(marked["input_ids"], marked["assistant_masks"], strict=True)
    ]
    assert ids == marked["input_ids"]
    # trl's are the same but for the line feed that some have behind the end of a turn, which no model generates.
    ended = [speaking.decode(run).removesuffix("\n") for run in runs(theirs)]
    assert [speaking.decode(run) for run in runs(labels)] == ended


def test_a_template_that_writes_earlier_answers_anew_is_told(tokenizer: Any) -> None:
    thinking = copy.deepcopy(tokenizer)
    thinking.chat_template = (files("trl") / "chat_templates" / "qwen3.jinja").read_text()
    with pytest.raises(RecordInvalid, match="Make a record of each answer"):
        Renderer(thinking).conversation(WHOLE)
    _, labels = Renderer(thinking).conversation(WHOLE[:3])
    assert runs(labels) == [plain(thinking, "<think>\n\n</think>\n\nParis.<|im_end|>")]


def test_what_a_template_refuses_is_told_in_its_words(tokenizer: Any) -> None:
    strict = copy.deepcopy(tokenizer)
    strict.chat_template = (files("trl") / "chat_templates" / "gemma.jinja").read_text()
    with pytest.raises(RecordInvalid, match="refuses it"):
        Renderer(strict).conversation((ASKED, AGAIN, LAST))
