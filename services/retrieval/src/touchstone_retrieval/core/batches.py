"""Which texts are embedded together. Pure.

A batch is padded to its longest text, so texts of like length go together; and since the memory of attention grows
with the padded length, long texts go in smaller batches.
"""

from collections.abc import Iterator, Sequence


def by_length(lengths: Sequence[int], *, size: int, max_padded: int) -> Iterator[list[int]]:
    """Group positions into batches of like length, longest first.

    Args:
        lengths: The length of each text, in any one unit.
        size: The most texts of a batch.
        max_padded: The most of texts times longest length; a single longer text is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    batch: list[int] = []
    for position in order:
        longest = lengths[batch[0]] if batch else 0
        if batch and (len(batch) == size or (len(batch) + 1) * longest > max_padded):
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
