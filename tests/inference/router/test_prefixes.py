"""Prompts that begin alike meet the replica that has seen their beginning."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from touchstone_inference.router.core import replicas
from touchstone_inference.router.core.prefix_index import BLOCK_CHARACTERS, MAX_REPLICAS, PrefixIndex
from touchstone_inference.router.core.view import Endpoint, Strategy

ENDPOINTS = [Endpoint(id=f"engine-{number}", address=f"10.0.0.{number}:50051") for number in range(4)]
BLOCK = "x" * BLOCK_CHARACTERS


def test_a_beginning_is_known_as_far_as_it_was_sent() -> None:
    index = PrefixIndex()
    index.note(BLOCK * 3 + "tail", "a")
    index.note(BLOCK + "y" * BLOCK_CHARACTERS, "b")
    assert index.known(BLOCK * 2 + "z" * BLOCK_CHARACTERS) == {"a": 2, "b": 1}
    assert index.known("z" + BLOCK) == {}
    assert index.known("x" * (BLOCK_CHARACTERS - 1)) == {}, "less than a block is not worth a preference"


def test_who_knows_a_later_block_only_knows_nothing() -> None:
    """A cache of keys and values is of use from the first token on, or not at all."""
    index = PrefixIndex(max_blocks=3)
    index.note(BLOCK * 2, "a")
    index.note("y" * BLOCK_CHARACTERS * 2, "b")
    assert index.known(BLOCK * 2) == {}, "its first block was forgotten"


def test_a_block_remembers_the_latest_replicas_only() -> None:
    index = PrefixIndex()
    for number in range(MAX_REPLICAS + 4):
        index.note(BLOCK, f"engine-{number}")
    assert set(index.known(BLOCK)) == {f"engine-{number}" for number in range(4, MAX_REPLICAS + 4)}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=60))
def test_it_agrees_with_comparing_every_prompt_that_was_sent(sent: list[tuple[int, int]]) -> None:
    texts = [("a" * 300 + str(number % 3) * 300 + str(number) * 300) for number in range(6)]
    index = PrefixIndex()
    for number, replica in sent:
        index.note(texts[number], f"engine-{replica}")

    def shared(one: str, other: str) -> int:
        length = next((place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b), len(one))
        return length // BLOCK_CHARACTERS

    for text in texts:
        expected: dict[str, int] = {}
        for number, replica in sent:
            common = min(shared(text, texts[number]), len(text) // BLOCK_CHARACTERS)
            if common:
                name = f"engine-{replica}"
                expected[name] = max(expected.get(name, 0), common)
        assert index.known(text) == expected


def choose(known: dict[str, int], in_flight: dict[str, int], affinity: str = "head") -> str:
    return replicas.choose(
        Strategy.PREFIX_AWARE, ENDPOINTS, in_flight=in_flight, affinity=affinity, known=known, turn=0
    ).id


def test_the_replica_that_knows_most_is_taken() -> None:
    assert choose({"engine-1": 2, "engine-3": 5}, {}) == "engine-3"


def test_of_those_that_know_as_much_the_one_with_less_to_do_is_taken() -> None:
    assert choose({"engine-1": 5, "engine-3": 5}, {"engine-1": 1, "engine-0": 9}) == "engine-3"


def test_no_replica_is_overrun_by_what_it_knows() -> None:
    in_flight: Counter[str] = Counter()
    for _ in range(40):
        in_flight[choose({"engine-2": 9}, dict(in_flight))] += 1
    assert max(in_flight.values()) <= 13  # 1.25 times a fair share of 40, rounded up
    assert in_flight["engine-2"] == max(in_flight.values())


def test_where_nobody_knows_anything_equal_heads_still_meet() -> None:
    found = {choose({}, {}, affinity="the same") for _ in range(8)}
    assert len(found) == 1
    spread = {choose({}, {}, affinity=str(number)) for number in range(64)}
    assert len(spread) == 4
