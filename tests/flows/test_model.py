"""The machine against the model: any history, compared after each of its facts. `make simulate` runs as many as you like."""

import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from histories import Entries, Street, history
from model.orders import ORDERS
from model.street import Model
from streets import Banded, Empty, Housed, Interrupted, Rented, Switched, Watched

from domain.effects import Alarm, Effects
from domain.facts import Fact, Ticked
from domain.units import PICOS_PER_MICRO
from domain.words import Ledger, Reason, Supply
from flows.machine import fold
from flows.state import ShardState

LONGEST: dict[type[Street], int] = {
    Street: 24,
    Switched: 40,
    Watched: 40,
    Empty: 60,
    Interrupted: 40,
    Housed: 60,
    Rented: 40,
    Banded: 24,
}
"""Most happenings in a history of each kind of street …"""
IN_CI: dict[type[Street], int] = {
    Street: 600,
    Switched: 800,
    Watched: 600,
    Empty: 200,
    Interrupted: 200,
    Housed: 200,
    Rented: 200,
    Banded: 400,
}
"""… and how many histories are lived through where nobody says another number."""


@dataclass
class Pair:
    """The machine and the model, side by side."""

    state: ShardState = field(default_factory=lambda: ShardState(0))
    model: Model = field(default_factory=lambda: Model(ORDERS))
    posted: Counter[tuple[str, Ledger]] = field(default_factory=Counter)

    def take(self, entry: tuple[int, int], fact: Fact) -> dict[str, tuple[Any, Any]]:
        """Tell both a fact. Returns what they differ in: (machine, model)."""
        answered = len(self.model.books.answers)
        self.state, (effects,) = fold(self.state, [(entry, fact)])
        self._post(effects)
        said = self.model.take(entry, fact)
        outcomes = [(outcome.id, outcome.refusal) for outcome in effects.outcomes]
        both = {
            "alarms": (in_order(effects.alarms), in_order(said)),
            "outcomes": (outcomes, self.model.books.answers[answered:]),
            "balances": (self._balances(), self.model.books.balances),
            "ledger": (self._ledger(), {name: picos for name, picos in self.model.books.ledger.items() if picos}),
            "supplies": (self._supplies(), self._supplies_of_model()),
            "commands": (self._commands(), self._commands_of_model()),
        }
        return {name: (has, must) for name, (has, must) in both.items() if has != must}

    def _post(self, effects: Effects) -> None:
        for row in [] if effects.postings is None else effects.postings:
            account = self.state.account_ids[int(row.account)]
            self.posted[account, Ledger(int(row.debit))] -= int(row.amount) * PICOS_PER_MICRO
            self.posted[account, Ledger(int(row.credit))] += int(row.amount) * PICOS_PER_MICRO

    def _balances(self) -> dict[str, int]:
        rows = self.state.accounts.rows
        return {
            name: int(rows[row].balance) * PICOS_PER_MICRO + int(rows[row].balance_picos)
            for row, name in enumerate(self.state.account_ids)
        }

    def _ledger(self) -> dict[tuple[str, Ledger], int]:
        """What was posted, and what the meters have not yet posted."""
        sums, count = Counter(self.posted), self.state.meters.count
        for meter, terms in zip(self.state.meters.rows[:count], self.state.meter_terms.rows[:count], strict=True):
            account = self.state.account_ids[int(terms.account)]
            cost = int(meter.day_cost) * PICOS_PER_MICRO + int(meter.day_picos)
            free = int(meter.day_free) * PICOS_PER_MICRO + int(meter.day_free_picos)
            sums[account, Ledger(Ledger.REVENUE_ELECTRICITY + int(terms.commodity))] += cost
            sums[account, Ledger.ALLOWANCES] -= free
            sums[account, Ledger.CUSTOMER] += free - cost
        return {name: picos for name, picos in sums.items() if picos}

    def _supplies(self) -> dict[int, Any]:
        rows = self.state.meters.rows
        return {
            number: (
                Supply(int(rows[record.row].wanted)),
                Reason(int(rows[record.row].reason)),
                int(rows[record.row].seen),
            )
            for number, record in self.state.meter_records.sorted()
            if not record.removed_at
        }

    def _supplies_of_model(self) -> dict[int, Any]:
        """What is wanted by the whole state of now, whatever was looked at before."""
        meters = sorted(self.model.meters.items())
        return {number: (*self.model.wanted(meter), meter.seen) for number, meter in meters}

    def _commands(self) -> dict[int, Any]:
        return {
            number: (each.epoch, each.wanted, each.attempt, each.stage, each.expires_at, each.retry_at or None)
            for number, each in self.state.commands.sorted()
        }

    def _commands_of_model(self) -> dict[int, Any]:
        tried = [(number, meter.attempt) for number, meter in sorted(self.model.meters.items()) if meter.attempt]
        return {
            number: (each.epoch, each.wanted, each.number, each.stage, each.expires_at, each.retry_at)
            for number, each in tried
        }


def in_order(alarms: list[Alarm]) -> list[Alarm]:
    """Alarms by what they are about; those about the same thing stay in the order in which they were said."""
    plain = [msgspec.structs.replace(alarm, id="") for alarm in alarms]
    return sorted(
        plain, key=lambda alarm: (alarm.account, alarm.meter, alarm.meter and alarm.kind, alarm.meter and alarm.reason)
    )


def with_a_clock(entries: Entries) -> Entries:
    """The same history, begun by a tick: windows are judged by its time."""
    first, opening = entries[0]
    return [((first[0] - 1, 1), Ticked(at=opening.at)), *entries]


def disagreement(seed: int, street: type[Street]) -> str:
    """Where the two first differ in a history, in words; empty: nowhere."""
    pair, length = Pair(), random.Random(seed).randrange(LONGEST[street] + 1)
    for number, (entry, fact) in enumerate(with_a_clock(history(seed, length, street))):
        if found := pair.take(entry, fact):
            told = "\n".join(f"{name}:\n  machine {has}\n  model   {must}" for name, (has, must) in found.items())
            return f"history({seed}, {length}, {street.__name__}), fact {number}: {fact}\n{told}"
    return ""


@pytest.mark.timeout(0)
@pytest.mark.parametrize("street", LONGEST, ids=lambda street: street.__name__)
def test_the_machine_and_the_model_agree_after_every_fact(street, simulated, capsys):
    """Balances, ledger, answers, alarms, what is wanted and why, and commands: worked out twice, and the same at every step."""
    seed, count = simulated[0], simulated[1] or IN_CI[street]
    with capsys.disabled():
        sys.stdout.write(f"\n{count} histories of {street.__name__} from seed {seed} on ")
    for number in range(seed, seed + count):
        found = disagreement(number, street)
        assert not found, found
