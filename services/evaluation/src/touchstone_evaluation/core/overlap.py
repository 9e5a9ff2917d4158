"""How much two texts share: ROUGE, and the counts that BLEU and TER are made of. Pure.

ROUGE follows the reference implementation of Google Research (rouge-score) without its stemmer: lower case, tokens of
a-z and 0-9; ROUGE-N is the F1 of shared n-grams (Lin, 2004, section 2), ROUGE-L the F1 of the longest common
subsequence (section 3), ROUGE-Lsum the same over the union of the subsequences of sentences, which lines separate
(section 3.2). BLEU and TER are sacrebleu's (Post, 2018), so that numbers are those of papers.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from rapidfuzz.distance import Levenshtein

from touchstone_evaluation.core.statistics import Floats

_TOKEN = re.compile(r"[a-z0-9]+")
MAX_ORDER = 4
"""Of BLEU's n-grams."""


def tokens(text: str) -> list[str]:
    """Cut a text as ROUGE does."""
    return _TOKEN.findall(text.lower())


def rouge_n(prediction: str, gold: str, order: int) -> float:
    """The F1 of shared n-grams, 0 to 1."""
    predicted, wanted = _ngrams(tokens(prediction), order), _ngrams(tokens(gold), order)
    shared = sum((predicted & wanted).values())
    return _f1(shared, sum(predicted.values()), sum(wanted.values()))


def rouge_l(prediction: str, gold: str) -> float:
    """The F1 of the longest common subsequence, 0 to 1."""
    predicted, wanted = tokens(prediction), tokens(gold)
    return _f1(len(_common(wanted, predicted)), len(predicted), len(wanted))


def rouge_lsum(prediction: str, gold: str) -> float:
    """The F1 of the union of common subsequences over sentences, which lines separate; 0 to 1."""
    predicted = [found for line in prediction.split("\n") if (found := tokens(line))]
    wanted = [found for line in gold.split("\n") if (found := tokens(line))]
    left_predicted = Counter(token for sentence in predicted for token in sentence)
    left_wanted = Counter(token for sentence in wanted for token in sentence)
    total_predicted, total_wanted = sum(left_predicted.values()), sum(left_wanted.values())
    hits = 0
    for sentence in wanted:
        places = sorted({place for other in predicted for place in _common(sentence, other)})
        for token in (sentence[place] for place in places):
            if left_predicted[token] > 0 and left_wanted[token] > 0:  # no token is counted twice
                hits += 1
                left_predicted[token] -= 1
                left_wanted[token] -= 1
    return _f1(hits, total_predicted, total_wanted)


def edit_similarity(prediction: str, gold: str) -> float:
    """1 less the edits (insert, delete, replace a character) over the longer text's length (Levenshtein, 1966)."""
    return Levenshtein.normalized_similarity(prediction, gold)


class NgramCounts(NamedTuple):
    """What BLEU needs of a text."""

    matches: tuple[int, ...]
    """By order, from 1 to MAX_ORDER."""
    totals: tuple[int, ...]
    length: int
    gold_length: int
    """Of the gold nearest in length."""


def bleu_counts(prediction: str, golds: Sequence[str]) -> NgramCounts:
    """Count what BLEU needs; sums over items give BLEU of the corpus."""
    found = _sacrebleu().sentence_score(prediction, list(golds))
    return NgramCounts(tuple(found.counts), tuple(found.totals), found.sys_len, found.ref_len)


def bleu(sums: Floats) -> Floats:
    """BLEU of a corpus, 0 to 100 (Papineni et al., 2002): precisions of orders 1 to 4, and the brevity penalty.

    Args:
        sums: resamples x (4 matches, 4 totals, length, gold length), summed over items.
    """
    matches, totals = sums[:, :MAX_ORDER], sums[:, MAX_ORDER : 2 * MAX_ORDER]
    length, wanted = sums[:, -2], sums[:, -1]
    # An order without a match counts half, a quarter, ... of one: sacrebleu's "exp" smoothing.
    misses = np.cumsum(matches == 0, axis=1)
    smoothed = np.where(matches == 0, 0.5**misses, matches)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(smoothed / totals)
        brevity = np.where(length < wanted, np.exp(1 - wanted / length), 1.0)
        found: Floats = 100 * brevity * np.exp(logs.mean(axis=1))
    has_any = (matches[:, 0] > 0) & (totals > 0).all(axis=1) & (length > 0)
    result: Floats = np.where(has_any, found, 0.0)
    return result


class Edits(NamedTuple):
    """What TER needs of a text."""

    edits: float
    gold_length: float
    """Mean over the golds, in words."""


def ter_counts(prediction: str, golds: Sequence[str]) -> Edits:
    """Count insertions, deletions, replacements and shifts of words to the nearest gold (Snover et al., 2006)."""
    found = _sacreter().sentence_score(prediction, list(golds))
    return Edits(found.num_edits, found.ref_length)


def chrf(prediction: str, golds: Sequence[str]) -> float:
    """The F2 of shared character n-grams up to 6, best gold, 0 to 100 (Popović, 2015)."""
    return float(_sacrechrf().sentence_score(prediction, list(golds)).score)


def _ngrams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[place : place + order]) for place in range(len(words) - order + 1))


def _f1(shared: int, predicted: int, wanted: int) -> float:
    if not shared:
        return 0.0
    precision, recall = shared / predicted, shared / wanted
    return 2 * precision * recall / (precision + recall)


def _common(wanted: Sequence[str], predicted: Sequence[str]) -> list[int]:
    """Give the places, in the first text, of its longest common subsequence with the second one."""
    rows = len(wanted) + 1
    table = [[0] * (len(predicted) + 1) for _ in range(rows)]
    for row, word in enumerate(wanted, start=1):
        before, line = table[row - 1], table[row]
        for column, other in enumerate(predicted, start=1):
            line[column] = before[column - 1] + 1 if word == other else max(before[column], line[column - 1])
    return list(_walked(table, wanted, predicted))[::-1]


def _walked(table: list[list[int]], wanted: Sequence[str], predicted: Sequence[str]) -> Iterator[int]:
    row, column = len(wanted), len(predicted)
    while row and column:
        if wanted[row - 1] == predicted[column - 1]:
            yield row - 1
            row, column = row - 1, column - 1
        elif table[row][column - 1] > table[row - 1][column]:
            column -= 1
        else:
            row -= 1


@cache
def _sacrebleu() -> Any:
    from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415 - a worker that needs none need not load it

    return BLEU(effective_order=False)


@cache
def _sacreter() -> Any:
    from sacrebleu.metrics.ter import TER  # noqa: PLC0415

    return TER()


@cache
def _sacrechrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415

    return CHRF()
