"""Prefill and decode apart: the decode engine decides where a prompt is computed, and counts what came of it."""

import logging
from dataclasses import dataclass, replace

from touchstone_runtime.errors import DomainError

from touchstone_inference import errors
from touchstone_inference.engine.core.generation import Generation
from touchstone_inference.engine.core.splitting import OnFailure, Policy, PrefixMemory
from touchstone_inference.engine.ports import Prefillers

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class SplitCounters:
    """What became of prompts since the start."""

    remote: int = 0
    """Prompts that a prefill engine computed; their blocks must show up in the connector's own counters."""
    failed: int = 0
    """Prompts that a prefill engine should have computed and did not."""


class Splitting:
    """Where a prompt is computed."""

    def __init__(self, prefillers: Prefillers, policy: Policy, memory: PrefixMemory) -> None:
        self._prefillers = prefillers
        self._policy = policy
        self._memory = memory
        self.counters = SplitCounters()

    async def prepared(self, request: Generation, prompt_tokens: int) -> Generation:
        """Return the request with its handoff, if the prompt was computed elsewhere.

        Raises:
            PrefillFailed: It should have been, and the policy is to fail.
        """
        is_remote = self._policy.is_remote(prompt_tokens, self._memory.share(request.prompt))
        self._memory.add(request.prompt)
        if not is_remote:
            return request
        try:
            prefilled = await self._prefillers.prefill(request, timeout_seconds=self._policy.timeout_seconds)
        except DomainError as error:
            self.counters.failed += 1
            if self._policy.on_failure is OnFailure.FAIL:
                raise errors.PrefillFailed(error.reason) from error
            logger.warning("a prompt is computed here, the prefill engine failed", extra={"fault": error.message})
            return request
        self.counters.remote += 1
        return replace(request, handoff=prefilled.handoff)
