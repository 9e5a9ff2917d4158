"""Rules that tell prose from what is not. Pure.

Gopher: Rae et al., Scaling Language Models, 2021, table A1 and section A.1. C4: Raffel et al., Exploring the Limits of
Transfer Learning, 2020, section 2.2. FineWeb: Penedo et al., The FineWeb Datasets, 2024, section 3.6. Words are what
white space separates; made for English web pages: short texts and other languages fail them without fault.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
TERMINALS = (".", "?", "!", '"', "'", "”", "’", "…")
C4_TERMINALS = (".", "?", "!", '"')
POLICIES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
TOP_NGRAMS = {2: 0.20, 3: 0.18, 4: 0.16}
"""Most share of the characters that the most frequent n-gram may cover."""
DUPLICATE_NGRAMS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
"""Most share of the characters that n-grams which stand more than once may cover."""

_SENTENCE = re.compile(r"[.!?]+[\"'”’)\]]*(?=\s|$)")
_CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")


class Fault(NamedTuple):
    """A rule that a text breaks."""

    rule: str
    measured: float


Rules = Callable[[str], Iterator[Fault]]


def gopher(text: str) -> Iterator[Fault]:
    """Check the quality rules of Gopher."""
    words = _split(text)
    if not 50 <= len(words) <= 100_000:
        yield Fault("gopher: 50 to 100000 words", len(words))
        return
    mean = sum(map(len, words)) / len(words)
    if not 3 <= mean <= 10:
        yield Fault("gopher: mean word of 3 to 10 characters", mean)
    for symbol, ratio in (("#", text.count("#")), ("ellipsis", text.count("...") + text.count("…"))):
        if ratio / len(words) > 0.1:
            yield Fault(f"gopher: at most one {symbol} in ten words", ratio / len(words))
    lines = [line for line in text.splitlines() if line.strip()]
    bullets = sum(line.lstrip().startswith(("•", "‣", "▪", "-", "*")) for line in lines) / len(lines)
    if bullets > 0.9:
        yield Fault("gopher: at most 90 % of the lines are bullet points", bullets)
    cut = sum(line.rstrip().endswith(("...", "…")) for line in lines) / len(lines)
    if cut > 0.3:
        yield Fault("gopher: at most 30 % of the lines end in an ellipsis", cut)
    mixed = [word for word in words if not word.isalpha()]  # few: only these are looked at by character
    alphabetic = (len(words) - sum(not any(map(str.isalpha, word)) for word in mixed)) / len(words)
    if alphabetic < 0.8:
        yield Fault("gopher: at least 80 % of the words have a letter", alphabetic)
    stops = _stop_words(words)
    if stops < 2:
        yield Fault("gopher: at least two of the eight stop words", stops)


def gopher_repetition(text: str) -> Iterator[Fault]:
    """Check the repetition rules of Gopher, table A1."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    for name, parts in (("lines", lines), ("paragraphs", paragraphs)):
        share, characters = _repeated(parts, len(text))
        if share > 0.3:
            yield Fault(f"gopher: at most 30 % of the {name} repeat others", share)
        if characters > 0.2:
            yield Fault(f"gopher: at most 20 % of the characters in {name} that repeat others", characters)
    words = _split(text)
    characters_in_words = sum(map(len, words)) or 1
    for name, limits, count in (
        ("the most frequent", TOP_NGRAMS, _top),
        ("repeated", DUPLICATE_NGRAMS, _covered_twice),
    ):
        for size, most in limits.items():
            share = count(words, size) / characters_in_words
            if not share:
                return  # where no n-gram stands twice, no longer one does
            if share > most:
                yield Fault(f"gopher: at most {most:.0%} of the characters in {name} {size}-grams", share)


def c4(text: str) -> Iterator[Fault]:
    """Check C4's rules for whole pages; `c4_lines` cleans the lines first."""
    lowered = text.lower()
    if "lorem ipsum" in lowered:
        yield Fault("c4: no lorem ipsum", 1)
    if "{" in text:
        yield Fault("c4: no curly bracket", text.count("{"))
    sentences = len(_SENTENCE.findall(text))
    if sentences < 3:
        yield Fault("c4: at least 3 sentences", sentences)


def c4_lines(text: str) -> str:
    """Keep the lines that C4 keeps: five words, an end of a sentence, no policy, no word on JavaScript."""
    return "\n".join(line for line in map(_uncited, text.splitlines()) if _is_prose(line))


def fineweb(text: str) -> Iterator[Fault]:
    """Check the rules that FineWeb adds."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        yield Fault("fineweb: not empty", 0)
        return
    ended = sum(line.endswith(TERMINALS) for line in lines) / len(lines)
    if ended <= 0.12:
        yield Fault("fineweb: more than 12 % of the lines end a sentence", ended)
    _, repeated = _repeated(lines, sum(map(len, lines)))
    if repeated >= 0.1:
        yield Fault("fineweb: less than 10 % of the characters in lines that repeat others", repeated)
    short = sum(len(line) < 30 for line in lines) / len(lines)
    if short >= 0.67:
        yield Fault("fineweb: less than 67 % of the lines are shorter than 30 characters", short)


RULES: Mapping[str, Rules] = {
    "gopher": gopher,
    "gopher-repetition": gopher_repetition,
    "c4": c4,
    "fineweb": fineweb,
}


@lru_cache(maxsize=1)
def _split(text: str) -> Sequence[str]:
    """Cut a text at white space, once for all rules."""
    return text.split()


def _is_prose(line: str) -> bool:
    lowered = line.lower()
    return (
        line.endswith(C4_TERMINALS)
        and not line.endswith("...")
        and len(line.split()) >= 5
        and "javascript" not in lowered
        and not any(policy in lowered for policy in POLICIES)
    )


def _stop_words(words: Sequence[str]) -> int:
    """Count different stop words, up to two: they stand near the beginning of most texts."""
    found: set[str] = set()
    for word in words:
        plain = word.strip(".,;:!?\"'()").lower()
        if plain in STOP_WORDS:
            found.add(plain)
            if len(found) == 2:
                break
    return len(found)


def _uncited(line: str) -> str:
    return _CITATION.sub("", line).strip()


def _repeated(parts: Sequence[str], characters: int) -> tuple[float, float]:
    """Shares of the parts, and of all characters, that repeat an earlier part."""
    seen: set[str] = set()
    count = length = 0
    for part in parts:
        if part in seen:
            count += 1
            length += len(part)
        seen.add(part)
    return count / max(1, len(parts)), length / max(1, characters)


def _top(words: Sequence[str], size: int) -> int:
    """Characters of the most frequent n-gram, all its occurrences together; 0 if none stands twice."""
    counts = Counter(_ngrams(words, size))
    if not counts:
        return 0
    times = max(counts.values())
    if times == 1:
        return 0
    return times * max(sum(map(len, gram)) for gram, count in counts.items() if count == times)


def _covered_twice(words: Sequence[str], size: int) -> int:
    """Characters of n-grams that repeat an earlier one; no character is counted twice."""
    grams = list(_ngrams(words, size))
    if len(set(grams)) == len(grams):
        return 0
    seen: set[tuple[str, ...]] = set()
    characters = start = 0
    while start < len(grams):
        gram = grams[start]
        if gram in seen:
            characters += sum(map(len, gram))
            start += size
        else:
            seen.add(gram)
            start += 1
    return characters


def _ngrams(words: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[start:] for start in range(size)), strict=False)
