"""Times of a journey: the local wall clock of its zone."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


class JourneyError(ValueError):
    """A line of a journey that cannot be read."""


def instant(clock: str, day: date, zone: ZoneInfo) -> int:
    """The ms UTC of a local time; `02:30 second` is the later of two. Raises JourneyError for a time that the day does not have."""
    hours, minutes = int(clock[:2]), int(clock[3:5])
    if hours > 23 or minutes > 59:
        raise JourneyError(f"{clock!r} is no time of the day: expected 00:00 to 23:59")
    local = datetime.combine(day, time(hours, minutes), zone).replace(fold=int(clock.endswith("second")))
    at = local.astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):
        raise JourneyError(f"{day} has no {clock[:5]}: clocks go forward then")
    if clock.endswith("second") and local.utcoffset() == local.replace(fold=0).utcoffset():
        raise JourneyError(f"{day} has {clock[:5]} only once")
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
