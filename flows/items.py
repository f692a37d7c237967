"""Charge items: fees that fall due by the calendar and are taken from the wallet by the tick that finds them due.

The first charge of an item is for the rest of its first period, later ones are for whole calendar periods. An amount is rounded half up to a
hundredth of the currency, once, when it is charged.
"""

from datetime import date, timedelta
from fractions import Fraction

import msgspec

from domain.effects import Effects
from domain.ids import order_id
from domain.state import ChargeItem
from domain.words import ITEM_REVENUE, Ledger, Period
from flows.ledger import post_order
from flows.readings.settling import charge
from flows.state import ShardState
from flows.wallet import judge_account
from tariffs.periods import EPOCH, midnight_ms
from tariffs.tariff import Rounding, RoundingMode

CENT_MICROS = 10_000
_CENTS = Rounding(Fraction(CENT_MICROS), RoundingMode.HALF_UP)
_MONTHS = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}


def item_key(account: str, item: str) -> str:
    """`room-201:rent`."""
    return f"{account}:{item}"


def calendar_period(period: Period, day: int) -> tuple[int, int]:
    """First local day number of the calendar month, quarter or year with `day` in it, and of the next one."""
    at, months = EPOCH + timedelta(days=day), _MONTHS[period]
    first = (at.year * 12 + at.month - 1) // months * months
    return _first_of(first), _first_of(first + months)


def _first_of(month: int) -> int:
    return (date(month // 12, month % 12 + 1, 1) - EPOCH).days


def amount_due(item: ChargeItem) -> int:
    """Micros of the charge that falls due on `item.day`: the whole amount, or its share by days where the item says so."""
    amount = Fraction(item.amount_micros) * (Fraction(item.area, 1000) if item.area else 1)
    if item.partial and item.period is not Period.ONCE:
        first, following = calendar_period(item.period, item.day)
        until = following if item.ends < 0 else min(following, item.ends + 1)
        amount *= Fraction(until - item.day, following - first)
    return int(_CENTS.of(amount))


def at_midnight(day: int, zone_name: str) -> int:
    """Ms UTC at which a local day number begins."""
    return midnight_ms(EPOCH + timedelta(days=day), zone_name)


def charge_due(state: ShardState, now: int, effects: Effects) -> None:
    """Charge every item that has fallen due by `now`, in order of time and then of name."""
    while state.due_items.is_due(now):
        at, key = state.due_items.take()
        item = state.items.get(key)
        if item is not None and item.due_at == at:
            _charge(state, key, item, now, effects)


def _charge(state: ShardState, key: str, item: ChargeItem, now: int, effects: Effects) -> None:
    amount, row = amount_due(item), state.account_records[item.account].row
    if amount > 0:
        charge(state.accounts.rows[row], amount, 0)
        sides = (Ledger.CUSTOMER, ITEM_REVENUE[item.kind])
        post_order(state, row, item.due_at, sides, amount, order_id(item.id), effects, day=item.day)
        judge_account(state, row, now, effects)
    if item.period is Period.ONCE:
        state.items.drop(key)
    else:
        plan_item(state, key, item, calendar_period(item.period, item.day)[1])


def plan_item(state: ShardState, key: str, item: ChargeItem, day: int) -> None:
    """Let the next charge of an item fall due on a local day, or end it where that is after its last."""
    if 0 <= item.ends < day:
        state.items.drop(key)
        return
    due_at = at_midnight(day, item.zone)
    state.items.put(key, msgspec.structs.replace(item, day=day, due_at=due_at))
    state.due_items.put(due_at, key)
