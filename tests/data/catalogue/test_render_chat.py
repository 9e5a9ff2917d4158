"""Chat templates: what is rendered is what the tokenizer's own `apply_chat_template` renders, for models of many makers."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import gguf
import jinja2
import pytest
import transformers
from tokenizers import Tokenizer, models
from touchstone_data.catalogue import chat_templates
from touchstone_data.core.chat_templates import ChatRenderer, ChatTemplates, Refused

WHEEL = "pypi://trl==1.16.0/trl/chat_templates"
TEMPLATES = {
    "cohere2": "2147c474f41b522b7296f74692b9f31e45f49a31465960576a9d321339c5915a",
    "deepseekv3": "563b1ce7d61d50a9b4c7439a912a1116f095b712df5b5e4d3e1116049874eb64",
    "gemma": "ecd6ae513fe103f0eb62e8ab5bfa8d0fe45c1074fa398b089c93a7e70c15cfd6",
    "gemma3": "7de1c58e208eda46e9c7f86397df37ec49883aeece39fb961e0a6b24088dd3c4",
    "glm4moe": "44f815868bf02fa458dd2f741a338046f4bf45f398eb6d067766726b9d96cce3",
    "gptoss": "a4c9919cbbd4acdd51ccffe22da049264b1b73e59055fa58811a99efbd7c8146",
    "lfm2": "cef187400d62a59507aab3a642ea9a8d2a2ef263562bc3430560e116945273cf",
    "llama3": "ba03a121d097859c7b5b9cd03af99aafe95275210d2876f642ad9929a150f122",
    "llama3_2": "5816fce10444e03c2e9ee1ef8a4a1ea61ae7e69e438613f3b17b69d0426223a4",
    "nemotron_3_nano": "ab7813c3abdd9cb655905a410728b26c7884eca45ddfab8d9f931553485a7862",
    "phi3": "dcaee66df77bfbb789ec541fe713218da30225a526f1db97138fc39ee6dc56aa",
    "qwen2_5": "cd8e9439f0570856fd70470bf8889ebd8b5d1107207f67a5efb46e342330527f",
    "qwen3": "a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8",
    "qwen3_training": "1d944ff8f268b611abb296cdd24d0f51981eef1c8647ac321c3a0258f61eb6c9",
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


def its_own(templates: dict[str, str] | str, turns: list[Any], **options: Any) -> str | None:
    """What the tokenizer renders; None if its template refuses."""
    speaking = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.BPE()), chat_template=templates, **TOKENS
    )
    try:
        return str(speaking.apply_chat_template(turns, tokenize=False, **options))
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


@pytest.fixture
def fetch(resolver: Any) -> Callable[[str], Path]:
    return lambda family: resolver.resolve_sync(f"{WHEEL}/{family}.jinja#sha256={TEMPLATES[family]}").path


@pytest.mark.artefacts
@pytest.mark.parametrize("family", TEMPLATES)
def test_texts_are_those_of_the_tokenizer(fetch: Callable[[str], Path], family: str) -> None:
    text = fetch(family).read_text()
    rendered = 0
    for turns in CONVERSATIONS.values():
        for tools in (None, TOOLS):
            for is_asking in (False, True):
                # Some templates write the date: what was rendered round midnight is rendered again.
                first, theirs, last = (
                    today(),
                    its_own(text, turns, tools=tools, add_generation_prompt=is_asking),
                    today(),
                )
                if first != last:
                    theirs = its_own(text, turns, tools=tools, add_generation_prompt=is_asking)
                renderer = ChatRenderer(ChatTemplates(templates={"default": text}, tokens=TOKENS), date=last)
                assert ours(renderer, turns, tools, is_asking=is_asking) == theirs
                rendered += theirs is not None
    assert rendered >= 8  # of twenty: a template that refuses them all would prove nothing


def test_of_several_templates_the_one_for_tools_is_taken_where_there_are_tools() -> None:
    templates = {"default": "plain {{ messages[0].content }}", "tool_use": "{{ tools | tojson(indent=2) }}", "rag": "r"}
    renderer = ChatRenderer(ChatTemplates(templates=templates))
    for tools in (None, TOOLS):
        assert renderer.text(TURNS, tools) == its_own(templates, TURNS, tools=tools)
    assert ChatRenderer(ChatTemplates(templates=templates), name="rag").text(TURNS) == "r"
    with pytest.raises(ValueError, match="default, rag, tool_use"):
        ChatRenderer(ChatTemplates(templates=templates), name="other")


def test_a_template_reaches_nothing_but_the_conversation() -> None:
    assert ChatRenderer(ChatTemplates(templates={"default": "{{ ''.__class__ }}"})).text(TURNS) == ""
    for code in ("{{ messages.append(1) }}", "{% include 'x' %}", "{{ ''.__class__.__mro__ }}"):
        renderer = ChatRenderer(ChatTemplates(templates={"default": code}))
        with pytest.raises(Refused):
            renderer.text(TURNS)
    assert len(TURNS) == 4


def test_a_template_that_writes_the_date_needs_one() -> None:
    dated = ChatTemplates(templates={"default": "{{ strftime_now('%d %b %Y') }}"})
    with pytest.raises(ValueError, match="Set `date`"):
        ChatRenderer(dated)
    assert ChatRenderer(dated, date=datetime(2026, 1, 2)).text(TURNS) == "02 Jan 2026"  # noqa: DTZ001 - a day


def test_templates_are_found_wherever_a_tokenizer_keeps_them(tmp_path: Path) -> None:
    speaking = transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), **TOKENS)
    speaking.chat_template = {"default": "{{ bos_token }}plain", "tool_use": "called"}
    for name, as_files in (("new", True), ("old", False)):
        speaking.save_pretrained(tmp_path / name, save_jinja_files=as_files)
        found = chat_templates.read(tmp_path / name)
        assert found.templates == speaking.chat_template
        assert TOKENS.items() <= found.tokens.items()
    assert chat_templates.read(tmp_path / "old" / "tokenizer_config.json").templates == speaking.chat_template


def test_templates_are_found_in_a_model_as_gguf(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "llama")
    writer.add_chat_template(
        [{"name": "default", "template": "{{ eos_token }}"}, {"name": "tool_use", "template": "t"}]
    )
    writer.add_token_list(["<unk>", "<s>", "</s>", "a"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    found = chat_templates.read(tmp_path / "model.gguf")
    assert found.templates == {"default": "{{ eos_token }}", "tool_use": "t"}
    assert found.tokens == {"bos_token": "<s>", "eos_token": "</s>"}


TEMPLATE = (
    "{% for turn in messages %}{% if turn.tool_calls is defined %}calls {% endif %}"
    "{{ '<' + turn.role + '>' + turn.content + eos_token }}{% endfor %}"
)


def test_records_get_the_text_and_keep_the_reason_where_there_is_none(bench: Any, make_spec: Any, read: Any) -> None:
    (bench.root / "chat.jinja").write_text(TEMPLATE)
    rows = [
        {"id": "two", "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]},
        {"id": "null", "messages": [{"role": "user", "content": "Hi", "tool_calls": None}]},
        {"id": "empty", "messages": []},
        {"id": "silent", "messages": [{"role": "user", "content": None}]},
    ]
    step = ("render-chat", {"tokenizer": f"file://{bench.root}/chat.jinja", "variables": {"eos_token": "</s>"}})
    found = read(bench.run(make_spec(bench.write("in.jsonl", rows), step)))
    texts = {row["record_id"]: row["text"] for row in found.all_rows}
    assert texts == {"two": "<user>Hi</s><assistant>Ho</s>", "null": "<user>Hi</s>"}
    assert {row["record_id"]: row["reason"] for row in found.dropped} == {
        "empty": "no messages", "silent": "chat template refuses it",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("x.jinja", "{% for %}", "no template"),
        ("x.gguf", "GGUF?", "no GGUF file"),
        ("tokenizer_config.json", "{", "not JSON"),
        ("tokenizer_config.json", "{}", "no chat template 'default'"),
        ("x.jinja", "{{ strftime_now('%Y') }}", "Set `date`"),
    ],
)
def test_what_is_no_template_fails_the_pipeline_and_says_why(
    bench: Any, make_spec: Any, name: str, content: str, cause: str
) -> None:
    (bench.root / name).write_text(content)
    step = ("render-chat", {"tokenizer": f"file://{bench.root}/{name}"})
    pipeline = bench.run(make_spec(bench.write("in.jsonl", [{"messages": TURNS}]), step))
    assert pipeline.error["reason"] == "StepFailed"
    assert cause in pipeline.error["message"]
