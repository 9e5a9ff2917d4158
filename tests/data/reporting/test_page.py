"""The page of a snapshot: it needs nothing else, shows what was found, and runs nothing that records hold."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from touchstone_data.core.spec import Report, Source

ATTACK = '<img src=x onerror=alert(1)><script>alert("hi")</script>'


class Elements(HTMLParser):
    """Notes the elements and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs


@pytest.fixture
def folder(bench: Any, make_spec: Any) -> Path:
    rows = [
        {
            "id": f"row-{n}",
            "text": f"the {['cat', 'dog', 'fox', 'owl'][n % 4]} number {n} sleeps near house {n * 7}",
            "label": "ab"[n % 2],
        }
        for n in range(60)
    ]
    rows += [
        {"id": ATTACK, "text": ATTACK, "label": ATTACK},
        {"id": "mail", "text": "ask jane@example.com", "label": "a"},
    ]
    sources = (Source(name="raw", uri=bench.write("in.jsonl", rows), licence="CC0-1.0"),)
    spec = make_spec("", ("length", {"min_words": 2}), sources=sources, report=Report(label_field="label"))
    return Path(bench.run(spec).snapshot_uri.removeprefix("file://"))


def test_a_page_runs_nothing_and_fetches_nothing(folder: Path) -> None:
    page = Elements((folder / "report.html").read_text())
    assert not {"script", "img", "link", "iframe"} & set(page.names)
    assert not [value for name, value in page.attributes if name.startswith("on") or name in ("src", "href")]
    assert page.names.count("svg") >= 5


def test_a_page_names_the_offending_records(folder: Path) -> None:
    page = (folder / "report.html").read_text()
    assert "personal data: EMAIL" in page
    assert "&lt;img" in page
    assert "62" in page


def test_the_document_holds_what_the_page_shows(folder: Path) -> None:
    found = json.loads((folder / "report.json").read_text())
    assert found["before"]["records"] == 62
    assert found["after"]["fields"]["label"]["kinds"] == {"string": 62}
    assert [pillar["name"] for pillar in found["pillars"]] == [
        "relevant", "aligned", "consistent", "correctly formatted", "unique", "compliant",
    ]  # fmt: skip
    assert len(found["diversity"]["spots"]) == 62
    assert found["splits"] == {"train": 62}
