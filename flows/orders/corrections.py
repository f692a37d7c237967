"""Corrections: usage that was charged wrongly is charged on top or given back, by a posting of its own that names the order.

What was charged stays as it is. A correction is spread over the time it is for and priced there, by the tariffs of that time and from
the top of the tier counter that is kept for it.
"""

import numpy as np

from domain.effects import POSTING, Effects
from domain.facts import ReadingCorrected
from domain.ids import order_id
from domain.state import METER, MeterRecord
from domain.units import DAY_MS, PICOS_PER_MICRO, USAGE_MAX
from domain.words import REVENUE, AllowanceKind, Ledger, Refusal
from flows.ledger import append_postings
from flows.orders.answers import Answer, said
from flows.orders.decisions import REGISTER_END, count_usage, is_beyond, room_for, write
from flows.orders.money import is_closed
from flows.readings.decided import can_take_back, correct_interval
from flows.readings.pricing import prices_of, segments_between
from flows.state import ShardState
from flows.wallet import judge_account

CORRECTED_BACK_MS = 3 * 366 * DAY_MS
"""How long before a meter's last reading usage can still be corrected."""


def correct_reading(state: ShardState, fact: ReadingCorrected, effects: Effects) -> Answer:
    """Charge usage on top or give it back, and put the believed register right."""
    record = state.installed(fact.meter)
    if record is None:
        return Refusal.UNKNOWN_METER
    if mistake := _mistake(fact, record, int(state.meters.rows[record.row].time)):
        return Refusal.TERMS_INVALID, mistake
    if fact.usage_delta and is_closed(state, state.account_records[record.account]):
        return Refusal.ACCOUNT_CLOSED
    if not fact.note.strip():
        return Refusal.NOTE_MISSING
    if is_beyond(state, record):
        return Refusal.AMOUNT_TOO_LARGE
    if fact.usage_delta and fact.from_ms < state.account_records[record.account].pays_since:
        return Refusal.DECISION_NOT_POSSIBLE, (
            "the tenant of that time, if there was one, has gone with a settled balance, and another one's is not touched for it"
        )
    if fact.usage_delta and _may_be_free(state, record, fact.from_ms):
        return Refusal.DECISION_NOT_POSSIBLE, (
            "the account has an allowance or had one then, and nobody can tell what of this was free: put the money right by an adjustment"
        )
    if fact.usage_delta < 0 and not _is_counted(state, record, fact):
        return Refusal.CORRECTION_TOO_LARGE, "more than is counted in its tier period, or the period is no longer kept"
    account = int(state.meter_terms.rows[record.row].account)
    before = int(state.accounts.rows[account].balance)
    if fact.usage_delta:
        _charge(state, record, fact, effects)
    if fact.register is not None:
        state.meters.rows[record.row].register = fact.register
    state.meters.dirty[record.row] = 1
    charged = before - int(state.accounts.rows[account].balance)
    return said(state, fact, record.account, charged, f"usage {fact.usage_delta}")


def _mistake(fact: ReadingCorrected, record: MeterRecord, last: int) -> str:
    within = last - CORRECTED_BACK_MS <= fact.from_ms < fact.until_ms <= last and fact.from_ms > 0
    rules = {
        "a usage_delta or a register": fact.usage_delta != 0 or fact.register is not None,
        "a meter that has been read": last >= 0,
        "from_ms < until_ms, both in the three years before the meter's last reading": within or fact.usage_delta == 0,
        "-10^9 <= usage_delta <= 10^9": abs(fact.usage_delta) <= USAGE_MAX,
        "a register below the modulus": 0 <= (fact.register or 0) < (record.modulus or REGISTER_END),
    }
    return "; ".join(f"expected {rule}" for rule, holds in rules.items() if not holds)


def _may_be_free(state: ShardState, record: MeterRecord, since: int) -> bool:
    """Whether usage of this meter from `since` on (ms UTC) can have been free: by the allowance that stands, or one that has ended."""
    account = state.account_records[record.account]
    standing = int(state.account_terms.rows[account.row].allowance_kind)
    kinds = AllowanceKind.MONEY, AllowanceKind.ELECTRICITY + record.commodity
    return standing in kinds or any(since < account.free_until[kind] for kind in kinds)


def _is_counted(state: ShardState, record: MeterRecord, fact: ReadingCorrected) -> bool:
    terms = state.meter_terms.rows[record.row]
    span = fact.from_ms, fact.until_ms
    prices = prices_of(state.covering(*span))
    segments = segments_between(int(terms.plan), *span, prices)
    return bool(can_take_back(terms, state.counters.rows, segments, *span, -fact.usage_delta, prices))


def _charge(state: ShardState, record: MeterRecord, fact: ReadingCorrected, effects: Effects) -> None:
    """Price the correction, post its whole micros at once, and let the rest go on with the meter's next day."""
    meter, terms = state.meters.rows[record.row], state.meter_terms.rows[record.row]
    account, span = int(terms.account), (fact.from_ms, fact.until_ms)
    prices = prices_of(state.covering(*span))
    segments = segments_between(int(terms.plan), *span, prices)
    sums, output = np.zeros(1, METER)[0], room_for(segments)
    sums.window_start, sums.day = -1, -1
    rows = sums, terms, state.accounts.rows[account], state.counters.rows
    correct_interval(*rows, segments, *span, fact.usage_delta, prices, output)
    write(state, output, effects)
    _post(state, record, fact, int(sums.day_cost), int(sums.day), effects)
    meter.day_picos += sums.day_picos
    if meter.day_picos >= PICOS_PER_MICRO:
        meter.day_picos -= PICOS_PER_MICRO
        meter.day_cost += 1
    meter.closed_usage += fact.usage_delta
    count_usage(state, record, fact.usage_delta)
    judge_account(state, account, fact.at, effects)


def _post(
    state: ShardState, record: MeterRecord, fact: ReadingCorrected, micros: int, day: int, effects: Effects
) -> None:
    """One posting of the correction's whole micros, on the last local day that it is for; none where they are 0."""
    if micros == 0:
        return
    order, revenue = order_id(fact.id), REVENUE[record.commodity]
    rows = np.zeros(1, POSTING)
    row = rows[0]
    row.sequence, row.at = state.header.posting_sequence + 1, fact.at
    row.account = state.account_records[record.account].row
    row.debit, row.credit = (Ledger.CUSTOMER, revenue) if micros > 0 else (revenue, Ledger.CUSTOMER)
    row.amount, row.meter, row.day = abs(micros), fact.meter, day
    row.order_high, row.order_low = int.from_bytes(order[:8], "big"), int.from_bytes(order[8:], "big")
    append_postings(state, rows, effects)
