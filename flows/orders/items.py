"""Charge items by order: set, changed, ended."""

from datetime import timedelta

from domain.effects import Effects
from domain.facts import ChargeItemEnded, ChargeItemSet
from domain.state import ChargeItem
from domain.units import DAY_MS, ORDER_MAX_MICROS
from domain.words import Period, Refusal
from flows.items import BACKWARDS_MAX_DAYS, charge_and_judge, due_by, enter_item, first_day, item_key, planned
from flows.orders.answers import Answer
from flows.orders.money import is_closed
from flows.readings.metering import LATEST_MS
from flows.state import ShardState
from tariffs.periods import EPOCH
from tariffs.zones import zone

AREA_MAX = 10**9


def set_item(state: ShardState, fact: ChargeItemSet, _effects: Effects) -> Answer:
    """Let an account pay a fee. One that it has, or had, goes on by the new terms: what has been charged is not charged again."""
    record = state.account_records.get(fact.account)
    if record is None:
        return Refusal.UNKNOWN_ACCOUNT
    if mistake := _mistake(fact, max(state.header.now, fact.at)):
        return Refusal.TERMS_INVALID, mistake
    if is_closed(state, record):
        return Refusal.ACCOUNT_CLOSED
    key = item_key(fact.account, fact.item)
    charged = state.charged_items.get(key)
    if fact.period is Period.ONCE and charged and fact.starts < charged.until:
        earliest = EPOCH + timedelta(days=charged.until)
        return Refusal.TERMS_INVALID, f"expected starts from {earliest} on: a fee of this name is charged up to then"
    day = first_day(state, key, record, fact.starts, fact.zone)
    item = ChargeItem(
        account=fact.account,
        item=fact.item,
        kind=fact.kind,
        amount_micros=fact.amount_micros,
        period=fact.period,
        starts=fact.starts,
        zone=fact.zone,
        ends=fact.ends,
        area=fact.area,
        partial=fact.partial,
        title=fact.title,
        id=fact.id,
        day=day,
        due_at=0,
    )
    enter_item(state, key, planned(item, day))
    return None


def _mistake(fact: ChargeItemSet, now: int) -> str:
    try:
        zone(fact.zone)
    except ValueError as error:
        return f"expected zone to be {error}"
    rules = {
        "item to have a name of 1 to 64 characters": 0 < len(fact.item) <= 64,
        "0 < amount <= 10^9": 0 < fact.amount_micros <= ORDER_MAX_MICROS,
        "0 <= area <= 10^6 m²": 0 <= fact.area <= AREA_MAX,
        "amount × area to be at most 10^9": fact.amount_micros * fact.area <= 1000 * ORDER_MAX_MICROS,
        f"starts at most {BACKWARDS_MAX_DAYS} days back": fact.starts * DAY_MS >= now - BACKWARDS_MAX_DAYS * DAY_MS,
        "starts before 2100": fact.starts * DAY_MS < LATEST_MS,
        "ends not before starts": fact.ends < 0 or fact.ends >= fact.starts,
    }
    return "; ".join(f"expected {rule}" for rule, holds in rules.items() if not holds)


def end_item(state: ShardState, fact: ChargeItemEnded, effects: Effects) -> Answer:
    """Let a fee fall due no more. What has fallen due by then is taken."""
    if fact.account not in state.account_records:
        return Refusal.UNKNOWN_ACCOUNT
    key = item_key(fact.account, fact.item)
    if key not in state.items:
        return Refusal.UNKNOWN_ITEM
    now = max(state.header.now, fact.at)
    for _, item in due_by(state, fact.account, now, fact.item):
        charge_and_judge(state, key, item, now, effects)
    state.items.drop(key)
    return None
