"""Meters: given to an account, from a register on. How they go is in `flows/orders/removal.py`."""

import msgspec

from domain.effects import Effects
from domain.facts import MeterInstalled
from domain.ids import METER_NUMBER_MAX
from domain.state import MeterRecord
from domain.words import Refusal
from flows.orders.answers import Answer
from flows.orders.tariffs import bind, premises_rules
from flows.state import ShardState
from flows.supply.commands import reconcile


def install_meter(state: ShardState, fact: MeterInstalled, effects: Effects) -> Answer:
    """Give an account a meter; the same installation again changes nothing.

    A meter that was removed is a new one when it is installed again, and needs its register; what it was before is not a repeat.
    """
    account, tariff = state.account_records.get(fact.account), state.tariff_records.get(fact.tariff)
    known = state.meter_records.get(fact.meter)
    same = known is not None and is_same_meter(known, fact)
    if known and not known.removed_at:
        return None if same else Refusal.EXISTS_WITH_DIFFERENT_CONTENT
    if account is None:
        return Refusal.UNKNOWN_ACCOUNT
    if tariff is None:
        return Refusal.UNKNOWN_TARIFF
    priced = state.tariffs[tariff.row]
    if priced.commodity != fact.commodity:
        return Refusal.WRONG_COMMODITY
    if priced.currency != account.currency:
        return Refusal.WRONG_CURRENCY
    if mistake := meter_mistake(fact):
        return Refusal.TERMS_INVALID, mistake
    if known and (same or fact.opening_register is None):
        return Refusal.METER_REMOVED, "install it with the register that it shows now"
    record = _meter_record(state.meters.count, fact)
    enter_meter(state, record)
    reconcile(state, record.row, fact.at, effects)
    return None


def meter_mistake(fact: MeterInstalled) -> str:
    """What a meter's terms get wrong, in words; nothing where they are right."""
    rules = {
        "meter number of 1 to 12 digits": 0 < fact.meter <= METER_NUMBER_MAX,
        "0 <= modulus <= 10^15": 0 <= fact.modulus <= 10**15,
        "1 <= rated_per_hour <= 10^9": 1 <= fact.rated_per_hour <= 10**9,
        "1 <= ratio <= 10^6": 1 <= fact.ratio <= 10**6,
        "opening_register below the modulus": 0 <= (fact.opening_register or 0) < (fact.modulus or 10**15),
        "time after 1970": fact.at > 0,
        **premises_rules(fact),
    }
    return "; ".join(f"expected {rule}" for rule, holds in rules.items() if not holds)


_OF_ITS_LIFE = ("row", "installed_at", "assigned", "watch", "removed_at", "replaces", "replaced_by")
"""What a meter's record says that no installation does."""


def is_same_meter(known: MeterRecord, fact: MeterInstalled) -> bool:
    """Whether an installation says of a meter what is known of it."""
    life = {name: getattr(known, name) for name in _OF_ITS_LIFE}
    return known == msgspec.structs.replace(_meter_record(known.row, fact), **life)


def _meter_record(row: int, fact: MeterInstalled) -> MeterRecord:
    return MeterRecord(
        row=row,
        meter=fact.meter,
        account=fact.account,
        commodity=fact.commodity,
        tariff=fact.tariff,
        profile=fact.profile,
        modulus=fact.modulus,
        rated_per_hour=fact.rated_per_hour,
        ratio=fact.ratio,
        switchable=fact.switchable,
        installed_at=fact.at,
        opening_register=fact.opening_register,
        persons=fact.persons,
        capacity_w=fact.capacity_w,
    )


def enter_meter(state: ShardState, record: MeterRecord) -> None:
    """Give a meter the rows that its record names, which are the next ones, and let its account have it."""
    account, at, opening = state.account_records[record.account], record.installed_at, record.opening_register
    row, terms_row = state.meters.append(), state.meter_terms.append()
    assert row == terms_row == record.row
    meter, terms = state.meters.rows[row], state.meter_terms.rows[row]
    meter.time, meter.register, meter.suspect, meter.window_start, meter.day = -1, 0, -1, -1, -1
    if opening is not None:
        meter.time, meter.register, meter.still_since = at, opening, -1
    terms.number, terms.account = record.meter, account.row
    terms.modulus, terms.rated_per_hour, terms.ratio = record.modulus, record.rated_per_hour, record.ratio
    terms.commodity, terms.switchable = record.commodity, record.switchable
    state.meter_records.put(record.meter, record)
    meters = (*account.meters, record.meter)
    state.account_records.put(record.account, msgspec.structs.replace(account, meters=meters))
    state.index_meter(record.meter, row)
    if opening is not None:
        state.oldest_ms = min(state.oldest_ms or at, at)
    bind(state, record, state.plan_row(record.assignments))
