"""What an answer costs and how long it takes: measured of every model in every suite, whatever the task. Pure.

An answer that an earlier run asked for has the cost and the times of then: it is the same revision and the same
question. Times depend on how many were asked at once; what a model bears is told by the task `load`. The definitions of
time to first token and of time per output token are those of NVIDIA's AIPerf: empty first pieces do not count, and
(latency - ttft) / (tokens - 1).
"""

from collections.abc import Mapping, Sequence

from touchstone_evaluation.core.spec import Goal, Parameters, Price, Subject, SubjectKind
from touchstone_evaluation.core.task import Mean, Metric, Outcome, Percentile, Task

MILLION = 1_000_000
SECONDS_PER_HOUR = 3600
OWN = "@"
"""Begins the names of the values here: a task's own values cannot be taken for them."""
PRICE = f"{OWN}price"


def metrics(task: Task, parameters: Parameters, subject: Subject) -> dict[str, Metric]:
    """List what a suite yields: what answers cost, where models answer, and the task's own, which go first."""
    own = {metric.name: metric for metric in task.metrics(parameters)}
    if subject.kind is not SubjectKind.MODEL_DEPLOYMENT:
        return own
    common = (*_COMMON, _price(subject.price)) if subject.price else _COMMON
    return own | {metric.name: metric for metric in common if metric.name not in own}


def listed(task: Task) -> list[Metric]:
    """List what a task yields without parameters, with what is measured of every model."""
    own = {metric.name: metric for metric in task.metrics({})}
    common = _LISTED if SubjectKind.MODEL_DEPLOYMENT in task.subjects else ()
    return [*own.values(), *(metric for metric in common if metric.name not in own)]


def is_common(metric: Metric) -> bool:
    """Tell whether a metric is measured of every model."""
    return isinstance(metric.aggregate, Mean | Percentile) and metric.aggregate.of.startswith(OWN)


def is_price(metric: Metric) -> bool:
    """Tell whether a metric is a price, which has a currency."""
    return isinstance(metric.aggregate, Mean) and metric.aggregate.of == PRICE


def apart(found: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Tell a task's own values from what its answers cost, by their names for people."""
    own = {name: value for name, value in found.items() if not name.startswith(OWN)}
    return own, {name.removeprefix(OWN): value for name, value in found.items() if name.startswith(OWN)}


def values(answers: Sequence[Outcome], price: Price | None, *, at_once: int) -> Mapping[str, float]:
    """Give the values of one asking: means over its answers.

    Args:
        answers: What the model answered; none where it was asked for no text.
        price: What its answers cost; None: nobody said.
        at_once: How many answers share what serves them, for a price by the hour.
    """
    if not answers:
        return {}
    named = {
        "input_tokens": [float(outcome.input_tokens) for outcome in answers],
        "output_tokens": [float(outcome.output_tokens) for outcome in answers],
        "ttft_millis": [outcome.ttft_millis for outcome in answers],
        "tpot_millis": [outcome.tpot_millis for outcome in answers if outcome.tpot_millis is not None],
        "latency_millis": [outcome.latency_millis for outcome in answers],
        "price": [_price_of(outcome, price, at_once) for outcome in answers] if price else [],
    }
    return {OWN + name: sum(numbers) / len(numbers) for name, numbers in named.items() if numbers}


def _price_of(outcome: Outcome, price: Price, at_once: int) -> float:
    """Price an answer by its tokens, or by its share of the time of what serves it."""
    if price.per_hour is not None:
        return price.per_hour * outcome.latency_millis / 1000 / SECONDS_PER_HOUR / at_once
    by_tokens = price.input_per_million * outcome.input_tokens + price.output_per_million * outcome.output_tokens
    return by_tokens / MILLION


def _price(price: Price) -> Metric:
    how = "by its tokens" if price.per_hour is None else "by its share of the hours of what serves, at this parallelism"
    return Metric(
        name="answer_price",
        goal=Goal.MINIMIZE,
        aggregate=Mean(of=PRICE),
        description=f"Mean price of an answer in {price.currency}, {how}; 0 or more.",
        lowest=0,
    )


def _mean_tokens(of: str, text: str) -> Metric:
    return Metric(
        name=f"{of}_mean",
        goal=Goal.MINIMIZE,
        aggregate=Mean(of=f"{OWN}{of}"),
        description=f"Mean number of tokens of {text}; 0 or more. Not comparable between tokenizers.",
        lowest=0,
    )


def _percentile(value: str, percent: int, text: str) -> Metric:
    return Metric(
        name=f"{value}_p{percent}_millis",
        goal=Goal.MINIMIZE,
        aggregate=Percentile(of=f"{OWN}{value}_millis", percent=percent),
        description=f"{percent}th percentile of the {text}, in milliseconds.",
        lowest=0,
    )


_TIMES = (
    ("ttft", "time to the first text"),
    ("tpot", "mean time between output tokens after the first"),
    ("latency", "time to the end of an answer"),
)
_COMMON = (
    _mean_tokens("input_tokens", "a prompt"),
    _mean_tokens("output_tokens", "an answer"),
    *(_percentile(value, percent, text) for value, text in _TIMES for percent in (50, 95)),
)
_LISTED = (*_COMMON, _price(Price(currency="the price's currency")))
