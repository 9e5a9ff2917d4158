"""One holder at a time, by a coordination Lease.

A lease does not fence: a holder that was paused may write once more after losing it. Writes therefore carry the version
they rest on, or the full wanted state, and outside effects their dispatch id.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from touchstone_runtime.errors import DomainError

from touchstone_operator import errors, objects
from touchstone_operator.objects import JsonObject, Kind

DURATION_SECONDS = 15
RENEW_DEADLINE_SECONDS = 10.0
RETRY_SECONDS = 2.0

logger = logging.getLogger(__name__)


class Leases(Protocol):
    """What is needed of the cluster."""

    async def get(self, kind: Kind, namespace: str, name: str) -> JsonObject | None:
        """Read an object."""
        ...

    async def create(self, kind: Kind, obj: JsonObject) -> bool:
        """Create an object; False when the name is taken."""
        ...

    async def patch_spec(self, kind: Kind, obj: JsonObject, patch: JsonObject) -> JsonObject:
        """Merge a patch into the spec of an object as it was read."""
        ...


class Lease:
    """The operator's lease."""

    def __init__(
        self,
        cluster: Leases,
        *,
        namespace: str,
        name: str,
        identity: str,
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._now = now
        self._monotonic = monotonic
        self._seen: tuple[str, float] = ("", 0.0)
        """The holder's last renewal as read, and when it was first read: clocks of two machines are not compared."""

    async def acquire(self) -> None:
        """Wait until the lease is ours."""
        while not await self._try():  # noqa: ASYNC110 - the cluster sends no event that could be waited for
            await asyncio.sleep(RETRY_SECONDS)
        logger.info("lease acquired", extra={"lease": self._name, "identity": self._identity})

    async def keep(self) -> None:
        """Renew for ever.

        Raises:
            LeaseLost: Another holds it, or it could not be renewed in time.
        """
        renewed = self._monotonic()
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            if await self._try():
                renewed = self._monotonic()
            elif self._monotonic() - renewed > RENEW_DEADLINE_SECONDS:
                raise errors.LeaseLost(self._name)

    async def release(self) -> None:
        """Let the next one in at once; a cluster that is away lets it in after the duration."""
        try:
            found = await self._cluster.get(objects.LEASE, self._namespace, self._name)
            if found and found["spec"].get("holderIdentity") == self._identity:
                await self._cluster.patch_spec(objects.LEASE, found, {"holderIdentity": ""})
        except DomainError as error:
            logger.info("lease not released", extra={"lease": self._name, "reason": error.reason})

    async def _try(self) -> bool:
        """Take or renew the lease; False when another holds it or the cluster does not answer."""
        try:
            found = await self._cluster.get(objects.LEASE, self._namespace, self._name)
            if found is None:
                return await self._cluster.create(objects.LEASE, self._fresh())
            if not self._is_free(found):
                return False
            await self._cluster.patch_spec(objects.LEASE, found, self._spec())
        except DomainError as error:
            logger.info("lease not renewed", extra={"lease": self._name, "reason": error.reason})
            return False
        return True

    def _is_free(self, found: JsonObject) -> bool:
        spec = found.get("spec") or {}
        if spec.get("holderIdentity") in ("", None, self._identity):
            return True
        renewal = f"{spec['holderIdentity']} {spec.get('renewTime')}"
        if renewal != self._seen[0]:
            self._seen = (renewal, self._monotonic())
        return self._monotonic() - self._seen[1] > float(spec.get("leaseDurationSeconds") or DURATION_SECONDS)

    def _spec(self) -> JsonObject:
        stamp = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {"holderIdentity": self._identity, "leaseDurationSeconds": DURATION_SECONDS, "renewTime": stamp}

    def _fresh(self) -> JsonObject:
        return {
            "apiVersion": objects.LEASE.api_version,
            "kind": objects.LEASE.name,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._spec(),
        }
