"""The month of a room: energy by commodity and band beside the month before and the same month of the year before, and its money from balance to balance.

Balances are the ledger's: what it has now, less what was posted after the month. So opening balance and the month's postings are the closing balance, to the micro; what the
open day has used and the ledger not yet is in no balance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.archive.joined import Joined
from domain.state import AccountRecord
from domain.words import Commodity
from reports.days import By, month_days, period_text
from reports.ledger import Income, booked, income_of
from reports.registers import Registers, registers
from reports.state import Shard, ask_shard
from reports.tenures import tenures
from reports.usage import Span, Used, used

_HUNDREDTHS = 10_000


@dataclass(frozen=True, slots=True)
class Energy:
    """What a room has used of a commodity in a month, in the month before, and in the same month of the year before; None: nothing is known of it."""

    commodity: Commodity
    now: Used
    month_before: Used | None
    year_before: Used | None


@dataclass(frozen=True, slots=True)
class RoomMonth:
    """A room's month. Balances in micros, by the ledger. `is_open`: the month is not over, or not all of it is posted."""

    record: AccountRecord
    energy: list[Energy]
    income: Income
    opening: int
    closing: int
    registers: list[Registers]
    is_open: bool


def change_percent(now: int, before: int) -> int | None:
    """By how many hundredths of a percent `now` is more than `before`, rounded half away from zero; None where there is nothing to compare with."""
    if before <= 0:
        return None
    size, sign = abs(now - before), 1 if now >= before else -1
    return sign * ((2 * size * _HUNDREDTHS + before) // (2 * before))


async def room_months(
    joined: Joined,
    shard: int,
    accounts: Sequence[AccountRecord],
    zones: Mapping[str, str],
    documents: Mapping[str, str],
    month: int,
) -> list[RoomMonth]:
    """The month (12 * year + month - 1) of some accounts of a shard, in their order. Raises FiguresError, ArchiveError and StoreError."""
    days = month_days(month)
    rows, answers = await booked(joined, shard, accounts, zones, days, ask_shard(shard), until_now=True)
    state = Shard.of(answers)
    owned = [
        each for account in accounts for each in tenures(state.account_records[account.account], state.meter_records)
    ]
    spans = [Span("day", *month_days(each)) for each in (month, month - 1, month - 12) if each >= 12 * 1970]
    series = await used(joined, shard, owned, documents, spans, By.MONTH)
    names = [
        period_text(By.MONTH, month_days(each)[0]) if each >= 12 * 1970 else ""
        for each in (month, month - 1, month - 12)
    ]
    showed = await registers(joined, shard, owned, zones, month)
    commodities: dict[str, set[Commodity]] = {}
    for tenure in owned:
        commodities.setdefault(tenure.account, set()).add(tenure.record.commodity)
    found = []
    for record in accounts:
        mine = [row for row in rows if row.account == record.account]
        energy = []
        for commodity in sorted(commodities.get(record.account, ())):
            now, *before = (series.get((record.account, commodity), {}).get(name) for name in names)
            energy.append(Energy(commodity, now or Used(), *before))
        closing = state.on_ledger(record) - sum(row.given for row in mine if row.day > days[1])
        income = income_of(row for row in mine if row.day <= days[1])
        is_open = any(each.now.is_open for each in energy)
        found.append(
            RoomMonth(record, energy, income, closing - income.change, closing, showed.get(record.account, []), is_open)
        )
    return found
