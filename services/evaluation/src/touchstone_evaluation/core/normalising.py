"""How answers are compared: the normalisation and the scores of SQuAD. Pure.

Definitions of the official evaluation script of SQuAD (Rajpurkar et al., EMNLP 2016): lower case, punctuation of
ASCII away, the articles a, an and the away, white space collapsed, in this order. `contains` is ours: the normalised
gold occurs in the normalised prediction as whole words.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """Normalise as the SQuAD script does."""
    bare = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", bare).split())


def contains(prediction: str, gold: str) -> float:
    """1 when the gold's words occur in the prediction in sequence, else 0; a gold without words only equals itself."""
    wanted = normalise(gold)
    if not wanted:
        return exact_match(prediction, gold)
    return float(f" {wanted} " in f" {normalise(prediction)} ")


def exact_match(prediction: str, gold: str) -> float:
    """1 when both normalise to the same text, else 0."""
    return float(normalise(prediction) == normalise(gold))


def token_f1(prediction: str, gold: str) -> float:
    """The harmonic mean of precision and recall over the words of both.

    When either has no words, 1 if both have none, else 0: the rule of the SQuAD 2.0 script.
    """
    predicted, wanted = normalise(prediction).split(), normalise(gold).split()
    if not predicted or not wanted:
        return float(predicted == wanted)
    shared = sum((Counter(predicted) & Counter(wanted)).values())
    if not shared:
        return 0.0
    precision, recall = shared / len(predicted), shared / len(wanted)
    return 2 * precision * recall / (precision + recall)


def said(text: str, other: str, *, known: str = "") -> float:
    """The share of a text's words that another text has, too.

    Args:
        text: Whose words are looked for; 1 where none is left.
        other: Where they are looked for.
        known: What is known beforehand, as the question: its words are left out.
    """
    words = Counter(normalise(text).split()) - Counter(dict.fromkeys(normalise(known).split(), len(text)))
    return (words & Counter(normalise(other).split())).total() / words.total() if words else 1.0


def best(score: Callable[[str, str], float], prediction: str, golds: Sequence[str]) -> float:
    """The best score over the golds, as SQuAD takes it.

    Raises:
        ValueError: There is no gold.
    """
    return max(score(prediction, gold) for gold in golds)
