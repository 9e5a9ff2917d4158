"""What steps share that have models make records: how they ask, and what a judge says of what came."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from touchstone_data.core import generation, judging
from touchstone_data.core.generation import Aid, Made, Prompt
from touchstone_data.core.judging import Judge, Scale
from touchstone_data.core.records import Drop, Json, Record
from touchstone_data.core.steps import Parameters

NOT_OF_THE_FORM, NOT_TAKEN = "answer not of the form", "prompt not taken"
BLOCK = 64
"""Records made together: enough to keep the engines busy, few enough to hear soon that the work must stop."""
MAX_SHOWN = 500
"""Characters of what `dropped.parquet` shows of a rejected record: there is no other place that has it."""
MODELS = ("model", "judge.model")

MODEL: dict[str, Any] = {"type": "string", "minLength": 1, "description": "Name of one of the pipeline's models."}
COPIES: dict[str, Any] = {
    "copies": {"type": "integer", "minimum": 1, "maximum": 16, "default": 1, "description": "Made of each record."},
    "seed": {"type": "integer", "minimum": 0, "maximum": 2**53, "default": 0},
}
ASKING: dict[str, Any] = {
    "model": MODEL,
    **COPIES,
    "temperature": {"type": "number", "minimum": 0, "maximum": 2, "default": 0.7},
    "max_output_tokens": {"type": "integer", "minimum": 8, "maximum": 8192, "default": 512},
    "instructions": {"type": "string", "maxLength": 8000, "default": "", "description": "What else the model is told."},
    "judge": {
        "type": "object",
        "properties": {
            "model": MODEL,
            "criteria": {"type": "string", "minLength": 1, "maxLength": 8000},
            "scale": {"enum": list(Scale), "description": "Left out: 1-5."},
            "min_score": {"type": "integer", "minimum": 1, "maximum": 5, "description": "Of 1-5 only. Left out: 4."},
        },
        "required": ["model", "criteria"],
        "additionalProperties": False,
        "description": "A model that rejects what does not meet the criteria. Left out: none.",
    },
}  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Candidate:
    """A record on its way: made, verified, and perhaps rejected."""

    origin: Record
    number: int
    """Of those of the origin, from 0."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """What a model wrote, by name."""
    drop: Drop | None = None

    def made(self, fields: Mapping[str, Json]) -> Made:
        """The candidate as it is told to the pipeline."""
        return Made(self.origin, fields, self.drop)

    def reject(self, reason: str, *, score: float | None = None, detail: str = "") -> None:
        """Leave it out; what is to be said of it stands before what was written."""
        shown = " | ".join(filter(None, (detail, "\n".join(self.texts.values()))))
        self.drop = Drop(reason=reason, score=score, detail=shown[:MAX_SHOWN])


@dataclass(frozen=True, slots=True, kw_only=True)
class Writer:
    """A model that writes texts, held to a JSON object of them."""

    model: str
    copies: int
    temperature: float
    seed: int
    max_output_tokens: int

    @classmethod
    def of(cls, parameters: Parameters) -> "Writer":
        """Read what `ASKING` describes."""
        return cls(
            model=parameters["model"],
            copies=parameters["copies"],
            temperature=float(parameters["temperature"]),
            seed=parameters["seed"],
            max_output_tokens=parameters["max_output_tokens"],
        )

    def candidates(self, origins: Sequence[Record]) -> list[Candidate]:
        """Begin as many as are asked for of each."""
        return [Candidate(origin=origin, number=number) for origin in origins for number in range(self.copies)]

    def write(
        self, candidates: Sequence[Candidate], names: Sequence[str], ask: Callable[[Candidate], str], aid: Aid
    ) -> None:
        """Have the model write the texts of candidates; one whose answer has not the form is rejected.

        Args:
            candidates: Those that are not rejected are written.
            names: Of the texts.
            ask: Says what the model is asked for one.
            aid: Asks it.
        """
        open_ones = still_in(candidates)
        schema = json.dumps(_schema(names))
        prompts = [
            Prompt(
                model=self.model,
                text=ask(one),
                json_schema=schema,
                temperature=self.temperature,
                seed=generation.seed_for(self.seed, one.origin, one.number),
                max_output_tokens=self.max_output_tokens,
            )
            for one in open_ones
        ]
        for one, reply in zip(open_ones, aid.ask(prompts), strict=True):
            one.texts = _read(reply.text, names)
            if reply.refusal:
                one.reject(NOT_TAKEN, detail=reply.refusal)
            elif not one.texts:
                one.reject(NOT_OF_THE_FORM, detail=reply.text)


def judge_of(parameters: Parameters) -> Judge | None:
    """Read the judge that parameters name."""
    given = parameters.get("judge")
    if given is None:
        return None
    return Judge(
        model=given["model"],
        criteria=given["criteria"],
        scale=Scale(given.get("scale", Scale.ONE_TO_FIVE)),
        min_score=given.get("min_score", 4),
    )


def check(parameters: Parameters) -> str:
    """Say what of `ASKING` contradicts itself; empty if nothing does."""
    judge = parameters.get("judge", {})
    if judge.get("scale") == Scale.YES_NO and "min_score" in judge:
        return "judge.min_score is of the scale 1-5. Remove it, or set judge.scale to 1-5."
    return ""


def judged(
    candidates: Sequence[Candidate], judge: Judge | None, parts: Callable[[Candidate], Mapping[str, str]], aid: Aid
) -> None:
    """Have a judge reject candidates; `parts` says what it is shown of one."""
    if judge is None:
        return
    open_ones = still_in(candidates)
    replies = aid.ask([judging.prompt(judge, parts(one)) for one in open_ones])
    for one, reply in zip(open_ones, replies, strict=True):
        if found := judging.objection(judge, reply):
            one.reject(found.reason, score=found.score, detail=found.detail)


def still_in(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that nothing was found against."""
    return [one for one in candidates if one.drop is None]


def blocks(records: Sequence[Record], copies: int) -> Iterator[Sequence[Record]]:
    """Cut origins into those that are worked on together."""
    size = max(1, BLOCK // copies)
    for start in range(0, len(records), size):
        yield records[start : start + size]


def _schema(names: Sequence[str]) -> dict[str, Json]:
    return {
        "type": "object",
        "properties": {name: {"type": "string", "minLength": 1} for name in names},
        "required": list(names),
        "additionalProperties": False,
    }


def _read(answer: str, names: Sequence[str]) -> Mapping[str, str]:
    """Read texts; none where the answer has not the form, as from an engine that cannot be held to one."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or set(found) != set(names):
        return {}
    texts = {name: found[name].strip() for name in names if isinstance(found[name], str)}
    return texts if len(texts) == len(names) and all(texts.values()) else {}
