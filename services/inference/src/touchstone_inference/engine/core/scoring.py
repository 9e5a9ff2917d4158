"""Where a continuation begins among the tokens of a text. Pure."""

from collections.abc import Sequence


def cut(before: Sequence[int], whole: Sequence[int], begin: int) -> tuple[list[int], list[int]]:
    """Return the tokens that are given, and all tokens; those behind the given ones are the continuation's.

    Tokens are cut as in the whole text, as the model would see it: as many are given as the prompt has by itself.

    Args:
        before: The prompt's tokens, as the tokenizer gives them by itself.
        whole: Tokens of the prompt with the continuation.
        begin: The begin marker, or the end marker where a model has no other: the first token of a text needs
            something to be probable after.
    """
    if list(before) in ([], [begin]):
        whole = [begin, *whole] if list(whole[:1]) != [begin] else list(whole)
        return [begin], whole
    return list(whole[: len(before)]), list(whole)
