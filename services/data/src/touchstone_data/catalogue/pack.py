"""Which records fill a row of a trainer together: a plan, and what it saves.

It plans and does not write rows: a row needs tokens, the loss's labels and where each record begins, so that none reads
another; text alone would lose all three. The trainer has them, and packs by itself with `packing` of a FinetuneJob. The
plan tells before a GPU is rented which `max_sequence_length` pays, and what it would cut.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from touchstone_data import errors
from touchstone_data.catalogue import chat_templates, token_counts
from touchstone_data.catalogue.token_counts import TokenCounter
from touchstone_data.core import packing
from touchstone_data.core.records import Json, Record
from touchstone_data.core.steps import (
    FIELDS_SCHEMA,
    NOBODY,
    Corpus,
    CorpusWork,
    Decision,
    Observations,
    Parameters,
    Step,
    Surroundings,
)

NAME = "pack"
TOO_LONG = "longer than a row"

Lengths = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackWork:
    """Plans rows; a row never holds records of two splits."""

    counter: TokenCounter
    size: int
    on_long: str
    field: str

    def observe(self, records: Sequence[Record]) -> Observations:
        """Count the tokens of a shard."""
        try:
            tokens = self.counter.records(records)
        except ValueError as error:
            raise errors.StepFailed(NAME, str(error)) from error
        return {"tokens": tokens, "split": np.array([record.split for record in records], dtype=np.str_)}

    def decide(self, corpus: Corpus) -> Decision:
        """Plan the rows of each split; rows are numbered through all of them."""
        tokens, splits = corpus.column("tokens"), corpus.column("split")
        dropped = (tokens > self.size) & (self.on_long == "drop")
        row = np.full(corpus.size, packing.NOWHERE, dtype=np.int64)
        facts: dict[str, Json] = {}
        rows = 0
        for split in np.unique(splits).tolist():
            here = np.flatnonzero((splits == split) & ~dropped)
            planned = self._planned(tokens[here])
            row[here] = np.where(planned.row == packing.NOWHERE, packing.NOWHERE, planned.row + rows)
            rows += planned.rows
            facts[split] = self._facts(tokens[here], planned.rows)
        return Decision(
            reason=TOO_LONG,
            dropped=dropped,
            score=np.where(dropped, tokens, np.nan).astype(np.float32),
            kept=np.full(corpus.size, NOBODY, dtype=np.int64),
            values={f"{self.field}.row": row, f"{self.field}.tokens": tokens},
            facts=facts,
        )

    def _planned(self, tokens: Lengths) -> packing.Packed:
        """Plan the rows of one split; whole rows of a record that is split come after all others."""
        if self.on_long != "split":
            return packing.best_fit_decreasing(np.minimum(tokens, self.size), self.size)
        whole = tokens // self.size
        planned = packing.best_fit_decreasing(tokens - whole * self.size, self.size)
        first = planned.rows + np.cumsum(whole) - whole
        row = np.where((planned.row == packing.NOWHERE) & (whole > 0), first, planned.row)
        return packing.Packed(row, planned.rows + int(whole.sum()))

    def _facts(self, tokens: Lengths, rows: int) -> Mapping[str, Json]:
        is_long = tokens > self.size
        within = tokens if self.on_long == "split" else np.minimum(tokens, self.size)
        places, blocks = rows * self.size, packing.concatenated(tokens, self.size)
        return {
            "records": len(tokens),
            "tokens": int(tokens.sum()),
            "rows": rows,
            "padding": 1 - int(within.sum()) / places if places else 0.0,
            "padding_unpacked": 1 - float(np.minimum(tokens, self.size).mean()) / self.size if len(tokens) else 0.0,
            "truncated": int(is_long.sum()),
            "tokens_cut": int((tokens - within).sum()),
            "concatenated_rows": blocks.rows,
            "concatenated_truncated": blocks.broken,
        }


def make(parameters: Parameters, surroundings: Surroundings) -> CorpusWork:
    """Plan the rows of some texts."""
    return PackWork(
        counter=token_counts.load(parameters, surroundings.fields(parameters), surroundings.tools),
        size=parameters["max_sequence_length"],
        on_long=parameters["on_long"],
        field=parameters["field"],
    )


STEP = Step(
    name=NAME,
    version=1,
    description="Plans which records fill a row of a trainer together (best-fit decreasing), and counts what it saves.",
    parameters={
        "fields": FIELDS_SCHEMA,
        **token_counts.SCHEMA,
        "max_sequence_length": {
            "type": "integer", "minimum": 16, "maximum": 1_048_576, "description": "Tokens of a row.",
        },
        "on_long": {
            "enum": ["drop", "cut", "split"], "default": "drop",
            "description": "What becomes of a record with more tokens than a row. drop: it is left out. cut: what is "
            "beyond is not trained on, as by the trainer. split: it goes on in another row, even within an answer.",
        },
        "field": {
            "type": "string", "minLength": 1, "default": "pack", "description": "Path that gets `row` and `tokens`.",
        },
    },
    required=("tokenizer", "max_sequence_length"),
    by_corpus=make,
    check=chat_templates.check,
)  # fmt: skip
