"""Claims about batches."""

from hypothesis import given
from hypothesis import strategies as st
from touchstone_retrieval.core import batches


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 9), st.integers(1, 2000))
def test_every_text_is_in_one_batch_within_the_limits(lengths, size, max_padded):
    made = list(batches.by_length(lengths, size=size, max_padded=max_padded))

    assert sorted(i for batch in made for i in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) <= size
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= max_padded


def test_texts_of_like_length_go_together():
    assert list(batches.by_length([5, 90, 6, 100], size=2, max_padded=1000)) == [[3, 1], [2, 0]]
