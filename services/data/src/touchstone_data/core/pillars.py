"""The six pillars of data for tuning: relevant, aligned, consistent, correctly formatted, unique, compliant. Pure.

Each is the share of the sampled records that nothing is found against; each finding names the record and the reason.
A pillar that nothing could be measured of has no score, and says why: it is not 1.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from touchstone_data.core import similarity
from touchstone_data.core.records import Record, value_at
from touchstone_data.core.similarity import Pairs
from touchstone_data.core.vectors import Vectors

EXAMPLES = 5
NEIGHBOURS = 8
ALONE = 0.2
"""A record whose nearest neighbours have a lower mean cosine stands alone."""
AGREE = 0.25
"""A label that fewer of the neighbours have is doubted."""

_LEFTOVERS = (
    ("control character", re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")),
    ("HTML tag", re.compile(r"</?(?:p|div|br|span|table|tr|td|script|style|a|ul|li|h[1-6])\b[^<>]*>", re.IGNORECASE)),
    ("HTML entity", re.compile(r"&(?:amp|lt|gt|nbsp|quot|#\d{2,5});")),
    ("wrong decoding", re.compile(r"[ÃÂ][\x80-\xbf]|â€")),
    ("template left open", re.compile(r"\{\{.*?\}\}|<\|?(?:im_start|endoftext|eot_id)\|?>")),
)
Personal = Callable[[str], Sequence[str]]
"""Names the kinds of personal data in a text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is held against a record."""

    id: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pillar:
    """One pillar."""

    name: str
    score: float | None
    """Share of the records without a finding; None: not measured."""
    note: str
    """How it was measured, or why it was not."""
    found: int
    examples: Sequence[Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Records that are judged, and what is known of them."""

    records: Sequence[Record]
    texts: Sequence[str]
    vectors: Vectors
    label_field: str
    """Empty: there is none."""
    licences: Mapping[str, str]
    """By source."""


def judge(sample: Sample, alike: Pairs, personal: Personal) -> list[Pillar]:
    """Judge a sample.

    Args:
        sample: The records.
        alike: Which of them are near duplicates.
        personal: Finds personal data.
    """
    return [
        _relevant(sample),
        _aligned(sample),
        _consistent(sample, alike),
        _formatted(sample),
        _unique(sample, alike),
        _compliant(sample, personal),
    ]


def neighbours(vectors: Vectors) -> tuple[np.ndarray, np.ndarray]:
    """The nearest other records of each and their cosines; both [records, NEIGHBOURS or fewer]."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    count = min(NEIGHBOURS, len(vectors) - 1)
    nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
    return nearest, np.take_along_axis(cosines, nearest, axis=1)


def _relevant(sample: Sample) -> Pillar:
    note = f"a record counts as off topic when its {NEIGHBOURS} nearest have a mean cosine below {ALONE}"
    if len(sample.records) <= NEIGHBOURS:
        return _unmeasured("relevant", "there are too few records to tell a topic")
    _, cosines = neighbours(sample.vectors)
    means = cosines.mean(axis=1)
    found = {int(place): f"nearest records: mean cosine {means[place]:.2f}" for place in np.flatnonzero(means < ALONE)}
    return _pillar("relevant", sample, found, note)


def _aligned(sample: Sample) -> Pillar:
    """Doubt labels as Wilson's editing does (Asymptotic properties of nearest neighbor rules, 1972)."""
    note = f"a label is doubted when fewer than {AGREE:.0%} of the {NEIGHBOURS} nearest records have it"
    if not sample.label_field:
        return _unmeasured("aligned", "no label_field is named")
    labels = [value_at(record.fields, sample.label_field) for record in sample.records]
    if len(sample.records) <= NEIGHBOURS or len({str(label) for label in labels}) < 2:
        return _unmeasured("aligned", f"{sample.label_field} has fewer than two values")
    nearest, _ = neighbours(sample.vectors)
    found = {}
    for place, label in enumerate(labels):
        agree = sum(labels[other] == label for other in nearest[place]) / len(nearest[place])
        if agree < AGREE:
            found[place] = f"{sample.label_field} is {label!r}; {agree:.0%} of its neighbours have that"
    return _pillar("aligned", sample, found, note)


def _consistent(sample: Sample, alike: Pairs) -> Pillar:
    note = "near duplicates with different labels contradict each other"
    if not sample.label_field:
        return _unmeasured("consistent", "no label_field is named")
    found = {}
    for left, right in zip(alike.left.tolist(), alike.right.tolist(), strict=True):
        ours, theirs = (value_at(sample.records[one].fields, sample.label_field) for one in (left, right))
        if ours != theirs:
            found[left] = f"{ours!r}, but {theirs!r} in {sample.records[right].id}"
            found[right] = f"{theirs!r}, but {ours!r} in {sample.records[left].id}"
    return _pillar("consistent", sample, found, note)


def _formatted(sample: Sample) -> Pillar:
    found = {place: fault for place in range(len(sample.records)) if (fault := next(_faults(sample, place), ""))}
    note = "texts are there, without markup, wrong decodings or open templates; turns alternate and end with an answer"
    return _pillar("correctly formatted", sample, found, note)


def _faults(sample: Sample, place: int) -> Iterator[str]:
    text = sample.texts[place]
    if not text.strip():
        yield "no text"
    for name, pattern in _LEFTOVERS:
        if match := pattern.search(text):
            yield f"{name}: {match[0]!r}"
    messages = sample.records[place].fields.get("messages")
    if isinstance(messages, Sequence) and not isinstance(messages, str):
        roles = [value_at(turn, "role") for turn in messages if isinstance(turn, Mapping)]
        spoken = [role for role in roles if role in ("user", "assistant")]
        if any(one == other for one, other in pairwise(spoken)):
            yield "two turns of the same speaker"
        if not roles or roles[-1] != "assistant":
            yield "the last turn is not the assistant's"


def _unique(sample: Sample, alike: Pairs) -> Pillar:
    cluster = similarity.clusters(len(sample.records), alike)
    kept = similarity.keepers(cluster, np.zeros(len(cluster), dtype=np.int64))
    repeated = np.flatnonzero(kept != np.arange(len(cluster)))
    found = {int(place): f"nearly the same as {sample.records[kept[place]].id}" for place in repeated}
    return _pillar("unique", sample, found, "near duplicates by MinHash; the first of each cluster counts as unique")


def _compliant(sample: Sample, personal: Personal) -> Pillar:
    found = {}
    for place, record in enumerate(sample.records):
        if not sample.licences.get(record.source):
            found[place] = f"the source {record.source!r} has no licence"
        elif kinds := personal(sample.texts[place]):
            found[place] = f"personal data: {', '.join(sorted(set(kinds)))}"
    return _pillar("compliant", sample, found, "the source has a licence, and no personal data is found")


def _pillar(name: str, sample: Sample, found: Mapping[int, str], note: str) -> Pillar:
    places = sorted(found)
    examples = [
        Finding(id=sample.records[place].id, reason=found[place], text=sample.texts[place][:160])
        for place in places[:EXAMPLES]
    ]
    count = len(sample.records)
    return Pillar(
        name=name, score=1 - len(found) / count if count else None, note=note, found=len(found), examples=examples
    )


def _unmeasured(name: str, why: str) -> Pillar:
    return Pillar(name=name, score=None, note=f"not measured: {why}", found=0, examples=())
