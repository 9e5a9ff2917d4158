"""More of the same by rules: words swapped, left out or mistyped, other letters, slots filled. No model is asked.

Each record that is made is changed by one operation, drawn by a generator of its own. That labels stay is an assumption
of the method: name the words that they hang on.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from touchstone_data.catalogue import rewriting, synthesis
from touchstone_data.catalogue.synthesis import Candidate
from touchstone_data.core import generation, perturbation, similarity, verification
from touchstone_data.core.generation import Aid, GenerationWork, Made
from touchstone_data.core.perturbation import Operation, Rules
from touchstone_data.core.records import Record, value_at
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, Step, Surroundings

LABEL = "label-bearing word lost"
DEFAULT = (Operation.SWAP, Operation.DELETE, Operation.TYPO, Operation.CASE)
NEED_SYNONYMS = (Operation.SYNONYM, Operation.INSERT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmenting:
    """Changes texts."""

    paths: tuple[str, ...]
    copies: int
    seed: int
    operations: tuple[Operation, ...]
    rate: float
    keep: frozenset[str]
    keep_values_of: tuple[str, ...]
    synonyms: Mapping[str, Sequence[str]]
    slots: Mapping[str, Sequence[str]]

    def __call__(self, records: Sequence[Record], aid: Aid) -> Iterator[Made]:
        """Change the texts of a shard."""
        for block in synthesis.blocks(records, self.copies):
            aid.beat()
            for record in block:
                texts = rewriting.texts_of(record, self.paths)
                if texts:
                    made = [self._changed(record, texts, number) for number in range(self.copies)]
                    rewriting.reject_twins(made)
                    yield from (rewriting.rewritten(one, self.paths) for one in made)

    def _changed(self, record: Record, texts: Mapping[str, str], number: int) -> Candidate:
        rng = random.Random(generation.seed_for(self.seed, record, number))  # noqa: S311 - reproducible
        values = (value_at(record.fields, path) for path in self.keep_values_of)
        kept = self.keep | {word for value in values if isinstance(value, str) for word in similarity.words(value)}
        rules = Rules(rate=self.rate, kept=kept, synonyms=self.synonyms)
        operation = rng.choice(self.operations)
        filled = {place: perturbation.filled(text, self.slots, rng) for place, text in texts.items()}
        found = {place: perturbation.perturbed(text, operation, rules, rng) for place, text in filled.items()}
        candidate = Candidate(origin=record, number=number, texts=found)
        reject(candidate, filled, before=texts, kept=kept)
        return candidate


def reject(candidate: Candidate, filled: Mapping[str, str], *, before: Mapping[str, str], kept: frozenset[str]) -> None:
    """Reject what changed nothing, or what had to stay.

    Args:
        candidate: With the new texts.
        filled: The texts with their slots filled, before words were changed.
        before: The texts of the origin.
        kept: Words that must stand as often as before.
    """
    after = candidate.texts
    changed = " ".join(filter(None, (verification.changed_spans(filled[place], after[place]) for place in filled)))
    lost = " ".join(filter(None, (verification.lost_words(filled[place], after[place], kept) for place in filled)))
    if dict(after) == dict(before):
        candidate.reject(rewriting.COPY)
    elif changed:
        candidate.reject(rewriting.SPAN, detail=changed)
    elif lost:
        candidate.reject(LABEL, detail=lost)


def make(parameters: Parameters, surroundings: Surroundings) -> GenerationWork:
    """Change some fields."""
    return Augmenting(
        paths=surroundings.fields(parameters),
        copies=parameters["copies"],
        seed=parameters["seed"],
        operations=tuple(Operation(name) for name in parameters["operations"]),
        rate=parameters["rate"],
        keep=frozenset(word for words in parameters["keep"] for word in similarity.words(words)),
        keep_values_of=tuple(parameters["keep_values_of"]),
        synonyms={word.lower(): others for word, others in parameters["synonyms"].items()},
        slots=parameters["slots"],
    )


def check(parameters: Parameters) -> str:
    """Say that an operation has no words to take."""
    asked = [name for name in NEED_SYNONYMS if name in parameters["operations"]]
    return (
        f"Set synonyms: {' and '.join(asked)} takes its words from there."
        if asked and not parameters["synonyms"]
        else ""
    )


_WORDS = {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 1024}
_LISTS = {"type": "object", "additionalProperties": {**_WORDS, "minItems": 1}, "default": {}}

STEP = Step(
    name="augment",
    version=2,
    description="Makes records by rules: words swapped, left out, mistyped or replaced, other letters, slots filled.",
    parameters={
        "fields": FIELDS_SCHEMA,
        **synthesis.COPIES,
        "operations": {
            "type": "array", "items": {"enum": list(Operation)}, "minItems": 1, "uniqueItems": True,
            "default": list(DEFAULT), "description": "One is drawn for each record that is made.",
        },
        "rate": {
            "type": "number", "exclusiveMinimum": 0, "maximum": 0.5, "default": 0.1,
            "description": "Share of the words that are changed.",
        },
        "keep": {**_WORDS, "default": [], "description": "Words that labels hang on: they stay as they are."},
        "keep_values_of": {
            **_WORDS, "default": [], "description": "Paths of fields, as of the label: the words of their values stay.",
        },
        "synonyms": {**_LISTS, "description": "Words and what may stand in their place, for synonym and insert."},
        "slots": {**_LISTS, "description": "Values of placeholders: NAME fills <NAME>, {NAME} and {{ NAME }}."},
    },
    by_generation=make,
    check=check,
)  # fmt: skip
