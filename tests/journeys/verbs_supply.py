"""Verbs of supply: what persons want of a relay or valve, by which terms it is controlled, and what became of commands."""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from forms import Tells, Verb, Words, duration, minute, pairs
from household import Household
from times import JourneyError

from domain.facts import (
    CommandReported,
    ControlOrdered,
    ControlTerms,
    ControlTermsSet,
    Fact,
    LoadReleased,
    ProtectionOrdered,
    ScheduledSupply,
    StepRange,
    Window,
)
from domain.words import Stage, Supply

_SUPPLY = {"open": Supply.OFF, "closed": Supply.ON}
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAYS = {"holiday": 1 << 7, "every": 0b111_1111, **{day: 1 << number for number, day in enumerate(_WEEK)}}
_EPOCH = date(1970, 1, 1)


def _days(text: str) -> int:
    first, _, last = text.partition("-")
    if text in _DAYS:
        return _DAYS[text]
    if first in _WEEK and last in _WEEK[_WEEK.index(first) :]:
        return sum(_DAYS[day] for day in _WEEK[_WEEK.index(first) : _WEEK.index(last) + 1])
    raise JourneyError(f"expected days such as {', '.join(_DAYS)} or mon-fri")


def _hours(text: str) -> dict[str, int]:
    """`mon-fri/22:00-06:00` as the parts of a window."""
    match = re.fullmatch(r"([a-z-]+)/(\d+:\d\d)-(\d+:\d\d)", text)
    if match is None:
        raise JourneyError("expected days and hours such as mon-fri/22:00-06:00")
    return {"days": _days(match[1]), "from_minute": minute(match[2]), "until_minute": minute(match[3])}


def _scheduled(text: str) -> ScheduledSupply:
    relay, _, hours = text.partition("/")
    if relay not in _SUPPLY:
        raise JourneyError("expected what is scheduled, such as open/mon-fri/22:00-06:00")
    return ScheduledSupply(supply=_SUPPLY[relay], **_hours(hours))


def _steps(text: str) -> StepRange:
    low, _, high = text.partition("-")
    return StepRange(low_w=int(low), high_w=int(high))


_LISTS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "no_trip": ("no_trip", lambda text: Window(**_hours(text))),
    "schedule": ("schedule", _scheduled),
    "tolerated": ("tolerated", _steps),
    "holiday": ("holidays", lambda text: (date.fromisoformat(text) - _EPOCH).days),
}
"""Terms that may be said several times, with the list to which they belong."""
_ONCE: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("power_limit_w", "malignant_step_w", "restores"), int),
    **dict.fromkeys(("whitelisted", "button"), lambda text: bool(int(text))),
    "restore_wait_ms": duration,
}
CONTROL_TERMS: dict[str, Callable[[str], Any]] = _ONCE | {name: read for name, (_, read) in _LISTS.items()}


def _controls(home: Household, at: int, words: Words) -> Fact:
    terms: dict[str, Any] = {}
    for name, value in pairs(words.get("terms", ""), CONTROL_TERMS):
        if name in _LISTS:
            several = _LISTS[name][0]
            terms[several] = (*terms.get(several, ()), value)
        else:
            terms[name] = value
    control = ControlTerms(zone=home.zone.key, **terms)
    return ControlTermsSet(at=at, id=home.order(at, None), meter=home.meter(words), terms=control)


def _reports(stage: Stage) -> Tells:
    """What became of the last command of the meter."""

    def fact(home: Household, at: int, words: Words) -> Fact:
        meter = home.meter(words)
        epoch = int(home.state.meters.rows[home.state.meter_records[meter].row].epoch)
        seen = _SUPPLY[words["relay"]] if "relay" in words else Supply.UNKNOWN
        return CommandReported(at=at, meter=meter, epoch=epoch, stage=stage, seen=seen)

    return fact


def _forces(home: Household, at: int, words: Words) -> Fact:
    wanted, until = _SUPPLY[words["relay"]], home.instant(at, words["until"])
    return ControlOrdered(at=at, id=home.order(at, None), meter=home.meter(words), wanted=wanted, until=until)


def _releases(home: Household, at: int, words: Words) -> Fact:
    return ControlOrdered(at=at, id=home.order(at, None), meter=home.meter(words), wanted=Supply.UNKNOWN)


def _protects(home: Household, at: int, words: Words) -> Fact:
    until = home.instant(at, words["until"]) if "until" in words else 0
    return ProtectionOrdered(at=at, id=home.order(at, None), meter=home.meter(words), protected=True, until=until)


def _exposes(home: Household, at: int, words: Words) -> Fact:
    return ProtectionOrdered(at=at, id=home.order(at, None), meter=home.meter(words), protected=False)


def _releases_load(home: Household, at: int, words: Words) -> Fact:
    return LoadReleased(at=at, id=home.order(at, None), meter=home.meter(words))


SUPPLY = (
    Verb("controls", "[METER] with TERMS", _controls),
    Verb("controls no more", "[METER]", _controls),
    Verb("relay seen", "open|closed [METER]", _reports(Stage.VERIFIED)),
    Verb("order sent", "[METER]", _reports(Stage.SENT)),
    Verb("order acknowledged", "[METER]", _reports(Stage.ACKNOWLEDGED)),
    Verb("order failed", "[METER]", _reports(Stage.FAILED)),
    Verb("forces", "[METER] open|closed until UNTIL", _forces),
    Verb("releases", "[METER]", _releases),
    Verb("releases load", "[METER]", _releases_load),
    Verb("protects", "[METER] [until UNTIL]", _protects),
    Verb("protects no more", "[METER]", _exposes),
)
