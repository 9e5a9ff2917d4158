"""Chat templates: found where models keep them, harmless, and exact.

That texts are the tokenizer's own is held by tests/finetuning/training, where transformers is.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import gguf
import pytest
from touchstone_data.catalogue import chat_templates
from touchstone_data.core.chat_templates import ChatRenderer, ChatTemplates, Refused

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
TURNS: list[dict[str, Any]] = [
    {"role": "user", "content": '  Where is my "parcel" <b>42</b>?\n'},
    {"role": "assistant", "content": "It is on its way."},
    {"role": "user", "content": "Über Köln?"},
    {"role": "assistant", "content": "<think>\nRoutes.\n</think>\n\nYes, über Köln & Bonn."},
]


def test_of_several_templates_one_is_taken_by_its_name() -> None:
    templates = {"default": "plain", "tool_use": "called", "rag": "r"}
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
    templates = {"default": "{{ bos_token }}plain", "tool_use": "called"}
    new, old = tmp_path / "new", tmp_path / "old"
    for folder in (new / "additional_chat_templates", old):
        folder.mkdir(parents=True)
    (new / "chat_template.jinja").write_text(templates["default"])
    (new / "additional_chat_templates" / "tool_use.jinja").write_text(templates["tool_use"])
    (new / "tokenizer_config.json").write_text(json.dumps({**TOKENS, "chat_template": "outdated"}))
    named = [{"name": name, "template": template} for name, template in templates.items()]
    written = {name: {"content": token, "lstrip": False} for name, token in TOKENS.items()}
    (old / "tokenizer_config.json").write_text(json.dumps({"chat_template": named, "add_bos_token": True}))
    (old / "special_tokens_map.json").write_text(json.dumps(written))
    for folder in (new, old):
        assert chat_templates.read(folder) == ChatTemplates(templates=templates, tokens=TOKENS)
    assert chat_templates.read(old / "tokenizer_config.json").templates == templates


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
