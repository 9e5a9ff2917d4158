"""How far annotators agree, by part and by pair, with an interval that is held against a plain bootstrap."""

import json

import numpy as np
import pytest
from touchstone_data.catalogue import adjudicate
from touchstone_data.core import agreement, reliability
from touchstone_data.core.queues import Annotation, QueueSpec
from touchstone_data.core.records import Drop, Record

CHOICES = QueueSpec(name="tickets", guideline="Say which.", choices=("billing", "shipping", "other"))
OBJECTS = QueueSpec(
    name="tickets",
    guideline="Say which.",
    json_schema=json.dumps(
        {"type": "object", "properties": {"queue": {"type": "string"}, "urgent": {"type": "boolean"}}}
    ),
)


def drawn(items: int, careless: float, seed: int = 1) -> list[Annotation]:
    """Two careful people and one who draws lots for a share of the items."""
    rng = np.random.default_rng(seed)
    found = []
    for item in range(items):
        right = CHOICES.choices[item % 3]
        for person in ("ann", "ben", "cat"):
            lost = rng.random() < (careless if person == "cat" else 0.02)
            label = str(rng.choice(CHOICES.choices)) if lost else right
            found.append(Annotation(item_id=str(item), annotator=person, label=label))
    return found


def test_a_careless_person_stands_out_among_the_pairs() -> None:
    pairs = {(pair.first, pair.second): pair for pair in reliability.judge(CHOICES, drawn(300, 0.8)).pairs}
    assert {pair.items for pair in pairs.values()} == {300}
    assert pairs["ann", "ben"].alpha > 0.9  # type: ignore[operator]
    assert pairs["ann", "cat"].alpha < 0.5  # type: ignore[operator]
    assert pairs["ben", "cat"].alpha < 0.5  # type: ignore[operator]


def test_the_interval_is_that_of_a_plain_bootstrap_over_items() -> None:
    annotations = drawn(120, 0.4)
    found = reliability.judge(CHOICES, annotations)
    rows = np.array([
        agreement.numbered([one.label for one in annotations[start : start + 3]])
        for start in range(0, len(annotations), 3)
    ])  # fmt: skip
    rng = np.random.default_rng(7)
    plain = [agreement.alpha(rows[rng.integers(0, len(rows), len(rows))]) for _ in range(2000)]
    low, high = np.quantile(np.array(plain, dtype=np.float64), [0.025, 0.975])
    assert found.alpha == agreement.alpha(rows)
    assert found.interval is not None
    assert found.interval == pytest.approx((low, high), abs=0.015)
    assert found.interval.low < found.alpha < found.interval.high  # type: ignore[operator]


def test_agreement_is_told_by_choice() -> None:
    mixed = [
        ("1", "ab", "billing"),
        ("2", "ab", "billing"),
        ("3", "ab", "other"),
        ("4", "a", "other"),
        ("4", "b", "shipping"),
    ]
    mixed += [("5", "a", "shipping"), ("5", "b", "other")]
    annotations = [
        Annotation(item_id=item, annotator=who, label=label) for item, people, label in mixed for who in people
    ]
    parts = dict(reliability.judge(CHOICES, annotations).parts)
    assert parts["billing"] == 1
    assert parts["other"] < parts["billing"]  # type: ignore[operator]
    assert parts["shipping"] < 0  # type: ignore[operator]


def test_agreement_about_objects_is_told_by_field() -> None:
    labels = [("1", "billing", True), ("1", "billing", False), ("2", "shipping", True), ("2", "shipping", True)]
    labels += [("3", "billing", False), ("3", "billing", True)]
    annotations = [
        Annotation(item_id=item, annotator=str(place), label=json.dumps({"queue": queue, "urgent": urgent}))
        for place, (item, queue, urgent) in enumerate(labels)
    ]
    found = reliability.judge(OBJECTS, annotations)
    parts = dict(found.parts)
    assert parts["queue"] == 1
    assert parts["urgent"] < 0.5  # type: ignore[operator]
    assert found.alpha < 1  # type: ignore[operator]
    assert found.pairs[0].items == 1


@pytest.mark.parametrize("votes", ["ab", "aab", "abc", "aabb", "aabbc", "aaabb", "aaa", "a", "aabbcd", "aabc"])
def test_what_is_disputed_is_what_adjudicate_leaves_out(votes: str) -> None:
    record = Record(id="1", source="q", fields={"annotations": [{"label": vote} for vote in votes]})
    parameters = adjudicate.STEP.filled({})
    assert adjudicate.STEP.by_record is not None
    decided = adjudicate.STEP.by_record(parameters, None)(record)  # type: ignore[arg-type]
    left_out = isinstance(decided, Drop) and decided.reason == adjudicate.DISPUTED
    assert reliability.is_disputed(list(votes)) == left_out


def test_of_nothing_nothing_is_told() -> None:
    found = reliability.judge(CHOICES, [Annotation(item_id="1", annotator="ann", label="billing")])
    assert (found.alpha, found.interval, found.items, found.pairs, found.disputed) == (None, None, 0, (), ())
