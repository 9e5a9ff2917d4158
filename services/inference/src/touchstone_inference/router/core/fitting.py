"""How many passages fit. Pure: told whether a number fits, knows no tokens."""

from collections.abc import Awaitable, Callable


async def most_that_fit(available: int, fits: Callable[[int], Awaitable[bool]]) -> int | None:
    """Find the largest number from 0 to `available` that fits; None when not even 0 does.

    All are tried first, for that is the common case; then a binary search, so that n passages cost at most
    2 + log2(n) counts. Fitting must be monotone: what fits with more passages fits with fewer.
    """
    if await fits(available):
        return available
    low, high = -1, available
    while high - low > 1:
        middle = (low + high) // 2
        if await fits(middle):
            low = middle
        else:
            high = middle
    return low if low >= 0 else None
