"""Times as the API writes them: RFC 3339, UTC, whole seconds. Pure."""

from datetime import UTC, datetime


def write(moment: datetime) -> str:
    """Write a moment, cut to whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read(text: str) -> datetime:
    """Read a moment."""
    return datetime.fromisoformat(text).astimezone(UTC)
