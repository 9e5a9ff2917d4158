"""Beginnings of prompts, by the hashes of their blocks: how caches of keys and values know them. Pure."""

import hashlib
from collections.abc import Iterator


def blocks(text: str, size: int) -> Iterator[bytes]:
    """Hash the whole blocks of a text, each with all that is before it, as engines do with blocks of tokens.

    Args:
        text: A prompt.
        size: Characters of a block; what is left at the end is no block.
    """
    total = hashlib.blake2b(digest_size=16)
    for start in range(0, len(text) - size + 1, size):
        total.update(text[start : start + size].encode())
        yield total.copy().digest()
