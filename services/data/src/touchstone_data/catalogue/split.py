"""Splits that do not leak: records that are alike, or of one group, are in the same split, with what was made of them.

Each cluster goes where the hash of its smallest key says: more records of the same kind change nothing for those that
were there, unless they connect two clusters. Shares are met in the mean over clusters, not to the record.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from touchstone_data.catalogue.deduplicate_fuzzy import BANDING, banding
from touchstone_data.core import similarity
from touchstone_data.core.records import TRAIN, Record, text_of, value_at
from touchstone_data.core.similarity import Banding, Pairs
from touchstone_data.core.steps import (
    FIELDS_SCHEMA,
    Corpus,
    CorpusWork,
    Decision,
    Observations,
    Parameters,
    Step,
    Surroundings,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitWork:
    """Assigns clusters to splits."""

    paths: tuple[str, ...]
    banding: Banding
    groups: tuple[str, ...]
    """Fields whose records with the same value stay together."""
    shares: tuple[tuple[str, float], ...]
    """Of the splits other than train."""
    seed: int

    def observe(self, records: Sequence[Record]) -> Observations:
        """Sign the texts of a shard, and number the values of groups, 0 for none, and the families of made records."""
        texts = [text_of(record, self.paths) for record in records]
        groups = {
            f"group{place}": np.array([_group(record, path) for record in records], dtype=np.uint64)
            for place, path in enumerate(self.groups)
        }
        keys = np.array([similarity.number(f"{self.seed}:{text}") for text in texts], dtype=np.uint64)
        families = [similarity.number(f"{record.source}/{record.made_from or record.id}") for record in records]
        lineage = {
            "family": np.array(families, dtype=np.uint64),
            "is_made": np.array([bool(record.made_by) for record in records], dtype=np.bool_),
        }
        return {**similarity.observe(texts, self.banding), **groups, **lineage, "key": keys}

    def decide(self, corpus: Corpus) -> Decision:
        """Assign each cluster."""
        found = [similarity.pairs(corpus, self.banding)]
        for place in range(len(self.groups)):
            values = corpus.column(f"group{place}")
            found.append(similarity.buckets(values, values != 0))
        if corpus.column("is_made").any():
            found.append(similarity.buckets(corpus.column("family"), np.ones(corpus.size, dtype=np.bool_)))
        alike = Pairs(*(np.concatenate(side) for side in zip(*found, strict=True)))
        cluster = similarity.clusters(corpus.size, alike)
        keys = np.full(cluster.max(initial=-1) + 1, np.iinfo(np.uint64).max, dtype=np.uint64)
        np.minimum.at(keys, cluster, corpus.column("key"))
        names = (*(name for name, _ in self.shares), TRAIN)
        ends = np.cumsum([share for _, share in self.shares])
        return replace(
            Decision.keeping_all(corpus.size),
            split=np.searchsorted(ends, _uniform(keys)[cluster], side="right").astype(np.int16),
            splits=names,
            facts={"clusters": len(keys)},
        )


def _uniform(keys: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Numbers of [0, 1) out of smallest keys: those of large clusters are small, so they are hashed once more."""
    return np.array([similarity.number(str(key)) / 2.0**64 for key in keys.tolist()], dtype=np.float64)


def _group(record: Record, path: str) -> int:
    value = value_at(record.fields, path)
    return 0 if value is None or value == "" else max(1, similarity.number(repr(value)))


def make(parameters: Parameters, surroundings: Surroundings) -> CorpusWork:
    """Split by some fields."""
    shares = tuple((name, parameters[name]) for name in ("validation", "test") if parameters[name])
    return SplitWork(
        paths=surroundings.fields(parameters),
        banding=banding(parameters),
        groups=tuple(parameters["groups"]),
        shares=shares,
        seed=parameters["seed"],
    )


def check(parameters: Parameters) -> str:
    """Say that nothing is left to train on, or that there is nothing to split."""
    total = parameters["validation"] + parameters["test"]
    if not 0 < total < 1:
        return "The shares of validation and test must add up to more than 0 and less than 1."
    return ""


_SHARE = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}

STEP = Step(
    name="split",
    version=2,
    description="Puts records into train, validation and test, whole clusters of like records at a time.",
    parameters={
        "fields": FIELDS_SCHEMA,
        "validation": {**_SHARE, "default": 0.1},
        "test": {**_SHARE, "default": 0.0},
        "groups": {
            "type": "array", "items": {"type": "string"}, "maxItems": 8, "default": [],
            "description": "Paths of fields, as of the customer: records with the same value stay together.",
        },
        "seed": {"type": "integer", "minimum": 0, "default": 0},
        **BANDING,
        "similarity": {**BANDING["similarity"], "default": 0.5},
        "bands": {**BANDING["bands"], "default": 28},
        "rows": {**BANDING["rows"], "default": 4},
    },
    by_corpus=make,
    check=check,
)  # fmt: skip
