"""What is held against texts that were made of others."""

import random

import pytest
from rouge_score import rouge_scorer
from touchstone_data.core import verification

WORDS = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "42", "birds", "sing"]


def test_rouge_l_is_that_of_the_reference_implementation() -> None:
    reference = rouge_scorer.RougeScorer(["rougeL"])
    rng = random.Random(1)
    for _ in range(200):
        one, other = (" ".join(rng.choices(WORDS, k=rng.randrange(1, 20))) for _ in range(2))
        expected = reference.score(one, other)["rougeL"].fmeasure
        tokens = verification.tokens(one), verification.tokens(other)
        assert verification.rouge_l(*tokens) == pytest.approx(expected)
        bounded = verification.rouge_l(*tokens, least=0.401)
        assert bounded == pytest.approx(expected if expected >= 0.401 else 0)
    assert verification.rouge_l([], []) == 0


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("Order 4711 of <NAME>", "<NAME> has order 4711.", ""),
        ("Order 4711", "Order 4712", "-4711 +4712"),
        ("Order 4711", "My order", "-4711"),
        ("My order", "My order 12", "+12"),
        ("Write to <EMAIL> or <EMAIL>", "Write to <EMAIL>", "-<EMAIL>"),
        ("Hello {name}, {{ greeting }}", "{{ greeting }}, {name}!", ""),
        ("Hello {name}", "Hello name", "-{name}"),
        ("See https://example.org/a?b=1.", "At https://example.org/a?b=1 it is", ""),
        ("See https://example.org/a", "See the page", "-https://example.org/a"),
        ("Mail ann.lee@example.org", "ann.lee@example.org is mine", ""),
        ("At 12:30 on 2026-01-31, 1,000.50", "1,000.50 on 2026-01-31 at 12:30", ""),
        ("At 12:30", "At 12.30", "-12:30 +12.30"),
    ],
)
def test_numbers_addresses_and_placeholders_must_stay(before: str, after: str, changed: str) -> None:
    assert verification.changed_spans(before, after) == changed


def test_words_that_labels_hang_on_are_missed_whatever_their_case() -> None:
    assert verification.lost_words("Refund me, REFUND!", "refund me, Refund", {"Refund"}) == ""
    assert verification.lost_words("Refund me, REFUND!", "refund me", {"Refund", "late"}) == "refund"


def test_case_spaces_and_punctuation_make_no_other_text() -> None:
    assert verification.is_copy("Where is my parcel?", "where  is my parcel")
    assert not verification.is_copy("Where is my parcel?", "Where is the parcel?")
