"""ROUGE is held to the reference implementation, BLEU, chrF and TER to sacrebleu's own corpora."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.ter import TER
from touchstone_evaluation.catalogue.text_overlap import TASK
from touchstone_evaluation.core import overlap
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.measuring import Measured, value
from touchstone_evaluation.core.scores import Asking, Score
from touchstone_evaluation.core.spec import ItemErrorPolicy, Side
from touchstone_evaluation.core.task import Metric, Outcome

WORDS = st.lists(
    st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "and", "Gold,", "silver;", "42", "ran", "far"]), max_size=12
).map(" ".join)
TEXTS = st.lists(WORDS, min_size=1, max_size=3).map("\n".join)

PAIRS = [
    ("The cat sat on the mat.", ["The cat is sitting on the mat.", "On the mat sat the cat."]),
    ("Gold is rubbed on the stone", ["The gold is rubbed on a touchstone, and the streak compared."]),
    ("A streak of silver is white.", ["Silver leaves a white streak."]),
    ("nothing in common", ["entirely different words here today"]),
    ("", ["an answer was expected"]),
]


@given(TEXTS, TEXTS)
def test_rouge_equals_the_reference_implementation(prediction: str, gold: str) -> None:
    wanted = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"]).score(gold, prediction)
    assert overlap.rouge_n(prediction, gold, 1) == pytest.approx(wanted["rouge1"].fmeasure)
    assert overlap.rouge_n(prediction, gold, 2) == pytest.approx(wanted["rouge2"].fmeasure)
    assert overlap.rouge_l(prediction, gold) == pytest.approx(wanted["rougeL"].fmeasure)
    assert overlap.rouge_lsum(prediction, gold) == pytest.approx(wanted["rougeLsum"].fmeasure)


def test_rouge_of_a_known_pair() -> None:
    """Lin (2004), section 3: the LCS of `police killed the gunman` and `police kill the gunman` is 3 of 4 words."""
    assert overlap.rouge_l("police kill the gunman", "police killed the gunman") == pytest.approx(0.75)
    assert overlap.rouge_n("police kill the gunman", "police killed the gunman", 2) == pytest.approx(1 / 3)


def scores(pairs: list[tuple[str, list[str]]]) -> Measured:
    found = []
    for number, (text, golds) in enumerate(pairs):
        item = Item(id=str(number), question=f"Question {number}", answers=tuple(golds))
        values = TASK.score(item, Outcome(text=text), {})
        found.append(Score(asking=Asking("s", item.digest, Side.SUBJECT, 0), values=values))
    return Measured(scores=found, expected=0, policy=ItemErrorPolicy.COUNT, max_error_ratio=1, is_paired=True)


def metric(name: str) -> Metric:
    return next(each for each in TASK.metrics({}) if each.name == name)


@pytest.mark.parametrize("pairs", [PAIRS, PAIRS[:1], PAIRS[3:4]], ids=["corpus", "one item", "no word shared"])
def test_the_corpus_scores_are_those_of_sacrebleu(pairs: list[tuple[str, list[str]]]) -> None:
    texts = [text for text, _ in pairs]
    width = max(len(golds) for _, golds in pairs)
    references = [[golds[place] if place < len(golds) else None for _, golds in pairs] for place in range(width)]
    measured = scores(pairs)
    bleu, _ = value(metric("bleu"), measured, Side.SUBJECT)
    ter, _ = value(metric("ter"), measured, Side.SUBJECT)
    assert bleu == pytest.approx(BLEU().corpus_score(texts, references).score, abs=1e-9)
    assert ter is not None
    assert 100 * ter == pytest.approx(TER().corpus_score(texts, references).score)


def test_bleu_of_a_resample_is_that_of_its_items() -> None:
    counts = [overlap.bleu_counts(text, golds) for text, golds in PAIRS]
    rows = np.array([[*c.matches, *c.totals, c.length, c.gold_length] for c in counts], dtype=float)
    chosen = [0, 0, 2, 4]
    texts, golds = [PAIRS[place][0] for place in chosen], [PAIRS[place][1] for place in chosen]
    references = [[g[place] if place < len(g) else None for g in golds] for place in range(2)]
    assert overlap.bleu(rows[chosen].sum(axis=0, keepdims=True))[0] == pytest.approx(
        BLEU().corpus_score(texts, references).score
    )


@given(st.text(max_size=20), st.text(max_size=20))
def test_edits_are_counted_like_levenshtein_s_recurrence(one: str, other: str) -> None:
    table = [
        [max(row, column) if not row * column else 0 for column in range(len(other) + 1)] for row in range(len(one) + 1)
    ]
    for row in range(1, len(one) + 1):
        for column in range(1, len(other) + 1):
            differs = one[row - 1] != other[column - 1]
            table[row][column] = min(
                table[row - 1][column] + 1, table[row][column - 1] + 1, table[row - 1][column - 1] + differs
            )
    longest = max(len(one), len(other))
    expected = 1 - table[-1][-1] / longest if longest else 1.0
    assert overlap.edit_similarity(one, other) == pytest.approx(expected)


def test_the_best_reference_counts() -> None:
    item = Item(id="1", question="q", answers=("something else", "gold and silver", "  "))
    found = TASK.score(item, Outcome(text="gold and silver"), {})
    assert found["rouge_1"] == found["rouge_l"] == found["edit_similarity"] == 1
    assert found["chrf"] == pytest.approx(100)


def test_an_item_without_a_word_to_compare_with_is_left_out() -> None:
    assert TASK.unfit(Item(id="1", question="q", answers=("…",))) == "no reference text"
