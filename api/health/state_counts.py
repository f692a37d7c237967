"""What gauges say of a shard, counted from columns of its rows: everything by site, nothing by account or meter."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.rooms.selection import OFFLINE_MS
from connectors.redis.census import Counted
from domain.state import Rows
from domain.words import LEVEL_ALARM, QUARANTINED, SEVERITY, AccountState, AlarmKind, Commodity, Level, Reason, Supply
from tariffs.forecast import Means, expected_costs

HORIZON_DAYS = (1, 3, 7)
ONLINE = ("online", "offline", "never_read")
Counts = Counter[tuple[str, tuple[str, ...]]]
"""Numbers by a metric's name without `meterline_`, and its labels."""

Ints = NDArray[np.signedinteger[Any]]
Bits = NDArray[np.bool_]


def words_of(kinds: Any) -> dict[int, str]:
    """Words in small letters, by number."""
    return {int(kind): kind.name.lower() for kind in kinds}


_COMMODITIES, _SUPPLIES, _REASONS, _LEVELS = map(words_of, (Commodity, Supply, Reason, Level))


def zeros(sites: Iterable[str], currencies: Iterable[str]) -> Counts:
    """Everything that is to be said to be 0 where there is none, so that a graph falls to 0 instead of ending."""
    found: Counts = Counter()
    for site in sites:
        named: dict[str, list[tuple[str, ...]]] = {
            "meters": [(site, commodity, each) for commodity in _COMMODITIES.values() for each in ONLINE],
            "meters_seen": [(site, supply) for supply in _SUPPLIES.values()],
            "accounts": [(site, level) for level in _LEVELS.values()],
            "accounts_tripped": [(site,)],
            "accounts_running_down": [(site, str(days)) for days in HORIZON_DAYS],
            "credit_money": [(site, currency) for currency in currencies],
            "arrears_money": [(site, currency) for currency in currencies],
            "quarantine_cases_open": [(site, metering.name.lower()) for metering in QUARANTINED],
            "alarms_standing": [(site, kind, SEVERITY[kind]) for kind in AlarmKind],
        }
        found.update({(name, labels): 0 for name, each in named.items() for labels in each})
    return found


def counts_of(
    counted: Counted, sites: Sequence[str], currencies: Sequence[str], mean: Means | None, now: int
) -> Counts:
    """Everything that is counted of a shard at `now`, ms UTC of event time. `mean`: prices of its plans, by row; None: it has none."""
    found: Counts = Counter()
    if counted.cursor is None:
        return found
    shard = _Shard(counted, sites, currencies)
    for part in (shard.meters(now), shard.accounts(), shard.money(), shard.standing(), shard.commands()):
        found.update(dict(part))
    if mean is not None:
        found.update(dict(shard.running_down(mean)))
    return found


Said = Iterator[tuple[tuple[str, tuple[str, ...]], int]]


class _Shard:
    """Columns of one shard, as long as they are together: a meter or account that has come since its terms were read is left out."""

    def __init__(self, counted: Counted, sites: Sequence[str], currencies: Sequence[str]) -> None:
        rows = counted.rows
        self._counted, self._sites, self._currencies = counted, sites, currencies
        count = min(len(rows["meters"]), len(rows["meter_terms"]))
        there = (rows["meter_terms"]["removed"][:count] == 0) & (
            rows["meter_terms"]["account"][:count] < len(counted.site)
        )
        self._there = np.flatnonzero(there)
        self._meters, self._terms = rows["meters"][self._there], rows["meter_terms"][self._there]
        self._account = self._terms["account"].astype(np.int64)
        self._meter_site = counted.site[self._account]
        self._accounts, self._watches, self._counters = rows["accounts"], rows["watches"], rows["counters"]
        is_open = self._accounts["state"] == AccountState.OPEN
        self._open = np.flatnonzero(is_open)

    def _by(self, name: str, *columns: tuple[Ints, Any], weights: Ints | None = None) -> Said:
        """Sums by the values of some columns, each with the words of its values."""
        if len(columns[0][0]) == 0:
            return
        keys = np.stack([column.astype(np.int64) for column, _ in columns])
        unique, inverse = np.unique(keys, axis=1, return_inverse=True)
        if weights is None:
            sums = np.bincount(inverse.reshape(-1), minlength=unique.shape[1])
        else:
            sums = np.zeros(unique.shape[1], np.int64)
            np.add.at(sums, inverse.reshape(-1), weights)
        for at, values in enumerate(unique.T.tolist()):
            yield (name, tuple(words[value] for value, (_, words) in zip(values, columns, strict=True))), int(sums[at])

    def meters(self, now: int) -> Said:
        """Meters by state and supply."""
        allowed = np.zeros(len(self._counted.rows["meter_terms"]), np.int64)
        watched = self._watches["meter"] < len(allowed)
        allowed[self._watches["meter"][watched]] = self._watches["offline_ms"][watched]
        allowed = np.where(allowed == 0, OFFLINE_MS, allowed)[self._there]
        time = self._meters["time"]
        state = np.where(time < 0, 2, np.where(now - time <= allowed, 0, 1))
        site = (self._meter_site, self._sites)
        yield from self._by("meters", site, (self._terms["commodity"], _COMMODITIES), (state, ONLINE))
        yield from self._by(
            "meters_wanted", site, (self._meters["wanted"], _SUPPLIES), (self._meters["reason"], _REASONS)
        )
        yield from self._by("meters_seen", site, (self._meters["seen"], _SUPPLIES))

    def accounts(self) -> Said:
        """Accounts that are open, by level, and those that are tripped."""
        rows, site = self._accounts[self._open], self._counted.site[self._open]
        yield from self._by("accounts", (site, self._sites), (rows["level"], _LEVELS))
        yield from self._by("accounts_tripped", (site[rows["tripped"] == 1], self._sites))

    def money(self) -> Said:
        """Micros that are held, and owed."""
        balance = self._accounts["balance"]
        for name, is_one, amounts in (("credit_money", balance > 0, balance), ("arrears_money", balance < 0, -balance)):
            site, currency = self._counted.site[is_one], self._counted.currency[is_one]
            yield from self._by(name, (site, self._sites), (currency, self._currencies), weights=amounts[is_one])

    def standing(self) -> Said:
        """Alarms that stand of accounts and of meters."""
        rows = self._accounts
        for level, kind in LEVEL_ALARM.items():
            for (_, (site,)), count in self._by("", (self._counted.site[rows["level"] >= level], self._sites)):
                yield ("alarms_standing", (site, kind, SEVERITY[kind])), count
        found = Counter(
            ("alarms_standing", (self._site_of(each.meter), each.kind, SEVERITY[each.kind]))
            for standing in self._counted.standing.values()
            for each in standing
        )
        yield from found.items()
        cases = Counter(
            ("quarantine_cases_open", (self._site_of(case.meter), case.reason)) for case in self._counted.cases.values()
        )
        yield from cases.items()

    def commands(self) -> Said:
        """Commands that are not verified."""
        commands = self._counted.commands.values()
        yield from Counter(
            ("commands_open", (self._site_of(each.meter), each.wanted.name.lower(), str(each.stage)))
            for each in commands
        ).items()

    def _site_of(self, meter: int) -> str:
        """Where a meter is; empty for one that is nowhere."""
        numbers, order = self._numbers
        at = int(np.searchsorted(numbers, meter))
        return self._sites[int(self._meter_site[order[at]])] if at < len(numbers) and numbers[at] == meter else ""

    @cached_property
    def _numbers(self) -> tuple[Ints, Ints]:
        """Numbers of meters, ascending, and where each is among the rows."""
        order = np.argsort(self._terms["number"])
        return self._terms["number"][order], order

    def running_down(self, mean: Means) -> Said:
        """Accounts not yet tripped whose money is gone within so many days."""
        rows, terms = self._accounts, self._counted.rows["account_terms"]
        count = min(len(rows), len(terms))
        daily = np.where(self._meters["daily_usage"] > 0, self._meters["daily_usage"], self._meters["day_usage"])
        is_priced = self._terms["plan"] < len(mean.period)
        meters, plans = np.flatnonzero(is_priced), self._terms["plan"][is_priced].astype(np.int64)
        used = _used(self._counters, self._terms[meters], mean.period[plans])
        costs = expected_costs(mean, HORIZON_DAYS, plans, np.maximum(daily[meters], 0), used)
        spendable = rows["balance"][:count] - (terms["arrears"][:count] - terms["overdraft"][:count])
        is_supplied = (
            (rows["state"][:count] == AccountState.OPEN)
            & (rows["tripped"][:count] == 0)
            & (rows["settled"][:count] == 1)
        )
        for days, cost in zip(HORIZON_DAYS, costs, strict=True):
            charged = np.zeros(len(rows), np.int64)
            np.add.at(charged, self._account[meters], cost)
            gone = np.flatnonzero(
                is_supplied & ((charged[:count] >= spendable) & (charged[:count] > 0) | (spendable <= 0))
            )
            for (name, (site,)), number in self._by("accounts_running_down", (self._counted.site[gone], self._sites)):
                yield (name, (site, str(days))), number


def _used(counters: Rows, terms: Rows, period: Ints) -> Ints:
    """What the tier counters of meters have in a period, Wh or litres: a counter is two periods of so many rows."""
    found = np.zeros(len(terms), np.int64)
    for row in (terms["counter"].astype(np.int64), terms["counter"].astype(np.int64) + terms["brackets"]):
        is_kept = (row >= 0) & (row < len(counters))
        kept = counters[np.where(is_kept, row, 0)] if len(counters) else np.zeros(len(terms), counters.dtype)
        found = np.where(is_kept & (kept["period"] == period), kept["used"], found)
    return found
