"""Watch terms by order."""

import msgspec

from domain.effects import Effects
from domain.facts import MeterWatchSet, WatchTerms
from domain.state import MeterRecord
from domain.units import DAY_MS
from domain.words import Refusal, Watched
from flows.orders.answers import Answer
from flows.state import ShardState
from flows.watching import replan

MINUTES_OF_DAY = 1440
_USAGE_MAX = 10**15
_POWER_MAX = 10**9
_TIME_MAX = 400 * DAY_MS


def set_watch(state: ShardState, fact: MeterWatchSet, _effects: Effects) -> Answer:
    """Watch a meter by other terms. What is raised and no longer watched is cleared by the next tick."""
    record = state.installed(fact.meter)
    if record is None:
        return Refusal.UNKNOWN_METER
    if mistake := _mistake(fact.terms):
        return Refusal.TERMS_INVALID, mistake
    enter_watch(state, record, fact.terms, fact.at)
    return None


def enter_watch(state: ShardState, record: MeterRecord, terms: WatchTerms, at: int) -> None:
    """Watch a meter by these terms from now on."""
    row = state.watch_row(record.row)
    watch = state.watches.rows[row]
    for name in ("day_usage", "month_usage", "offline_ms", "stuck_ms", "stuck_w", "reverse_w"):
        watch[name] = getattr(terms, name)
    watch.night_usage, watch.night_from, watch.night_until = terms.night_usage, terms.night_from, terms.night_until
    if not int(watch.raised) & Watched.OFFLINE:  # A meter that is silent stays so, whoever says its terms again.
        watch.since = max(state.header.now, at)
    state.watches.dirty[row] = 1
    state.meter_records.put(record.meter, msgspec.structs.replace(record, watch=terms))
    replan(state, record.meter)


def _mistake(terms: WatchTerms) -> str:
    rules = {
        "usages from 0 to 10^15": min(terms.day_usage, terms.month_usage) >= 0
        and max(terms.day_usage, terms.month_usage, terms.night_usage) <= _USAGE_MAX,
        "night_usage from -1": terms.night_usage >= -1,
        "times from 0 to 400 days": min(terms.offline_ms, terms.stuck_ms) >= 0
        and max(terms.offline_ms, terms.stuck_ms) <= _TIME_MAX,
        "watts from 0 to 10^9": min(terms.stuck_w, terms.reverse_w) >= 0
        and max(terms.stuck_w, terms.reverse_w) <= _POWER_MAX,
        "night_from and night_until to be different minutes from 0 to 1439": terms.night_from != terms.night_until
        and all(0 <= minute < MINUTES_OF_DAY for minute in (terms.night_from, terms.night_until)),
        "0 < repeat_ms <= 400 days": 0 < terms.repeat_ms <= _TIME_MAX,
        "0 <= repeat_max <= 250": 0 <= terms.repeat_max <= 250,
    }
    return "; ".join(f"expected {rule}" for rule, holds in rules.items() if not holds)
