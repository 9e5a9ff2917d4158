"""The order of askings and of load."""

from touchstone_evaluation.core import planning
from touchstone_evaluation.core.items import ItemDigest
from touchstone_evaluation.core.planning import Shard
from touchstone_evaluation.core.spec import Side, Suite

A, B = Side.SUBJECT, Side.BASELINE


def test_the_blocks_of_a_load_cancel_a_steady_drift() -> None:
    order = planning.load_blocks((A, B))
    drift = {side: sum(place for place, found in enumerate(order) if found is side) for side in (A, B)}
    assert drift[A] == drift[B]
    assert order.count(A) == order.count(B) == 2


def test_a_load_without_a_baseline_is_one_block() -> None:
    assert planning.load_blocks((A,)) == (A,)


def test_the_side_that_begins_alternates_from_item_to_item() -> None:
    shard = Shard(number=0, suite="s", items=(ItemDigest("x"), ItemDigest("y")))
    sides = [asking.side for asking in planning.askings(shard, Suite(name="s", task="t"), (A, B))]
    assert sides == [A, B, B, A]
