"""Charge items: fees that fall due by the calendar and are taken from the wallet by the tick that finds them due.

The first charge of an item is for the rest of its first period, later ones are for whole calendar periods. An amount is rounded half up to a
hundredth of the currency, once, when it is charged.

Fees of a prepared account wait until somebody has it: its opening lets them fall due from that day on.

Whoever ends a fee or a tenancy comes after what has fallen due by then, also where no tick has seen it yet.

How far a fee has been charged is remembered by its name, also when it has ended, so that no day is charged twice.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction

import msgspec

from domain.effects import Effects
from domain.ids import order_id
from domain.state import AccountRecord, ChargedItem, ChargeItem
from domain.units import DAY_MS
from domain.words import ITEM_REVENUE, AccountState, Ledger, Period
from flows.ledger import post_order
from flows.readings.settling import charge
from flows.state import ShardState
from flows.wallet import judge_account
from tariffs.hours import local_day
from tariffs.periods import EPOCH, midnight_ms
from tariffs.tariff import Rounding, RoundingMode

BACKWARDS_MAX_DAYS = 366
"""How far back an item may begin."""
CENT_MICROS = 10_000
_CENTS = Rounding(Fraction(CENT_MICROS), RoundingMode.HALF_UP)
_MONTHS = {Period.MONTH: 1, Period.QUARTER: 3, Period.YEAR: 12}


def item_key(account: str, item: str) -> str:
    """`room-201:rent`. No two fees have one key: `domain.ids.account_id` lets no colon into the id of an account, at any door."""
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
        amount *= Fraction(charged_until(item) - item.day, following - first)
    return int(_CENTS.of(amount))


def charged_until(item: ChargeItem) -> int:
    """The first local day number after those that the charge on `item.day` is for."""
    if item.period is Period.ONCE:
        return item.day + 1
    following = calendar_period(item.period, item.day)[1]
    return min(following, item.ends + 1) if item.partial and item.ends >= 0 else following


def at_midnight(day: int, zone_name: str) -> int:
    """Ms UTC at which a local day number begins."""
    return midnight_ms(EPOCH + timedelta(days=day), zone_name)


def planned(item: ChargeItem, day: int) -> ChargeItem | None:
    """An item whose next charge falls due on a local day; None where that is after its last."""
    if 0 <= item.ends < day:
        return None
    return msgspec.structs.replace(item, day=day, due_at=at_midnight(day, item.zone))


def following(item: ChargeItem) -> ChargeItem | None:
    """An item after the charge that it is planned for; None where that was its last."""
    return None if item.period is Period.ONCE else planned(item, calendar_period(item.period, item.day)[1])


def due_by(state: ShardState, account: str, until: int, named: str = "") -> list[tuple[str, ChargeItem]]:
    """What of an account's fees, or of the one that is named, falls due by `until` and has not been charged, in order of time and then of name.

    Each charge is the item as it is planned for it. Nothing falls due while nobody has the account.
    """
    if _is_prepared(state, account):
        return []
    mine = [(key, item) for key, item in state.items.sorted() if item.account == account and named in {"", item.item}]
    due = [(key, charge) for key, item in mine for charge in _charges(item, until)]
    return sorted(due, key=lambda charge: (charge[1].due_at, charge[0]))


def _charges(item: ChargeItem, until: int) -> Iterator[ChargeItem]:
    planned_for: ChargeItem | None = item
    while planned_for and planned_for.due_at <= until:
        yield planned_for
        planned_for = following(planned_for)


def charge_due(state: ShardState, now: int, effects: Effects) -> None:
    """Charge every item of an open account that has fallen due by `now`, in order of time and then of name."""
    while state.due_items.is_due(now):
        at, key = state.due_items.take()
        item = state.items.get(key)
        if item is not None and item.due_at == at and not _is_prepared(state, item.account):
            charge_and_judge(state, key, item, now, effects)


def charge_and_judge(state: ShardState, key: str, item: ChargeItem, now: int, effects: Effects) -> None:
    """Take what an item is planned for, and look at the balance that it leaves."""
    if charge_item(state, key, item, effects):
        judge_account(state, state.account_records[item.account].row, now, effects)


def _is_prepared(state: ShardState, account: str) -> bool:
    row = state.account_records[account].row
    return bool(state.accounts.rows[row].state == AccountState.PREPARED)


def charge_item(state: ShardState, key: str, item: ChargeItem, effects: Effects) -> bool:
    """Take what an item is planned for from the wallet, and plan its next charge. Returns whether the balance has changed, and is to be judged."""
    amount, row = amount_due(item), state.account_records[item.account].row
    if amount > 0:
        charge(state.accounts.rows[row], amount, 0)
        state.accounts.dirty[row] = 1
        sides = (Ledger.CUSTOMER, ITEM_REVENUE[item.kind])
        post_order(state, row, item.due_at, sides, amount, order_id(item.id), effects, day=item.day)
    state.charged_items.put(key, ChargedItem(account=item.account, item=item.item, until=charged_until(item)))
    enter_item(state, key, following(item))
    return amount > 0


def enter_item(state: ShardState, key: str, item: ChargeItem | None) -> None:
    """Let an item fall due as it is planned; None: it has ended."""
    if item is None:
        state.items.drop(key)
        return
    state.items.put(key, item)
    state.due_items.put(item.due_at, key)


def first_day(state: ShardState, key: str, record: AccountRecord, starts: int, zone: str) -> int:
    """The local day on which an item that is to begin on `starts` can: after what was charged, and not before the present tenant."""
    charged = state.charged_items.get(key)
    tenancy = local_day(record.pays_since, zone) if record.pays_since else starts
    return max(starts, tenancy, charged.until if charged else starts)


def begin_items(state: ShardState, record: AccountRecord) -> None:
    """Let the fees of a new tenant fall due no earlier than on the tenant's first day. One that ended before is gone."""
    for key, item in state.items.sorted():
        if item.account == record.account:
            enter_item(state, key, planned(item, max(item.day, local_day(record.pays_since, item.zone))))


def drop_items(state: ShardState, account: str) -> None:
    """End the fees of an account, and forget what was charged: a later tenant has not paid it."""
    for key, item in state.items.sorted():
        if item.account == account:
            state.items.drop(key)
    for key, charged in state.charged_items.sorted():
        if charged.account == account:
            state.charged_items.drop(key)


def forget_charged(state: ShardState, now: int) -> None:
    """Forget what was charged so long ago that no item may begin before its end."""
    for key, charged in state.charged_items.sorted():
        if (charged.until + BACKWARDS_MAX_DAYS) * DAY_MS <= now:
            state.charged_items.drop(key)
