"""Items that stand in texts which a model may have been trained on."""

import json
import random

import pytest
from touchstone_evaluation.core import contamination, datasets
from touchstone_evaluation.core.contamination import CLEAN, CONTAMINATED, TOO_SHORT
from touchstone_evaluation.core.formats import Unreadable
from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Dataset

WORDS = [f"word{n}" for n in range(400)]


def sentence(seed: int, count: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def told(item: str, *corpus: str) -> str:
    (overlap,) = contamination.overlaps([item], corpus)
    return overlap.told


def test_one_shared_13_gram_contaminates_a_long_item() -> None:
    words = sentence(1, 60).split()
    shared = " ".join(words[20:33])
    assert told(" ".join(words), f"{sentence(2, 30)} {shared} {sentence(3, 30)}") == CONTAMINATED
    assert told(" ".join(words), " ".join(words[20:32])) == CLEAN, "twelve words are no 13-gram"


def test_most_8_grams_contaminate_without_a_13_gram() -> None:
    words = sentence(4, 50).split()
    pieces = [" ".join(words[begin : begin + 12]) for begin in range(0, 45, 1)]
    (overlap,) = contamination.overlaps([" ".join(words)], [f"{piece}." for piece in pieces])
    assert overlap.long == 0
    assert overlap.short > 0.9
    assert overlap.told == CONTAMINATED


def test_case_and_punctuation_hide_nothing() -> None:
    words = sentence(5, 20)
    assert told(words, words.upper().replace(" ", ", ")) == CONTAMINATED


def test_a_short_item_is_contaminated_as_a_whole_or_not_at_all() -> None:
    words = sentence(6, 10)
    assert told(words, f"{sentence(7, 5)} {words} {sentence(8, 5)}") == CONTAMINATED
    assert told(words, " ".join(words.split()[:9])) == CLEAN
    assert told("too few words", "too few words") == TOO_SHORT


def test_planted_items_are_found_and_only_they() -> None:
    items = [Item(id=f"i{n}", question=sentence(100 + n, 25), answers=(sentence(900 + n, 3),)) for n in range(60)]
    planted = [item for n, item in enumerate(items) if n % 3 == 0]
    corpus = [f"{sentence(5000 + n, 200)} {contamination.text_of(item)}" for n, item in enumerate(planted)]
    marked = contamination.marked(datasets.of(items), corpus)
    assert {item.id for item in marked.items if item.metadata["contamination"] == CONTAMINATED} == {
        item.id for item in planted
    }
    assert marked.digest == datasets.of(items).digest, "what is known of an item does not make it another"


def test_a_corpus_is_texts_or_records_with_a_text() -> None:
    lines = [json.dumps("a text"), json.dumps({"text": "another"})]
    assert list(contamination.texts("\n".join(lines).encode(), Dataset(uri="file:///c"))) == ["a text", "another"]
    with pytest.raises(Unreadable, match="record 1 of the corpus is no text"):
        list(contamination.texts(b'{"body": "x"}', Dataset(uri="file:///c")))
    assert list(contamination.texts(b'{"body": "x"}', Dataset(uri="file:///c", records="[].body"))) == ["x"]
    with pytest.raises(Unreadable, match="no text"):
        list(contamination.texts(b'{"body": "x"}', Dataset(uri="file:///c", records="[].words")))
