"""What a set of records is like, in numbers. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from touchstone_data.core import similarity
from touchstone_data.core.records import Json, Record

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
MAX_VALUES = 20
"""A text field with at most this many values is a label."""
OUTLIERS = 10
FENCE = 3.0
"""Interquartile ranges beyond the quartiles, of the logarithm of the length (Tukey, 1977: far out)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProfile:
    """What is in a field."""

    present: int
    """Records that have it, null not counted."""
    kinds: Mapping[str, int]
    """How many are of each JSON type."""
    values: Mapping[str, int]
    """How often each value stands, most frequent first; empty if there are more than MAX_VALUES."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlier:
    """A record far from the others."""

    id: str
    words: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What records are like."""

    records: int
    words: Mapping[str, float]
    """Quantiles of the words of a text, by `q0.50`."""
    total_words: int
    distinct_words: int
    lengths: Sequence[int]
    """Words of each text."""
    languages: Mapping[str, int]
    fields: Mapping[str, FieldProfile]
    same_texts: int
    """Records whose text another has."""
    outliers: Sequence[Outlier]


def profile(records: Sequence[Record], texts: Sequence[str], languages: Mapping[str, int]) -> Profile:
    """Profile records with their texts."""
    cut = [similarity.words(text) for text in texts]
    lengths = [len(words) for words in cut]
    spread = np.quantile(lengths, QUANTILES) if lengths else np.zeros(len(QUANTILES))
    return Profile(
        records=len(records),
        words={f"q{q:.2f}": float(value) for q, value in zip(QUANTILES, spread, strict=True)},
        total_words=sum(lengths),
        distinct_words=len({word for words in cut for word in words}),
        lengths=lengths,
        languages=dict(sorted(languages.items(), key=lambda pair: -pair[1])),
        fields=_fields(records),
        same_texts=sum(count for count in Counter(texts).values() if count > 1),
        outliers=[
            Outlier(id=records[place].id, words=lengths[place], text=texts[place][:200]) for place in _far(lengths)
        ],
    )


def _fields(records: Sequence[Record]) -> dict[str, FieldProfile]:
    kinds: dict[str, Counter[str]] = {}
    values: dict[str, Counter[str]] = {}
    for record in records:
        for name, value in record.fields.items():
            kinds.setdefault(name, Counter())[_kind(value)] += 1
            seen = values.setdefault(name, Counter())
            if isinstance(value, str) and len(seen) <= MAX_VALUES:
                seen[value] += 1
    return {
        name: FieldProfile(
            present=sum(count for kind, count in kinds[name].items() if kind != "null"),
            kinds=dict(kinds[name]),
            values=dict(values[name].most_common()) if len(values[name]) <= MAX_VALUES else {},
        )
        for name in sorted(kinds)
    }


def _kind(value: Json) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return names[type(value)]


def _far(lengths: Sequence[int]) -> list[int]:
    """Places of the lengths furthest out, the furthest first."""
    if len(lengths) < 8:
        return []
    logs = np.log1p(np.array(lengths, dtype=np.float64))
    low, high = np.quantile(logs, (0.25, 0.75))
    beyond = np.maximum(low - logs, logs - high)
    far = np.flatnonzero(beyond > FENCE * max(high - low, 0.05))
    return [int(place) for place in far[np.argsort(-beyond[far], kind="stable")][:OUTLIERS]]
