"""How many tokens a model reads of a record: by its own tokenizer and chat template, as the trainer counts them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from touchstone_data import errors
from touchstone_data.catalogue import chat_templates, render_chat
from touchstone_data.core.chat_templates import ChatRenderer, ChatTemplates, Refused
from touchstone_data.core.records import Record, text_of
from touchstone_data.core.spec import TokenReport
from touchstone_data.core.steps import Tools

FILE = "tokenizer.json"
DAY = "2026-01-01"
"""What templates are told in reports; each day is as long as another."""
BATCH = 256
"""Texts whose tokens are in memory at once."""
SCHEMA: dict[str, Any] = {
    "tokenizer": {
        "type": "string", "minLength": 1,
        "description": "Address, with its digest, of the tokenizer's folder or of its tokenizer.json.",
    },
    "chat_template": {
        "type": "string", "default": "",
        "description": "Address of what has the chat template, as of render-chat. Empty: in the tokenizer's folder.",
    },
    **{name: render_chat.STEP.parameters[name] for name in ("messages", "tools")},
    **chat_templates.SCHEMA,
}  # fmt: skip
"""Parameters of those who count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounter:
    """Counts by one tokenizer."""

    tokenizer: Tokenizer
    renderer: ChatRenderer | None
    """None: there is no chat template, and conversations cannot be counted."""
    end: int | None
    """The token that ends a text; None: none is put there."""
    parameters: Mapping[str, Any]
    paths: tuple[str, ...]

    def records(self, records: Sequence[Record]) -> npt.NDArray[np.int64]:
        """Count the tokens of records; [records].

        Those of a conversation are counted as its template writes it; 0 if the template refuses it. Those of a text
        with what the tokenizer puts round it, and with the token that ends it.

        Raises:
            ValueError: There is a conversation, and no chat template.
        """
        chats = [bool(render_chat.turns(record, self.parameters["messages"])) for record in records]
        found = np.zeros(len(records), dtype=np.int64)
        for is_chat in (True, False):
            places = [place for place, one in enumerate(chats) if one is is_chat]
            texts = [self._chat(records[p]) if is_chat else text_of(records[p], self.paths) for p in places]
            found[places] = self.texts(texts, is_whole=is_chat)
        return found

    def texts(self, texts: Sequence[str], *, is_whole: bool = True) -> npt.NDArray[np.int64]:
        """Count the tokens of texts; where they are not whole, what begins and ends them is added; [texts]."""
        found: list[int] = []
        for start in range(0, len(texts), BATCH):
            batch = texts[start : start + BATCH]
            coded = self.tokenizer.encode_batch_fast(list(batch), add_special_tokens=not is_whole)
            ends = self.end is not None and not is_whole
            found += [
                len(one.ids) + (ends and one.ids[-1:] != [self.end]) if text else 0
                for one, text in zip(coded, batch, strict=True)
            ]
        return np.array(found, dtype=np.int64)

    def _chat(self, record: Record) -> str:
        if self.renderer is None:
            raise ValueError("the records are conversations, and the tokenizer has no chat template: set one.")
        try:
            return render_chat.rendered(self.renderer, record, self.parameters)
        except Refused:
            return ""


def load(parameters: Mapping[str, Any], paths: tuple[str, ...], tools: Tools) -> TokenCounter:
    """Fetch a tokenizer and its chat template.

    Raises:
        ValueError: They cannot be read.
    """
    place = Path(tools.fetch(parameters["tokenizer"]))
    given = Path(tools.fetch(parameters["chat_template"])) if parameters["chat_template"] else place
    found = chat_templates.read(given) if given.is_dir() or parameters["chat_template"] else ChatTemplates(templates={})
    tokenizer = _tokenizer(place / FILE if place.is_dir() else place)
    return TokenCounter(
        tokenizer=tokenizer,
        renderer=chat_templates.renderer(found, parameters) if found.templates else None,
        end=tokenizer.token_to_id(found.tokens.get("eos_token", "")),
        parameters={**parameters, "add_generation_prompt": False},
        paths=paths,
    )


class Tokenizers:
    """Opens tokenizers for reports."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def open(self, report: TokenReport, text_fields: tuple[str, ...]) -> TokenCounter:
        """Fetch a tokenizer. Raises TokenizerInvalid."""
        defaults = {name: schema["default"] for name, schema in SCHEMA.items() if "default" in schema}
        named = {"tokenizer": report.tokenizer, "chat_template": report.chat_template, "date": DAY}
        try:
            return load({**defaults, **named}, text_fields, self._tools)
        except ValueError as error:
            raise errors.TokenizerInvalid(str(error)) from error


def _tokenizer(path: Path) -> Tokenizer:
    try:
        found = Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust library raises bare Exception
        raise ValueError(f"{path.name} is not a tokenizer.json: {error}") from error
    found.no_truncation()
    found.no_padding()
    return found
