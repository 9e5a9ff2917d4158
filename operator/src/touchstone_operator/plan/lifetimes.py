"""How long objects stay: finished ones until their time is over, deleted ones until what is outside has gone. Pure."""

from datetime import datetime, timedelta

from touchstone_operator.api.common import Metadata
from touchstone_operator.plan import times


def expires_at(metadata: Metadata, *, completed: str | None, ttl_seconds: int | None) -> datetime | None:
    """Say when a finished object is removed; None when it stays.

    Args:
        metadata: Of the object.
        completed: When it was finished; where that is not known, its creation counts.
        ttl_seconds: How long it stays after that; None: for ever.
    """
    if ttl_seconds is None:
        return None
    return times.read(completed or metadata.creation_timestamp) + timedelta(seconds=ttl_seconds)


def has_waited(metadata: Metadata, now: datetime, patience: timedelta) -> bool:
    """Tell whether a deletion has waited long enough for a service that does not answer."""
    return now >= times.read(metadata.deletion_timestamp or metadata.creation_timestamp) + patience
