"""Readiness, by asking."""

import asyncio

from touchstone_local import health
from touchstone_local.supervisor.core import addresses
from touchstone_local.supervisor.core.plan import Check, ProcessSpec

TIMEOUT_SECONDS = 1.0


class NetworkChecks:
    """Implements the port `Checks`."""

    async def passes(self, spec: ProcessSpec) -> bool:
        """Return whether the process answers as it should; no answer in a second is a no."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                match spec.check:
                    case Check.GRPC:
                        return await health.grpc_passes(spec.target)
                    case Check.HTTP:
                        return await health.http_passes(spec.target)
                    case Check.TCP:
                        return await health.tcp_passes(*addresses.split(spec.target))
                    case Check.ALIVE | Check.EXIT:
                        return True
        except TimeoutError:
            return False
