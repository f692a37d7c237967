"""The language of journeys: a table of what happens to a household and what is expected of the machine, one line after the other.

    # The story, for people.
    in Asia/Shanghai
    2025-12-06
    08:00  tops up 5.00                    -> balance 5.00
    09:00  reads 112.000                   -> balance -7.00, alarm balance_arrears, orders open

A line is a time of the local day, a verb with its words, and after `->` what is expected. README.md says all of it; the verbs are a table in `verbs.py`, the expectations one in `expectations.py`. Whatever alarms, orders and refusals a line does not name must not be.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from expectations import ALWAYS, SEEN, Found
from forms import Verb
from household import Household
from times import JourneyError, instant
from verbs import VERBS

_ZONE = re.compile(r"in (?P<zone>\S+)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_LINE = re.compile(r"(?P<clock>\d\d:\d\d(?: second)?)\s+(?P<said>.*?)\s*(?:->\s*(?P<expected>.*))?")
_COMMENT = re.compile(r"(?:^|\s)#.*$")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a journey: its number, its time in ms UTC, its verb with the words it was given, and what is expected."""

    number: int
    text: str
    at: int
    verb: Verb
    words: dict[str, str]
    expected: tuple[str, ...]


def parse(text: str) -> tuple[ZoneInfo, list[Line]]:
    """The zone and lines of a journey. Raises JourneyError with the number of the line, what was found and what is expected."""
    journey = _Journey()
    for number, raw in enumerate(text.splitlines(), 1):
        if said := _COMMENT.sub("", raw).strip():
            try:
                journey.read(number, said)
            except JourneyError as error:
                raise JourneyError(f"line {number}: {error}") from None
    if journey.zone is None or not journey.lines:
        raise JourneyError("nothing happens: expected `in ZONE`, a date, and lines such as `08:00 tops up 5.00`")
    return journey.zone, journey.lines


@dataclass
class _Journey:
    """What has been read of a journey."""

    zone: ZoneInfo | None = None
    today: date | None = None
    lines: list[Line] = field(default_factory=list)

    def read(self, number: int, said: str) -> None:
        """One line that says something."""
        if match := _ZONE.fullmatch(said):
            self.zone = _zone(match["zone"])
        elif _DATE.fullmatch(said):
            self.today = _date(said)
        elif self.zone is None or self.today is None:
            raise JourneyError(f"{said!r}: expected `in ZONE` and a date such as 2025-12-06 before the first line")
        else:
            self.lines.append(_line(number, said, self.today, self.zone))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise JourneyError(f"{name!r} is no time zone: expected one such as Asia/Shanghai") from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise JourneyError(f"{text!r} is not in the calendar") from None


def _line(number: int, said: str, day: date, zone: ZoneInfo) -> Line:
    match = _LINE.fullmatch(said)
    if match is None:
        raise JourneyError(
            f"{said!r}: expected a time, a verb, and `->` with what is expected: 08:00 tops up 5.00 -> balance 5.00"
        )
    verb, words = _verb(re.sub(r"\s+", " ", match["said"]))
    expected = tuple(part.strip() for part in (match["expected"] or "").split(",") if part.strip())
    if match["expected"] is not None and not expected:
        raise JourneyError("nothing after `->`: expected what should be seen, or the word `nothing`")
    for each in expected:
        if each.split(" ")[0] not in {*SEEN, "nothing"}:
            raise JourneyError(f"{each!r}: expected one of {', '.join(sorted([*SEEN, 'nothing']))}")
    return Line(number, said, instant(match["clock"], day, zone), verb, words, expected)


def _verb(said: str) -> tuple[Verb, dict[str, str]]:
    begun = [verb for verb in VERBS if said == verb.name or said.startswith(f"{verb.name} ")]
    for verb in sorted(begun, key=lambda each: -len(each.name)):
        if match := verb.matches(said):
            return verb, {name: value for name, value in match.groupdict().items() if value is not None}
    if begun:
        raise JourneyError(f"{said!r}: expected " + " or ".join(f"`{verb.form}`" for verb in begun))
    names = ", ".join(sorted({verb.name for verb in VERBS}))
    raise JourneyError(f"{said!r} begins with no verb that is known: expected one of {names}")


def live(text: str) -> Iterator[tuple[Line, Found]]:
    """Live through a journey, line by line. Raises JourneyError."""
    zone, lines = parse(text)
    household = Household(zone)
    for line in lines:
        try:
            found = household.live(line.at, line.verb.fact, line.words)
        except JourneyError as error:
            raise JourneyError(f"line {line.number}: {line.text!r}: {error}") from None
        yield line, found


def play(text: str) -> Iterator[str]:
    """Every line of a journey that does not see what it expects, with what it saw. Raises JourneyError."""
    for line, found in live(text):
        yield from differences(line, found)


def differences(line: Line, found: Found) -> Iterator[str]:
    """What a line expects and did not see, and what it saw of alarms, orders and refusals and does not expect."""
    kinds = {each.split(" ")[0] for each in line.expected} | ALWAYS
    if "nothing" in kinds:
        kinds |= {"posts"}
    wanted = Counter(each for each in line.expected if each != "nothing")
    seen = Counter(each for kind in kinds & SEEN.keys() for each in SEEN[kind].of(found))
    if "nothing" in kinds and found.moved:
        wanted["balance unchanged"] += 1
    loose = {kind for kind in kinds & SEEN.keys() if not SEEN[kind].complete}
    missing = wanted - seen
    surplus = Counter({each: count for each, count in (seen - wanted).items() if each.split(" ")[0] not in loose})
    if missing or surplus:
        saw = ", ".join(each for kind in SEEN for each in SEEN[kind].of(found) if kind in kinds) or "nothing"
        yield f"line {line.number}: {line.text}\n    seen: {saw}"
