"""Requests and answers of an engine, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias


class Speaker(StrEnum):
    """Who speaks a turn; the values are ChatML's."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class Turn(NamedTuple):
    """One turn of a conversation."""

    speaker: Speaker
    content: str


class Finish(StrEnum):
    """Why a generation ended."""

    STOP = "stop"
    LENGTH = "length"


class Alternative(NamedTuple):
    """A token that could have stood at a place, with the natural logarithm of its probability."""

    token: str
    logprob: float


class Distribution(NamedTuple):
    """How the probability lies over the vocabulary at a place."""

    entropy: float
    """In nats: the mean of -log p under p."""
    deviation: float
    """The standard deviation of log p under p, in nats."""


class TokenLogprob(NamedTuple):
    """A token, the natural logarithm of its probability, and the most probable tokens at its place."""

    token: str
    logprob: float
    top: tuple[Alternative, ...] = ()
    distribution: Distribution | None = None


class Usage(NamedTuple):
    """Token counts of one request."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0


Handoff: TypeAlias = Mapping[str, Any]
"""What a prefill engine tells a decode engine about the KV blocks of a prompt; JSON, opaque but to the engines."""


class Prefilled(NamedTuple):
    """A prompt whose KV blocks were computed and wait to be fetched."""

    handoff: Handoff
    cached_input_tokens: int = 0
    seconds: float = 0.0


class Transfers(NamedTuple):
    """KV blocks that came from other engines, since the start of the process, as the connector itself counts them."""

    connector: str = ""
    """Empty: there is none."""
    completed: int = 0
    """Transfers that ended well."""
    size_bytes: int = 0
    tokens: int = 0
    """Prompt tokens that did not have to be computed here."""
    failures: int = 0
    expired: int = 0
    """Prompts whose blocks nobody fetched in time."""


class Timings(NamedTuple):
    """Seconds of one request."""

    queue_seconds: float = 0.0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0


class End(NamedTuple):
    """What is known when a generation is over."""

    finish: Finish
    usage: Usage
    timings: Timings


class Piece(NamedTuple):
    """A part of an answer; the last one carries the end."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    end: End | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How tokens are chosen; None leaves the choice to the engine."""

    max_output_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps all."""
    seed: int | None = None
    stop: tuple[str, ...] = ()
    repetition_penalty: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A request for a continuation, the prompt rendered."""

    prompt: str
    sampling: Sampling = field(default_factory=Sampling)
    json_schema: str = ""
    """A JSON document; empty: no constraint."""
    logprobs: int | None = None
    """How many alternatives to report; None: no log-probabilities at all."""
    adapter: str = ""
    """The name of a loaded adapter; empty: the base model."""
    handoff: Handoff | None = None
    """Where the prompt's KV blocks lie, if another engine has computed them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """A request for the log-probabilities of given continuations, each after the prompt."""

    prompt: str
    """Empty: from the start of the text."""
    continuations: tuple[str, ...]
    adapter: str = ""
    """The name of a loaded adapter; empty: the base model."""
    has_distributions: bool = False
    """Whether to tell the distribution at each place."""


class Score(NamedTuple):
    """The log-likelihood of one continuation."""

    tokens: tuple[TokenLogprob, ...]
    is_greedy: bool


class Capability(StrEnum):
    """What not every engine can do."""

    SCORE = "score"
    EMBED = "embed"
    JSON_SCHEMA = "json_schema"
    LOGPROBS = "logprobs"
    ADAPTERS = "adapters"
    PREFIX_CACHE = "prefix_cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What an engine runs and can do."""

    engine_type: str
    model_digest: str
    context_tokens: int
    slots: int
    capabilities: frozenset[Capability]
