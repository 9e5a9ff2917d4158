"""What the engine's use cases need of a model."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from touchstone_inference.engine.core.generation import Description, Generation, Piece, Score, Turn


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

    async def score(self, prompt: str, continuations: Sequence[str]) -> list[Score]:
        """Return log-probabilities of continuations.

        Raises:
            EngineCannot: This engine cannot.
        """
        ...

    async def close(self) -> None:
        """Let the model go."""
        ...
