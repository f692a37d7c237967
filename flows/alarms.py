"""Balance alarms: low, pre-trip, arrears and the overdraft's limit, each raised once when it is reached, repeated a stated number of times, cleared once.

The level rules run in the compiled kernel (`flows/readings/levels.py`); here its events are made into alarms.
"""

from domain.effects import Alarm
from domain.state import AccountRecord
from domain.words import LEVEL_ALARM, AlarmState, Level


def level_alarms(record: AccountRecord, before: int, after: int, balance: int, at: int) -> list[Alarm]:
    """One alarm per level crossed, in the order of crossing. Ids are given by the machine."""
    raised = [(Level(level), AlarmState.RAISED) for level in range(before + 1, after + 1)]
    cleared = [(Level(level), AlarmState.CLEARED) for level in range(before, after, -1)]
    return [_alarm(record, level, state, balance, at, 0) for level, state in raised + cleared]


def repeat_alarm(record: AccountRecord, level: int, balance: int, at: int, repeat: int) -> Alarm:
    """The standing level, said again for the `repeat`-th time."""
    return _alarm(record, Level(level), AlarmState.REPEATED, balance, at, repeat)


def _alarm(record: AccountRecord, level: Level, state: AlarmState, balance: int, at: int, repeat: int) -> Alarm:
    terms = record.alarms
    threshold = {
        Level.LOW: terms.low,
        Level.PRETRIP: terms.pretrip,
        Level.ARREARS: terms.arrears,
        Level.LIMIT: terms.arrears - terms.overdraft,
    }[level]
    return Alarm(
        id="",
        kind=LEVEL_ALARM[level],
        state=state,
        at=at,
        account=record.account,
        balance=balance,
        threshold=threshold,
        repeat=repeat,
    )
