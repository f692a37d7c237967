"""Main meters: at the end of each local day, what went through one against what its sub-meters have counted.

Registers are cumulative, so a day on whose end some meter has not been heard is judged together with the next one. A meter that counts in another
shard cannot be a sub-meter.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.effects import Alarm, Effects
from domain.state import MainMeter
from domain.units import quantity_text
from domain.words import UNITS, AlarmKind, AlarmState, Commodity
from flows.readings.windows import LATENESS_MS
from flows.state import ShardState


def compare_mains(state: ShardState, now: int, today: NDArray[np.int32], effects: Effects) -> None:
    """Judge every main meter whose day has ended by `now` (ms UTC). `today`: local day number of each plan's zone."""
    for number, main in state.main_meters.sorted():
        day = int(today[state.meter_terms.rows[state.meter_records[number].row].plan])
        if day > main.day:
            state.main_meters.put(number, _next_day(state, main, day, now, effects))


def _next_day(state: ShardState, main: MainMeter, day: int, now: int, effects: Effects) -> MainMeter:
    rows = [state.meters.rows[state.meter_records[number].row] for number in (main.meter, *main.subs)]
    is_heard = all(int(row.time) >= now - LATENESS_MS for row in rows)
    if main.day < 0 or not is_heard:
        return msgspec.structs.replace(main, day=day)
    totals = tuple(int(row.total) for row in rows)
    if main.totals:
        used, *parts = (after - before for before, after in zip(main.totals, totals, strict=True))
        main = _judged(state, main, used, sum(parts), now, effects)
    return msgspec.structs.replace(main, day=day, totals=totals)


def _judged(state: ShardState, main: MainMeter, used: int, counted: int, now: int, effects: Effects) -> MainMeter:
    loss = used - counted
    is_lost = loss > main.loss_min and loss * 1000 > used * main.loss_max_permille
    reason = _reason(state, main, used, counted) if is_lost else main.reason
    if is_lost != main.raised:
        _say(state, main, AlarmState.RAISED if is_lost else AlarmState.CLEARED, reason, now, effects)
    return msgspec.structs.replace(main, raised=is_lost, reason=reason if is_lost else "")


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


def change_meter(state: ShardState, gone: int, successor: int, at: int, effects: Effects) -> None:
    """Put a meter's successor in its place wherever it is a main meter or a sub-meter, or leave it out (0). The comparison begins anew."""
    for number, main in state.main_meters.sorted():
        if gone not in {main.meter, *main.subs}:
            continue
        named = (each if each != gone else successor for each in (main.meter, *main.subs))
        meter, *subs = named
        subs = [each for each in subs if each]
        if meter != number or not subs:
            end_main(state, main, at, effects)  # An alarm is cleared under the number under which it was raised.
        if meter and subs:
            changed = MainMeter(
                meter=meter,
                subs=tuple(sorted(subs)),
                loss_max_permille=main.loss_max_permille,
                loss_min=main.loss_min,
                raised=main.raised and meter == number,
                reason=main.reason if meter == number else "",
            )
            state.main_meters.put(meter, changed)
