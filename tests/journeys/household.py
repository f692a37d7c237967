"""A household: its accounts and meters, the machine that looks after them, and what a journey's words mean in it."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from domain.facts import Fact
from flows.machine import fold
from flows.state import ShardState

sys.path.append(str(Path(__file__).parents[1] / "flows"))
from expectations import Found
from histories import order_text
from times import JourneyError, instant

TARIFFS = Path(__file__).parent / "tariffs"


@dataclass
class Household:
    """Lives through facts. The first account and the first meter are meant where a line names none."""

    zone: ZoneInfo
    state: ShardState = field(default_factory=lambda: ShardState(0))
    entries: int = 0
    orders: dict[str, str] = field(default_factory=dict)
    readings: dict[int, int] = field(default_factory=dict)

    def live(
        self, at: int, fact: Callable[["Household", int, Mapping[str, str]], Fact], words: Mapping[str, str]
    ) -> Found:
        """Tell the machine one fact, and say what it did."""
        before = self.balances()
        self.entries += 1
        told = fact(self, at, words)
        self.state, (effects,) = fold(self.state, [((self.entries, 0), told)])
        return Found(told, self.state, effects, before, self.balances())

    def balances(self) -> list[tuple[int, int]]:
        """Micros and picos of all accounts."""
        return [(int(row.balance), int(row.balance_picos)) for row in self.state.accounts.rows]

    def order(self, at: int, name: str | None) -> str:
        """The id of an order that is named in the journey, made when it was first named; or a new one."""
        name = name or f"#{self.entries}"
        return self.orders.setdefault(name, order_text(at, self.entries))

    def account(self, words: Mapping[str, str]) -> str:
        """The account of a line."""
        if "account" in words:
            return words["account"]
        if not self.state.account_ids:
            raise JourneyError("no account yet: expected `opens ACCOUNT` before")
        return self.state.account_ids[0]

    def meter(self, words: Mapping[str, str]) -> int:
        """The meter of a line."""
        if "meter" in words:
            return int(words["meter"])
        if not self.state.meters.count:
            raise JourneyError("no meter yet: expected `installs METER at REGISTER tariff NAME` before")
        return int(self.state.meter_terms.rows[0].number)

    def tariff(self, name: str) -> str:
        """The text of a tariff file beside the journeys."""
        path = TARIFFS / f"{name}.toml"
        if not path.exists():
            known = ", ".join(sorted(each.stem for each in TARIFFS.glob("*.toml")))
            raise JourneyError(f"no tariff {name!r}: expected one of {known}")
        return path.read_text(encoding="utf-8")

    def instant(self, at: int, text: str) -> int:
        """The ms UTC of `09:00` on the day of `at`, or of `2025-12-07 09:00`."""
        day, _, clock = text.rpartition(" ") if text[4] == "-" else ("", "", text)
        if clock == "second":
            day, _, clock = day.rpartition(" ")
            clock += " second"
        local = datetime.fromtimestamp(at // 1000, UTC).astimezone(self.zone).date()
        return instant(clock, date.fromisoformat(day) if day else local, self.zone)
