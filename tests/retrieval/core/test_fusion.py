"""Claims about rank fusion."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from touchstone_retrieval.core import fusion
from touchstone_retrieval.core.fusion import Arm

rankings = st.lists(st.integers(0, 30), unique=True, max_size=12)
weights = st.just(0.0) | st.floats(1e-6, 10)


def test_scores_are_those_of_the_paper():
    fused = fusion.reciprocal_rank([Arm("a", ["x", "y"]), Arm("b", ["y", "z"])])

    assert [(f.key, f.score) for f in fused] == [("y", 1 / 62 + 1 / 61), ("x", 1 / 61), ("z", 1 / 62)]
    assert fused[0].ranks == {"a": 2, "b": 1}


@given(rankings, rankings, weights, weights)
def test_every_item_of_a_weighted_arm_appears_once_in_descending_order(left, right, left_weight, right_weight):
    fused = fusion.reciprocal_rank([Arm("l", left, left_weight), Arm("r", right, right_weight)])

    counted = {*(left if left_weight > 0 else ()), *(right if right_weight > 0 else ())}
    assert {f.key for f in fused} == counted
    assert len(fused) == len(counted)
    assert all(a.score >= b.score for a, b in itertools.pairwise(fused))


@given(rankings, rankings, weights, weights)
def test_a_score_is_the_weighted_sum_over_the_ranks_that_are_reported(left, right, left_weight, right_weight):
    arms = {"l": Arm("l", left, left_weight), "r": Arm("r", right, right_weight)}

    for fused in fusion.reciprocal_rank(list(arms.values())):
        assert fused.score == sum(arms[name].weight / (60 + rank) for name, rank in fused.ranks.items())
        assert all(arms[name].ranking[rank - 1] == fused.key for name, rank in fused.ranks.items())


@given(rankings, rankings, st.floats(0.1, 10))
def test_scaling_all_weights_changes_no_order(left, right, factor):
    plain = fusion.reciprocal_rank([Arm("l", left), Arm("r", right)])
    scaled = fusion.reciprocal_rank([Arm("l", left, factor), Arm("r", right, factor)])

    assert [f.key for f in plain] == [f.key for f in scaled]


@given(rankings)
def test_an_arm_of_weight_0_adds_no_hits_and_moves_none(ranking):
    fused = fusion.reciprocal_rank([Arm("l", ranking), Arm("r", [99, *reversed(ranking)], 0.0)])

    assert [f.key for f in fused] == ranking


@given(rankings, rankings)
def test_better_in_both_arms_is_better_fused(left, right):
    fused = [f.key for f in fusion.reciprocal_rank([Arm("l", left), Arm("r", right)])]

    for a in left:
        for b in left:
            if a in right and b in right and left.index(a) < left.index(b) and right.index(a) < right.index(b):
                assert fused.index(a) < fused.index(b)
