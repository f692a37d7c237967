"""Purchase counts by order: a person has found out why one is another than expected."""

import msgspec

from domain.effects import Effects
from domain.facts import PurchasesAccepted
from domain.words import Refusal
from flows.orders.answers import Answer, said
from flows.purchases import judge_purchases
from flows.state import ShardState


def accept_purchases(state: ShardState, fact: PurchasesAccepted, effects: Effects) -> Answer:
    """Expect from now on what the meter shows. It must be what the person says, so that a purchase of today is not let pass with one of yesterday."""
    record, known = state.installed(fact.meter), state.purchase_counts.get(fact.meter)
    if record is None:
        return Refusal.UNKNOWN_METER
    if not fact.note.strip():
        return Refusal.NOTE_MISSING
    if known is None:
        return Refusal.DECISION_NOT_POSSIBLE, "the meter has shown no purchase count"
    if known.counted != fact.count:
        return Refusal.DECISION_NOT_POSSIBLE, f"the meter shows {known.counted}, not {fact.count}"
    judge_purchases(state, msgspec.structs.replace(known, accepted=fact.count), fact.at, effects)
    return said(state, fact, record.account, 0, f"purchase count {fact.count}, before {known.accepted}")
