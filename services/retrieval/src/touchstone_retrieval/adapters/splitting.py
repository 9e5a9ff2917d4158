"""Cutting texts by tokens, with semantic-text-splitter for the recursive strategy.

Every strategy gives spans of characters that are not blank, begin and end at a character that is not white space, and
together hold every character that is not white space.
"""

import re
from collections.abc import Callable, Sequence

from semantic_text_splitter import TextSplitter
from tokenizers import Tokenizer

from touchstone_retrieval.core import windows
from touchstone_retrieval.core.passages import Span
from touchstone_retrieval.core.spec import Chunking, ChunkingStrategy
from touchstone_retrieval.ports import Splitter

TokenStarts = Callable[[str], Sequence[int]]

_WORD = re.compile(r"\w+|[^\w\s]")


class RecursiveSplitter:
    """Cuts at the largest boundary that fits: blank lines, line ends, sentences, words, characters."""

    def __init__(self, splitter: TextSplitter) -> None:
        self._splitter = splitter

    def split(self, text: str) -> list[Span]:
        """Cut a text."""
        pieces: list[tuple[int, str]] = self._splitter.chunk_indices(text)
        spans = (windows.trimmed(text, Span(start, start + len(piece))) for start, piece in pieces)
        return [span for span in spans if span.start < span.end]


class FixedSplitter:
    """Cuts after a fixed number of tokens."""

    def __init__(self, token_starts: TokenStarts, *, size: int, overlap: int) -> None:
        self._token_starts = token_starts
        self._size = size
        self._overlap = overlap

    def split(self, text: str) -> list[Span]:
        """Cut a text."""
        return windows.fixed(text, self._token_starts(text), size=self._size, overlap=self._overlap)


class WholeSplitter:
    """Does not cut."""

    def split(self, text: str) -> list[Span]:
        """Take the text as one span."""
        return windows.whole(text)


def by_tokenizer(tokenizer: Tokenizer, chunking: Chunking, *, limit: int) -> Splitter:
    """Make a splitter that counts a tokenizer's tokens.

    Args:
        tokenizer: Without truncation and padding.
        chunking: What to do.
        limit: The most tokens that the encoder reads of a passage; passages are not made longer, except by `Document`.
    """

    def token_starts(text: str) -> list[int]:
        return [start for start, end in tokenizer.encode(text, add_special_tokens=False).offsets if end > start]

    size = min(chunking.max_tokens, limit)
    overlap = min(chunking.overlap_tokens, size - 1)
    recursive = TextSplitter.from_huggingface_tokenizer(tokenizer, size, overlap=overlap)
    return _choose(chunking.strategy, recursive, token_starts, size=size, overlap=overlap)


def by_words(chunking: Chunking) -> Splitter:
    """Make a splitter that counts words and marks, for an index without an encoder."""

    def word_starts(text: str) -> list[int]:
        return [match.start() for match in _WORD.finditer(text)]

    size, overlap = chunking.max_tokens, chunking.overlap_tokens
    recursive = TextSplitter.from_callback(lambda text: len(_WORD.findall(text)), size, overlap=overlap)
    return _choose(chunking.strategy, recursive, word_starts, size=size, overlap=overlap)


def _choose(
    strategy: ChunkingStrategy, recursive: TextSplitter, token_starts: TokenStarts, *, size: int, overlap: int
) -> Splitter:
    match strategy:
        case ChunkingStrategy.RECURSIVE:
            return RecursiveSplitter(recursive)
        case ChunkingStrategy.FIXED:
            return FixedSplitter(token_starts, size=size, overlap=overlap)
        case ChunkingStrategy.DOCUMENT:
            return WholeSplitter()
