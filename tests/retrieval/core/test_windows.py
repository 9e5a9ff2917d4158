"""Claims about cutting by tokens."""

import itertools
import re

from hypothesis import given
from hypothesis import strategies as st
from touchstone_retrieval.core import windows

texts = st.text(alphabet=st.sampled_from("ab .\n\t 中é"), max_size=80)


def starts(text: str) -> list[int]:
    return [m.start() for m in re.finditer(r"\w+|[^\w\s]", text)]


@given(texts, st.integers(1, 9))
def test_windows_without_overlap_hold_every_character_that_is_not_white_space_once(text, size):
    spans = windows.fixed(text, starts(text), size=size)

    assert "".join("".join(text[s:e].split()) for s, e in spans) == "".join(text.split())
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))


@given(texts, st.integers(2, 9), st.data())
def test_windows_with_overlap_share_that_many_tokens(text, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    spans = windows.fixed(text, starts(text), size=size, overlap=overlap)

    tokens = [{t for t in starts(text) if s <= t < e} for s, e in spans]
    assert all(len(t) <= size for t in tokens)
    assert all(len(a & b) == overlap for a, b in itertools.pairwise(tokens))
    assert set().union(*tokens) == set(starts(text)) if tokens else not starts(text)


@given(texts)
def test_no_span_is_blank_or_begins_or_ends_with_white_space(text):
    for start, end in [*windows.fixed(text, starts(text), size=3), *windows.whole(text)]:
        assert text[start:end] == text[start:end].strip() != ""
