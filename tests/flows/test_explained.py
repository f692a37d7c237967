"""Every charge of every account can be explained: worked out again from its readings, it is what the ledger has."""

import sys
from pathlib import Path

import pytest
from histories import Street, history
from streets import Banded, Housed, Rented

from domain.units import PICOS_PER_MICRO
from flows.audit.explained import AccountAudit
from flows.machine import fold
from flows.state import ShardState

sys.path.append(str(Path(__file__).parents[1] / "journeys"))
from language import live

JOURNEYS = sorted((Path(__file__).parents[1] / "journeys").glob("*.txt"))
HISTORIES = {Street: 80, Housed: 40, Rented: 40, Banded: 60}


def explained(state, entries, effects):
    """The audits of all accounts of a shard."""
    audits = []
    for name, record in state.account_records.sorted():
        audit = AccountAudit(state.shard, name, {*record.meters, *record.former})
        for (entry, fact), caused in zip(entries, effects, strict=True):
            audit.follow(entry, fact, caused, record.row)
        audits.append((name, audit))
    return audits


def wrong(state, entries, effects):
    """Whatever of any account does not come out: balances, days, what is carried from one to the next, what is not posted yet."""
    found = []
    for name, audit in explained(state, entries, effects):
        row = state.accounts.rows[state.account_records[name].row]
        if audit.balances[name] != int(row.balance) * PICOS_PER_MICRO + int(row.balance_picos):
            found.append((name, "balance"))
        found += [(name, day.meter, day.day) for day in audit.days if not (day.is_reproduced and adds_up(day))]
        for number, unposted in audit.unposted.items():
            meter = state.meters.rows[state.meter_records[number].row]
            cost = int(meter.day_cost) * PICOS_PER_MICRO + int(meter.day_picos)
            free = int(meter.day_free) * PICOS_PER_MICRO + int(meter.day_free_picos)
            if (unposted.cost, unposted.free) != (cost, free):
                found.append((name, number, "unposted"))
    return found


def adds_up(day):
    """What was carried and charged is what was posted and is carried on."""
    costs = day.carried.cost + day.cost_picos + day.rests - day.rounded.cost
    frees = day.carried.free + day.free_picos - day.rounded.free
    parts = [paid for each in day.charges for paid in each.charged.paid if paid.day == day.day]
    return (
        costs == day.posted_micros(is_free=False) * PICOS_PER_MICRO + day.carried_on.cost
        and frees == day.posted_micros(is_free=True) * PICOS_PER_MICRO + day.carried_on.free
        and sum(paid.charge.cost_picos for paid in parts) == day.cost_picos
        and sum(piece.usage for paid in parts for piece in paid.charge.pieces) == sum(paid.usage for paid in parts)
    )


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda path: path.stem)
def test_every_charge_of_a_journey_is_explained(journey):
    """Whatever happens to a household, each of its days comes out as it was posted, to the pico."""
    lived = list(live(journey.read_text(encoding="utf-8")))

    entries = [((number, 0), found.fact) for number, (_, found) in enumerate(lived, start=1)]

    assert wrong(lived[-1][1].state, entries, [found.effects for _, found in lived]) == []


@pytest.mark.parametrize("kind", HISTORIES)
def test_every_charge_of_any_history_is_explained(kind):
    """Outages, corrections, other tenants, meters and tariffs, free energy and money: nothing is charged that cannot be explained."""
    days = 0
    for seed in range(HISTORIES[kind]):
        entries = history(seed, 40, kind)
        state, effects = fold(ShardState(0), entries)
        assert wrong(state, entries, effects) == [], seed
        days += sum(len(audit.days) for _, audit in explained(state, entries, effects))

    assert days > HISTORIES[kind]
