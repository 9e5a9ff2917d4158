"""Traces as trees of text."""

from hypothesis import given
from hypothesis import strategies as st
from touchstone_local.collector.core import tree
from touchstone_local.collector.core.records import Span

MS = 1_000_000


def span(
    span_id: str, name: str, start: int, end: int, parent: str = "", service: str = "router", **extra: object
) -> Span:
    return Span(
        trace_id="t", span_id=span_id, parent_id=parent, service=service, name=name,
        start_nanos=start * MS, end_nanos=end * MS, **extra,
    )  # fmt: skip


ANSWER = [
    span("a", "Generate", 0, 1200, parent="not-sent", attributes={"rpc.method": "Generate", "model": "chat"}),
    span("c", "Search", 10, 40, "b", service="retrieval", attributes={"hits": 3, "mode": "hybrid"}),
    span("b", "retrieve", 5, 45, "a"),
    span("d", "Generate", 50, 1195, "a", service="engine", attributes={"tokens": 64, "ttft": 0.123456}),
    span("e", "decode", 60, 1190, "d", service="engine", is_error=True, message="slot lost"),
]

GOLDEN = """\
router: Generate          1.20 s  |████████████████████████|   model=chat
├─ router: retrieve      40.0 ms  |█                       |
│  └─ retrieval: Search  30.0 ms  |█                       |   hits=3 mode=hybrid
└─ engine: Generate       1.15 s  | ███████████████████████|   tokens=64 ttft=0.1235
   └─ engine: decode      1.13 s  | ███████████████████████| ✗ slot lost"""


def test_a_trace_reads_as_a_tree() -> None:
    assert tree.render(ANSWER) == "\n".join(line.rstrip() for line in GOLDEN.splitlines())


def test_no_spans_are_no_text() -> None:
    assert tree.render([]) == ""


def test_durations_have_the_unit_that_reads_best() -> None:
    seconds = (0.0000125, 0.0034, 0.9, 1.5, 300.0)
    assert [tree.duration(each) for each in seconds] == ["12 µs", "3.4 ms", "900.0 ms", "1.50 s", "300 s"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=30))
def test_every_span_has_one_line_and_every_bar_fits(shape: list[tuple[int, int, int]]) -> None:
    spans = [
        span(str(index), f"s{index}", start, start + length, parent=str(parent) if parent < index else "")
        for index, (parent, start, length) in enumerate(shape)
    ]
    rows = tree.lines(spans)
    assert len(rows) == len(spans)
    assert all(len(row.bar) == tree.BAR_COLUMNS and "█" in row.bar for row in rows)
