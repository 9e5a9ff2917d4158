"""Rules of large corpora, each on a text that breaks just that rule; repetition is held against a naive count."""

import random
from collections import Counter

import pytest
from touchstone_data.core import quality

PROSE = (
    "The committee met in the old hall to discuss the budget of the coming year and that took most of the day. "
    "Some members have argued with great care, while others only wanted to be heard. "
    "In the end the chair closed the meeting, and everybody walked home along the river."
)


def first(rule: str, text: str) -> str:
    fault = next(quality.RULES[rule](text), None)
    return fault.rule if fault else ""


@pytest.mark.parametrize("rule", sorted(quality.RULES))
def test_prose_breaks_no_rule(rule: str) -> None:
    assert first(rule, PROSE) == ""


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("the end of it", "gopher: 50 to 100000 words"),
        ("a be to of I " * 20, "gopher: mean word of 3 to 10 characters"),
        (PROSE.replace(" the ", " # the "), "gopher: at most one # in ten words"),
        ("\n".join(f"- {line}" for line in PROSE.split(". ")), "gopher: at most 90 % of the lines are bullet points"),
        (PROSE.replace(". ", "...\n") + "..", "gopher: at most 30 % of the lines end in an ellipsis"),
        (PROSE + " 12345" * 20, "gopher: at least 80 % of the words have a letter"),
        ("lorem dolor amet " * 20, "gopher: at least two of the eight stop words"),
    ],
)
def test_gopher_drops_what_is_no_prose(text: str, rule: str) -> None:
    assert first("gopher", text) == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"{PROSE}\n" * 3, "gopher: at most 30 % of the lines repeat others"),
        ("buy it now " * 30, "gopher: at most 20% of the characters in the most frequent 2-grams"),
        (PROSE + " " + PROSE, "gopher: at most 15% of the characters in repeated 5-grams"),
    ],
)
def test_gopher_drops_what_repeats_itself(text: str, rule: str) -> None:
    assert first("gopher-repetition", text) == rule


def test_counts_of_repetition_are_those_of_a_naive_count() -> None:
    rng = random.Random(11)
    for _ in range(200):
        words = rng.choices(["a", "bb", "ccc", "dddd"], k=rng.randint(0, 30))
        for size in (2, 5):
            grams = [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]
            counts = Counter(grams)
            top = max((n * sum(map(len, g)) for g, n in counts.items() if n == max(counts.values())), default=0)
            assert quality._top(words, size) == (top if max(counts.values(), default=0) > 1 else 0)
            seen: set[tuple[str, ...]] = set()
            place = covered = 0
            while place < len(grams):
                if grams[place] in seen:
                    covered += sum(map(len, grams[place]))
                    place += size
                else:
                    seen.add(grams[place])
                    place += 1
            assert quality._covered_twice(words, size) == covered


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Lorem ipsum. " + PROSE, "c4: no lorem ipsum"),
        (PROSE + " {", "c4: no curly bracket"),
        ("One sentence. And another.", "c4: at least 3 sentences"),
    ],
)
def test_c4_drops_pages(text: str, rule: str) -> None:
    assert first("c4", text) == rule


def test_c4_keeps_lines_of_prose_only() -> None:
    lines = [
        "This line is a sentence of prose.",
        "Menu | Home | About",
        "Too short.",
        "You must enable JavaScript to see this page.",
        "By reading on you accept our terms of use.",
        "This one has a note[12] to be removed.",
        "This one is cut off in the middle...",
    ]
    assert quality.c4_lines("\n".join(lines)).split("\n") == [lines[0], "This one has a note to be removed."]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("\n".join(["a line of the menu that goes on and on"] + [f"entry number {n} of a long list of things" for n in range(9)]),
         "fineweb: more than 12 % of the lines end a sentence"),
        ("The same long line stands here twice.\n" * 2 + PROSE, "fineweb: less than 10 % of the characters in lines that repeat others"),
        ("Short one.\nShort two.\nShort three.", "fineweb: less than 67 % of the lines are shorter than 30 characters"),
    ],
)  # fmt: skip
def test_fineweb_drops_lists_and_copies(text: str, rule: str) -> None:
    assert first("fineweb", text) == rule
