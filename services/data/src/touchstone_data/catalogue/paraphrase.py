"""The same in other words, by a model; labels and all other fields stay.

Kept is what says the same by an encoder, is no copy, and has the same numbers, addresses and placeholders.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from touchstone_data.catalogue import rewriting, synthesis
from touchstone_data.catalogue.rewriting import Originals
from touchstone_data.catalogue.synthesis import Candidate, Writer
from touchstone_data.core import judging
from touchstone_data.core.generation import Aid, GenerationWork, Made
from touchstone_data.core.records import Record
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, Step, Surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class Paraphrasing:
    """Has texts reworded."""

    originals: Originals
    writer: Writer
    instructions: str

    def __call__(self, records: Sequence[Record], aid: Aid) -> Iterator[Made]:
        """Reword the texts of a shard."""
        origins = [record for record in records if self.originals.texts(record)]
        for block in synthesis.blocks(origins, self.writer.copies):
            candidates = self.writer.candidates(block)
            for names, alike in rewriting.by_names(candidates, self.originals).items():
                self.writer.write(alike, names, self._asked, aid)
            self.originals.verify(candidates, aid)
            yield from (rewriting.rewritten(one, self.originals.paths) for one in candidates)

    def _asked(self, one: Candidate) -> str:
        texts = self.originals.texts(one.origin)
        return "\n\n".join(
            (
                "Say what stands between the tags in other words: other wording and another order, the same meaning, "
                "tone and language. " + rewriting.KEEP,
                *([self.instructions] if self.instructions else []),
                judging.tagged(texts),
                f"Reply with JSON: {', '.join(f'`{name}`' for name in texts)}.",
            )
        )


def make(parameters: Parameters, surroundings: Surroundings) -> GenerationWork:
    """Have some fields reworded."""
    return Paraphrasing(
        originals=Originals.of(parameters, surroundings),
        writer=Writer.of(parameters),
        instructions=parameters["instructions"],
    )


STEP = Step(
    name="paraphrase",
    version=2,
    description="Has a model say texts in other words, and keeps what says the same, by an encoder.",
    parameters={"fields": FIELDS_SCHEMA, **synthesis.ASKING, **rewriting.VERIFICATION},
    required=rewriting.REQUIRED,
    models=synthesis.MODELS,
    by_generation=make,
    check=rewriting.check,
)
