"""When a prompt is computed by another engine, and which prompts are thought to be cached here. Pure."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

from touchstone_inference import prefixes


class Role(StrEnum):
    """Which part of the work an engine does."""

    AGGREGATED = "aggregated"
    PREFILL = "prefill"
    DECODE = "decode"


class OnFailure(StrEnum):
    """What happens to a request whose prompt could not be computed elsewhere."""

    RECOMPUTE = "RecomputeLocally"
    FAIL = "Fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When prompts go to a prefill engine."""

    min_tokens: int = 256
    """Fewer new tokens are computed here: the way to another engine costs more than they do."""
    on_failure: OnFailure = OnFailure.RECOMPUTE
    timeout_seconds: float = 30.0
    """How long the other engine may take."""

    def is_remote(self, prompt_tokens: int, cached_share: float) -> bool:
        """Tell whether a prompt goes to a prefill engine.

        Args:
            prompt_tokens: Its length.
            cached_share: Which share of it is thought to be cached here, 0 to 1.
        """
        return prompt_tokens * (1.0 - cached_share) >= self.min_tokens


class PrefixMemory:
    """Which beginnings of prompts this engine has seen lately: its own estimate of its prefix cache.

    A prompt is cut into blocks of characters; each block is known by the hash of itself and all before it, as engines
    do with blocks of tokens. The least recently seen blocks are forgotten first.
    """

    BLOCK_CHARACTERS = 512

    def __init__(self, capacity_characters: int) -> None:
        """Take about how much text the cache holds."""
        self._capacity = max(1, capacity_characters // self.BLOCK_CHARACTERS)
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def share(self, prompt: str) -> float:
        """Estimate which share of a prompt is cached, 0 to 1."""
        known = 0
        for block in prefixes.blocks(prompt, self.BLOCK_CHARACTERS):
            if block not in self._seen:
                break
            known += 1
        return min(1.0, known * self.BLOCK_CHARACTERS / len(prompt)) if prompt else 0.0

    def add(self, prompt: str) -> None:
        """Remember a prompt that was computed."""
        for block in prefixes.blocks(prompt, self.BLOCK_CHARACTERS):
            self._seen[block] = None
            self._seen.move_to_end(block)
        while len(self._seen) > self._capacity:
            self._seen.popitem(last=False)
