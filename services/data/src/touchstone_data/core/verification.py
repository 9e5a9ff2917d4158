"""What is held against a text that was made of another. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rapidfuzz.distance import LCSseq

from touchstone_data.core import similarity

_TOKEN = re.compile(r"[a-z0-9]+")
_SPAN = re.compile(
    r"<[A-Z][A-Z0-9_]*>|\{\{.*?\}\}|\{\w+\}"  # placeholders and slots of templates
    r"|https?://[^\s<>()]*[^\s<>().,;:!?]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|\d+(?:[.,:/-]\d+)*"
)


def spans(text: str) -> Counter[str]:
    """Count what must stay as it is: placeholders, addresses, numbers."""
    return Counter(_SPAN.findall(text))


def changed_spans(before: str, after: str) -> str:
    """Name what must have stayed as it is and has not: lost, or made up; empty if all has."""
    old, new = spans(before), spans(after)
    return " ".join([*(f"-{one}" for one in (old - new).elements()), *(f"+{one}" for one in (new - old).elements())])


def lost_words(before: str, after: str, words: Iterable[str]) -> str:
    """Name those of some words that stand less often in a text than before; case does not matter."""
    old, new = (Counter(similarity.words(text)) for text in (before, after))
    return " ".join(word for word in sorted({word.lower() for word in words}) if new[word] < old[word])


def is_copy(one: str, other: str) -> bool:
    """Whether two texts differ in case, spaces and punctuation only."""
    return similarity.words(one) == similarity.words(other)


def tokens(text: str) -> list[str]:
    """Cut a text as ROUGE does: a to z and digits, in lower case."""
    return _TOKEN.findall(text.lower())


def rouge_l(one: Sequence[str], other: Sequence[str], *, least: float = 0.0) -> float:
    """The F1 of the longest common subsequence of two texts' tokens (Lin, ROUGE, 2004, section 3), 0 to 1.

    A value below `least` comes back as 0, which is found sooner.
    """
    total = len(one) + len(other)
    if not total or 2 * min(len(one), len(other)) < least * total:
        return 0.0
    found = 2 * LCSseq.similarity(one, other) / total
    return float(found) if found >= least else 0.0
