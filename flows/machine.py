"""The machine: `fold(state, entries) -> (state, effects)`. What Meterline does, without clock, I/O, chance or floats.

Readings go through the compiled kernel; every other fact goes through the table `RULES`. A fact without a rule cannot be
written (`domain.facts.RECORDS` is the same list, and a test compares them). Time is what facts say; `Ticked` moves it.
"""

from collections.abc import Callable, Iterable
from functools import partial
from operator import add
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.effects import POSTING, USAGE, Effects
from domain.facts import (
    AccountActivated,
    AccountClosed,
    AccountOpened,
    AccountTransferred,
    AccountUpdated,
    AdjustmentOrdered,
    AllowanceSet,
    ChargeItemEnded,
    ChargeItemSet,
    CommandReported,
    ControlOrdered,
    ControlTermsSet,
    Fact,
    LoadReleased,
    MainMeterSet,
    MeterInstalled,
    MeterRemoved,
    MeterReplaced,
    MeterWatchSet,
    PolicySet,
    ProtectionOrdered,
    PurchasesAccepted,
    PurchasesCounted,
    QuarantineDecided,
    ReadingBlock,
    ReadingCorrected,
    ReadingRefused,
    RechargeOrdered,
    Record,
    RefundOrdered,
    ReversalOrdered,
    SiteSet,
    SubMetersCounted,
    TariffAssigned,
    TariffPublished,
    Ticked,
)
from domain.ids import EntryId, entry_text
from flows.alarms import repeat_alarm
from flows.clocks import time_by_log, watch_clocks
from flows.items import charge_due
from flows.ledger import append_postings, seal
from flows.main_meters import compare_main, end_days
from flows.orders.accounts import activate_account, open_account, update_account
from flows.orders.allowances import set_allowance
from flows.orders.answers import decide_order, prune
from flows.orders.closing import close_account, transfer_account
from flows.orders.control import order_control, protect, release_load, set_control_terms
from flows.orders.corrections import correct_reading
from flows.orders.decisions import decide_case
from flows.orders.items import end_item, set_item
from flows.orders.main_meters import set_main_meter
from flows.orders.meters import install_meter
from flows.orders.money import adjust, recharge, refund, reverse
from flows.orders.policies import set_policy
from flows.orders.purchases import accept_purchases
from flows.orders.removal import remove_meter, replace_meter
from flows.orders.sites import set_site
from flows.orders.tariffs import assign_tariff, publish_tariff
from flows.orders.watch import set_watch
from flows.purchases import count_purchases
from flows.quarantine import hold_reading, hold_refused, release
from flows.readings.bands import FIVE
from flows.readings.decided import compile_decided
from flows.readings.kernel import Columns, Tables, fold_readings, repeats_due
from flows.readings.metering import FUTURE_MS, LATEST_MS, believable_span
from flows.readings.output import (
    EVENT,
    HELD,
    LEVEL,
    LOAD,
    RELEASED,
    SEEN,
    STEP,
    USED,
    Output,
    emptied,
    enlarged,
    taken,
)
from flows.readings.pricing import days_at, prices_of
from flows.readings.windows import LATENESS_MS, close_overdue
from flows.state import ShardState
from flows.supply import commands, load
from flows.wallet import announce_level
from flows.watching import repeat_alarms, watch
from tariffs.periods import minute_of_day, zone_at


def _column(values: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """A read-only view, empty for a column that a block does not have: one type for the kernel, wherever it came from."""
    if values is None:
        return NO_VALUES
    if not values.flags.writeable:
        return values
    column = values.view()
    column.flags.writeable = False
    return column


NO_VALUES = _column(np.empty(0, np.int64))
NO_BANDS = _column(np.empty((0, FIVE), np.int64))


ORDERS: dict[type[Record], Callable[[ShardState, Any, Effects], Any]] = {
    SiteSet: set_site,
    PolicySet: set_policy,
    TariffPublished: publish_tariff,
    AccountOpened: open_account,
    AccountActivated: activate_account,
    AccountUpdated: update_account,
    AccountTransferred: transfer_account,
    AccountClosed: close_account,
    MeterInstalled: install_meter,
    TariffAssigned: assign_tariff,
    RechargeOrdered: recharge,
    RefundOrdered: refund,
    AdjustmentOrdered: adjust,
    ReversalOrdered: reverse,
    AllowanceSet: set_allowance,
    ChargeItemSet: set_item,
    ChargeItemEnded: end_item,
    MeterWatchSet: set_watch,
    MainMeterSet: set_main_meter,
    PurchasesAccepted: accept_purchases,
    ControlOrdered: order_control,
    QuarantineDecided: decide_case,
    ReadingCorrected: correct_reading,
    ControlTermsSet: set_control_terms,
    ProtectionOrdered: protect,
    LoadReleased: release_load,
}


def fold(state: ShardState, entries: Iterable[tuple[EntryId, Fact]]) -> tuple[ShardState, list[Effects]]:
    """Fold log entries, in log order, into the state, and return it with the effects of each entry that had any.

    The state handed in is used up: its rows are changed in place. Any cut of a log into calls gives the same state and the
    same effects, byte for byte.
    """
    folded = []
    for entry, fact in entries:
        assert entry > state.position, "a log is folded once, in order"
        effects = Effects(entry)
        decide(state, fact, effects)
        seal(state, effects)
        state.position = entry
        folded.append(_named(state, effects))
    return state, folded


def decide(state: ShardState, fact: Fact, effects: Effects) -> None:
    """What one fact does."""
    RULES[type(fact)](state, fact, effects)


def _named(state: ShardState, effects: Effects) -> Effects:
    """Give each alarm an id that is the same whenever the log is folded, and note the accounts that alarms are about."""
    if not effects.alarms:
        return effects
    where = f"{state.shard:02d}-{entry_text(effects.entry)}"
    effects.alarms = [
        msgspec.structs.replace(alarm, id=f"{where}-{number}") for number, alarm in enumerate(effects.alarms)
    ]
    named = {alarm.account for alarm in effects.alarms if alarm.account in state.account_records}
    effects.accounts = {account: state.account_records[account] for account in named}
    return effects


def read(state: ShardState, block: ReadingBlock, effects: Effects) -> None:
    """Fold a block of readings through the kernel, then act on what it noted, in order."""
    readings = len(block)
    if readings == 0:
        return
    now = time_by_log(state, effects.entry)
    given = tuple(_columns(block)), tuple(_tables(state)), tuple(prices_of(state.covering(*_span(state, block, now))))
    classes, output, folded = np.zeros(readings, np.uint8), emptied(state.output), 0
    while folded < readings:
        buffers = tuple(output)
        folded = fold_readings(*given, buffers, classes, now, state.header.posting_sequence, folded)
        if folded < readings:
            output = state.output = enlarged(output)
    usage, postings, held, noted = output.used.tolist()
    effects.classes = classes
    effects.usage = taken(output.usage, usage) if usage else None
    if postings:
        append_postings(state, taken(output.postings, postings), effects)
    _count(state, output)
    effects.quarantined = taken(output.held, held) if held else None
    for event in output.events[:noted] if noted else ():
        _heed(state, event, effects)
    watch_clocks(state, block, classes, effects)


def _columns(block: ReadingBlock) -> Columns:
    return Columns(
        _column(block.meter),
        _column(block.time),
        _column(block.register),
        _column(block.power),
        _column(block.status),
        NO_BANDS if block.bands is None else _column(np.ascontiguousarray(block.bands)),
    )


def _tables(state: ShardState) -> Tables:
    return Tables(
        state.slots,
        state.meters.rows,
        state.meter_terms.rows,
        state.accounts.rows,
        state.account_terms.rows,
        state.counters.rows,
        state.meters.words,
        state.accounts.words,
        state.meters.dirty,
        state.accounts.dirty,
        state.counters.dirty,
        state.scratch.meter,
        state.scratch.account,
        state.band_registers.rows,
        state.band_registers.words,
        state.band_registers.dirty,
        state.scratch.bands,
    )


def _span(state: ShardState, block: ReadingBlock, now: int) -> tuple[int, int]:
    """Times that the timeline must cover for a block: from the oldest last reading to the latest believable one."""
    latest = now + FUTURE_MS if now else LATEST_MS
    first, last = map(int, believable_span(_column(block.time), latest))
    if last == 0:
        return state.oldest_ms, state.oldest_ms + 1
    state.oldest_ms = min(state.oldest_ms or LATEST_MS, first)
    return state.oldest_ms, last


def _count(state: ShardState, output: Output) -> None:
    header = state.header
    state.header = msgspec.structs.replace(
        header,
        classes=tuple(map(add, header.classes, output.counted.tolist())),
        usage=tuple(map(add, header.usage, output.totals.tolist())),
    )


OF_LOAD = {LOAD: load.note_power, STEP: load.note_step}


def _heed(state: ShardState, event: Any, effects: Effects) -> None:
    """Act on something that the kernel noted."""
    row, at = int(event.row), int(event.at)
    if event.kind == LEVEL:
        announce_level(state, row, int(event.before), int(event.after), int(event.balance), at, effects)
    elif event.kind == HELD:
        assert effects.quarantined is not None
        hold_reading(state, effects.quarantined[row], effects)
    elif event.kind == SEEN:
        commands.reconcile(state, row, max(at, state.header.now), effects)
    elif event.kind in OF_LOAD:
        if OF_LOAD[event.kind](state, row, int(event.balance), at, effects):
            commands.reconcile(state, row, max(at, state.header.now), effects)
    elif event.kind == USED:
        load.note_use(state, row, int(event.balance), at, effects)
    else:
        assert event.kind == RELEASED
        release(state, row, at, effects)


def tick(state: ShardState, fact: Ticked, effects: Effects) -> None:
    """Let a minute pass: close windows and days, repeat alarms, charge what is due, end wishes, expire and retry commands."""
    now = max(state.header.now, fact.at)
    state.header = msgspec.structs.replace(state.header, now=now, ticked=effects.entry[0])
    if state.meters.count:
        usage, postings = close_overdue(
            state.meters.rows,
            state.meter_terms.rows,
            state.meters.dirty,
            now,
            _local_days(state, now - LATENESS_MS),
            state.header.posting_sequence,
        )
        effects.usage = usage.view(USAGE) if len(usage) else None
        append_postings(state, postings.view(POSTING), effects)
    repeats = repeats_due(state.accounts.rows, state.account_terms.rows, state.accounts.dirty, now)
    for event in repeats.view(EVENT) if len(repeats) else ():
        record = state.account_record(int(event.row))
        effects.alarms.append(repeat_alarm(record, int(event.before), int(event.balance), now, int(event.after)))
    charge_due(state, now, effects)
    if now > 0 and (state.watches.count or len(state.main_meters)):
        today = _local_days(state, now)
        watch(state, now, today, _local_minutes(state, now), effects)
        end_days(state, now, today, effects)
    repeat_alarms(state, now, effects)
    commands.tick(state, now, effects)
    prune(state, now)


def _local_days(state: ShardState, at: int) -> NDArray[np.int32]:
    """The local day number of each plan's zone at `at`, ms UTC."""
    if at <= 0:
        return np.full(len(state.plans), -1, np.int32)
    return days_at(at, tuple(prices_of(state.covering(min(state.oldest_ms or at, at), at))))


def _local_minutes(state: ShardState, now: int) -> NDArray[np.int32]:
    """The local minute of the day of each plan's zone at `now`, ms UTC."""
    return np.array([minute_of_day(now, zone_at(plan, now)) for plan in state.plans], np.int32)


def _order_rule(rule: Callable[[ShardState, Any, Effects], Any]) -> Callable[[ShardState, Any, Effects], None]:
    return lambda state, fact, effects: decide_order(state, fact, rule, effects)


ORDERS |= {MeterRemoved: partial(remove_meter, read), MeterReplaced: partial(replace_meter, read)}
"""A meter goes with a last reading."""


RULES: dict[type[Any], Callable[[ShardState, Any, Effects], None]] = {
    ReadingBlock: read,
    Ticked: tick,
    CommandReported: commands.report,
    ReadingRefused: hold_refused,
    SubMetersCounted: compare_main,
    PurchasesCounted: count_purchases,
    **{kind: _order_rule(rule) for kind, rule in ORDERS.items()},
}


def warm_up() -> None:
    """Have the kernel compiled, or loaded from an earlier compilation, before anything waits for it."""
    column = np.array([1], np.int64)
    state, _ = fold(ShardState(0), [((1, 0), ReadingBlock(column, column, column)), ((2, 0), Ticked(at=1))])
    close_overdue(
        state.meters.rows,
        state.meter_terms.rows,
        state.meters.dirty,
        1,
        np.empty(0, np.int32),
        0,
    )
    _local_days(state, 1)
    compile_decided()
    state.take_changes()
