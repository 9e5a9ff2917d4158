"""What a generation is made of: turns, sampling, passages, pieces of an answer. Pure values."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Who speaks a turn."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class FinishReason(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen. None leaves a choice to the engine."""

    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A retrieved passage."""

    document_id: str
    title: str
    text: str
    score: float
    start_offset: int
    """In characters of the document."""
    end_offset: int
    """Exclusive."""
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAlternative:
    """A token that could have stood at a place."""

    token: str
    logprob: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDistribution:
    """How the probability lay over the vocabulary at a place: entropy and standard deviation of log p, in nats."""

    entropy: float
    deviation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenLogprob:
    """One token with its log-probability, natural logarithm."""

    token: str
    logprob: float
    top: tuple[TokenAlternative, ...] = ()
    distribution: TokenDistribution | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Token counts of one request."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTimings:
    """Seconds as the engine measured them."""

    queue_seconds: float = 0.0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds of one request as the router saw them, with those that the engine reported."""

    time_to_first_token_seconds: float
    time_per_output_token_seconds: float
    """Mean after the first token; 0 for fewer than two tokens."""
    total_seconds: float
    retrieval_seconds: float
    queue_seconds: float
    prefill_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """The end of a continuation, as the engine reports it."""

    reason: FinishReason
    usage: Usage
    timings: EngineTimings


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of a continuation."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    finish: Finish | None = None
    """Set on the last piece only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """What is asked about continuations of a prompt."""

    prompt: str
    """Used as it is, without the prompt template."""
    continuations: tuple[str, ...]
    adapter: str = ""
    """One of the revision's adapters; empty: its default one, `none`: the model without any."""
    has_distributions: bool = False
    """Whether to tell the distribution at each place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuationScore:
    """The log-likelihood of one continuation."""

    logprob: float
    tokens: tuple[TokenLogprob, ...]
    is_greedy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """Vectors of several inputs, in their order."""

    vectors: tuple[Sequence[float], ...]
    input_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """What an engine is asked to continue."""

    conversation: tuple[Turn, ...]
    sampling: Sampling
    json_schema: str = ""
    logprobs: int | None = None
    adapter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a caller asks of a model."""

    model: str
    turns: tuple[Turn, ...]
    sampling: Sampling
    json_schema: str = ""
    session_id: str = ""
    logprobs: int | None = None
    tenant: str = ""
    adapter: str = ""
    """One of the revision's adapters; empty: its default one, `none`: the model without any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The first part of an answer: who answers, on what grounds."""

    request_id: str
    model: str
    """`NAMESPACE/NAME`."""
    revision: str
    digest: str
    citations: tuple[Passage, ...]
    """The passages put before the model, in that order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """The last part of an answer."""

    revision: str
    digest: str
    reason: FinishReason
    usage: Usage
    timings: Timings
    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()


AnswerPart = Opening | Piece | Closing
"""An answer is one Opening, any number of Pieces, one Closing."""
