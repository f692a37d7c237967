"""Levels: how low a balance is, judged in the compiled loop at the reading that crosses.

A level is reached at or below its amount and left above its amount plus the hysteresis; the supply is off from
arrears, less the overdraft, until the balance is at least the reconnect amount. What follows is decided by the machine (`flows/alarms.py`).
"""

from domain.words import Level
from flows.readings.compiled import Row, compiled

ARREARS = int(Level.ARREARS)
LIMIT = int(Level.LIMIT)
LOW = int(Level.LOW)
PRETRIP = int(Level.PRETRIP)


@compiled
def amount_of(level: int, terms: Row) -> int:
    """The balance at or below which a level is reached, in micros."""
    if level == LOW:
        return terms.low
    if level == PRETRIP:
        return terms.pretrip
    return terms.arrears if level == ARREARS else terms.arrears - terms.overdraft


@compiled
def level_after(account: Row, terms: Row) -> int:
    """The deepest level that is reached, or not yet left by more than the hysteresis."""
    level = account.level
    deepest = LIMIT if terms.overdraft > 0 else ARREARS
    while level < deepest and account.balance <= amount_of(level + 1, terms):
        level += 1
    while level > 0 and account.balance > amount_of(level, terms) + terms.hysteresis:
        level -= 1
    return level


@compiled
def tripped_after(account: Row, terms: Row) -> int:
    """1 from arrears, and the whole overdraft, until the balance is at least the reconnect amount."""
    if account.balance <= terms.arrears - terms.overdraft:
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
