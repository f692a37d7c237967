"""Forms: how a line of a journey says what happens, and the words and terms that it may hold."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from household import Household
from times import JourneyError

from domain.facts import Fact
from domain.units import MINUTE_MS

Words = Mapping[str, str]
Value = TypeVar("Value")
Tells = Callable[[Household, int, Words], Fact]
"""How the words of a line, at a time, become a fact."""

_TIME = r"(?:\d{4}-\d\d-\d\d )?\d\d:\d\d(?: second)?"
_DAY = r"\d{4}-\d\d-\d\d"
_PARTS = {
    "ACCOUNT": r"(?P<account>[a-z]+-[\w-]+)",
    "AMOUNT": r"(?P<amount>-?\d+\.\d\d\d*)",
    "METER": r"meter (?P<meter>\d+)",
    "NEW": r"meter (?P<new>\d+)",
    "REGISTER": r"(?P<register>-?\d+(?:\.\d{1,3})?)",
    "OPENING": r"(?P<opening>-?\d+(?:\.\d{1,3})?)",
    "QUANTITY": r"(?P<quantity>-?\d+(?:\.\d{1,3})?)",
    "AREA": r"(?P<area>\d+(?:\.\d{1,3})?)",
    "TARIFF": r"(?P<tariff>[\w-]+)",
    "SITE": r"(?P<site>[\w-]+)",
    "SUB": r"(?P<sub>\d+)",
    "POLICY": r"(?P<policy>[\w-]+)",
    "ZONE": r"(?P<zone>\S+)",
    "CURRENCY": r"(?P<currency>\w+)",
    "TENANT": r"(?P<tenant>\w+)",
    "REASON": r"(?P<reason>\w+)",
    "ORDER": r"(?P<order>\w+)",
    "OTHER": r"(?P<other>\w+)",
    "CHANNEL": r"(?P<channel>\w+)",
    "NOTE": r"(?P<note>.+)",
    "TERMS": r"(?P<terms>\w+ \S+(?: \w+ \S+)*)",
    "TIME": rf"(?P<time>{_TIME})",
    "UNTIL": rf"(?P<until>{_TIME})",
    "DAY": rf"(?P<day>{_DAY})",
    "LAST": rf"(?P<last>{_DAY})",
    "POWER": r"(?P<power>-?\d+)",
    "COUNT": r"(?P<count>\d+)",
    "BANDS": r"(?P<bands>\d+(?:\.\d{1,3})?(?:/\d+(?:\.\d{1,3})?){4})",
    "anew": "(?P<anew>anew)",
    "cutting": "(?P<cutting>cutting)",
    "days": "(?P<days>days)",
}
"""Words of a form that stand for something, or whose being there says something. A number of an order is what the journey calls it."""

CHOICES = {
    "electricity|water|money": "free",
    "open|closed": "relay",
    "accept|rebaseline|discard": "decision",
    "refund|pay_up|write_off|carry": "settlement",
    "refund|pay_up|write_off": "settlement",
    "rent|property|service|other": "kind",
    "once|monthly|quarterly|yearly": "period",
}
"""Words of a form of which a line says one, and what they choose."""


@dataclass(frozen=True)
class Verb:
    """A verb: `form` says how a line is written, with parts in capitals and what may be left out in brackets."""

    name: str
    rest: str
    fact: Tells

    @property
    def form(self) -> str:
        """The whole form."""
        return f"{self.name} {self.rest}".strip()

    def matches(self, said: str) -> re.Match[str] | None:
        """The words that a line gives to this verb."""
        pattern = re.escape(self.name)
        for part in re.findall(r"\[[^]]*\]|[^ \[\]]+(?: [^ \[\]]+)*", self.rest):
            inner = " ".join(_part(word) for word in part.strip("[]").split(" "))
            pattern += f"(?: {inner})?" if part.startswith("[") else f" {inner}"
        return re.fullmatch(pattern, said)


def _part(word: str) -> str:
    if word in CHOICES:
        return f"(?P<{CHOICES[word]}>{word})"
    return _PARTS.get(word, re.escape(word))


def pairs(text: str, known: Mapping[str, Callable[[str], Value]]) -> Iterable[tuple[str, Value]]:
    """`low 20.00 pretrip 5.00` as names with values. Raises JourneyError for a name or a value that means nothing."""
    words = text.split(" ") if text else []
    for name, value in zip(words[::2], words[1::2], strict=True):
        if name not in known:
            raise JourneyError(f"{name!r} is no term: expected some of {', '.join(known)}")
        try:
            yield name, known[name](value)
        except ValueError as error:
            raise JourneyError(f"{name} {value!r}: {error}") from None


def duration(text: str) -> int:
    """The ms of `1:30`, an hour and a half."""
    return minute(text) * MINUTE_MS


def minute(text: str) -> int:
    """The minutes of `1:30`. Raises JourneyError."""
    match = re.fullmatch(r"(\d+):([0-5]\d)", text)
    if match is None:
        raise JourneyError("expected hours and minutes such as 1:30")
    return int(match[1]) * 60 + int(match[2])
