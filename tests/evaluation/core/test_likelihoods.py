"""Tasks that ask how probable texts are: multiple choice and language modelling."""

import math

import pytest
from touchstone_evaluation.catalogue import language_modelling, multiple_choice
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.measuring import Measured, value
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import ItemErrorPolicy, Side
from touchstone_evaluation.core.task import Likelihood, Outcome

CHOICE, MODELLING = multiple_choice.TASK, language_modelling.TASK
ITEM = Item(id="1", question="What is rubbed on a touchstone?", choices=("gold", "a loaf of bread"), answers=("gold",))


def likely(*logprobs: float) -> Outcome:
    return Outcome(likelihoods=tuple(Likelihood(logprob, 3, False) for logprob in logprobs))


def test_each_choice_is_scored_after_the_question() -> None:
    asked = CHOICE.ask(ITEM, {})
    assert asked.prompt == "Question: What is rubbed on a touchstone?\nAnswer:"
    assert asked.continuations == (" gold", " a loaf of bread")


def test_letters_are_scored_where_the_choices_are_listed() -> None:
    template = "{question}\n{choices}\nAnswer:"
    asked = CHOICE.ask(ITEM, {"template": template, "continuations": "letters"})
    assert asked.prompt == "What is rubbed on a touchstone?\nA. gold\nB. a loaf of bread\nAnswer:"
    assert asked.continuations == (" A", " B")


def test_braces_in_a_question_are_not_taken_for_places() -> None:
    item = Item(id="1", question="What does {choices} mean?", choices=("a", "b"), answers=("a",))
    assert "What does {choices} mean?" in CHOICE.ask(item, {"template": "{choices}\n{question}"}).prompt


def test_the_most_probable_choice_counts_and_length_is_taken_out_by_bytes() -> None:
    """log p of -4 for 4 bytes is -1 a byte; -6 for 15 bytes is -0.4: the two rules differ."""
    found = CHOICE.score(ITEM, likely(-4, -6), {})
    assert (found["accuracy"], found["accuracy_normalised"]) == (1, 0)
    assert found["gold_probability"] == pytest.approx(1 / (1 + math.exp(-2)))


def test_very_improbable_choices_do_not_underflow() -> None:
    found = CHOICE.score(ITEM, likely(-4000, -4001), {})
    assert found["gold_probability"] == pytest.approx(1 / (1 + math.exp(-1)))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"choices": ("gold",)}, "2 to 26 choices"),
        ({"choices": ("gold", "gold")}, "not all different"),
        ({"choices": ("gold", "")}, "not all different"),
        ({"answers": ("lead",)}, "no answer is one of its choices"),
    ],
)
def test_an_item_that_cannot_be_scored_says_why(changes: dict[str, tuple[str, ...]], why: str) -> None:
    fields = {"choices": ITEM.choices, "answers": ITEM.answers} | changes
    assert why in CHOICE.unfit(Item(id="1", question="q", **fields))


def test_choices_are_part_of_what_an_item_is_and_items_without_keep_their_digests() -> None:
    """Verdicts and predictions are kept by them: this one was made before there were choices."""
    plain = Item(id="1", question="q", answers=("a",))
    assert plain.digest == "sha256:cd4a647d407bb1b807777a86490eff6380633c8123147eb0fccfaebfc18a9f3e"
    assert Item(id="1", question="q", answers=("a",), choices=("a", "b")).digest != plain.digest


def test_perplexity_of_a_fair_die_is_six() -> None:
    """A model that gives each of 10 tokens 1/6 hesitates among 6; sums are over items, not means of means."""
    texts = {"one two": 4, "three four five six": 6}
    measured = []
    for text, count in texts.items():
        item = Item(id=text, question=text)
        outcome = Outcome(likelihoods=(Likelihood(count * math.log(1 / 6), count, False),))
        measured.append(
            Score(asking=Asking("s", item.digest, Side.SUBJECT, 0), values=MODELLING.score(item, outcome, {}))
        )
    suite = Measured(scores=measured, expected=0, policy=ItemErrorPolicy.COUNT, max_error_ratio=1, is_paired=True)
    found = {metric.name: value(metric, suite, Side.SUBJECT)[0] for metric in MODELLING.metrics({})}
    assert found["perplexity"] == pytest.approx(6)
    assert found["cross_entropy"] == pytest.approx(math.log(6))
    assert found["bits_per_byte"] == pytest.approx(10 * math.log2(6) / sum(len(text) for text in texts))
    assert found["word_perplexity"] == pytest.approx(math.exp(10 * math.log(6) / 6))
