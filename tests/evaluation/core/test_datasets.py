"""Datasets in the layouts that they come in."""

import gzip
import io
import json
from typing import Any

import nanoarrow
import pytest
from nanoarrow import ipc
from touchstone_evaluation.core import datasets
from touchstone_evaluation.core.formats import Unreadable
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Dataset, Layout

RECORDS = [{"ask": f"q{number}", "options": ["a", "b", "c"], "key": number % 3} for number in range(5)]
RENAMED = "[].{question: ask, choices: options, answer: key}"


def drawn(content: bytes, layout: Layout, records: str = "", **more: Any) -> tuple[Item, ...]:
    dataset = Dataset(uri="file:///x", layout=layout, records=records, **more)
    return datasets.draw(content, dataset, lambda item: "").items


def arrow() -> bytes:
    schema = nanoarrow.struct({"ask": nanoarrow.string(), "key": nanoarrow.int64()})
    asks = nanoarrow.c_array([record["ask"] for record in RECORDS], nanoarrow.string())
    keys = nanoarrow.c_array([record["key"] for record in RECORDS], nanoarrow.int64())
    file = io.BytesIO()
    with ipc.StreamWriter.from_writable(file) as writer:
        writer.write_array(nanoarrow.c_array_from_buffers(schema, len(RECORDS), [None], children=[asks, keys]))
    return file.getvalue()


def test_all_layouts_give_the_same_items() -> None:
    lines = "\n".join(map(json.dumps, RECORDS)).encode()
    document = json.dumps({"data": RECORDS}).encode()
    expected = tuple(f"q{number}" for number in range(5))
    for content, layout, records in (
        (lines, Layout.JSON_LINES, RENAMED),
        (gzip.compress(lines), Layout.JSON_LINES, RENAMED),
        (document, Layout.JSON, "data" + RENAMED),
        (b"# made today\nask,key\n" + b"".join(b"q%d,%d\n" % (n, n % 3) for n in range(5)), Layout.CSV, "[].{question: ask, choices: `[\"a\", \"b\", \"c\"]`, answer: to_number(key)}"),
        (arrow(), Layout.ARROW, "[].{question: ask, choices: `[\"a\", \"b\", \"c\"]`, answer: key}"),
    ):  # fmt: skip
        items = drawn(content, layout, records)
        assert tuple(item.question for item in items) == expected, layout
        assert [item.answers for item in items] == [("a",), ("b",), ("c",), ("a",), ("b",)], layout


def test_an_answer_is_found_by_its_label() -> None:
    content = json.dumps({"question": "q", "choices": ["x", "y"], "labels": ["A", "B"], "answer": "B"}).encode()
    (item,) = drawn(content, Layout.JSON_LINES)
    assert item.answers == ("y",)


@pytest.mark.parametrize(
    ("content", "layout", "told"),
    [
        (b'{"question": "q", "choices": ["x"], "answer": 1}', Layout.JSON_LINES, "a place from 0 to 0"),
        (b'{"question": "q", "choices": ["x"], "labels": ["A"], "answer": "C"}', Layout.JSON_LINES, "labels A"),
        (b'{"question": "q", "checks": [1]}', Layout.JSON_LINES, "`checks` is no object"),
        (b'{"question": "q"}\n{"question"', Layout.JSON_LINES, "line 2 is no JSON"),
        (b'{"prompt": "q"}', Layout.JSON_LINES, "[].{question: prompt}"),
        (b"a,b\n1\n", Layout.CSV, "row 1"),
        (b"a,b\n1,2,3\n", Layout.CSV, "row 1"),
        (b"no arrow", Layout.ARROW, "no Arrow stream"),
        (b"\x1f\x8bno gzip", Layout.JSON_LINES, "damaged"),
        (b"{}", Layout.JSON, "selects no list"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, layout: Layout, told: str) -> None:
    with pytest.raises(Unreadable) as caught:
        drawn(content, layout)
    assert told in str(caught.value)


def test_what_a_task_checks_by_is_part_of_an_items_digest_and_its_metadata_is_not() -> None:
    plain = {"question": "q", "answers": ["a"]}
    (one,) = drawn(json.dumps(plain).encode(), Layout.JSON_LINES)
    (other,) = drawn(json.dumps({**plain, "checks": {"tests": ["x"]}}).encode(), Layout.JSON_LINES)
    (third,) = drawn(json.dumps({**plain, "metadata": {"language": "de"}}).encode(), Layout.JSON_LINES)
    assert one.digest != other.digest
    assert one.digest == third.digest
