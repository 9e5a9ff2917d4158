"""Conversations and texts to tokens, by the model's own chat template."""

from collections.abc import Sequence
from typing import NamedTuple

import jinja2
from transformers import PreTrainedTokenizerFast

from touchstone_finetuning.core import masking
from touchstone_finetuning.core.masking import Span
from touchstone_finetuning.core.records import ASSISTANT, Conversation, Pair, RecordInvalid, Turn


class Example(NamedTuple):
    """Tokens, and the label of each: its own id where the loss is of it."""

    input_ids: list[int]
    labels: list[int]


class PairExample(NamedTuple):
    """Tokens of a prompt and of the two answers to it."""

    prompt_ids: list[int]
    chosen_ids: list[int]
    rejected_ids: list[int]


class Renderer:
    """Renders by one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        markers = (number for number, token in tokenizer.added_tokens_decoder.items() if token.special)
        self._special_ids = frozenset(tokenizer.all_special_ids) | frozenset(markers)

    @property
    def has_template(self) -> bool:
        """Whether the tokenizer says how a conversation is written."""
        return bool(self._tokenizer.chat_template)

    def conversation(self, turns: Conversation) -> Example:
        """Render a conversation; the loss is of every answer, with the token that ends its turn.

        Raises:
            RecordInvalid: the template refuses it, or writes earlier turns anew when others follow.
        """
        whole = self._text(turns)
        answers = []
        for i, turn in enumerate(turns):
            if turn.role != ASSISTANT:
                continue
            before = self._text(turns[:i], is_asking=True)
            # Some templates end a conversation with a marker more: what both have in common is the turn itself.
            end = masking.common(self._text(turns[: i + 1]), whole)
            if not whole.startswith(before) or turn.content.strip() not in whole[len(before) : end]:
                raise RecordInvalid(
                    "the model's chat template writes an answer otherwise once other turns follow. Make a record of "
                    "each answer, with the turns before it."
                )
            answers.append(Span(len(before), end))
        coded = self._tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        ids, places = coded["input_ids"], [Span(*place) for place in coded["offset_mapping"]]
        return Example(ids, masking.labels(ids, places, answers, self._special_ids))

    def pair(self, pair: Pair) -> PairExample:
        """Render a prompt and its two answers, each with the token that ends its turn.

        Raises:
            RecordInvalid: the template refuses it.
        """
        prompt, chosen = self._answer(pair.prompt, pair.chosen)
        other, rejected = self._answer(pair.prompt, pair.rejected)
        if prompt != other:
            raise RecordInvalid("the tokens of the prompt change with the answer. Leave blanks off its end.")
        return PairExample(prompt, chosen, rejected)

    def text(self, text: str) -> list[int]:
        """Code a text as it is, with the token that ends it."""
        ids: list[int] = self._tokenizer(text, add_special_tokens=True)["input_ids"]
        end = self._tokenizer.eos_token_id
        return ids if end is None or ids[-1:] == [end] else [*ids, end]

    def _answer(self, prompt: Conversation, answer: Turn) -> tuple[list[int], list[int]]:
        ids, labels = self.conversation((*prompt, answer))
        # Earlier answers of the prompt have labels too: what is compared is the last run of them.
        last = max((i for i, label in enumerate(labels) if label != masking.IGNORED), default=0)
        if not last:
            raise RecordInvalid("an answer is empty")
        first = last
        while first and labels[first - 1] != masking.IGNORED:
            first -= 1
        return ids[:first], ids[first : last + 1]

    def _text(self, turns: Sequence[Turn], *, is_asking: bool = False) -> str:
        messages = [turn._asdict() for turn in turns]
        try:
            text: str = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=is_asking)
        except jinja2.TemplateError as error:
            raise RecordInvalid(f"the model's chat template refuses it ({error})") from error
        return text
