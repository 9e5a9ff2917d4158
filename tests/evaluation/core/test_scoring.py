"""Scores of answers and rankings, by hand-computed values and published rules."""

import pytest
from touchstone_evaluation.core import normalising, ranking
from touchstone_evaluation.core.ranking import Passage


@pytest.mark.parametrize(
    ("text", "normalised"),
    [("The  Eiffel Tower!", "eiffel tower"), ("an apple, a day", "apple day"), ("U.S.", "us"), ("", "")],
)
def test_normalisation_is_squads(text: str, normalised: str) -> None:
    assert normalising.normalise(text) == normalised


@pytest.mark.parametrize(
    ("answer", "gold", "contains", "exact", "f1"),
    [
        ("Paris", "paris", 1, 1, 1.0),
        ("It is the city of Paris.", "Paris", 1, 0, 2 * (1 / 5) * 1 / (1 / 5 + 1)),
        ("Parisian life", "Paris", 0, 0, 0.0),
        ("17th century", "the 17th Century", 1, 1, 1.0),
        ("", "Paris", 0, 0, 0.0),
    ],
)
def test_answers_are_scored_by_the_squad_rules(answer: str, gold: str, contains: int, exact: int, f1: float) -> None:
    golds = [gold]
    assert normalising.best(normalising.contains, answer, golds) == contains
    assert normalising.best(normalising.exact_match, answer, golds) == exact
    assert normalising.best(normalising.token_f1, answer, golds) == pytest.approx(f1)


def test_the_best_of_several_golds_counts() -> None:
    assert normalising.best(normalising.exact_match, "Gandhi", ["Mahatma Gandhi", "Gandhi"]) == 1


def test_rankings_are_scored_as_computed_by_hand() -> None:
    passages = [Passage("s/a", "no"), Passage("s/b", "yes one"), Passage("s/c", "no"), Passage("s/d", "yes two")]
    found = ranking.hits(passages, ["s/b", "s/d"], [])
    assert ranking.recall_at(1, found, 2) == 0
    assert ranking.recall_at(2, found, 2) == 0.5
    assert ranking.recall_at(4, found, 2) == 1
    assert ranking.precision_at(2, found) == 0.5
    assert ranking.reciprocal_rank(found) == 0.5
    # DCG = 1/log2(3) + 1/log2(5); ideal = 1 + 1/log2(3).
    assert ranking.ndcg_at(4, found, 2) == pytest.approx((0.63093 + 0.43068) / (1 + 0.63093), abs=1e-4)


def test_a_text_is_hit_by_a_passage_that_holds_it_or_lies_in_it() -> None:
    text = "Water turns into steam when heated."
    found = ranking.hits([Passage("x", f"Intro. {text} More."), Passage("y", "steam when heated")], [], [text])
    assert [bool(hit) for hit in found] == [True, True]
    assert ranking.recall_at(2, found, 1) == 1, "one target, found once"


def test_what_a_text_says_is_looked_for_without_the_words_of_the_question() -> None:
    answer = "The river is the Rhine, in Germany."
    assert normalising.said(answer, "It is the Rhine.", known="Which river is it?") == pytest.approx(1 / 3)
    assert normalising.said(answer, "Rhine, in Germany") == pytest.approx(3 / 5)
    assert normalising.said("The river is.", "nothing", known="Which river is it?") == 1, "it claims nothing"
