"""Tallies: what a shard's commits have counted, kept in the store beside its state, for gauges.

They are added up by the commit that they belong to, so they count each entry once through kills and restarts. They decide nothing, and are
no part of the state: a fold of the log does not need them, and a tally that cannot be added to never keeps a commit.

Fields and what they count: `entries`; `debit LEDGER CURRENCY` and `credit …` micros; `alarm KIND STATE SITE`; `command SUPPLY STAGE`; `trip EDGE`
trips for arrears that took up to so many seconds and more than the edge before, and `trip_ms` how long they all took.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domain.effects import Alarm, Command, Effects
from domain.metrics import TRIPS
from domain.state import AccountRecord
from domain.words import Ledger, Stage

EDGES = (*TRIPS.split(), "inf")
_EDGES_MS = [1_000 * int(edge) for edge in TRIPS.split()]


@dataclass(slots=True, eq=False)
class Tally:
    """What counting a shard's effects remembers, in memory only.

    `codes`: by account's row the place of its currency in `currencies`, -1: not asked for yet. `ordered`: trips under way, by meter: ms UTC
    at which they were first ordered; after a restart that of the attempt that was under way.
    """

    ordered: dict[int, int] = field(default_factory=dict)
    codes: NDArray[np.int16] = field(default_factory=lambda: np.full(0, -1, np.int16))
    currencies: list[str] = field(default_factory=list)

    def of(self, effects: Sequence[Effects], count: int, currency: Callable[[int], str]) -> Counter[str]:
        """What to add to a shard's tallies for these effects. `count`: how many accounts there are, and `currency` of each row."""
        found: Counter[str] = Counter(entries=len(effects))
        postings = [effect.postings for effect in effects if effect.postings is not None]
        if postings:
            self._count_postings(np.concatenate(postings), count, currency, found)
        for effect in effects:
            for alarm in effect.alarms:
                found[_of_alarm(alarm, effect.accounts)] += 1
            for command in effect.commands:
                found[f"command {command.wanted.name.lower()} {command.stage}"] += 1
                self._time_trip(command, found)
        return found

    def _count_postings(
        self, rows: NDArray[np.void], count: int, currency: Callable[[int], str], found: Counter[str]
    ) -> None:
        """Less than nothing from one to another is as much from the other to the one: what is counted only grows."""
        codes, is_back = self._codes_of(rows["account"].astype(np.int64), count, currency), rows["amount"] < 0
        for side, other in (("debit", "credit"), ("credit", "debit")):
            keys = codes.astype(np.int64) << 16 | np.where(is_back, rows[other], rows[side])
            for key in np.unique(keys).tolist():
                ledger = Ledger(key & 0xFFFF).name.lower()
                amounts = np.abs(rows["amount"][keys == key])
                found[f"{side} {ledger} {self.currencies[key >> 16]}"] += int(amounts.sum())

    def _codes_of(self, accounts: NDArray[np.int64], count: int, currency: Callable[[int], str]) -> NDArray[np.int16]:
        if count > len(self.codes):
            self.codes = np.concatenate([self.codes, np.full(count, -1, np.int16)])
        for row in np.unique(accounts[self.codes[accounts] < 0]).tolist():
            name = currency(row)
            if name not in self.currencies:
                self.currencies.append(name)
            self.codes[row] = self.currencies.index(name)
        found: NDArray[np.int16] = self.codes[accounts]
        return found

    def _time_trip(self, command: Command, found: Counter[str]) -> None:
        if not command.is_trip:
            return
        if command.stage == Stage.QUEUED:
            self.ordered.setdefault(command.meter, command.at)
        elif command.stage in {Stage.VERIFIED, Stage.WITHDRAWN}:
            took = max(0, command.at - self.ordered.pop(command.meter, command.at))
            if command.stage == Stage.VERIFIED:
                found[f"trip {EDGES[bisect_left(_EDGES_MS, took)]}"] += 1
                found["trip_ms"] += took


def _of_alarm(alarm: Alarm, accounts: Mapping[str, AccountRecord]) -> str:
    record = accounts.get(alarm.account)
    return f"alarm {alarm.kind} {alarm.state} {record.place.site if record else ''}"
