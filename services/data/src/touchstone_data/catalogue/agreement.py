"""Whether annotators agree, over all records: the guideline is at fault where they do not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from touchstone_data import errors
from touchstone_data.catalogue import annotations
from touchstone_data.core import agreement
from touchstone_data.core.records import Record
from touchstone_data.core.steps import (
    Corpus,
    CorpusWork,
    Decision,
    Observations,
    Parameters,
    Step,
    Surroundings,
)

NAME = "agreement"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementWork:
    """Measures agreement, and drops nothing."""

    parameters: Parameters

    def observe(self, records: Sequence[Record]) -> Observations:
        """Number the labels of a shard; [records, MAX_ANNOTATORS]."""
        rows = [agreement.numbered(annotations.labels(record, self.parameters)) for record in records]
        return {"ratings": np.array(rows, dtype=np.uint64).reshape(len(rows), agreement.MAX_ANNOTATORS)}

    def decide(self, corpus: Corpus) -> Decision:
        """Measure, and refuse what is below the bound.

        Raises:
            StepFailed: Agreement is below `min_alpha`, or cannot be told.
        """
        ratings = corpus.column("ratings")
        found, least = agreement.alpha(ratings), self.parameters["min_alpha"]
        if least is not None and (found is None or found < least):
            told = "cannot be told" if found is None else f"is {found:.3f}"
            raise errors.StepFailed(NAME, f"Krippendorff's alpha {told}; {least:g} is asked. Improve the guideline.")
        return replace(
            Decision.keeping_all(corpus.size),
            facts={"alpha": found, "annotated_twice": int(((ratings != agreement.MISSING).sum(axis=1) >= 2).sum())},
        )


def make(parameters: Parameters, surroundings: Surroundings) -> CorpusWork:
    """Measure the agreement of a field's labels."""
    return AgreementWork(parameters=parameters)


STEP = Step(
    name=NAME,
    version=1,
    description="Measures how far annotators agree (Krippendorff's alpha, nominal); the manifest has it.",
    parameters={
        **annotations.SCHEMA,
        "min_alpha": {
            "type": ["number", "null"], "maximum": 1, "default": None,
            "description": "The pipeline fails below it. Null: no bound.",
        },
    },
    by_corpus=make,
)  # fmt: skip
