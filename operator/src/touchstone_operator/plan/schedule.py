"""Schedules: cron lines in a time zone. Pure."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_NAMED = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *"}


def next_time(line: str, time_zone: str, after: datetime) -> datetime | None:
    """Find the next time of a schedule; None when line or zone cannot be read, or the time never comes."""
    try:
        zone = ZoneInfo(time_zone)
        return next(CronSim(_NAMED.get(line, line), after.astimezone(zone))).astimezone(UTC)
    except (CronSimError, StopIteration, ZoneInfoNotFoundError, ValueError):
        return None
