"""What moved between prefill and decode, added up over engines. Pure."""

from collections.abc import Iterable
from typing import NamedTuple


class Transfer(NamedTuple):
    """What one engine counts since it started."""

    connector: str = ""
    """Empty: it computes all prompts itself."""
    remote_prompts: int = 0
    failed_prompts: int = 0
    transfers: int = 0
    transferred_bytes: int = 0
    transferred_tokens: int = 0
    failed_transfers: int = 0


class Total(NamedTuple):
    """What the engines of a revision count."""

    engines: int
    engines_without_connector: int
    sums: Transfer


def total(found: Iterable[Transfer]) -> Total:
    """Add up."""
    engines = list(found)
    sums = Transfer("", *(sum(column) for column in zip(*(engine[1:] for engine in engines), strict=True)))
    return Total(len(engines), sum(not engine.connector for engine in engines), sums)
