"""Levels: how low a balance is, and whether it has cut the supply. Written from docs/machine/money.md and decision 7."""

from dataclasses import dataclass

from domain.effects import Alarm
from domain.facts import AlarmTerms
from domain.words import LEVEL_ALARM, AlarmState, Level


@dataclass
class Standing:
    """Of one account: nothing until it is judged, which its first movement of money does."""

    account: str
    level: int = 0
    repeats: int = 0
    said_at: int = 0
    tripped: bool = False
    judged: bool = False


def amounts(terms: AlarmTerms) -> dict[int, int]:
    """The amount at or below which each level is reached."""
    return {
        Level.LOW: terms.low,
        Level.PRETRIP: terms.pretrip,
        Level.ARREARS: terms.arrears,
        Level.LIMIT: terms.arrears - terms.overdraft,
    }


def judge(standing: Standing, terms: AlarmTerms, balance: int, at: int) -> tuple[list[Alarm], bool]:
    """What is said of a balance, and whether anything of the account has changed."""
    amount, before = amounts(terms), (standing.level, standing.tripped, standing.judged)
    possible = [level for level in amount if level != Level.LIMIT or terms.overdraft > 0]
    reached = max([level for level in possible if balance <= amount[level]], default=0)
    alarms = [
        say(standing.account, terms, level, AlarmState.RAISED, balance, at)
        for level in range(standing.level + 1, reached + 1)
    ]
    level = max(standing.level, reached)
    while level and balance > amount[level] + terms.hysteresis:
        alarms.append(say(standing.account, terms, level, AlarmState.CLEARED, balance, at))
        level -= 1
    if level != standing.level:
        standing.level, standing.repeats, standing.said_at = level, 0, at
    if balance >= terms.reconnect:
        standing.tripped = False
    if balance <= terms.arrears - terms.overdraft:
        standing.tripped = True
    standing.judged = True
    return alarms, (standing.level, standing.tripped, standing.judged) != before


def repeat(standing: Standing, terms: AlarmTerms, balance: int, now: int) -> list[Alarm]:
    """The standing level said again, where its time has come and it was not said often enough."""
    if not standing.level or standing.repeats >= terms.repeat_max or now < standing.said_at + terms.repeat_ms:
        return []
    standing.repeats, standing.said_at = standing.repeats + 1, now
    return [say(standing.account, terms, standing.level, AlarmState.REPEATED, balance, now, standing.repeats)]


def say(account: str, terms: AlarmTerms, level: int, state: AlarmState, balance: int, at: int, count: int = 0) -> Alarm:
    """One event of a level's alarm."""
    kind, threshold = LEVEL_ALARM[Level(level)], amounts(terms)[level]
    return Alarm(
        id="", kind=kind, state=state, at=at, account=account, balance=balance, threshold=threshold, repeat=count
    )
