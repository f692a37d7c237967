"""Main meters: at the end of each local day, what went through one against what its sub-meters have counted.

Sub-meters count in any shard, and a shard sees no other. So the machine only asks: a record says which days are to be counted. The second stage
(`flows/counting.py`) adds up the closed usage of all shards and answers with a `SubMetersCounted`, which is compared here.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.effects import Alarm, Effects
from domain.facts import SubMetersCounted
from domain.state import Comparison, DayEnd, MainMeter
from domain.units import quantity_text
from domain.words import UNITS, AlarmKind, AlarmState, Commodity
from flows.items import at_midnight
from flows.state import ShardState
from tariffs.periods import zone_at


def end_days(state: ShardState, now: int, today: NDArray[np.int32], effects: Effects) -> None:
    """Ask what was used, of every main meter whose day has ended by `now` (ms UTC). `today`: local day number of each plan's zone."""
    for number, main in state.main_meters.sorted():
        plan = int(state.meter_terms.rows[state.meter_records[number].row].plan)
        day = int(today[plan])
        if main.day < 0:
            state.main_meters.put(number, msgspec.structs.replace(main, day=day))
        elif day > main.day:
            midnight = DayEnd(at=at_midnight(day, zone_at(state.plans[plan], now)), entry=effects.entry[0])
            state.main_meters.put(number, msgspec.structs.replace(main, day=day, ends=midnight, asked=True))


def compare_main(state: ShardState, fact: SubMetersCounted, effects: Effects) -> None:
    """Judge what was counted, if it is what is asked for: an answer that comes again, or too late, changes nothing."""
    main = state.main_meters.get(fact.meter)
    if main is None or not main.asked or _asked_for(main) != (fact.subs, fact.begins, fact.ends):
        return
    main = msgspec.structs.replace(main, asked=False, waits_for=fact.waits_for)
    if not fact.waits_for:
        at = max(fact.at, state.header.now)
        if not fact.subs_now:
            end_main(state, main, at, effects)
            return
        if main.begins:
            main = _judged(state, main, fact, at, effects)
        main = msgspec.structs.replace(main, subs=fact.subs_now, begins=main.ends)
    state.main_meters.put(fact.meter, main)


def _asked_for(main: MainMeter) -> tuple[tuple[int, ...], int, int]:
    return main.subs, main.begins.at if main.begins else 0, main.ends.at if main.ends else 0


def _judged(state: ShardState, main: MainMeter, fact: SubMetersCounted, at: int, effects: Effects) -> MainMeter:
    loss = fact.used - fact.counted
    is_lost = loss > main.loss_min and loss * 1000 > fact.used * main.loss_max_permille
    reason = _reason(state, main, fact.used, fact.counted) if is_lost else main.reason
    if is_lost != main.raised:
        _say(state, main, AlarmState.RAISED if is_lost else AlarmState.CLEARED, reason, at, effects)
    last = Comparison(begins=fact.begins, ends=fact.ends, used=fact.used, counted=fact.counted)
    return msgspec.structs.replace(main, last=last, raised=is_lost, reason=reason if is_lost else "")


def _reason(state: ShardState, main: MainMeter, used: int, counted: int) -> str:
    """`100.000 − 90.000 = 10.000 kWh, 10.0 %`."""
    unit = UNITS[Commodity(state.meter_records[main.meter].commodity)]
    loss = used - counted
    share = f", {loss * 1000 // used // 10}.{loss * 1000 // used % 10} %" if used > 0 else ""
    return f"{quantity_text(used)} − {quantity_text(counted)} = {quantity_text(loss)} {unit}{share}"


def _say(state: ShardState, main: MainMeter, said: AlarmState, reason: str, at: int, effects: Effects) -> None:
    account = state.meter_records[main.meter].account
    effects.alarms.append(
        Alarm(id="", kind=AlarmKind.LINE_LOSS, state=said, at=at, account=account, meter=main.meter, reason=reason)
    )


def end_main(state: ShardState, main: MainMeter, at: int, effects: Effects) -> None:
    """Compare a main meter with nothing any more; its alarm is cleared."""
    state.main_meters.drop(main.meter)
    if main.raised:
        _say(state, main, AlarmState.CLEARED, main.reason, at, effects)


def name_subs(main: MainMeter, subs: tuple[int, ...]) -> MainMeter:
    """The main meter with these sub-meters. Where they are others, the next whole day is the first that is compared."""
    if subs == main.subs:
        return main
    return msgspec.structs.replace(main, subs=subs, begins=None, ends=None, asked=False, waits_for=())


def succeed_main(state: ShardState, gone: int, successor: int, at: int, effects: Effects) -> None:
    """Let a main meter's successor be compared in its place, or nothing (0). The comparison begins anew.

    An alarm is cleared under the number under which it was raised. A sub-meter's successor is found by the second stage.
    """
    main = state.main_meters.get(gone)
    if main is None:
        return
    end_main(state, main, at, effects)
    if successor:
        limits = msgspec.structs.replace(main, meter=successor, subs=(), raised=False, reason="", last=None)
        state.main_meters.put(successor, name_subs(limits, main.subs))
