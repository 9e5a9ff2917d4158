"""Which old revisions are kept. Pure."""

from collections.abc import Collection, Sequence


def kept(newest_first: Sequence[str], *, protected: Collection[str], limit: int) -> tuple[str, ...]:
    """Keep what is protected and, of the rest, the newest up to a limit. The order stays."""
    old = [name for name in newest_first if name not in protected][:limit]
    return tuple(name for name in newest_first if name in protected or name in old)
