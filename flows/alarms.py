"""Balance alarms: three levels, each raised once when it is reached, repeated a stated number of times, cleared once.

The level rules run in the compiled kernel, at the reading that crosses; the events are made into alarms by the machine.
"""

from domain.effects import Alarm
from domain.state import AccountRecord
from domain.words import LEVEL_ALARM, AlarmState, Level
from flows.compiled import Row, compiled

ARREARS = int(Level.ARREARS)
LOW = int(Level.LOW)
PRETRIP = int(Level.PRETRIP)


@compiled
def amount_of(level: int, terms: Row) -> int:
    """The balance at or below which a level is reached, in micros."""
    if level == LOW:
        return terms.low
    return terms.pretrip if level == PRETRIP else terms.arrears


@compiled
def level_after(account: Row, terms: Row) -> int:
    """The deepest level that is reached, or not yet left by more than the hysteresis."""
    level = account.level
    while level < ARREARS and account.balance <= amount_of(level + 1, terms):
        level += 1
    while level > 0 and account.balance > amount_of(level, terms) + terms.hysteresis:
        level -= 1
    return level


@compiled
def tripped_after(account: Row, terms: Row) -> int:
    """1 from arrears until the balance is at least the reconnect amount."""
    if account.balance <= terms.arrears:
        return 1
    return 0 if account.balance >= terms.reconnect else account.tripped


@compiled
def judge(account: Row, terms: Row, at: int) -> bool:
    """Bring level and trip up to the balance. Returns whether either changed."""
    level, tripped = level_after(account, terms), tripped_after(account, terms)
    changed = level != account.level or tripped != account.tripped or account.settled == 0
    account.settled = 1
    account.tripped = tripped
    if level != account.level:
        account.level = level
        account.repeats = 0
        account.alarmed_at = at
    return changed


@compiled
def repeat_is_due(account: Row, terms: Row, now: int) -> bool:
    """Whether the standing level is to be said again."""
    return account.level > 0 and account.repeats < terms.repeat_max and now - account.alarmed_at >= terms.repeat_ms


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
    threshold = {Level.LOW: terms.low, Level.PRETRIP: terms.pretrip, Level.ARREARS: terms.arrears}[level]
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
