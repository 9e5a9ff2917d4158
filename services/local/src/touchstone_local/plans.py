"""A plan as a person reads it. Decides nothing."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text
from touchstone_inference.planner.core.advising import Impossible, Plan
from touchstone_inference.planner.core.roofline import Step
from touchstone_inference.planner.service.planning import Answer, Question

GIGA = 1e9


def render(question: Question, answer: Answer) -> Iterator[Text | Table]:
    """Give the parts of a plan, in the order in which they are read."""
    name = question.model or "the model"
    yield Text(f"{name} on {answer.chips} x {question.chip}, {question.weights} weights", style="bold")
    room = answer.memory
    yield Text(
        f"{answer.shape.parameters / GIGA:.2f} G parameters, {room.weight_bytes / GIGA:.1f} GB; "
        f"{room.kv_bytes / GIGA:.1f} GB are left for keys and values: {room.kv_tokens:,} tokens, "
        f"{answer.full_requests} requests of {question.length} tokens.",
    )
    yield _steps(question, answer)
    bound = answer.compute_bound_requests
    when = f"from {bound} requests on" if bound else "never, as far as they fit"
    yield Text(f"The chip's ridge is at {answer.ridge:.0f} FLOP a byte; arithmetic binds decoding {when}.", style="dim")
    plans = [(title, found) for title, found in (("together", answer.together), ("apart", answer.apart)) if found]
    if plans:
        yield _plans(question, plans)
    for sentence in answer.advice:
        yield Text(f"→ {sentence}", style="cyan")


def _steps(question: Question, answer: Answer) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("step")
    for column in ("ms", "tokens/s", "FLOP a byte"):
        table.add_column(column, justify="right")
    table.add_column("bound by")
    prompt = f"prefill of {question.input_tokens} tokens"
    table.add_row(prompt, *_figures(answer.prefill, question.input_tokens))
    for point in answer.decode:
        many = "requests" if point.requests > 1 else "request"
        table.add_row(f"decode of {point.requests} {many}", *_figures(point.step, point.requests))
    return table


def _figures(step: Step, tokens: int) -> tuple[str, str, str, str]:
    return f"{step.seconds * 1e3:.1f}", f"{tokens / step.seconds:,.0f}", f"{step.intensity:.0f}", step.bound.value


def _plans(question: Question, plans: list[tuple[str, Plan | Impossible]]) -> Table:
    title = f"{question.requests_per_second:g} requests/s, {question.input_tokens} in, {question.output_tokens} out"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    table.add_column("replicas")
    for column in ("chips", "step", "TTFT ms p50/p95", "ITL ms p50/p95", "good", "load"):
        table.add_column(column, justify="right")
    for name, found in plans:
        if isinstance(found, Impossible):
            table.add_row(name, "none")
            continue
        forecast = found.forecast
        table.add_row(
            name,
            _replicas(found),
            str(found.chips),
            str(found.step_tokens),
            f"{forecast.first_token_p50 * 1e3:.0f} / {forecast.first_token_p95 * 1e3:.0f}",
            f"{forecast.per_token_p50 * 1e3:.1f} / {forecast.per_token_p95 * 1e3:.1f}",
            f"{forecast.good_share:.1%}",
            f"{forecast.load_share:.0%}",
        )
    return table


def _replicas(found: Plan) -> str:
    if found.replicas:
        return str(found.replicas)
    return f"{found.prefill_replicas} prefill : {found.decode_replicas} decode"
