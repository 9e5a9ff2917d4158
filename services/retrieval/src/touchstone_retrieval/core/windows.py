"""Cutting after a fixed number of tokens. Pure: knows where tokens begin, not what they are.

A window reaches from the start of its first token to the start of the token after its last, so that windows without
overlap lie end to end: what no token covers (white space, control characters) stays with the token before it. Then
white space at both ends is cut off. Every character that is not white space is therefore in some window.
"""

from collections.abc import Sequence

from touchstone_retrieval.core.passages import Span


def fixed(text: str, token_starts: Sequence[int], *, size: int, overlap: int = 0) -> list[Span]:
    """Cut a text into windows of `size` tokens that share `overlap` tokens with the one before.

    Args:
        text: The text.
        token_starts: Where each token begins, in characters, ascending.
        size: Tokens of a window, at least 1.
        overlap: Tokens shared with the window before, less than `size`.
    """
    if not token_starts:
        return whole(text)
    borders = [0, *token_starts[1:], len(text)]
    spans = []
    first = 0
    while True:
        last = min(first + size, len(token_starts))
        span = trimmed(text, Span(borders[first], borders[last]))
        if span.start < span.end:
            spans.append(span)
        if last == len(token_starts):
            return spans
        first = last - overlap


def whole(text: str) -> list[Span]:
    """Take a text as one window; nothing if it is blank."""
    span = trimmed(text, Span(0, len(text)))
    return [span] if span.start < span.end else []


def trimmed(text: str, span: Span) -> Span:
    """Leave out white space at both ends of a span."""
    piece = text[span.start : span.end]
    start = span.start + len(piece) - len(piece.lstrip())
    return Span(start, max(start, span.end - (len(piece) - len(piece.rstrip()))))
