"""Fees that fall due: what is taken when, and what is owed that nobody has taken yet."""

from collections.abc import Iterable, Iterator

from domain.words import Period
from flows.audit.book import Book
from flows.audit.months import begin_of, fee, next_period, paid_before

Name = tuple[str, str]
"""An account and what the fee is called."""


class Fees(Book):
    """Fees by account and name, each with the local day on which it falls due next."""

    def _charge_items(self, names: Iterable[Name], until: int) -> None:
        """Take these fees, as far as somebody owes them, in order of time and then of name."""
        mine = [*names]
        while due := [(begin, name) for name, begin in self._begins(mine) if begin <= until]:
            self._charge_item(min(due)[1])

    def _begins(self, names: list[Name]) -> Iterator[tuple[Name, int]]:
        for name in names:
            item, day = self._items.get(name, (None, 0))
            if item and item.account not in self._prepared:
                yield name, begin_of(day, item.zone)

    def _charge_item(self, name: tuple[str, str]) -> None:
        item, day = self._items[name]
        self.balances[item.account] -= fee(item, day)
        self._charged_before[name] = paid_before(item, day)
        if item.period == Period.ONCE:
            del self._items[name]
            return
        self._items[name] = item, next_period(item.period, day)
        self._forget_ended(name)

    def _forget_ended(self, name: tuple[str, str]) -> None:
        item, day = self._items[name]
        if 0 <= item.ends < day:
            del self._items[name]

    def _fees_of(self, account: str) -> list[Name]:
        return [name for name in self._items if name[0] == account and account not in self._prepared]

    def _owed(self, account: str, until: int) -> int:
        """Picos of all fees of an account that are due and not taken."""
        total = 0
        for item, first in (self._items[name] for name in self._fees_of(account)):
            day = first
            while begin_of(day, item.zone) <= until and not 0 <= item.ends < day:
                total += fee(item, day)
                if item.period == Period.ONCE:
                    break
                day = next_period(item.period, day)
        return total
