"""A replica: an engine with its gRPC server, inside an actor of Ray Serve. The engine itself knows nothing of Ray."""

import asyncio
import contextlib
import logging
import os
from typing import Any

from ray.serve.handle import DeploymentHandle
from touchstone_runtime import settings, telemetry
from touchstone_runtime.server import GrpcServer

from touchstone_inference import errors
from touchstone_inference.engine import wiring
from touchstone_inference.engine.core.generation import Generation, Prefilled
from touchstone_inference.engine.ports import Measured
from touchstone_inference.engine.settings import EngineSettings
from touchstone_inference.ray_serve.autoscaling import CACHE_USAGE, REQUESTS

logger = logging.getLogger(__name__)


class HandlePrefillers:
    """The prefill engines of the application, by Serve's handle, which picks the less busy of two."""

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle

    async def prefill(self, request: Generation, *, timeout_seconds: float) -> Prefilled:
        """Have one of them compute a prompt.

        Raises:
            EngineBroke: None could in time.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                return Prefilled(*await self._handle.prefill.remote(request.prompt, request.adapter))
        except Exception as error:
            logger.warning("a prefill engine failed", exc_info=True)
            raise errors.EngineBroke(f"A prefill engine failed ({type(error).__name__}).") from error


class Replica:
    """One engine in its pod. Its settings are the pod's environment, as for an engine without Ray."""

    async def __init__(self, prefill: DeploymentHandle | None = None) -> None:  # type: ignore[misc] # Serve awaits it
        """Load the model and begin to serve; `prefill` leads to the engines that compute prompts for this one."""
        own = settings.load(EngineSettings)
        self._server: GrpcServer | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stack = contextlib.AsyncExitStack()
        observed = telemetry.setup("touchstone-engine", endpoint=own.otlp_endpoint, log_format=own.log_format)
        self._stack.callback(observed.shutdown)
        prefillers = None if prefill is None else HandlePrefillers(prefill)
        self._engine = await wiring.engine_of(own, self._stack, prefillers)
        self._server = wiring.server_of(own, self._engine)
        await self._server.start()
        await self._engine.start()
        await self._server.set_serving()
        self._watching = asyncio.create_task(self._end_when_broken())

    async def prefill(self, prompt: str, adapter: str) -> tuple[Any, ...]:
        """Compute a prompt for a decode engine; returns the fields of Prefilled."""
        return tuple(await self._engine.service.prefill(Generation(prompt=prompt, adapter=adapter)))

    async def check_health(self) -> None:
        """Say that the engine lives: one that does not has ended this process."""

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Report the load: Serve does not see the requests itself."""
        counters, model = self._engine.service.counters, self._engine.model
        load = {REQUESTS: float(counters.active + counters.queued)}
        return load | ({CACHE_USAGE: model.cache_usage()} if isinstance(model, Measured) else {})

    async def _end_when_broken(self) -> None:
        """End the process as soon as its engine is dead: Serve starts another one at once, and does not ask first."""
        await self._engine.model.wait_until_broken()
        logger.error("the engine has died, and this replica with it")
        logging.shutdown()
        os._exit(1)

    async def __del__(self) -> None:
        """Take no new calls, let those under way end, and let the model go. Serve awaits it."""
        if self._watching is not None:
            self._watching.cancel()
        if self._server is not None:
            await self._server.stop()
        await self._stack.aclose()
