"""What answers say: numbers, letters, patterns, by the strict and the flexible rule."""

import pytest
from touchstone_evaluation.catalogue.short_answer import TASK
from touchstone_evaluation.core import extracting, measuring, task
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.measuring import Measured
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import ItemErrorPolicy, Side
from touchstone_evaluation.core.task import Outcome, Prompt

CHOICES = ("a cat", "a dog", "the moon", "a fish")


@pytest.mark.parametrize(
    ("text", "strict", "flexible"),
    [
        ("18", "18", "18"),
        (" $1,250.00 ", "$1,250.00", "$1,250.00"),
        ("She has 16 - 3 - 4 = 9 eggs.\n#### 18", "18", "18"),
        ("The answer is 42.", "42", "42"),
        ("so it is **7**", None, "7"),
        ("First 3, then 12 apples", None, "12"),
        ("9 of 10 say -2.5 degrees", None, "-2.5"),
        ("#### 18 and then some more", None, "18"),
        ("none at all", None, None),
        ("", None, None),
    ],
)
def test_numbers_are_read(text: str, strict: str | None, flexible: str | None) -> None:
    assert extracting.number(text) == (strict, flexible)


@pytest.mark.parametrize(
    ("text", "strict", "flexible"),
    [
        ("B", "B", "B"),
        ("(C)", "C", "C"),
        ("B. a dog", "B", "B"),
        ("D) because fish swim", "D", "D"),
        ("The answer is (c).", None, "C"),
        ("It must be B", None, "B"),
        ("A cat purrs, so the answer is a cat", None, "A"),
        ("I believe the moon", None, "C"),
        ("either a cat or a dog", None, None),
        ("Z", None, None),
        ("", None, None),
    ],
)
def test_letters_are_read(text: str, strict: str | None, flexible: str | None) -> None:
    assert extracting.letter(text, CHOICES) == (strict, flexible)


@pytest.mark.parametrize(("one", "gold"), [("1,250", "1250"), ("$18.00", "18"), ("-0.5", "-.5"), ("1e3", "1000")])
def test_numerals_of_one_number_are_the_same(one: str, gold: str) -> None:
    assert extracting.same_number(one, gold)


def test_what_is_no_number_is_no_number() -> None:
    assert not extracting.same_number(None, "3")
    assert not extracting.same_number("3", "three")


def test_a_pattern_that_takes_for_ever_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        extracting.pattern("a" * 60 + "!", r"((?:a|a)+)+$")


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"kind": "Number"}, ""),
        ({"kind": "Pattern"}, "belongs to the kind Pattern"),
        ({"kind": "Letter", "pattern": "(x)"}, "belongs to the kind Pattern"),
        ({"kind": "Pattern", "pattern": "(x"}, "is no regular expression"),
        ({"kind": "Pattern", "pattern": "x"}, "must have one group"),
    ],
)
def test_parameters_that_do_not_go_together_are_refused(parameters: dict[str, str], fault: str) -> None:
    found = TASK.fault(dict(parameters), 0, has_baseline=False)
    assert fault in found
    assert bool(fault) == bool(found)


def test_wordings_are_asked_one_by_one_and_their_spread_is_told() -> None:
    parameters = {"kind": "Letter", "templates": ["{question}\n{choices}", "Choose! {question}\n{choices}"]}
    items = [Item(id=str(n), question=f"What is {n}?", answers=("a dog",), choices=CHOICES) for n in range(4)]
    rows = []
    for number, item in enumerate(items):
        steps = task.steps(TASK, item, dict(parameters), ())
        asks = next(steps)
        assert [ask.question.splitlines()[1:] for ask in asks if isinstance(ask, Prompt)] == [
            ["A. a cat", "B. a dog", "C. the moon", "D. a fish"]
        ] * 2
        with pytest.raises(StopIteration) as end:
            steps.send((Outcome(text="B"), Outcome(text="B" if number == 0 else "I guess C")))
        rows.append(end.value.value)
    assert [row["flexible_match"] for row in rows] == [1, 0.5, 0.5, 0.5]
    assert rows[1]["extracted"] == 1
    spread = next(metric for metric in TASK.metrics(dict(parameters)) if metric.name == "template_spread")
    scores = [
        Score(asking=Asking("s", item.digest, Side.SUBJECT, 0), values=row)
        for item, row in zip(items, rows, strict=True)
    ]
    suite = Measured(scores=scores, expected=4, policy=ItemErrorPolicy.COUNT, max_error_ratio=0, is_paired=True)
    assert measuring.value(spread, suite, Side.SUBJECT) == (0.75, 4)
