"""Times as the API writes them: RFC 3339, UTC, whole seconds. Pure."""

from datetime import UTC, datetime, timedelta


def write(moment: datetime) -> str:
    """Write a moment, cut to whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> datetime:
    """Read a moment."""
    return datetime.fromisoformat(text).astimezone(UTC)


def seconds_until(text: str, after_seconds: float, now: datetime) -> float:
    """Seconds from now until so many seconds after a written moment; 0 or less when it has passed."""
    return (read(text) + timedelta(seconds=after_seconds) - now).total_seconds()
