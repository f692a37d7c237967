"""Verbs of the life of sites, tariffs, accounts and meters."""

import tomllib
from collections.abc import Callable
from typing import Any

import msgspec
from forms import Tells, Verb, Words, duration, pairs
from household import Household
from times import JourneyError

from domain.facts import (
    AccountActivated,
    AccountClosed,
    AccountOpened,
    AccountTransferred,
    AccountUpdated,
    AlarmTerms,
    Fact,
    MeterInstalled,
    MeterRemoved,
    MeterReplaced,
    PolicySet,
    SiteSet,
    TariffAssigned,
    TariffPublished,
)
from domain.units import money_micros, quantity_thousandths
from domain.words import Commodity, Settlement

ACCOUNT_TERMS: dict[str, Callable[[str], int]] = {
    **dict.fromkeys(("low", "pretrip", "arrears", "hysteresis", "reconnect", "max_balance", "overdraft"), money_micros),
    "repeat_ms": duration,
    "repeat_max": int,
}
METER_TERMS: dict[str, Callable[[str], int]] = {
    "modulus": quantity_thousandths, "rated_per_hour": quantity_thousandths, "ratio": int, "persons": int, "capacity_w": int, "switchable": int,
}  # fmt: skip
_PLAIN = AlarmTerms(low=0, pretrip=0, hysteresis=0, reconnect=0, repeat_max=0)
"""The terms of an account of which a journey says nothing: it is cut at zero and given back above."""


def _sets_site(home: Household, at: int, words: Words) -> Fact:
    return SiteSet(
        at=at, id=home.order(at, None), site=words["site"], title_zh=words["site"], title_en=words["site"],
        zone=words["zone"], currency=words["currency"],
    )  # fmt: skip


def _sets_policy(home: Household, at: int, words: Words) -> Fact:
    return PolicySet(at=at, id=home.order(at, None), policy=words["policy"], alarms=_terms(_PLAIN, words))


def _follows(home: Household, at: int, words: Words) -> Fact:
    return AccountUpdated(at=at, id=home.order(at, None), account=home.account(words), policy=words["policy"])


def _publishes(home: Household, at: int, words: Words) -> Fact:
    document = home.tariff(words["tariff"])
    return TariffPublished(at=at, id=home.order(at, None), tariff=tomllib.loads(document)["tariff"], document=document)


def _assigns(home: Household, at: int, words: Words) -> Fact:
    return TariffAssigned(
        at=at, id=home.order(at, None), meter=home.meter(words), tariff=tomllib.loads(home.tariff(words["tariff"]))["tariff"],
        starts_at=home.instant(at, words["time"]), restart="anew" in words,
    )  # fmt: skip


def _terms(before: AlarmTerms, words: Words) -> AlarmTerms:
    return msgspec.structs.replace(before, **dict(pairs(words.get("terms", ""), ACCOUNT_TERMS)))


def _opens(*, prepared: bool) -> Tells:
    def fact(home: Household, at: int, words: Words) -> Fact:
        return AccountOpened(
            at=at, id=home.order(at, None), account=words["account"], currency="CNY",
            alarms=_terms(_PLAIN, words), prepared=prepared,
        )  # fmt: skip

    return fact


def _activates(home: Household, at: int, words: Words) -> Fact:
    return AccountActivated(at=at, id=home.order(at, None), account=home.account(words), name=words.get("tenant"))


def _updates(home: Household, at: int, words: Words) -> Fact:
    account = home.account(words)
    record = home.state.account_records.get(account)
    if record is None:
        raise JourneyError(f"no account {account!r}: expected `opens {account}` before")
    return AccountUpdated(at=at, id=home.order(at, None), account=account, alarms=_terms(record.alarms, words))


def _transfers(home: Household, at: int, words: Words) -> Fact:
    return AccountTransferred(
        at=at, id=home.order(at, words.get("order")), account=home.account(words), name=words["tenant"],
        settlement=Settlement(words["settlement"]), channel=words.get("channel", ""), reason=words.get("note", ""),
    )  # fmt: skip


def _closes(home: Household, at: int, words: Words) -> Fact:
    return AccountClosed(
        at=at, id=home.order(at, words.get("order")), account=home.account(words), cut="cutting" in words,
        settlement=Settlement(words["settlement"]), channel=words.get("channel", ""), reason=words.get("note", ""),
    )  # fmt: skip


def _meter_terms(words: Words) -> dict[str, Any]:
    terms: dict[str, Any] = {
        "modulus": 0,
        "rated_per_hour": 60_000,
        **dict(pairs(words.get("terms", ""), METER_TERMS)),
    }
    return terms | {"switchable": bool(terms.get("switchable", 1))}


def _installs(home: Household, at: int, words: Words) -> Fact:
    tariff = tomllib.loads(home.tariff(words["tariff"]))
    return MeterInstalled(
        at=at, id=home.order(at, None), meter=int(words["meter"]), account=home.account(words), tariff=tariff["tariff"],
        commodity=Commodity.WATER if tariff["commodity"] == "water" else Commodity.ELECTRICITY,
        opening_register=quantity_thousandths(words["register"]) if "register" in words else None, **_meter_terms(words),
    )  # fmt: skip


def _removes(home: Household, at: int, words: Words) -> Fact:
    register = quantity_thousandths(words["register"])
    return MeterRemoved(at=at, id=home.order(at, None), meter=home.meter(words), closing_register=register)


def _replaces(home: Household, at: int, words: Words) -> Fact:
    return MeterReplaced(
        at=at, id=home.order(at, None), meter=home.meter(words), closing_register=quantity_thousandths(words["register"]),
        new_meter=int(words["new"]), opening_register=quantity_thousandths(words["opening"]), **_meter_terms(words),
    )  # fmt: skip


LIFE = (
    Verb("sets site", "SITE in ZONE paid in CURRENCY", _sets_site),
    Verb("sets policy", "POLICY with TERMS", _sets_policy),
    Verb("publishes", "TARIFF", _publishes),
    Verb("opens", "ACCOUNT [with TERMS]", _opens(prepared=False)),
    Verb("prepares", "ACCOUNT [with TERMS]", _opens(prepared=True)),
    Verb("activates", "[ACCOUNT] [for TENANT]", _activates),
    Verb("updates", "[ACCOUNT] with TERMS", _updates),
    Verb("follows", "POLICY", _follows),
    Verb(
        "transfers",
        "[ACCOUNT] to TENANT with refund|pay_up|write_off|carry [by CHANNEL] [order ORDER] [because NOTE]",
        _transfers,
    ),
    Verb(
        "closes", "[ACCOUNT] with refund|pay_up|write_off [cutting] [by CHANNEL] [order ORDER] [because NOTE]", _closes
    ),
    Verb("installs", "METER [in ACCOUNT] [at REGISTER] tariff TARIFF [with TERMS]", _installs),
    Verb("removes", "[METER] at REGISTER", _removes),
    Verb("replaces", "[METER] at REGISTER by NEW at OPENING [with TERMS]", _replaces),
    Verb("assigns", "[METER] TARIFF from TIME [anew]", _assigns),
)
