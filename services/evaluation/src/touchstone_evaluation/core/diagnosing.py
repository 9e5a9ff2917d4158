"""Finetune or retrieve? Failures of a run's items sorted by what was missing, and what that asks for. Pure.

Form is what finetuning, prompts and constrained output change; knowledge is what an index brings; a search that did not
find is mended in the index; a passage that was there and not used asks for another prompt or model. The advice is that
of the part which is more than half of the failures with confidence (Wilson 1927), and none where no part is: the same
failures over more items may tell.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from touchstone_evaluation.core import statistics
from touchstone_evaluation.core.items import ItemDigest
from touchstone_evaluation.core.results import Interval
from touchstone_evaluation.core.scores import Score
from touchstone_evaluation.core.task import Lack

EXAMPLES = 5
MAJORITY = 0.5


class Advice(StrEnum):
    """What to do about it."""

    NONE = "None"
    """Nothing failed."""
    FINETUNE = "Finetune"
    """Form is missing: constrain the output or mend the prompt, and finetune where that does not do."""
    RETRIEVE = "Retrieve"
    """Knowledge is missing: no finetuning brings it, an index does."""
    MEND_SEARCH = "MendSearch"
    """There is an index, and it does not find."""
    CHANGE_MODEL = "ChangeModel"
    """What was needed stood in the prompt, and was not used."""
    UNCLEAR = "Unclear"
    """No part is most of the failures, or too few items failed to tell."""


_ADVICE = {
    Lack.FORM: Advice.FINETUNE,
    Lack.KNOWLEDGE: Advice.RETRIEVE,
    Lack.SEARCH: Advice.MEND_SEARCH,
    Lack.READING: Advice.CHANGE_MODEL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The failures of one kind."""

    lack: Lack
    count: int
    share: float
    """Of all failures."""
    interval: Interval
    examples: tuple[ItemDigest, ...]
    """The first items that failed so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What the items of a suite say."""

    suite: str
    answers: int
    """Answers that were scored; those that failed to come have no place here."""
    failures: int
    parts: tuple[Part, ...]
    """The largest first."""
    advice: Advice


def diagnose(suite: str, scores: Sequence[Score], lacks: Sequence[Lack | None], *, confidence: float) -> Diagnosis:
    """Sort failures.

    Args:
        suite: The suite's name.
        scores: Of the subject's answers.
        lacks: What each of them lacked; None: nothing.
        confidence: Of the intervals.
    """
    found: dict[Lack, list[ItemDigest]] = {}
    for score, lack in zip(scores, lacks, strict=True):
        if lack is not None:
            found.setdefault(lack, []).append(score.asking.item)
    failures = sum(map(len, found.values()))
    parts = tuple(_part(lack, found[lack], failures, confidence) for lack in _by_size(found))
    return Diagnosis(suite=suite, answers=len(scores), failures=failures, parts=parts, advice=_advice(parts))


def _by_size(found: Mapping[Lack, Sequence[ItemDigest]]) -> list[Lack]:
    return [lack for lack, _ in Counter({lack: len(items) for lack, items in found.items()}).most_common()]


def _part(lack: Lack, items: Sequence[ItemDigest], failures: int, confidence: float) -> Part:
    return Part(
        lack=lack,
        count=len(items),
        share=len(items) / failures,
        interval=statistics.wilson(len(items), failures, confidence=confidence),
        examples=tuple(dict.fromkeys(items))[:EXAMPLES],
    )


def _advice(parts: Sequence[Part]) -> Advice:
    if not parts:
        return Advice.NONE
    largest = parts[0]
    return _ADVICE[largest.lack] if largest.interval.low > MAJORITY else Advice.UNCLEAR
