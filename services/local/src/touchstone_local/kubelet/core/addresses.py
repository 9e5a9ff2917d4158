"""Addresses for Pods: the upper part of the platform's /24. Pure."""

from collections.abc import Collection

from touchstone_local.errors import NoFreeAddress

FIRST, LAST = 100, 254


def choose(subnet: str, *, taken: Collection[str], last: str = "") -> str:
    """Return the next free address after the last one given, so that one just freed rests before it is used again.

    Args:
        subnet: The first three numbers: `127.88.4`.
        taken: Addresses in use.
        last: The address that was given last; empty: start at the first.

    Raises:
        NoFreeAddress: All are taken.
    """
    size = LAST - FIRST + 1
    start = int(last.rpartition(".")[2]) - FIRST + 1 if last.startswith(f"{subnet}.") else 0
    for step in range(size):
        candidate = f"{subnet}.{FIRST + (start + step) % size}"
        if candidate not in taken:
            return candidate
    raise NoFreeAddress(f"All {size} addresses for Pods in {subnet}.0/24 are taken. Delete Pods.")
