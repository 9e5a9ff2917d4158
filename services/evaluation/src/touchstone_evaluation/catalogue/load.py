"""Load: latency and throughput with a fixed number of requests in flight. Says nothing about the answers.

A closed loop: the next request leaves when one returns, so a slow server is asked less often, and its tail looks better
than under traffic that does not wait. Time to first token, time per output token and goodput follow the definitions of
NVIDIA's AIPerf: empty first pieces do not count, (latency - ttft) / (tokens - 1), all objectives met.
"""

import random
from collections.abc import Mapping
from typing import Any

from touchstone_evaluation.core.items import Item
from touchstone_evaluation.core.spec import Goal, Json, Parameters, SubjectKind
from touchstone_evaluation.core.task import LoadShape, Mean, Metric, Outcome, Percentile, Prompt, Ratio

SYNTHETIC_PROMPTS = 64
_WORDS = """\
    the of and in to is was for as on with by that from at it are which or be this an were also had its not have one
    time two first new other year city people world water between during after where many state south north
"""


def _whole_number(description: str, maximum: int) -> Json:
    return {"description": description, "type": "integer", "minimum": 1, "maximum": maximum}


def _percentile(value: str, percent: int, unit_of: str) -> Metric:
    return Metric(
        name=f"{value}_p{percent}_millis",
        goal=Goal.MINIMIZE,
        aggregate=Percentile(of=f"{value}_millis", percent=percent),
        description=f"{percent}th percentile of the {unit_of}, in milliseconds, over requests that succeeded.",
        lowest=0,
    )


class Load:
    """Asks with a fixed number of requests in flight."""

    name = "load"
    version = "1"
    description = (
        "Keeps a number of requests in flight for a number of requests or a time, and measures latency, throughput and "
        "goodput. A closed loop: it does not show what happens when more arrives than can be served."
    )
    parameters_schema: Mapping[str, Json] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "concurrency": _whole_number("Requests in flight; unset: 4.", 1024),
            "requests": _whole_number("Ends after this many. Exactly one of this and durationSeconds is set.", 100_000),
            "durationSeconds": _whole_number("Ends after this time.", 86_400),
            "inputTokens": _whole_number("Length of a synthetic prompt, in words; unset: 64.", 131_072),
            "outputTokens": _whole_number("The most tokens of an answer; unset: 32.", 131_072),
            "ttftMillis": _whole_number("Objective for the first token; unset: none.", 86_400_000),
            "tpotMillis": _whole_number("Objective for the time between tokens; unset: none.", 86_400_000),
        },
        "oneOf": [{"required": ["requests"]}, {"required": ["durationSeconds"]}],
    }
    subjects = frozenset({SubjectKind.MODEL_DEPLOYMENT})
    needs_dataset = False
    runs_code = False

    def metrics(self, parameters: Parameters) -> tuple[Metric, ...]:
        """List the metrics; they do not depend on parameters."""
        return _METRICS

    def unfit(self, item: Item) -> str:
        """Every question can be asked."""
        return ""

    def load(self, parameters: Parameters) -> LoadShape | None:
        """Return the load, with made-up prompts for where there is no dataset."""
        requests, duration = parameters.get("requests"), parameters.get("durationSeconds")
        return LoadShape(
            concurrency=_whole(parameters, "concurrency", 4),
            requests=None if requests is None else _whole(parameters, "requests", 0),
            duration_seconds=None if duration is None else float(_whole(parameters, "durationSeconds", 0)),
            synthetic=_synthetic(_whole(parameters, "inputTokens", 64)),
        )

    def ask(self, item: Item, parameters: Parameters) -> Prompt:
        """Ask for an answer of the wanted length."""
        return Prompt(question=item.question, max_output_tokens=_whole(parameters, "outputTokens", 32))

    def score(self, item: Item, outcome: Outcome, parameters: Parameters) -> Mapping[str, float]:
        """Give the request's times, and whether it met the objectives."""
        is_late = outcome.ttft_millis > _objective(parameters, "ttftMillis")
        is_slow = (outcome.tpot_millis or 0.0) > _objective(parameters, "tpotMillis")
        values = {
            "ttft_millis": outcome.ttft_millis,
            "output_tokens": float(outcome.output_tokens),
            "latency_millis": outcome.latency_millis,
            # In a closed loop each request holds one of the clients: the shares add up to the wall time.
            "busy_seconds": outcome.latency_millis / 1000 / _whole(parameters, "concurrency", 4),
            "is_good": float(not is_late and not is_slow),
            "is_error": 0.0,
        }
        return values if outcome.tpot_millis is None else values | {"tpot_millis": outcome.tpot_millis}


_METRICS = (
    _percentile("ttft", 50, "time to the first text"),
    _percentile("ttft", 95, "time to the first text"),
    _percentile("tpot", 50, "mean time between output tokens after the first"),
    _percentile("tpot", 95, "mean time between output tokens after the first"),
    Metric(
        name="throughput_tokens_per_second",
        goal=Goal.MAXIMIZE,
        aggregate=Ratio(of="output_tokens", per="busy_seconds"),
        description="Output tokens of requests that succeeded over the wall time of the load, in tokens a second.",
        lowest=0,
    ),
    Metric(
        name="goodput_ratio",
        goal=Goal.MAXIMIZE,
        aggregate=Mean(of="is_good"),
        description="Share of requests that succeeded and met every objective; 0 to 1.",
        is_binary=True,
        lowest=0,
        highest=1,
        has_worst=True,
        counts_failures=True,
        is_main=True,
    ),
    Metric(
        name="error_ratio",
        goal=Goal.MINIMIZE,
        aggregate=Mean(of="is_error"),
        description="Share of requests that failed; 0 to 1.",
        is_binary=True,
        lowest=0,
        highest=1,
        has_worst=True,
        counts_failures=True,
    ),
)


def _whole(parameters: Parameters, name: str, default: int) -> int:
    value: Any = parameters.get(name, default)
    return int(value)


def _objective(parameters: Parameters, name: str) -> float:
    return float(_whole(parameters, name, 0)) or float("inf")


def _synthetic(words: int) -> tuple[Item, ...]:
    """Make prompts of common words, about one token each; their beginnings differ, so that no prefix cache helps."""
    chosen = random.Random(words)  # noqa: S311 - prompts, not secrets
    vocabulary = _WORDS.split()
    texts = (" ".join(chosen.choice(vocabulary) for _ in range(words)) for _ in range(SYNTHETIC_PROMPTS))
    return tuple(Item(id=f"synthetic-{number}", question=f"{number} {text}") for number, text in enumerate(texts))


TASK = Load()
