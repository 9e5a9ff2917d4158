"""Records by rules: small changes, the same ones every time, and none where labels hang."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from touchstone_data.catalogue import augment, rewriting
from touchstone_data.catalogue.synthesis import Candidate
from touchstone_data.core import perturbation, similarity
from touchstone_data.core.generation import Made
from touchstone_data.core.perturbation import Operation, Rules
from touchstone_data.core.records import Record
from touchstone_data.core.steps import Surroundings

TEXT = "Dear team, my parcel 4711 has not arrived, please send a refund to <EMAIL> before 12:30 tomorrow morning."


class NoTools:
    def fetch(self, uri: str, digest: str = "") -> str:
        raise AssertionError("nothing is to be fetched")


class NoAid:
    """Nothing is to be asked for."""

    def beat(self) -> None:
        pass

    def ask(self, prompts: Any) -> Any:
        raise AssertionError("no model is to be asked")

    def run(self, programs: Any) -> Any:
        raise AssertionError("no program is to be run")


def made(records: Sequence[Record], **parameters: Any) -> list[Made]:
    step = augment.STEP
    assert list(step.faults(parameters, "p")) == []
    assert step.by_generation is not None
    work = step.by_generation(step.filled(parameters), Surroundings(text_fields=("text",), tools=NoTools()))
    return list(work(records, NoAid()))


def record(text: str = TEXT, number: int = 0, **more: Any) -> Record:
    return Record(id=str(number), source="s", fields={"text": text, **more})


def changed(operation: Operation, text: str = TEXT, *, seed: int = 0, **rules: Any) -> str:
    return perturbation.perturbed(text, operation, Rules(**{"rate": 0.2, **rules}), random.Random(seed))


@pytest.mark.parametrize("seed", range(20))
def test_each_operation_does_what_it_says(seed: int) -> None:
    words = TEXT.split()
    swapped = changed(Operation.SWAP, seed=seed)
    assert Counter(similarity.words(swapped)) == Counter(similarity.words(TEXT))
    assert [one for one in swapped if not one.isalnum()] == [one for one in TEXT if not one.isalnum()]
    assert swapped != TEXT
    shorter = changed(Operation.DELETE, seed=seed).split()
    assert len(shorter) == len(words) - round(0.2 * 14)
    remaining = iter(words)
    assert all(word in remaining for word in shorter), "what is left is in its order"
    typed = changed(Operation.TYPO, seed=seed).split()
    assert len(typed) == len(words)
    wrong = [(old, new) for old, new in zip(words, typed, strict=True) if old != new]
    assert len(wrong) in (1, 2, 3)
    for old, new in wrong:
        assert similarity.words(old)[0][0] == similarity.words(new)[0][0]
        assert abs(len(old) - len(new)) <= 1
    assert changed(Operation.CASE, seed=seed).lower() == TEXT.lower()
    other = changed(Operation.SYNONYM, seed=seed, synonyms={"parcel": ["package"], "please": ["kindly"]})
    assert {"package", "kindly"} & set(other.replace(",", "").split())
    longer = changed(Operation.INSERT, seed=seed, synonyms={"parcel": ["package"]})
    assert Counter(longer.split()) - Counter(words) == Counter({"package": 1})


def test_what_must_stay_is_never_touched() -> None:
    rules = Rules(rate=0.5, kept=frozenset({"refund", "parcel"}), synonyms={"refund": ["x"], "parcel": ["y"]})
    for operation in Operation:
        for seed in range(50):
            found = perturbation.perturbed(TEXT, operation, rules, random.Random(seed))
            for kept in ("4711", "<EMAIL>", "12:30", "refund", "parcel", "not"):
                assert kept in found, (operation, found)


@pytest.mark.parametrize("text", ["", "   ", "4711 <EMAIL>", "word", "{{ a b }}"])
@pytest.mark.parametrize("operation", list(Operation))
def test_texts_with_nothing_to_change_are_no_trouble(operation: Operation, text: str) -> None:
    found = changed(operation, text, synonyms={"word": ["term"]})
    assert text in (found, "word")


def test_slots_are_filled_with_what_is_given_for_them() -> None:
    slots = {"NAME": ["Ann"], "city": ["Rome"]}
    rng = random.Random(0)
    assert (
        perturbation.filled("<NAME> in {city} or {{ city }}: <EMAIL> {x}", slots, rng)
        == "Ann in Rome or Rome: <EMAIL> {x}"
    )
    (one,) = made([record("My name is <NAME> and my order is late")], operations=["swap"], slots={"NAME": ["Ann"]})
    assert one.drop is None
    assert "Ann" in str(one.fields["text"])


def test_the_same_record_is_changed_the_same_way_wherever_it_lies() -> None:
    alone = made([record(number=7)], copies=3)
    among = [one for one in made([record(number=n) for n in range(100)], copies=3) if one.origin.id == "7"]
    assert alone == among
    assert made([record(number=7)], copies=3, seed=1) != alone
    assert len({str(one.fields["text"]) for one in alone}) == 3


def test_what_is_said_in_turns_is_changed_turn_by_turn() -> None:
    """Paths through lists were passed over: nothing was made of conversations."""
    turns = [{"role": "user", "content": TEXT}, {"role": "assistant", "content": None}, {"content": TEXT.upper()}]
    conversation = Record(id="1", source="s", fields={"messages": turns, "label": "late"})
    (one,) = made([conversation], fields=["messages[].content"], operations=["swap"])
    assert one.drop is None
    assert one.fields["label"] == "late"
    first, call, last = cast("list[dict[str, Any]]", one.fields["messages"])
    assert (first["role"], call) == ("user", turns[1])
    for new, old in ((first, turns[0]), (last, turns[2])):
        assert new["content"] != old["content"]
        assert Counter(similarity.words(new["content"])) == Counter(similarity.words(str(old["content"])))


def test_labels_and_other_fields_stay() -> None:
    found = made([record(label="refund", number=n) for n in range(40)], keep_values_of=["label"], rate=0.5)
    assert all(one.fields["label"] == "refund" for one in found)
    assert all("refund" in str(one.fields["text"]) for one in found)


def test_a_text_that_cannot_be_changed_is_rejected_as_a_copy() -> None:
    (one,) = made([record("4711")])
    assert one.drop is not None
    assert one.drop.reason == rewriting.COPY
    twins = made([record("two words")], copies=16, operations=["swap"])
    assert [one.drop.reason if one.drop else "" for one in twins] == ["", *[rewriting.TWIN] * 15]


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        ("Please refund order 4711 at once", None),
        ("Please refund order 47", rewriting.SPAN),
        ("Please pay for order 4711", augment.LABEL),
        ("Refund order 4711 please", rewriting.COPY),
    ],
)
def test_a_planted_bad_change_is_rejected_with_the_right_reason(after: str, reason: str | None) -> None:
    before = "Refund order 4711 please"
    candidate = Candidate(origin=record(before), number=0, texts={"text": after})
    filled: Mapping[str, str] = {"text": before}
    augment.reject(candidate, filled, before=filled, kept=frozenset({"refund"}))
    assert (candidate.drop.reason if candidate.drop else None) == reason


def test_operations_without_their_words_are_refused() -> None:
    (fault,) = augment.STEP.faults({"operations": ["synonym"]}, "p")
    assert "Set synonyms" in fault.description
