"""There and back: a model translates texts into another language, and what it wrote back again (Sennrich et al., 2016).

Kept is what went through the language that was asked for, came back in its own, and says the same in other words.
"""

from functools import partial

from touchstone_data.catalogue import language, rewriting, synthesis
from touchstone_data.catalogue.languages import NAMES
from touchstone_data.catalogue.rewriting import Rewriting, Turn
from touchstone_data.catalogue.synthesis import Candidate
from touchstone_data.core.generation import GenerationWork
from touchstone_data.core.steps import FIELDS_SCHEMA, Parameters, Step, Surroundings

NOT_THE_PIVOT, NOT_BACK = "pivot in another language", "came back in another language"


def make(parameters: Parameters, surroundings: Surroundings) -> GenerationWork:
    """Have some fields translated there and back."""
    home, pivot = parameters["language"], parameters["pivot"]
    turns = (_translation(home, pivot, NOT_THE_PIVOT), _translation(pivot, home, NOT_BACK))
    return Rewriting.of(parameters, surroundings, turns)


def _translation(source: str, target: str, fault: str) -> Turn:
    return Turn(
        task=f"Translate what stands between the tags from {NAMES[source]} into {NAMES[target]}.",
        form=f", each in {NAMES[target]}",
        check=partial(_reject_another, wanted=target, reason=fault),
    )


def _reject_another(one: Candidate, *, wanted: str, reason: str) -> None:
    told = language.told("\n".join(one.texts.values()))
    if told.code != wanted:
        one.reject(reason, score=told.probability, detail=told.code)


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
