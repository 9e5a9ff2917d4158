"""The same in other words, by a model; labels and all other fields stay.

Kept is what says the same by an encoder, is no copy, and has the same numbers, addresses and placeholders.
"""

from touchstone_data.catalogue import rewriting, synthesis
from touchstone_data.catalogue.rewriting import Rewriting, Turn
from touchstone_data.core.generation import GenerationWork
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, Step, Surroundings

REWORD = Turn(
    task="Say what stands between the tags in other words: other wording and another order, the same meaning, tone and "
    "language."
)


def make(parameters: Parameters, surroundings: Surroundings) -> GenerationWork:
    """Have some fields reworded."""
    return Rewriting.of(parameters, surroundings, (REWORD,))


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
