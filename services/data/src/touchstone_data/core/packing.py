"""Which records share a row of a trainer's batch, so that little of it is padding. Pure.

Best-fit decreasing: the longest first, each where least room is left that holds it (Ding et al., Fewer Truncations
Improve Language Modeling, 2024, section 3). Rows of whole records are compared with what writing all of them one behind
the other and cutting that into blocks would do.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Lengths = npt.NDArray[np.int64]

NOWHERE = -1


class Packed(NamedTuple):
    """Rows of at most so many tokens."""

    row: Lengths
    """Of each piece, its row; NOWHERE for one without tokens, [pieces]."""
    rows: int


class Blocks(NamedTuple):
    """What concatenating and cutting comes to."""

    rows: int
    broken: int
    """Records that go on in another block."""


def best_fit_decreasing(lengths: Lengths, size: int) -> Packed:
    """Put pieces into rows, in time that grows with their number, and with `size` by a machine word for 64 tokens.

    Args:
        lengths: Tokens of each piece, none above `size`; [pieces].
        size: Tokens that a row holds.
    """
    row = np.full(len(lengths), NOWHERE, dtype=np.int64)
    by_room: list[list[int]] = [[] for _ in range(size + 1)]
    rooms = 0  # bit n: there is a row with room for n tokens
    rows = 0
    for piece in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[piece])
        if not length:
            continue
        enough = rooms >> length
        if enough:
            room = length + (enough & -enough).bit_length() - 1
            found = by_room[room].pop()
            if not by_room[room]:
                rooms ^= 1 << room
        else:
            room, found, rows = size, rows, rows + 1
        row[piece] = found
        if room > length:
            by_room[room - length].append(found)
            rooms |= 1 << (room - length)
    return Packed(row, rows)


def concatenated(lengths: Lengths, size: int) -> Blocks:
    """Write records one behind the other and cut them into blocks, as for pre-training."""
    ends = np.cumsum(lengths)
    starts = ends - lengths
    broken = (lengths > 0) & (starts // size != np.maximum(ends - 1, 0) // size)
    total = int(ends[-1]) if len(ends) else 0
    return Blocks(rows=-(-total // size), broken=int(broken.sum()))
