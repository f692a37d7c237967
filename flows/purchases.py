"""Purchases: a meter that can be sold energy counts how often that was done, and here nobody does it.

Money is kept by us and not by the meter, so no purchase is written to a meter, and its purchase counter must stand still. Where it moves,
somebody has sold energy past the books. What it showed first is what is expected, until a person accepts another count. Nothing is
charged or switched by this.
"""

import msgspec

from domain.effects import Effects
from domain.facts import PurchasesCounted
from domain.state import PurchaseCount
from domain.words import AlarmKind
from flows.state import ShardState
from flows.watching import clear_alarm, raise_alarm


def count_purchases(state: ShardState, fact: PurchasesCounted, effects: Effects) -> None:
    """Hold what a meter's purchase counter shows against what is expected. A meter that is not there is not looked at."""
    if state.installed(fact.meter) is None:
        return
    first = PurchaseCount(meter=fact.meter, counted=fact.count, accepted=fact.count)
    before = state.purchase_counts.get(fact.meter)
    judge_purchases(state, msgspec.structs.replace(before or first, counted=fact.count), fact.at, effects)


def judge_purchases(state: ShardState, purchases: PurchaseCount, at: int, effects: Effects) -> None:
    """Keep what is shown and expected of a meter; the alarm stands while the two differ."""
    if purchases == state.purchase_counts.get(purchases.meter):
        return
    state.purchase_counts.put(purchases.meter, purchases)
    kind, said_at = AlarmKind.PURCHASE_COUNT_MISMATCH, max(at, state.header.now)
    if purchases.counted == purchases.accepted:
        clear_alarm(state, purchases.meter, kind, said_at, effects)
    else:
        reason = f"{purchases.counted} ≠ {purchases.accepted}"
        raise_alarm(state, purchases.meter, kind, reason, said_at, effects)


def forget_purchases(state: ShardState, meter: int, at: int, effects: Effects) -> None:
    """The meter is gone: what its counter shows is nobody's concern, and what another one shows first is a new beginning."""
    state.purchase_counts.drop(meter)
    clear_alarm(state, meter, AlarmKind.PURCHASE_COUNT_MISMATCH, at, effects)
