"""What a reconcile comes back with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from touchstone_operator.objects import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """When to look again, and whom else to look at."""

    requeue_at: datetime | None = None
    """When to look again although nothing changes; None: at the next resync."""


class Reconciler(Protocol):
    """Brings one object of one kind to what its spec asks for. Level-triggered, idempotent."""

    async def reconcile(self, key: Key) -> Outcome:
        """Look at an object once."""
        ...
