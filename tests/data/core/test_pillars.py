"""The six pillars on sets that are broken on purpose: each fault is found by its pillar, and only by that."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from touchstone_data.core import pillars, similarity, vectors
from touchstone_data.core.pillars import Pillar, Sample
from touchstone_data.core.records import Record
from touchstone_data.core.similarity import Banding

TOPICS = {
    "billing": ["invoice", "refund", "charge", "receipt", "payment", "amount", "tax", "discount", "balance", "overdue"],
    "shipping": [
        "parcel",
        "courier",
        "delivery",
        "warehouse",
        "customs",
        "label",
        "pallet",
        "driver",
        "route",
        "address",
    ],
}


def records(count: int = 60) -> list[Record]:
    rng = np.random.default_rng(4)
    found = []
    for number in range(count):
        queue = ("billing", "shipping")[number % 2]
        text = " ".join(rng.choice(TOPICS[queue], 12)) + f" case {number}"
        found.append(Record(id=str(number), source="raw", fields={"text": text, "queue": queue}))
    return found


Judge = Callable[..., dict[str, Pillar]]


@pytest.fixture
def judge() -> Judge:
    def judge(found: Sequence[Record], *, licence: str = "CC0-1.0", label: str = "queue") -> dict[str, Pillar]:
        texts = [str(record.fields["text"]) for record in found]
        sample = Sample(
            records=found,
            texts=texts,
            vectors=vectors.of_texts(texts),
            label_field=label,
            licences={"raw": licence},
        )
        alike = similarity.near(texts, Banding(ngram=2, bands=28, rows=4, similarity=0.6))
        judged = pillars.judge(sample, alike, lambda text: ["EMAIL"] if "@" in text else [])
        return {pillar.name: pillar for pillar in judged}

    return judge


def change(found: list[Record], place: int, **fields: Any) -> list[Record]:
    changed = replace(found[place], fields={**found[place].fields, **fields})
    return [*found[:place], changed, *found[place + 1 :]]


NAMES = ["relevant", "aligned", "consistent", "correctly formatted", "unique", "compliant"]


def test_a_sound_set_has_nothing_held_against_it(judge: Judge) -> None:
    assert {name: pillar.score for name, pillar in judge(records()).items()} == dict.fromkeys(NAMES, 1.0)


@pytest.mark.parametrize(
    ("fields", "name", "reason"),
    [
        ({"text": "zebra giraffe walrus ocelot lemur tapir quokka ibex"}, "relevant", "mean cosine"),
        ({"queue": "shipping"}, "aligned", "'shipping'; 0% of its neighbours"),
        ({"text": "invoice refund <br> charge tax payment"}, "correctly formatted", "HTML tag: '<br>'"),
        ({"text": "invoice cafÃ© refund charge tax payment"}, "correctly formatted", "wrong decoding"),
        ({"text": "invoice refund charge {{ name }} tax payment"}, "correctly formatted", "template left open"),
        ({"text": "invoice refund charge a@b.example tax payment"}, "compliant", "personal data: EMAIL"),
    ],
)
def test_a_fault_is_found_by_its_pillar_with_the_record(
    judge: Judge, fields: dict[str, str], name: str, reason: str
) -> None:
    found = judge(change(records(), 20, **fields))
    (example,) = found[name].examples
    assert example.id == "20"
    assert reason in example.reason
    assert found[name].score == pytest.approx(59 / 60)
    others = {other for other, pillar in found.items() if pillar.found and other != name}
    assert others == set()


def test_near_duplicates_with_two_labels_contradict_each_other(judge: Judge) -> None:
    found = records()
    twin = replace(found[0], id="twin", fields={"text": f"{found[0].fields['text']} too", "queue": "shipping"})
    judged = judge([*found, twin])
    assert {example.id for example in judged["consistent"].examples} == {"0", "twin"}
    assert [example.id for example in judged["unique"].examples] == ["twin"]


def test_turns_must_alternate_and_end_with_an_answer(judge: Judge) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    judged = judge(change(records(), 3, messages=turns))
    assert judged["correctly formatted"].examples[0].reason == "two turns of the same speaker"
    judged = judge(change(records(), 3, messages=turns[:1]))
    assert judged["correctly formatted"].examples[0].reason == "the last turn is not the assistant's"


def test_what_cannot_be_measured_has_no_score(judge: Judge) -> None:
    judged = judge(records(), label="")
    assert judged["aligned"].score is None
    assert "no label_field" in judged["consistent"].note
    assert judge(records(4))["relevant"].score is None


def test_data_without_a_licence_is_not_compliant(judge: Judge) -> None:
    assert judge(records(), licence="")["compliant"].score == 0
