"""How reliable the annotations of a queue are: in all, by part of the label, by pair of people. Pure."""

import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import rfc8785

from touchstone_data.core import agreement
from touchstone_data.core.queues import Annotation, QueueSpec

MAX_PEOPLE = 20
"""Pairs are told of this many people, those with the most annotations."""


class Part(NamedTuple):
    """The agreement about a part of the labels."""

    name: str
    alpha: float | None


class Pair(NamedTuple):
    """The agreement of two people."""

    first: str
    second: str
    items: int
    alpha: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How far annotators agree."""

    alpha: float | None
    interval: agreement.Interval | None
    items: int
    """With two annotations or more."""
    parts: tuple[Part, ...]
    """By choice, told apart from all others, or by field of the JSON object."""
    pairs: tuple[Pair, ...]
    """Of people who share an item."""
    disputed: tuple[str, ...]
    """Ids of items whose label the votes do not settle, in order."""


def judge(spec: QueueSpec, annotations: Sequence[Annotation]) -> Reliability:
    """Judge the annotations of a queue."""
    by_item = _by_item(annotations)
    counts = _counts(by_item.values())
    return Reliability(
        alpha=agreement.alpha_of(counts),
        interval=agreement.interval(counts),
        items=len(counts),
        parts=tuple(_parts(spec, by_item)),
        pairs=tuple(_pairs(annotations)),
        disputed=tuple(sorted(item for item, labels in by_item.items() if is_disputed(labels))),
    )


def is_disputed(labels: Sequence[str]) -> bool:
    """Say whether votes settle nothing, as the step `adjudicate` sees it by default."""
    if len(labels) < 2:
        return False
    ((_, most), *others) = Counter(labels).most_common(2)
    return most / len(labels) < 0.5 or bool(others and others[0][1] == most)


def _by_item(annotations: Iterable[Annotation]) -> Mapping[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for one in annotations:
        found[one.item_id].append(one.label)
    return found


def _counts(votes: Iterable[Sequence[str]]) -> agreement.Counts:
    rows = [agreement.numbered(labels) for labels in votes if len(labels) >= 2]
    return agreement.counted(np.array(rows, dtype=np.uint64).reshape(len(rows), agreement.MAX_ANNOTATORS))


def _parts(spec: QueueSpec, by_item: Mapping[str, Sequence[str]]) -> Iterable[Part]:
    if spec.choices:
        for choice in spec.choices:
            votes = ([str(label == choice) for label in labels] for labels in by_item.values())
            yield Part(choice, agreement.alpha_of(_counts(votes)))
        return
    objects = [[json.loads(label) for label in labels] for labels in by_item.values()]
    for name in json.loads(spec.json_schema)["properties"]:
        votes = ([rfc8785.dumps(one.get(name)).decode() for one in labels] for labels in objects)
        yield Part(name, agreement.alpha_of(_counts(votes)))


def _pairs(annotations: Sequence[Annotation]) -> Iterable[Pair]:
    by_person: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for one in annotations:
        by_person[one.annotator][one.item_id] = one.label
    busiest = sorted(by_person, key=lambda person: (-len(by_person[person]), person))[:MAX_PEOPLE]
    for first, second in itertools.combinations(sorted(busiest), 2):
        left, right = by_person[first], by_person[second]
        shared = left.keys() & right.keys()
        if shared:
            found = agreement.alpha_of(_counts([left[item], right[item]] for item in shared))
            yield Pair(first, second, len(shared), found)
