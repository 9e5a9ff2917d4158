"""Finetune or retrieve: failures sorted by what was missing, and advice only where one part is most of them."""

import pytest
from touchstone_evaluation.catalogue import (
    grounded_answer,
    instruction_following,
    question_answering,
    short_answer,
    structured_output,
)
from touchstone_evaluation.core.diagnosing import Advice, diagnose
from touchstone_evaluation.core.items import ItemDigest
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import Side
from touchstone_evaluation.core.task import Diagnosable, Lack


def diagnosed(**counts: int) -> tuple[Advice, list[tuple[Lack, int]]]:
    lacks = [None if name == "RIGHT" else Lack[name] for name, count in counts.items() for _ in range(count)]
    scores = [
        Score(asking=Asking("golden", ItemDigest(f"sha256:{number}"), Side.SUBJECT, 0), values={})
        for number in range(len(lacks))
    ]
    found = diagnose("golden", scores, lacks, confidence=0.95)
    assert found.failures == len(lacks) - lacks.count(None)
    return found.advice, [(part.lack, part.count) for part in found.parts]


def test_most_failures_of_form_ask_for_finetuning() -> None:
    assert diagnosed(RIGHT=10, FORM=28, KNOWLEDGE=2) == (Advice.FINETUNE, [(Lack.FORM, 28), (Lack.KNOWLEDGE, 2)])


@pytest.mark.parametrize(
    ("lack", "advice"),
    [("KNOWLEDGE", Advice.RETRIEVE), ("SEARCH", Advice.MEND_SEARCH), ("READING", Advice.CHANGE_MODEL)],
)
def test_the_part_that_is_most_of_the_failures_gives_the_advice(lack: str, advice: Advice) -> None:
    assert diagnosed(FORM=3, **{lack: 30})[0] is advice


def test_few_or_mixed_failures_give_no_advice() -> None:
    """Three of three could be a half of all: Wilson's 95 % interval of 3 of 3 begins at 0.44."""
    assert diagnosed(RIGHT=37, FORM=3)[0] is Advice.UNCLEAR
    assert diagnosed(FORM=16, KNOWLEDGE=14)[0] is Advice.UNCLEAR


def test_without_failures_there_is_nothing_to_do() -> None:
    assert diagnosed(RIGHT=40) == (Advice.NONE, [])


@pytest.mark.parametrize(
    ("task", "values", "lack"),
    [
        (structured_output.TASK, {"exact": 1, "schema_valid": 1}, None),
        (structured_output.TASK, {"exact": 0, "schema_valid": 1}, Lack.KNOWLEDGE),
        (structured_output.TASK, {"exact": 0, "schema_valid": 0}, Lack.FORM),
        (short_answer.TASK, {"strict_match": 1, "flexible_match": 1, "extracted": 1}, None),
        (short_answer.TASK, {"strict_match": 0, "flexible_match": 1, "extracted": 1}, Lack.FORM),
        (short_answer.TASK, {"strict_match": 0, "flexible_match": 0, "extracted": 0}, Lack.FORM),
        (short_answer.TASK, {"strict_match": 0, "flexible_match": 0, "extracted": 1}, Lack.KNOWLEDGE),
        (question_answering.TASK, {"exact_match": 1, "contains": 1}, None),
        (question_answering.TASK, {"exact_match": 0, "contains": 1}, Lack.FORM),
        (question_answering.TASK, {"exact_match": 0, "contains": 0}, Lack.KNOWLEDGE),
        (instruction_following.TASK, {"prompt_strict": 0}, Lack.FORM),
        (grounded_answer.TASK, {"malformed": 0, "wrong_with_passage": 0, "wrong_without_passage": 0}, None),
        (grounded_answer.TASK, {"malformed": 1, "wrong_with_passage": 0, "wrong_without_passage": 0}, Lack.FORM),
        (grounded_answer.TASK, {"malformed": 0, "wrong_with_passage": 1, "wrong_without_passage": 0}, Lack.READING),
        (grounded_answer.TASK, {"malformed": 0, "wrong_with_passage": 0, "wrong_without_passage": 1}, Lack.SEARCH),
    ],
)
def test_tasks_tell_form_from_knowledge(task: Diagnosable, values: dict[str, float], lack: Lack | None) -> None:
    assert isinstance(task, Diagnosable)
    assert task.lack(values) is lack
