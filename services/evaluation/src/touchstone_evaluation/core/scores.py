"""Scores: what became of asking one side about one item once. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from touchstone_evaluation.core.items import ItemDigest
from touchstone_evaluation.core.spec import Side


class Asking(NamedTuple):
    """One asking: of a run, it happens once and is scored once."""

    suite: str
    item: ItemDigest
    side: Side
    repeat: int
    """From 0. Under load, the request's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The score of one asking."""

    asking: Asking
    values: Mapping[str, float]
    """Empty when it failed."""
    error: str = ""
    """Why it failed, in a sentence; empty when it did not."""
    is_reused: bool = False
    """The answer came from an earlier run and cost nothing."""
    input_tokens: int = 0
    """What was paid for: nothing for an answer of an earlier run."""
    output_tokens: int = 0
    judge_tokens: int = 0
    """What judges were sent and wrote, but for what they had said in earlier runs."""
    latency_millis: float = 0.0
    answer: str = ""
    """The text or the passages' ids; empty unless samples are logged."""


class Tally(NamedTuple):
    """Counts over scores."""

    done: int
    reused: int
    failed: int
    input_tokens: int
    output_tokens: int
    judge_tokens: int


def tally(scores: Iterable[Score]) -> Tally:
    """Count."""
    done = reused = failed = input_tokens = output_tokens = judge_tokens = 0
    for score in scores:
        done += 1
        reused += score.is_reused
        failed += bool(score.error)
        judge_tokens += score.judge_tokens
        input_tokens += score.input_tokens
        output_tokens += score.output_tokens
    return Tally(done, reused, failed, input_tokens, output_tokens, judge_tokens)
