"""There and back: a model translates texts into another language, and what it wrote back again (Sennrich et al., 2016).

Kept is what went through the language that was asked for, came back in its own, and says the same in other words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from touchstone_data.catalogue import language, rewriting, synthesis
from touchstone_data.catalogue.languages import NAMES
from touchstone_data.catalogue.rewriting import Originals
from touchstone_data.catalogue.synthesis import Candidate, Writer
from touchstone_data.core import judging
from touchstone_data.core.generation import Aid, GenerationWork, Made
from touchstone_data.core.records import Record
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, Step, Surroundings

NOT_THE_PIVOT, NOT_BACK = "pivot in another language", "came back in another language"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackTranslation:
    """Has texts translated twice."""

    originals: Originals
    writer: Writer
    instructions: str
    language: str
    pivot: str

    def __call__(self, records: Sequence[Record], aid: Aid) -> Iterator[Made]:
        """Translate the texts of a shard there and back."""
        origins = [record for record in records if self.originals.texts(record)]
        for block in synthesis.blocks(origins, self.writer.copies):
            candidates = self.writer.candidates(block)
            for names, alike in rewriting.by_names(candidates, self.originals).items():
                self.writer.write(alike, names, self._there, aid)
                _reject_others(alike, self.pivot, NOT_THE_PIVOT)
                self.writer.write(alike, names, self._back, aid)
                _reject_others(alike, self.language, NOT_BACK)
            self.originals.verify(candidates, aid)
            yield from (rewriting.rewritten(one, self.originals.paths) for one in candidates)

    def _there(self, one: Candidate) -> str:
        return self._asked(self.originals.texts(one.origin), self.language, self.pivot)

    def _back(self, one: Candidate) -> str:
        return self._asked(one.texts, self.pivot, self.language)

    def _asked(self, texts: Mapping[str, str], source: str, target: str) -> str:
        return "\n\n".join(
            (
                f"Translate what stands between the tags from {NAMES[source]} into {NAMES[target]}. {rewriting.KEEP}",
                *([self.instructions] if self.instructions else []),
                judging.tagged(texts),
                f"Reply with JSON: {', '.join(f'`{name}`' for name in texts)}, each in {NAMES[target]}.",
            )
        )


def _reject_others(candidates: Sequence[Candidate], wanted: str, reason: str) -> None:
    for one in synthesis.still_in(candidates):
        told = language.told("\n".join(one.texts.values()))
        if told.code != wanted:
            one.reject(reason, score=told.probability, detail=told.code)


def make(parameters: Parameters, surroundings: Surroundings) -> GenerationWork:
    """Have some fields translated there and back."""
    return BackTranslation(
        originals=Originals.of(parameters, surroundings),
        writer=Writer.of(parameters),
        instructions=parameters["instructions"],
        language=parameters["language"],
        pivot=parameters["pivot"],
    )


def check(parameters: Parameters) -> str:
    """Say that there is no way to go, or which bounds contradict each other."""
    return (
        "pivot must be another language."
        if parameters["language"] == parameters["pivot"]
        else rewriting.check(parameters)
    )


STEP = Step(
    name="back-translate",
    version=2,
    description="Has a model translate texts into another language and back, and keeps what says the same otherwise.",
    parameters={
        "fields": FIELDS_SCHEMA,
        **synthesis.ASKING,
        **rewriting.VERIFICATION,
        "language": {"enum": list(NAMES), "default": "en", "description": "ISO 639-1 code of the texts'."},
        "pivot": {"enum": list(NAMES), "description": "ISO 639-1 code of the language that they go through."},
    },
    required=(*rewriting.REQUIRED, "pivot"),
    models=synthesis.MODELS,
    by_generation=make,
    check=check,
)
