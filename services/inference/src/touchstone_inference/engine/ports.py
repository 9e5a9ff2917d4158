"""What the engine's use cases need of a model."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from touchstone_inference.chips import Precision
from touchstone_inference.engine.core.generation import (
    Description,
    Generation,
    Piece,
    Prefilled,
    Score,
    Scoring,
    Transfers,
    Turn,
)
from touchstone_inference.engine.core.utilization import Work


class Model(Protocol):
    """A loaded model. It runs at most `description.slots` generations at once; the service sees to that."""

    @property
    def description(self) -> Description:
        """What it is and can do."""
        ...

    async def start(self) -> None:
        """Load it and generate a first token."""
        ...

    def generate(self, request: Generation) -> AsyncIterator[Piece]:
        """Continue a prompt; closing the iterator frees what it holds."""
        ...

    def render(self, turns: Sequence[Turn]) -> str:
        """Render a conversation with the model's chat template."""
        ...

    async def count_tokens(self, prompt: str) -> int:
        """Count the tokens of a prompt."""
        ...

    async def embed(self, inputs: Sequence[str]) -> tuple[list[list[float]], int]:
        """Return unit vectors of the inputs, and the number of their tokens.

        Raises:
            EngineCannot: This model cannot.
        """
        ...

    async def score(self, request: Scoring) -> list[Score]:
        """Return log-probabilities of continuations, in their order.

        Raises:
            EngineCannot: This engine cannot.
        """
        ...

    async def wait_until_broken(self) -> None:
        """Return when it can serve no more; a model that lives and dies with this process never does."""
        ...

    async def close(self) -> None:
        """Let the model go."""
        ...


@runtime_checkable
class Adaptable(Protocol):
    """A model that takes LoRA adapters while it runs."""

    async def load_adapter(self, name: str, path: Path) -> None:
        """Make an adapter available by name, in place of what had the name.

        Before `start` it is only noted: `start` loads it with the model, and raises what this would.

        Raises:
            AdapterRefused: It is no adapter of this model.
        """
        ...

    async def unload_adapter(self, name: str) -> None:
        """Drop an adapter; dropping an absent one does nothing."""
        ...


@runtime_checkable
class Splittable(Protocol):
    """A model whose prompts may be computed in one process and continued in another."""

    async def prefill(self, request: Generation) -> Prefilled:
        """Compute a prompt's KV blocks and keep them for the engine that will go on."""
        ...

    async def transfers(self) -> Transfers:
        """Read what the connector has counted."""
        ...


@runtime_checkable
class Measured(Protocol):
    """A model whose work is counted."""

    @property
    def device_name(self) -> str:
        """What the driver calls its chips; empty for none."""
        ...

    @property
    def precision(self) -> Precision:
        """What products are computed in."""
        ...

    def work(self) -> Work:
        """Read what one chip has done since the start."""
        ...

    def cache_usage(self) -> float:
        """Read which share of the KV cache is in use, 0 to 1."""
        ...


class Prefillers(Protocol):
    """The prefill engines of this revision."""

    async def prefill(self, request: Generation, *, timeout_seconds: float) -> Prefilled:
        """Have one of them compute a prompt.

        Raises:
            DomainError: None could in time.
        """
        ...
