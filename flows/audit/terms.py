"""Terms that an order may state, each checked by the words of docs/machine/ once more."""

from itertools import pairwise

from domain.facts import (
    AlarmTerms,
    ChargeItemSet,
    ControlTerms,
    MeterInstalled,
    QuarantineDecided,
    ReadingCorrected,
    TariffAssigned,
    WatchTerms,
)
from domain.ids import METER_NUMBER_MAX
from domain.units import DAY_MS, MINUTE_MS, MONEY_MAX_MICROS, ORDER_MAX_MICROS, USAGE_MAX
from domain.words import Decision, Supply
from flows.audit.book import Meter
from tariffs.zones import zone

YEAR_2100_MS = 4_102_444_800_000
REGISTER_UNBOUNDED = 10**15


def is_watch_valid(terms: WatchTerms) -> bool:
    """Whether a meter may be watched by these terms."""
    usages, times = (terms.day_usage, terms.month_usage), (terms.offline_ms, terms.stuck_ms)
    watts, night = (terms.stuck_w, terms.reverse_w), (terms.night_from, terms.night_until)
    return (
        all(0 <= usage <= 10**15 for usage in usages)
        and -1 <= terms.night_usage <= 10**15
        and all(0 <= time <= 400 * DAY_MS for time in times)
        and all(0 <= power <= 10**9 for power in watts)
        and all(0 <= minute <= 1439 for minute in night)
        and len(set(night)) == 2
        and 1 <= terms.repeat_ms <= 400 * DAY_MS
        and 0 <= terms.repeat_max <= 250
    )


def is_control_valid(terms: ControlTerms) -> bool:
    """Whether a supply may be controlled by these terms."""
    windows, watts = (*terms.no_trip, *terms.schedule), [terms.power_limit_w, terms.malignant_step_w]
    holidays = terms.holidays
    return (
        _is_zone(terms.zone)
        and len(holidays) <= 4_000
        and all(before < after for before, after in pairwise((-1, *holidays, 47_483)))
        and all(len(listed) <= 100 for listed in (terms.no_trip, terms.schedule, terms.tolerated))
        and all(each.days in range(1, 256) for each in windows)
        and all(each.from_minute in range(1440) and each.until_minute in range(1441) for each in windows)
        and not any(each.from_minute == each.until_minute for each in windows)
        and all(each.supply in {Supply.ON, Supply.OFF} for each in terms.schedule)
        and all(0 <= power <= 10**9 for power in watts)
        and all(0 <= each.low_w <= each.high_w <= 10**9 for each in terms.tolerated)
        and 0 <= terms.restores <= 100
        and MINUTE_MS <= terms.restore_wait_ms <= DAY_MS
    )


def _is_zone(name: str) -> bool:
    try:
        zone(name)
    except ValueError:
        return False
    return True


def is_item_valid(fact: ChargeItemSet, now: int) -> bool:
    """Whether an account may be charged this from `now` on: a year back at most."""
    if not _is_zone(fact.zone):
        return False
    start = fact.starts * DAY_MS
    return (
        1 <= len(fact.item) <= 64
        and 1 <= fact.amount_micros <= ORDER_MAX_MICROS
        and 0 <= fact.area <= 10**9
        and fact.amount_micros * fact.area <= ORDER_MAX_MICROS * 1000
        and now - 366 * DAY_MS <= start < YEAR_2100_MS
        and (fact.ends < 0 or fact.starts <= fact.ends)
    )


def are_terms_valid(terms: AlarmTerms) -> bool:
    """Whether alarm amounts are in order and within what money can be."""
    bounded = (
        abs(terms.low),
        abs(terms.arrears),
        abs(terms.reconnect),
        terms.hysteresis,
        terms.max_balance,
        terms.overdraft,
    )
    return (
        terms.low >= terms.pretrip >= terms.arrears <= terms.reconnect
        and min(terms.hysteresis, terms.overdraft) >= 0
        and 0 < terms.repeat_ms <= 10**12
        and 0 <= terms.repeat_max <= 250
        and all(amount < MONEY_MAX_MICROS for amount in bounded)
    )


def is_meter_valid(fact: MeterInstalled) -> bool:
    """Whether a meter can be what it says."""
    return (
        1 <= fact.meter <= METER_NUMBER_MAX
        and 0 <= fact.modulus <= 10**15
        and 1 <= fact.rated_per_hour <= 10**9
        and 1 <= fact.ratio <= 10**6
        and 0 <= (fact.opening_register or 0) < (fact.modulus or REGISTER_UNBOUNDED)
        and fact.at > 0
        and are_premises_valid(fact)
    )


def is_decision_valid(fact: QuarantineDecided, modulus: int) -> bool:
    """Whether a decision says what its kind may say, within what the meter can count."""
    says_more = fact.register is not None or fact.usage != 0
    return (
        (fact.decision == Decision.REBASELINE or not says_more)
        and 0 <= (fact.register or 0) < (modulus or REGISTER_UNBOUNDED)
        and 0 <= fact.usage <= USAGE_MAX
        and 0 < fact.at <= YEAR_2100_MS
    )


def is_correction_valid(fact: ReadingCorrected, meter: Meter) -> bool:
    """Whether a correction lies within what the meter has been believed for, three years back at most."""
    if meter.time is None or not (fact.usage_delta or fact.register is not None):
        return False
    if fact.usage_delta and not max(1, meter.time - 1098 * DAY_MS) <= fact.from_ms < fact.until_ms <= meter.time:
        return False
    return abs(fact.usage_delta) <= USAGE_MAX and 0 <= (fact.register or 0) < (
        meter.installed.modulus or REGISTER_UNBOUNDED
    )


def are_premises_valid(fact: MeterInstalled | TariffAssigned) -> bool:
    """Whether persons and capacity are such as a tariff can ask for."""
    return 1 <= fact.persons <= 1_000 and 0 <= fact.capacity_w <= 10**12
