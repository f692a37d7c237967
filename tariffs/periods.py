"""Tier periods: when the counter that tiers look at begins anew."""

from datetime import UTC, date, datetime, timedelta

from tariffs.tariff import Cycle, Plan, Tiers
from tariffs.zones import zone

EPOCH = date(1970, 1, 1)
MONTHLY = Tiers(Cycle.MONTH)
"""Usage of a version without tiers is counted by the calendar month, so that "this month so far" always exists."""


def cycle_of(tiers: Tiers | None, day: date) -> tuple[date, date]:
    """First local day of the cycle that contains `day`, and the first day of the next one."""
    rule = tiers or MONTHLY
    if rule.cycle is Cycle.DAY:
        return day, day + timedelta(days=1)
    months = {Cycle.MONTH: 1, Cycle.TWO_MONTHS: 2, Cycle.YEAR: 12}[rule.cycle]
    phase = 0 if months == 1 else rule.month - 1
    month = day.year * 12 + day.month - 1 - (day.day < rule.day)
    begin = (month - phase) // months * months + phase
    return _date(begin, rule.day), _date(begin + months, rule.day)


def _date(month: int, day: int) -> date:
    return date(month // 12, month % 12 + 1, day)


def midnight_ms(day: date, zone_name: str) -> int:
    """The instant at which a local day begins, ms UTC.

    Where clocks skip midnight, the day begins at the change; where they repeat it, at the first.
    """
    start = datetime(day.year, day.month, day.day, tzinfo=zone(zone_name))
    return int((start - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1))


def minute_of_day(at_ms: int, zone_name: str) -> int:
    """The local minute of the day, 0 to 1439, at an instant in ms UTC."""
    at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(zone(zone_name))
    return at.hour * 60 + at.minute


def zone_at(plan: Plan, at_ms: int) -> str:
    """The zone of the tariff by which a plan prices at an instant in ms UTC; before its second stage, that of its first."""
    return [stage for stage in plan if stage is plan[0] or stage.from_ms <= at_ms][-1].tariff.zone


def restarts(plan: Plan) -> list[list[int]]:
    """For each stage and version of it: the earliest instant (ms UTC) at which a period that it counts in can begin.

    A counter goes on over a change of version or tariff, unless the version or the assignment says otherwise or the cycle or zone
    is another: a year's count does not continue a month's.
    """
    found: list[list[int]] = []
    before: object = None
    earliest = 0
    for number, stage in enumerate(plan):
        until = plan[number + 1].from_ms if number + 1 < len(plan) else None
        found.append([])
        for index, version in enumerate(stage.tariff.versions):
            begin = max(stage.from_ms if number else 0, version.from_ms if index else 0)
            following = stage.tariff.versions[index + 1 : index + 2]
            is_ruling = all(later.from_ms > begin for later in following) and (until is None or begin < until)
            if is_ruling:
                rule = version.tiers or MONTHLY
                cycle = (rule.cycle, rule.month, rule.day, stage.tariff.zone)
                is_first = begin == (stage.from_ms if number else 0)
                begins_anew = rule.restart and index > 0 and version.from_ms == begin
                if before not in {None, cycle} or begins_anew or (stage.restart and is_first and number > 0):
                    earliest = begin
                before = cycle
            found[-1].append(earliest)
    return found
