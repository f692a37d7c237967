"""What can happen in a journey: each verb with the form in which a line says it, and the fact that it is. A new fact is a new row."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from household import Household
from times import JourneyError

from domain.facts import (
    AccountOpened,
    AdjustmentOrdered,
    AlarmTerms,
    AllowanceSet,
    CommandReported,
    ControlOrdered,
    Fact,
    MeterInstalled,
    ProtectionOrdered,
    QuarantineDecided,
    ReadingBlock,
    ReadingCorrected,
    RechargeOrdered,
    RefundOrdered,
    ReversalOrdered,
    TariffAssigned,
    TariffPublished,
    Ticked,
)
from domain.units import MINUTE_MS, money_micros, quantity_thousandths
from domain.words import AllowanceKind, Commodity, Decision, Stage, Status, Supply

Words = Mapping[str, str]

_SUPPLY = {"open": Supply.OFF, "closed": Supply.ON}
_PARTS = {
    "ACCOUNT": r"(?P<account>[a-z]+-[\w-]+)",
    "AMOUNT": r"(?P<amount>-?\d+\.\d\d\d*)",
    "METER": r"meter (?P<meter>\d+)",
    "REGISTER": r"(?P<register>-?\d+(?:\.\d{1,3})?)",
    "QUANTITY": r"(?P<quantity>-?\d+(?:\.\d{1,3})?)",
    "TARIFF": r"(?P<tariff>[\w-]+)",
    "REASON": r"(?P<reason>\w+)",
    "ORDER": r"(?P<order>\w+)",
    "OTHER": r"(?P<other>\w+)",
    "CHANNEL": r"(?P<channel>\w+)",
    "NOTE": r"(?P<note>.+)",
    "TERMS": r"(?P<terms>\w+ \S+(?: \w+ \S+)*)",
    "TIME": r"(?P<time>(?:\d{4}-\d\d-\d\d )?\d\d:\d\d(?: second)?)",
    "UNTIL": r"(?P<until>(?:\d{4}-\d\d-\d\d )?\d\d:\d\d(?: second)?)",
    "POWER": r"(?P<power>-?\d+)",
    "electricity|water|money": r"(?P<free>electricity|water|money)",
    "open|closed": r"(?P<relay>open|closed)",
    "accept|rebaseline|discard": r"(?P<decision>accept|rebaseline|discard)",
}
"""Words of a form that stand for something. A number of an order is what the journey calls it."""


@dataclass(frozen=True)
class Verb:
    """A verb: `form` says how a line is written, with parts in capitals and what may be left out in brackets."""

    name: str
    rest: str
    fact: Callable[[Household, int, Words], Fact]

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
    return _PARTS.get(word, re.escape(word))


def _pairs(text: str, known: Mapping[str, Callable[[str], int]]) -> dict[str, int]:
    """`low 20.00 pretrip 5.00` as numbers by name."""
    words = text.split(" ") if text else []
    pairs = dict(zip(words[::2], words[1::2], strict=True))
    if unknown := sorted(set(pairs) - set(known)):
        raise JourneyError(f"{unknown[0]!r} is no term: expected some of {', '.join(known)}")
    return {name: known[name](value) for name, value in pairs.items()}


def _duration(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return (int(hours) * 60 + int(minutes or 0)) * MINUTE_MS


_ACCOUNT_TERMS: dict[str, Callable[[str], int]] = {
    **dict.fromkeys(("low", "pretrip", "arrears", "hysteresis", "reconnect", "max_balance", "overdraft"), money_micros),
    "repeat_ms": _duration,
    "repeat_max": int,
}
_METER_TERMS: dict[str, Callable[[str], int]] = {
    "modulus": quantity_thousandths, "rated_per_hour": quantity_thousandths, "ratio": int, "persons": int, "capacity_w": int, "switchable": int,
}  # fmt: skip


def _opens(home: Household, at: int, words: Words) -> Fact:
    terms = {"low": 0, "pretrip": 0, "hysteresis": 0, "reconnect": 0, "repeat_max": 0}
    alarms = AlarmTerms(**terms | _pairs(words.get("terms", ""), _ACCOUNT_TERMS))
    return AccountOpened(at=at, id=home.order(at, None), account=words["account"], currency="CNY", alarms=alarms)


def _installs(home: Household, at: int, words: Words) -> Fact:
    tariff = tomllib.loads(home.tariff(words["tariff"]))
    terms: dict[str, Any] = {"modulus": 0, "rated_per_hour": 60_000} | _pairs(words.get("terms", ""), _METER_TERMS)
    terms["switchable"] = bool(terms.get("switchable", 1))
    return MeterInstalled(
        at=at, id=home.order(at, None), meter=int(words["meter"]), account=home.account(words), tariff=tariff["tariff"],
        commodity=Commodity.WATER if tariff["commodity"] == "water" else Commodity.ELECTRICITY,
        opening_register=quantity_thousandths(words["register"]), **terms,
    )  # fmt: skip


def _publishes(home: Household, at: int, words: Words) -> Fact:
    document = home.tariff(words["tariff"])
    return TariffPublished(at=at, id=home.order(at, None), tariff=tomllib.loads(document)["tariff"], document=document)


def _assigns(home: Household, at: int, words: Words) -> Fact:
    tariff = tomllib.loads(home.tariff(words["tariff"]))["tariff"]
    starts_at = home.instant(at, words["time"])
    return TariffAssigned(at=at, id=home.order(at, None), meter=home.meter(words), tariff=tariff, starts_at=starts_at)


def _money(kind: type[RechargeOrdered] | type[RefundOrdered]) -> Callable[[Household, int, Words], Fact]:
    def fact(home: Household, at: int, words: Words) -> Fact:
        return kind(
            at=at, id=home.order(at, words.get("order")), account=home.account(words),
            amount_micros=money_micros(words["amount"]), currency="CNY", channel=words.get("channel", ""),
        )  # fmt: skip

    return fact


def _adjusts(home: Household, at: int, words: Words) -> Fact:
    return AdjustmentOrdered(
        at=at, id=home.order(at, words.get("order")), account=home.account(words),
        amount_micros=money_micros(words["amount"]), currency="CNY", note=words["note"],
    )  # fmt: skip


def _takes_back(home: Household, at: int, words: Words) -> Fact:
    account, other = home.account(words), home.order(at, words["other"])
    return ReversalOrdered(at=at, id=home.order(at, words.get("order")), account=account, order=other)


def _reads(home: Household, at: int, words: Words) -> Fact:
    when = home.instant(at, words["time"]) if "time" in words else at
    columns = [
        np.array([value], np.int64) for value in (home.meter(words), when, quantity_thousandths(words["register"]))
    ]
    power = np.array([int(words["power"])], np.int64) if "power" in words else None
    seen = {"open": Status.SUPPLY_KNOWN, "closed": Status.SUPPLY_KNOWN | Status.SUPPLY_ON}
    status = np.array([seen[words["relay"]]], np.int64) if "relay" in words else None
    return ReadingBlock(*columns, power=power, status=status)


def _ticks(_home: Household, at: int, _words: Words) -> Fact:
    return Ticked(at=at)


def _reports(stage: Stage) -> Callable[[Household, int, Words], Fact]:
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


def _allows(home: Household, at: int, words: Words) -> Fact:
    """From the beginning of time on, so that the month of the journey has all of it."""
    kind = AllowanceKind[words["free"].upper()]
    amount = money_micros(words["amount"]) if kind is AllowanceKind.MONEY else quantity_thousandths(words["amount"])
    return AllowanceSet(at=at, id=home.order(at, None), account=home.account(words), kind=kind, amount=amount)


def _decides(home: Household, at: int, words: Words) -> Fact:
    return QuarantineDecided(
        at=at, id=home.order(at, words.get("order")), meter=home.meter(words), reason=words["reason"],
        decision=Decision(words["decision"]), note=words["note"], usage=quantity_thousandths(words.get("quantity", "0")),
        register=quantity_thousandths(words["register"]) if "register" in words else None,
    )  # fmt: skip


def _corrects(home: Household, at: int, words: Words) -> Fact:
    return ReadingCorrected(
        at=at, id=home.order(at, words.get("order")), meter=home.meter(words), from_ms=home.instant(at, words["time"]),
        until_ms=home.instant(at, words["until"]), usage_delta=quantity_thousandths(words["quantity"]), note=words["note"],
        register=quantity_thousandths(words["register"]) if "register" in words else None,
    )  # fmt: skip


VERBS = (
    Verb("publishes", "TARIFF", _publishes),
    Verb("opens", "ACCOUNT [with TERMS]", _opens),
    Verb("installs", "METER [in ACCOUNT] at REGISTER tariff TARIFF [with TERMS]", _installs),
    Verb("assigns", "[METER] TARIFF from TIME", _assigns),
    Verb("tops up", "[ACCOUNT] AMOUNT [by CHANNEL] [order ORDER]", _money(RechargeOrdered)),
    Verb("refunds", "[ACCOUNT] AMOUNT [by CHANNEL] [order ORDER]", _money(RefundOrdered)),
    Verb("adjusts", "[ACCOUNT] AMOUNT [order ORDER] because NOTE", _adjusts),
    Verb("takes back", "[ACCOUNT] OTHER [order ORDER]", _takes_back),
    Verb("reads", "[METER] REGISTER [of TIME] [with POWER W] [relay open|closed]", _reads),
    Verb("ticks", "", _ticks),
    Verb("relay seen", "open|closed [METER]", _reports(Stage.VERIFIED)),
    Verb("order sent", "[METER]", _reports(Stage.SENT)),
    Verb("order failed", "[METER]", _reports(Stage.FAILED)),
    Verb("forces", "[METER] open|closed until UNTIL", _forces),
    Verb("releases", "[METER]", _releases),
    Verb("protects", "[METER] [until UNTIL]", _protects),
    Verb("protects no more", "[METER]", _exposes),
    Verb("allows", "[ACCOUNT] AMOUNT of electricity|water|money a month", _allows),
    Verb(
        "decides", "[METER] REASON accept|rebaseline|discard [at REGISTER] [charging QUANTITY] [order ORDER] because NOTE", _decides
    ),
    Verb("corrects", "[METER] TIME to UNTIL by QUANTITY [register REGISTER] [order ORDER] because NOTE", _corrects),
)  # fmt: skip
