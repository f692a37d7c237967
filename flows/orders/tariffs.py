"""Plans: which tariff prices which meter, from when on, and which tier counter its usage is counted in.

A meter's assignments in order of time are its plan; meters with the same share a row of plans. All meters of an account and
commodity share a tier counter, unless their plans choose prices by the whole use of a period at different thresholds.
"""

from collections.abc import Iterable

import msgspec

from domain.documents import MistakesError
from domain.effects import Effects
from domain.facts import MeterInstalled, TariffAssigned, TariffPublished
from domain.state import Assignment, CounterRecord, MeterRecord, TariffRecord
from domain.units import MINUTE_MS
from domain.words import Refusal
from flows.orders.answers import Answer
from flows.readings.metering import LATEST_MS
from flows.state import ShardState
from tariffs.levels import thresholds
from tariffs.loader import is_self_contained, load_tariff
from tariffs.model import FLAT, REGISTERS
from tariffs.prepaid import obstacles

PERSONS_MAX = 1_000
CAPACITY_MAX_W = 10**12
PERIODS = 2
"""Tier periods that a counter remembers."""


def publish_tariff(state: ShardState, fact: TariffPublished, _effects: Effects) -> Answer:
    """Enter a tariff or its new state. What is already priced stays priced."""
    try:
        tariff = load_tariff(fact.document, fact.tariff)
        sealed = is_self_contained(fact.document)
    except MistakesError as error:
        return Refusal.TARIFF_INVALID, str(error)
    if tariff.id != fact.tariff:
        return Refusal.TARIFF_INVALID, f"the document is of tariff {tariff.id!r}"
    if not sealed:
        return Refusal.TARIFF_INVALID, "its holidays must be written out in [sealed_calendar]"
    if reasons := obstacles(tariff):
        return Refusal.TARIFF_INVALID, f"a wallet cannot be charged by it: {'; '.join(reasons)}"
    before = state.tariff_records.get(fact.tariff)
    row = before.row if before else len(state.tariffs)
    if before and state.tariffs[row].commodity != tariff.commodity:
        return Refusal.WRONG_COMMODITY
    if before and state.tariffs[row].currency != tariff.currency:
        return Refusal.WRONG_CURRENCY
    state.tariffs[row:] = [tariff, *state.tariffs[row + 1 :]]
    state.tariff_records.put(fact.tariff, TariffRecord(row=row, tariff=fact.tariff, document=fact.document))
    state.make_plans()
    _count_anew(state, fact.tariff)
    return None


def _count_anew(state: ShardState, tariff: str) -> None:
    """Give meters another counter where the new state of a tariff has other thresholds."""
    affected = {row for row, record in state.plan_records.sorted() if tariff in _tariffs(record.assignments)}
    for _, record in state.meter_records.sorted() if affected else ():
        plan = int(state.meter_terms.rows[record.row].plan)
        if plan in affected and not record.removed_at:
            bind(state, record, plan)


def _tariffs(assignments: Iterable[Assignment]) -> set[str]:
    return {each.tariff for each in assignments}


def premises_rules(fact: MeterInstalled | TariffAssigned) -> dict[str, bool]:
    """What must hold of persons and capacity, each in words."""
    return {
        f"1 <= persons <= {PERSONS_MAX}": 1 <= fact.persons <= PERSONS_MAX,
        "0 <= capacity_w <= 10^12": 0 <= fact.capacity_w <= CAPACITY_MAX_W,
    }


def assign_tariff(state: ShardState, fact: TariffAssigned, _effects: Effects) -> Answer:
    """Price a meter by another tariff from a time on. What is already priced stays priced."""
    record, tariff = state.installed(fact.meter), state.tariff_records.get(fact.tariff)
    if record is None:
        return Refusal.UNKNOWN_METER
    if tariff is None:
        return Refusal.UNKNOWN_TARIFF
    priced = state.tariffs[tariff.row]
    if priced.commodity != record.commodity:
        return Refusal.WRONG_COMMODITY
    if priced.currency != state.account_records[record.account].currency:
        return Refusal.WRONG_CURRENCY
    rules = {**premises_rules(fact), "a time after 1970 and before 2100": 0 < fact.starts_at <= LATEST_MS}
    if mistake := "; ".join(f"expected {rule}" for rule, holds in rules.items() if not holds):
        return Refusal.TERMS_INVALID, mistake
    starts_at = _whole_minute(max(fact.starts_at, int(state.meters.rows[record.row].time)))
    stage = Assignment(
        starts_at=starts_at,
        tariff=fact.tariff,
        persons=fact.persons,
        capacity_w=fact.capacity_w,
        restart=fact.restart,
    )
    others = [each for each in record.assigned if each.starts_at != starts_at]
    assigned = tuple(sorted([*others, stage], key=lambda each: each.starts_at))
    record = msgspec.structs.replace(record, assigned=assigned)
    state.meter_records.put(fact.meter, record)
    bind(state, record, state.plan_row(record.assignments))
    return None


def _whole_minute(at: int) -> int:
    """The next whole minute: prices change on none other."""
    return -(-at // MINUTE_MS) * MINUTE_MS


def bind(state: ShardState, record: MeterRecord, plan: int) -> None:
    """Let a meter be priced by a plan, and count its usage where the account counts for such plans.

    A counter of other thresholds begins with what the meter's counter has used; what that has cost stays as it is.
    """
    account = state.account_records[record.account]
    tops = thresholds(state.plans[plan])
    counter = next(
        (each for each in account.counters if (each.commodity, each.thresholds) == (record.commodity, tops)), None
    )
    terms = state.meter_terms.rows[record.row]
    if counter is None:
        counter = _new_counter(state, record, tops)
        if int(terms.brackets) > 0:
            _carry_over(state, int(terms.counter), int(terms.brackets), counter)
        counters = (*account.counters, counter)
        state.account_records.put(record.account, msgspec.structs.replace(account, counters=counters))
    terms.plan, terms.counter, terms.brackets = plan, counter.row, len(tops)
    if int(terms.bands) == 0 and any(stage.tariff.registers for stage in state.plans[plan]):
        terms.bands = 1 + _new_band_registers(state, record.row)
    state.meter_terms.dirty[record.row] = 1


def _new_band_registers(state: ShardState, meter: int) -> int:
    """A row for what is charged by the meter's own registers, which no reading has shown yet."""
    row = state.band_registers.append()
    bands = state.band_registers.rows[row]
    bands.time, bands.meter, bands.most = -1, meter, REGISTERS.index(FLAT)
    return row


def _new_counter(state: ShardState, record: MeterRecord, tops: tuple[int, ...]) -> CounterRecord:
    rows = [state.counters.append() for _ in range(PERIODS * len(tops))]
    for row in rows:
        state.counters.rows[row].period = -1
    return CounterRecord(row=rows[0], commodity=record.commodity, thresholds=tops)


def _carry_over(state: ShardState, first: int, brackets: int, counter: CounterRecord) -> None:
    """Take over what the counter that begins at row `first` has used in its periods."""
    rows, count = state.counters.rows, len(counter.thresholds)
    for period in range(PERIODS):
        before = rows[first + period * brackets]
        for row in range(counter.row + period * count, counter.row + (period + 1) * count):
            rows[row].period, rows[row].used = before.period, before.used
