"""Claims about what files become, and what is said of those that become nothing."""

import json

from touchstone_retrieval.adapters import html, markdown
from touchstone_retrieval.adapters.parsing import FileParser
from touchstone_retrieval.core.passages import Document, Failure, FailureReason
from touchstone_retrieval.core.spec import FieldPaths, Source, SourceFormat
from touchstone_retrieval.ports import SourceFile

MARKDOWN = """---
title: Billing
---
# Refunds *now*

See [the form](https://example.org/form) and run `pay`.

| plan | price |
|------|-------|
| Pro  | 5     |

- one
- two

## Limits

```python
if x:
    y()
```
"""

HTML = """<html><head><title>How to &amp; why</title><style>p{}</style></head><body>
<header>Logo</header><nav><a href="/">Home</a></nav>
<main><h1>How</h1><p>Turn   the<b>key</b>
twice.</p><pre>a = 1
  b = 2</pre><script>alert(1)</script></main>
<footer>Imprint</footer></body></html>"""


def parse(content: bytes, path: str, **source) -> list[Document | Failure]:
    described = Source(name="docs", uri="file:///x", **source)
    return list(FileParser(max_file_bytes=10_000).parse(described, SourceFile(path, len(content), lambda: content)))


def test_markdown_becomes_what_a_reader_sees():
    page = markdown.read(MARKDOWN)

    assert page.title == "Billing"
    assert page.text == (
        "Refunds now\n\nSee the form and run pay.\n\nplan | price\nPro | 5\n\none\ntwo\n\n\nLimits\n\nif x:\n    y()"
    )


def test_markdown_without_front_matter_is_named_by_its_first_heading():
    assert markdown.read("intro\n\n# The name\n\ntext").title == "The name"


def test_front_matter_that_is_not_yaml_stays_text():
    assert "a: [" in markdown.read("---\na: [\n---\nbody").text


def test_html_loses_its_boilerplate_and_keeps_its_words_whole():
    page = html.read(HTML)

    assert page.title == "How to & why"
    assert page.text == "How\n\nTurn thekey twice.\n\na = 1\n  b = 2"


def test_html_without_a_main_part_is_read_from_its_body():
    assert html.read("<p>One</p><p>Two<br>Three</p>").text == "One\n\nTwo\nThree"


def test_json_records_are_found_by_paths():
    content = json.dumps({"data": [{"ps": [{"c": "one", "n": 1}, {"c": "two", "n": 2}]}, {"ps": [{"c": "three"}]}]})
    fields = FieldPaths(text="c", id="n", metadata={"number": "n"})

    found = parse(content.encode(), "a.json", records="data[].ps[]", fields=fields, metadata={"kind": "x"})

    assert [(d.text, d.metadata) for d in found] == [
        ("one", {"kind": "x", "number": "1"}),
        ("two", {"kind": "x", "number": "2"}),
        ("three", {"kind": "x"}),
    ]
    assert [d.name for d in found[:2]] == ["docs/1", "docs/2"]
    assert len(found[2].id) == 32


def test_a_line_that_is_not_json_is_counted_and_the_next_is_read():
    found = parse(b'{"text": "a"}\n{oops\n\n{"title": "no text"}\n{"text": "b"}', "a.jsonl")

    assert [f.text if isinstance(f, Document) else (f.document, f.reason) for f in found] == [
        "a",
        ("a.jsonl:2", FailureReason.NOT_JSON),
        ("a.jsonl:4", FailureReason.NO_TEXT),
        "b",
    ]


def test_half_a_surrogate_pair_does_not_stop_a_build():
    (found,) = parse(b'{"text": "a \\ud800 b"}', "a.jsonl")

    assert found.text == "a \ufffd b"


def test_what_cannot_be_read_says_why():
    reasons = [
        parse(b"\xff\xfe\x00", "a.txt"),
        parse(b"{", "a.json"),
        parse(b"{}", "a.json"),
        parse(b"x" * 10_001, "a.txt"),
        parse(b"x", "a.png"),
    ]

    assert [f.reason for (f,) in reasons] == ["NotText", "NotJson", "NoRecords", "TooLarge", "UnknownFormat"]


def test_a_stated_format_goes_before_the_extension():
    (found,) = parse(b"# x", "README", format=SourceFormat.MARKDOWN)

    assert found.text == "x"
