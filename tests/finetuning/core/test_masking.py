"""Which tokens the loss is of."""

from touchstone_finetuning.core import masking
from touchstone_finetuning.core.masking import IGNORED, Span

END = 9
SPECIAL = frozenset({END})


def test_only_answers_are_kept_up_to_the_end_of_their_turn() -> None:
    # "Q?" "A" "B" "<end>" "\n" "Q!" "C" "<end>" "\n"; the answers are "AB<end>\n" and "C<end>\n".
    ids = [1, 2, 3, END, 4, 5, 6, END, 4]
    places = [
        Span(0, 2),
        Span(2, 3),
        Span(3, 4),
        Span(4, 9),
        Span(9, 10),
        Span(10, 12),
        Span(12, 13),
        Span(13, 18),
        Span(18, 19),
    ]
    kept = masking.labels(ids, places, [Span(2, 10), Span(12, 19)], SPECIAL)
    assert kept == [IGNORED, 2, 3, END, IGNORED, IGNORED, 6, END, IGNORED]


def test_an_answer_without_an_end_is_kept_whole() -> None:
    assert masking.labels([1, 2, 3], [Span(0, 1), Span(1, 2), Span(2, 3)], [Span(1, 3)], SPECIAL) == [IGNORED, 2, 3]


def test_a_token_that_begins_before_an_answer_is_the_prompts() -> None:
    assert masking.labels([1, 2], [Span(0, 3), Span(3, 4)], [Span(2, 4)], SPECIAL) == [IGNORED, 2]


def test_a_character_of_several_tokens_is_kept_with_all_of_them() -> None:
    places = [Span(0, 1), Span(1, 2), Span(1, 2), Span(1, 2), Span(2, 7)]
    assert masking.labels([1, 5, 6, 7, END], places, [Span(1, 7)], SPECIAL) == [IGNORED, 5, 6, 7, END]
