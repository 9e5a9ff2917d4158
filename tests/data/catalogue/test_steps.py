"""What single steps do with records."""

import re
from collections.abc import Callable
from typing import Any

import ftfy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from touchstone_data.adapters import plugins
from touchstone_data.catalogue import clean_html, drop_boilerplate, fix_text
from touchstone_data.core.records import Drop, Record
from touchstone_data.core.steps import Surroundings

STEPS = plugins.installed()
ENCODER = {"model": "file:///m.onnx", "tokenizer": "file:///t.json"}


class NoTools:
    def fetch(self, uri: str, digest: str = "") -> str:
        raise AssertionError("nothing is to be fetched")


Apply = Callable[..., Record | Drop]


@pytest.fixture
def apply() -> Apply:
    """Have a step work on one record with some fields."""

    def apply(name: str, parameters: dict[str, Any], /, **fields: Any) -> Record | Drop:
        step = STEPS[name]
        assert list(step.faults(parameters, "parameters")) == []
        assert step.by_record is not None
        surroundings = Surroundings(text_fields=("text",), tools=NoTools())
        work = step.by_record(step.filled(parameters), surroundings)
        return work(Record(id="1", source="s", fields=fields))

    return apply


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two<br>lines &amp; more</p>", "One\n\nTwo\nlines & more"),
        ("<div><nav>Home</nav><script>x()</script><style>p{}</style>Kept</div>", "Kept"),
        ("<ul><li>a</li><li>b</li></ul>", "a\nb"),
        ("<!-- note --><b>bold</b> and <i>thin</i>", "bold and thin"),
        ("x &lt; y &amp;&amp; y &gt; z", "x < y && y > z"),
        ("if a<b then c>d", "if a<b then c>d"),
        ("Dear all,\nthis is <b>bold</b>.\n\nBye", "Dear all,\nthis is bold.\n\nBye"),
        ("<p>wrapped\nlines</p>", "wrapped lines"),
        ("I <3 this & that", "I <3 this & that"),
        ("mail <EMAIL> or <PHONE>", "mail <EMAIL> or <PHONE>"),
        ("", ""),
        ("<p></p>", ""),
    ],
)
def test_html_becomes_what_a_reader_sees(html: str, text: str) -> None:
    assert clean_html.clean(html) == text


def test_cleaning_twice_is_cleaning_once() -> None:
    once = clean_html.clean("<div><p>Fish &amp;amp; chips</p> <table><tr><td>1</td><td>2</td></tr></table></div>")
    assert clean_html.clean(once) in (once, once.replace("&amp;", "&"))


@pytest.mark.parametrize(
    ("broken", "whole"),
    [
        ("schÃ¶n", "schön"),
        ("cafe\u0301", "café"),
        ("a\u00a0b\x00c", "a bc"),
        ("one   two \n\n\n\n three", "one two\n\nthree"),
        ("“quoted”", "“quoted”"),
    ],
)
def test_texts_are_as_they_were_meant(broken: str, whole: str) -> None:
    assert fix_text.fix(broken, collapse=True) == whole


@pytest.mark.parametrize(
    ("letter", "matter"),
    [
        ("Help me.\n-- \nJane\nAcme", "Help me."),
        ("Help me.\n\nSent from my phone", "Help me."),
        ("> quoted\nMy answer", "My answer"),
        ("Yes.\nOn 3 May 2026, Bob wrote:\n> was it?", "Yes."),
        ("Hi\nThis e-mail and any files may contain privileged matter and more.", "Hi"),
        ("-- \nonly a signature", "-- \nonly a signature"),
        ("Unsubscribed users cannot log in.", "Unsubscribed users cannot log in."),
        ("A plain letter.\n\nWith two parts.", "A plain letter.\n\nWith two parts."),
    ],
)
def test_boilerplate_goes_and_the_matter_stays(apply: Apply, letter: str, matter: str) -> None:
    found = apply("drop-boilerplate", {}, text=letter)
    assert isinstance(found, Record)
    assert found.fields["text"] == matter


def test_own_patterns_leave_out_whole_lines_only(apply: Apply) -> None:
    found = apply("drop-boilerplate", {"patterns": ["ticket opened by .*"]}, text="Ticket opened by web\nNot this one")
    assert isinstance(found, Record)
    assert found.fields["text"] == "Not this one"
    assert drop_boilerplate.check({"patterns": ["("]}).startswith("The pattern '('")


@pytest.mark.parametrize(
    ("fields", "reason", "detail"),
    [
        ({"text": "x", "queue": "billing"}, "", ""),
        ({"text": "  ", "queue": "billing"}, "field missing", "text"),
        ({"queue": "billing"}, "field missing", "text"),
        ({"text": "x", "queue": "sales"}, "label not known", "queue: 'sales'"),
        ({"text": "x", "queue": ["billing"]}, "label not known", "queue: ['billing']"),
        ({"text": "x", "queue": "billing", "age": "old"}, "schema violated", "$.age: 'old' is not of type 'integer'"),
    ],
)
def test_records_must_be_as_required(apply: Apply, fields: dict[str, Any], reason: str, detail: str) -> None:
    parameters = {
        "fields": ["text"], "labels": {"queue": ["billing"]}, "schema": {"properties": {"age": {"type": "integer"}}},
    }  # fmt: skip
    found = apply("require", parameters, **fields)
    assert (found.reason, found.detail) == (reason, detail) if isinstance(found, Drop) else not reason


def test_lengths_are_measured_over_all_fields(apply: Apply) -> None:
    short = apply("length", {"min_words": 4, "fields": ["subject", "body"]}, subject="one", body="two three")
    assert short == Drop(reason="too short", score=3, detail="words")
    assert isinstance(apply("length", {"min_words": 3, "fields": ["subject", "body"]}, subject="a", body="b c"), Record)
    assert apply("length", {"max_characters": 2}, text="abc") == Drop(reason="too long", score=3, detail="characters")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The invoice that you sent me last week has a wrong address on it, please send another one.", "en"),
        ("Die Rechnung, die Sie mir letzte Woche geschickt haben, hat eine falsche Adresse.", "de"),
        ("La facture que vous m'avez envoyée la semaine dernière comporte une mauvaise adresse.", "fr"),
    ],
)
def test_the_language_is_told(apply: Apply, text: str, language: str) -> None:
    assert isinstance(apply("language", {"languages": [language], "min_probability": 0.9}, text=text), Record)
    other = apply("language", {"languages": ["ja"]}, text=text)
    assert isinstance(other, Drop)
    assert (other.reason, other.detail) == ("other language", language)


def test_lines_that_are_no_prose_go_from_all_turns_of_a_conversation(apply: Apply) -> None:
    """Paths through lists were passed over: navigation stayed in conversations."""
    question, answer = "Where is the parcel that I ordered in May?", "It left our house on Monday and is on its way."
    turns = [
        {"role": "user", "content": f"Home | Shop | Contact\n{question}"},
        {"role": "assistant", "content": f"{answer}\nAll rights reserved"},
    ]
    asked = {"fields": ["messages[].content"], "rules": ["fineweb"], "keep_prose_lines": True}
    found = apply("quality", asked, messages=turns)
    assert isinstance(found, Record)
    assert found.fields["messages"] == [{**turns[0], "content": question}, {**turns[1], "content": answer}]


def test_templates_see_the_fields_and_nothing_else(apply: Apply) -> None:
    turns = [{"role": "user", "template": "{{ text }}"}, {"role": "assistant", "template": "{{ label|upper }}"}]
    found = apply("to-chat", {"messages": turns, "keep": ["label"]}, text="hello", label="a", other=1)
    assert isinstance(found, Record)
    assert found.fields == {
        "label": "a",
        "messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "A"}],
    }
    assert apply("to-chat", {"messages": turns}, text=" ", label="a") == Drop(reason="turn is blank", detail="user")
    for template in ("{{ missing }}", "{{ text.__class__.__mro__ }}", "{{ range(9) }}", "{{ 1 / 0 }}"):
        turns[1]["template"] = template
        found = apply("to-chat", {"messages": turns}, text="hello", label="a")
        assert isinstance(found, Drop)
        assert found.reason == "template does not fit"


@pytest.mark.parametrize("name", sorted(STEPS))
def test_defaults_satisfy_their_own_schema(name: str) -> None:
    step = STEPS[name]
    assert [step.by_record, step.by_corpus, step.by_generation].count(None) == 2
    for parameter, schema in step.parameters.items():
        if "default" in schema:
            assert list(step.faults({**_required(name), parameter: schema["default"]}, "p")) == [] or step.check


def _required(name: str) -> dict[str, Any]:
    return {
        "language": {"languages": ["en"]},
        "contamination": {"against": [{"uri": "file:///x"}]},
        "to-chat": {"messages": [{"role": "assistant", "template": "x"}]},
        "length": {"min_words": 1},
        "require": {"fields": ["x"]},
        "paraphrase": {"model": "m", "encoder": ENCODER},
        "back-translate": {"model": "m", "encoder": ENCODER, "pivot": "de"},
        "generate-instructions": {"model": "m", "judge": {"model": "m", "criteria": "good"}},
    }.get(name, {})


@pytest.mark.parametrize("name", ["paraphrase", "back-translate", "generate-instructions"])
def test_a_judge_that_says_yes_or_no_takes_no_least_score(name: str) -> None:
    """The score was passed over without a word."""
    judge = {"model": "m", "criteria": "good", "min_score": 5}
    asked = {**_required(name), "judge": judge}
    assert list(STEPS[name].faults(asked, "spec.steps[0].parameters")) == []
    (fault,) = STEPS[name].faults({**asked, "judge": {**judge, "scale": "yes-no"}}, "spec.steps[0].parameters")
    assert fault.field == "spec.steps[0].parameters"
    assert fault.description == "judge.min_score is of the scale 1-5. Remove it, or set judge.scale to 1-5."


@given(text=st.text(alphabet=st.characters(max_codepoint=126)))
def test_texts_of_plain_ascii_are_what_ftfy_leaves_of_them(text: str) -> None:
    slow = ftfy.fix_text(text, fix_text.CONFIG)
    assert fix_text.fix(text, collapse=False) == slow
    lines = [re.sub(r"[^\S\n]+", " ", line).strip() for line in slow.split("\n")]
    assert fix_text.fix(text, collapse=True) == re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
