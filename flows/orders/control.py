"""Control by order: a person forces a meter's supply for a time, or gives it back."""

from domain.effects import Effects
from domain.facts import ControlOrdered
from domain.state import Forced
from domain.words import Refusal, Supply
from flows.orders.answers import Answer
from flows.state import ShardState
from flows.supply.commands import reconcile


def order_control(state: ShardState, fact: ControlOrdered, effects: Effects) -> Answer:
    """Force a meter's supply for a time, or give it back to automatic."""
    record = state.installed(fact.meter)
    if record is None:
        return Refusal.UNKNOWN_METER
    if not record.switchable:
        return Refusal.METER_HAS_NO_SWITCH
    if fact.wanted == Supply.UNKNOWN:
        state.forced.drop(fact.meter)
    elif fact.until <= max(state.header.now, fact.at):
        return Refusal.ALREADY_EXPIRED
    else:
        forced = Forced(
            meter=fact.meter, wanted=fact.wanted, until=fact.until, operator=fact.operator, note=fact.note, id=fact.id
        )
        state.forced.put(fact.meter, forced)
    reconcile(state, record.row, fact.at, effects)
    return None
