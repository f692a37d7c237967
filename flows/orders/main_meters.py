"""Main meters by order: which sub-meters hang behind one, and how much may be lost between."""

import msgspec

from domain.effects import Effects
from domain.facts import MainMeterSet
from domain.ids import METER_NUMBER_MAX
from domain.state import MainMeter
from domain.words import Refusal
from flows.main_meters import end_main, name_subs
from flows.orders.answers import Answer
from flows.state import ShardState

SUBS_MAX = 1_000
LOSS_MIN_MAX = 10**15


def set_main_meter(state: ShardState, fact: MainMeterSet, effects: Effects) -> Answer:
    """Compare a meter with its sub-meters from the next local day on, or by other limits, or (no sub-meters) no more.

    Sub-meters count in any shard: whether there is one of each number is seen when they are counted.
    """
    if state.installed(fact.meter) is None:
        return Refusal.UNKNOWN_METER
    if mistake := _mistake(fact):
        return Refusal.TERMS_INVALID, mistake
    before = state.main_meters.get(fact.meter)
    if not fact.subs:
        if before:
            end_main(state, before, max(fact.at, state.header.now), effects)
        return None
    main = before or MainMeter(meter=fact.meter, subs=(), loss_max_permille=0, loss_min=0)
    main = msgspec.structs.replace(main, loss_max_permille=fact.loss_max_permille, loss_min=fact.loss_min)
    state.main_meters.put(fact.meter, name_subs(main, tuple(sorted(fact.subs))))
    return None


def _mistake(fact: MainMeterSet) -> str:
    rules = {
        f"at most {SUBS_MAX} sub-meters, each once": len(fact.subs) <= SUBS_MAX
        and len(set(fact.subs)) == len(fact.subs),
        "meter numbers of 1 to 12 digits": all(0 < number <= METER_NUMBER_MAX for number in fact.subs),
        "a main meter that is none of its sub-meters": fact.meter not in fact.subs,
        "0 <= loss_max_permille <= 1000": 0 <= fact.loss_max_permille <= 1000,
        "0 <= loss_min <= 10^15": 0 <= fact.loss_min <= LOSS_MIN_MAX,
    }
    return "; ".join(f"expected {rule}" for rule, holds in rules.items() if not holds)
