"""Rows of a trainer: nothing is lost, no row is too long, and few are needed."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from touchstone_data.core import packing


def naive(lengths: list[int], size: int) -> list[int]:
    """Best-fit decreasing as it is written down: look at every row, take the fullest that has room."""
    rooms: list[int] = []
    for length in sorted(lengths, reverse=True):
        fits = [place for place, room in enumerate(rooms) if room >= length]
        if not length:
            continue
        if fits:
            rooms[min(fits, key=lambda place: rooms[place])] -= length
        else:
            rooms.append(size - length)
    return sorted(rooms)


@given(st.lists(st.integers(0, 50), max_size=200))
def test_rows_are_those_of_a_naive_best_fit(lengths: list[int]) -> None:
    packed = packing.best_fit_decreasing(np.array(lengths, dtype=np.int64), 50)
    assert [row == packing.NOWHERE for row in packed.row] == [not length for length in lengths]
    filled = np.zeros(packed.rows, dtype=np.int64)
    placed = packed.row != packing.NOWHERE
    np.add.at(filled, packed.row[placed], np.array(lengths, dtype=np.int64)[placed])
    assert sorted((50 - filled).tolist()) == naive(lengths, 50)


def test_best_fit_needs_few_rows_and_breaks_nothing_that_concatenation_breaks() -> None:
    # Lengths like those of texts: logarithms are normal. Ding et al. find best-fit within a thousandth of the least rows.
    lengths = np.minimum(np.random.default_rng(5).lognormal(5.5, 1.0, 20_000).astype(np.int64) + 1, 2048)
    packed, blocks = packing.best_fit_decreasing(lengths, 2048), packing.concatenated(lengths, 2048)
    assert blocks.rows == -(-lengths.sum() // 2048)
    assert packed.rows <= blocks.rows * 1.001
    assert blocks.broken > 2000


@given(st.lists(st.integers(0, 90), max_size=50))
def test_blocks_break_what_goes_on_in_another(lengths: list[int]) -> None:
    blocks = packing.concatenated(np.array(lengths, dtype=np.int64), 30)
    owners = [record for record, length in enumerate(lengths) for _ in range(length)]
    cut = [set(owners[start : start + 30]) for start in range(0, len(owners), 30)]
    assert blocks.rows == len(cut)
    assert blocks.broken == sum(sum(record in row for row in cut) > 1 for record in range(len(lengths)))
