"""What data renders is what a tokenizer's own `apply_chat_template` renders, for every template that trl brings.

The module under test is pure, so it needs no more of touchstone-data than its source; transformers is only here.
"""

from datetime import datetime
from importlib.resources import files
from typing import Any

import jinja2
import pytest
import transformers
from tokenizers import Tokenizer, models
from touchstone_data.core.chat_templates import ChatRenderer, ChatTemplates, Refused

TEMPLATES = {
    file.name.removesuffix(".jinja"): file
    for file in (files("trl") / "chat_templates").iterdir()
    if file.name.endswith(".jinja")
}
FAMILIES = {
    "cohere2",
    "deepseekv3",
    "gemma3",
    "glm4moe",
    "gptoss",
    "lfm2",
    "llama3_2",
    "nemotron_3_nano",
    "phi3",
    "qwen3",
}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
TURNS: list[dict[str, Any]] = [
    {"role": "user", "content": '  Where is my "parcel" <b>42</b>?\n'},
    {"role": "assistant", "content": "It is on its way."},
    {"role": "user", "content": "Über Köln?"},
    {"role": "assistant", "content": "<think>\nRoutes.\n</think>\n\nYes, über Köln & Bonn."},
]
SYSTEM = {"role": "system", "content": "Answer briefly."}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "track",
            "description": "Tells where a <parcel> is.",
            "parameters": {
                "type": "object",
                "properties": {"number": {"type": "string", "description": "Its number."}},
                "required": ["number"],
            },
        },
    }
]
CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "track", "arguments": {"number": "ü-42"}}}
CALLING = [
    TURNS[0],
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "name": "track", "tool_call_id": "abcdefghi", "content": '{"at": "Köln"}'},
    {"role": "assistant", "content": "It is in Köln."},
]
CONVERSATIONS = {
    "one turn": TURNS[:1],
    "many turns": TURNS,
    "a system": [SYSTEM, *TURNS],
    "tools": [SYSTEM, *CALLING],
    "two turns of one side": [TURNS[0], TURNS[2]],
}


def speaking(templates: dict[str, str] | str) -> Any:
    """A tokenizer with some templates."""
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE()), chat_template=templates, **TOKENS
    )


def its_own(tokenizer: Any, turns: list[Any], **options: Any) -> str | None:
    """What a tokenizer renders; None if its template refuses."""
    try:
        return str(tokenizer.apply_chat_template(turns, tokenize=False, **options))
    except (jinja2.TemplateError, TypeError):
        return None


def ours(renderer: ChatRenderer, turns: list[Any], tools: Any, *, is_asking: bool) -> str | None:
    try:
        return renderer.text(turns, tools, is_asking=is_asking)
    except Refused:
        return None


def today() -> datetime:
    """The day by the clock that templates are told of: the machine's."""
    return datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)  # noqa: DTZ005 - as transformers does


@pytest.mark.parametrize("family", sorted(TEMPLATES))
def test_texts_are_those_of_the_tokenizer(family: str) -> None:
    text = TEMPLATES[family].read_text()
    tokenizer, rendered = speaking(text), 0
    for turns in CONVERSATIONS.values():
        for tools in (None, TOOLS):
            for is_asking in (False, True):
                # Some templates write the date: what was rendered round midnight is rendered again.
                first, theirs, last = (
                    today(),
                    its_own(tokenizer, turns, tools=tools, add_generation_prompt=is_asking),
                    today(),
                )
                if first != last:
                    theirs = its_own(tokenizer, turns, tools=tools, add_generation_prompt=is_asking)
                renderer = ChatRenderer(ChatTemplates(templates={"default": text}, tokens=TOKENS), date=last)
                assert ours(renderer, turns, tools, is_asking=is_asking) == theirs
                rendered += theirs is not None
    assert rendered >= 8  # of twenty: a template that refuses them all would prove nothing


def test_of_several_templates_the_one_for_tools_is_taken_where_there_are_tools() -> None:
    templates = {"default": "plain {{ messages[0].content }}", "tool_use": "{{ tools | tojson(indent=2) }}", "rag": "r"}
    renderer = ChatRenderer(ChatTemplates(templates=templates))
    for tools in (None, TOOLS):
        assert renderer.text(TURNS, tools) == its_own(speaking(templates), TURNS, tools=tools)


def test_the_templates_are_of_many_makers() -> None:
    assert set(TEMPLATES) >= FAMILIES
