"""Answering what a model needs: memory, what binds it, how many replicas, together or apart.

Everything that is wrong with a question is told at once. An answer costs one to some ten simulations: seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from touchstone_runtime.errors import Invalid, Violation

from touchstone_inference.chips import CHIPS, Precision
from touchstone_inference.planner.core import memory, roofline, shapes
from touchstone_inference.planner.core.advising import Advisor, Impossible, Plan, Scheduling
from touchstone_inference.planner.core.known import KNOWN
from touchstone_inference.planner.core.loads import Load, Objective
from touchstone_inference.planner.core.memory import Memory
from touchstone_inference.planner.core.roofline import Placement, Step
from touchstone_inference.planner.core.shapes import Shape

STEP_TOKENS = (8192, 2048, 512)
"""Large steps waste the least, small ones hold decoding requests up the least."""
POINTS = (1, 4, 16, 64, 256)
"""Numbers of decoding requests that are told of."""
LIMITS = {
    "tensor_parallel": (1, 64),
    "pipeline_parallel": (1, 64),
    "input_tokens": (1, 1_000_000),
    "output_tokens": (1, 100_000),
    "slots": (1, 4096),
    "step_tokens": (0, 1_000_000),
}
MIN_STEP_TOKENS = 64
"""A step of fewer would only read the weights over and over; simulating it takes hours."""
MAX_REQUESTS_PER_SECOND = 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked."""

    model: str = ""
    """The name of a known model, unless its `config.json` is given."""
    model_config: str = ""
    chip: str
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    weights: Precision = Precision.FLOAT16
    kv: Precision = Precision.FLOAT16
    input_tokens: int = 1000
    output_tokens: int = 200
    requests_per_second: float = 0.0
    """0: no load; memory and bounds only."""
    cached_share: float = 0.0
    variation: float = 0.5
    ttft_p95_millis: int = 0
    """0: anything goes."""
    itl_p95_millis: int = 0
    slots: int = 256
    step_tokens: int = 0
    """The most tokens of one step; 0: whichever of STEP_TOKENS needs the fewest chips."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Most tokens of a step that are to be tried, the most first."""
        return (self.step_tokens,) if self.step_tokens else STEP_TOKENS

    @property
    def length(self) -> int:
        """Tokens of a request at its end."""
        return self.input_tokens + self.output_tokens


class DecodePoint(NamedTuple):
    """A step in which so many requests decode."""

    requests: int
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a replica is, what binds it, and how many of them a load needs."""

    shape: Shape
    chips: int
    """Of one replica."""
    memory: Memory
    full_requests: int
    """How many requests of the asked lengths the cache holds."""
    ridge: float
    """FLOP a byte above which arithmetic binds."""
    prefill: Step
    """Of one prompt."""
    decode: tuple[DecodePoint, ...]
    """By rising number of requests, as many as fit."""
    compute_bound_requests: int | None
    """From how many decoding requests on arithmetic binds; None: never, as far as they fit."""
    together: Plan | Impossible | None = None
    """None: no load was asked about."""
    apart: Plan | Impossible | None = None
    advice: tuple[str, ...] = field(default=())
    """Sentences."""


def check(question: Question) -> Placement:
    """Find out whether the question can be answered: cheap, where an answer takes seconds.

    Raises:
        Invalid: It has faults, all of which are told, or the model does not fit.
    """
    faults = list(_faults(question))
    if faults:
        raise Invalid(faults)
    shape = shapes.read(question.model_config) if question.model_config else KNOWN[question.model]
    placement = _placement(question, shape)
    room = memory.estimate(placement, step_tokens=question.sizes[0])
    if room.kv_tokens < question.length:
        raise Invalid([_too_large(placement, room, question.length)])
    return placement


def plan(question: Question) -> Answer:
    """Answer. Raises as `check`."""
    placement = check(question)
    room = memory.estimate(placement, step_tokens=question.sizes[0])
    full = room.kv_tokens // question.length
    most = min(full, question.slots)
    context = question.input_tokens + question.output_tokens / 2
    together, apart = None, None
    if question.requests_per_second:
        advisors = [_advisor(question, placement, size) for size in question.sizes]
        together = min((advisor.together() for advisor in advisors), key=_cost)
        apart = advisors[0].apart()
    return Answer(
        shape=placement.shape,
        chips=placement.chips,
        memory=room,
        full_requests=full,
        ridge=roofline.ridge(placement),
        prefill=roofline.step(placement, roofline.prefill(question.input_tokens)),
        decode=tuple(
            DecodePoint(count, roofline.step(placement, roofline.decode(count, context)))
            for count in (*(count for count in POINTS if count < most), most)
        ),
        compute_bound_requests=roofline.compute_bound_batch(placement, context, at_most=most),
        together=together,
        apart=apart,
        advice=tuple(_advice(together, apart, most, question)),
    )


def _faults(question: Question) -> Iterator[Violation]:
    if bool(question.model) == bool(question.model_config):
        yield Violation("model", "give either the name of a known model or a config.json")
    elif question.model and question.model not in KNOWN:
        yield Violation("model", f"is not known; give its config.json, or one of {', '.join(sorted(KNOWN))}")
    if question.chip not in CHIPS:
        yield Violation("chip", f"is not known; one of {', '.join(sorted(CHIPS))}")
    for name, (low, high) in LIMITS.items():
        value = getattr(question, name)
        if not low <= value <= high:
            yield Violation(name, f"is {value}; it must be {low} to {high}")
    if 0 < question.step_tokens < MIN_STEP_TOKENS:
        yield Violation("step_tokens", f"must be {MIN_STEP_TOKENS} or more, or 0 for what the engine takes by itself")
    if not 0 <= question.requests_per_second <= MAX_REQUESTS_PER_SECOND:
        yield Violation("requests_per_second", f"must be 0 to {MAX_REQUESTS_PER_SECOND:.0f}")
    if not 0 <= question.cached_share < 1:
        yield Violation("cached_share", "must be 0 or more and below 1")
    if not 0 <= question.variation <= 3:
        yield Violation("variation", "must be 0 to 3")
    for name, millis in (("ttft_p95_millis", question.ttft_p95_millis), ("itl_p95_millis", question.itl_p95_millis)):
        if millis < 0:
            yield Violation(name, "must be 0 or more; 0 means that anything goes")
    if question.kv is Precision.INT4:
        yield Violation("kv", "no engine here keeps keys and values in 4 bits")


def _placement(question: Question, shape: Shape) -> Placement:
    chip = CHIPS[question.chip]
    faults = []
    if shape.heads % question.tensor_parallel:
        faults.append(Violation("tensor_parallel", f"must divide the model's {shape.heads} attention heads"))
    if question.pipeline_parallel > shape.layers:
        faults.append(Violation("pipeline_parallel", f"must be at most the model's {shape.layers} layers"))
    if shape.max_context and question.length > shape.max_context:
        made = f"with the output makes {question.length} tokens; the model takes {shape.max_context}"
        faults.append(Violation("input_tokens", made))
    if faults:
        raise Invalid(faults)
    # 8-bit floats are multiplied as such where the chip can; other narrow weights are widened first.
    is_narrow = question.weights is Precision.FLOAT8 and Precision.FLOAT8 in chip.peak_flops
    return Placement(
        shape=shape,
        chip=chip,
        tensor=question.tensor_parallel,
        pipeline=question.pipeline_parallel,
        weights=question.weights,
        compute=Precision.FLOAT8 if is_narrow else Precision.FLOAT16,
        kv=question.kv,
    )


def _advisor(question: Question, placement: Placement, step_tokens: int) -> Advisor:
    return Advisor(
        placement=placement,
        load=Load(
            requests_per_second=question.requests_per_second,
            input_tokens=question.input_tokens,
            output_tokens=question.output_tokens,
            cached_share=question.cached_share,
            variation=question.variation,
        ),
        objective=_objective(question),
        scheduling=Scheduling(slots=question.slots, step_tokens=step_tokens),
    )


def _cost(found: Plan | Impossible) -> float:
    return found.chips if isinstance(found, Plan) else float("inf")


def _too_large(placement: Placement, room: Memory, held: int) -> Violation:
    missing = held * room.kv_token_bytes - room.kv_bytes
    return Violation(
        "tensor_parallel",
        f"{placement.chips} x {placement.chip.name} do not hold the model with one request of {held} tokens: "
        f"{missing / 1e9:.1f} GB are missing beside {room.weight_bytes / 1e9:.1f} GB of weights. "
        "Use more chips, larger ones or narrower weights.",
    )


def _objective(question: Question) -> Objective:
    return Objective(
        first_token_seconds=question.ttft_p95_millis / 1e3 or float("inf"),
        per_token_seconds=question.itl_p95_millis / 1e3 or float("inf"),
    )


def _advice(
    together: Plan | Impossible | None, apart: Plan | Impossible | None, most: int, question: Question
) -> Iterator[str]:
    """Say what to do, in sentences."""
    if most < question.slots:
        yield f"The cache holds {most} requests of these lengths: more slots than that only cause preemptions."
    match together, apart:
        case Plan(), Plan() if apart.chips < together.chips:
            yield (
                f"Prefill and decode apart need {apart.chips} chips ({apart.prefill_replicas} prefill : "
                f"{apart.decode_replicas} decode) where together they need {together.chips}."
            )
        case Plan(), _:
            yield f"Together is enough: {together.replicas} replicas, {together.chips} chips."
        case Impossible(), Plan():
            yield (
                f"Only apart keeps to the objective: {apart.prefill_replicas} prefill and {apart.decode_replicas} "
                f"decode replicas, {apart.chips} chips."
            )
        case Impossible(), _:
            yield together.reason
