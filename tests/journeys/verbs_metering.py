"""Verbs of time and metering: what meters say, what persons say about it, and what is watched."""

from collections.abc import Callable

import numpy as np
from forms import Verb, Words, duration, minute, pairs
from household import Household
from times import JourneyError

from domain.facts import (
    Fact,
    MainMeterSet,
    MeterWatchSet,
    PurchasesAccepted,
    PurchasesCounted,
    QuarantineDecided,
    ReadingBlock,
    ReadingCorrected,
    ReadingRefused,
    SubMetersCounted,
    Ticked,
    WatchTerms,
)
from domain.units import quantity_thousandths
from domain.words import Decision, Status

_SEEN = {"open": Status.SUPPLY_KNOWN, "closed": Status.SUPPLY_KNOWN | Status.SUPPLY_ON}
WATCH_TERMS: dict[str, Callable[[str], int]] = {
    **dict.fromkeys(("day_usage", "month_usage", "night_usage"), quantity_thousandths),
    **dict.fromkeys(("offline_ms", "stuck_ms", "repeat_ms"), duration),
    **dict.fromkeys(("stuck_w", "reverse_w", "repeat_max"), int),
    **dict.fromkeys(("night_from", "night_until"), minute),
}


def _reads(home: Household, at: int, words: Words) -> Fact:
    when = home.instant(at, words["time"]) if "time" in words else at
    columns = [
        np.array([value], np.int64) for value in (home.meter(words), when, quantity_thousandths(words["register"]))
    ]
    power = np.array([int(words["power"])], np.int64) if "power" in words else None
    status = np.array([_SEEN[words["relay"]]], np.int64) if "relay" in words else None
    own = [quantity_thousandths(each) for each in words["bands"].split("/")] if "bands" in words else None
    return ReadingBlock(*columns, power=power, status=status, bands=None if own is None else np.array([own], np.int64))


def _hears(home: Household, at: int, words: Words) -> Fact:
    return ReadingRefused(
        at=at, source="journey", line=1, text="", reason=words["reason"], meter=home.meter(words),
        usage=quantity_thousandths(words.get("quantity", "0")),
    )  # fmt: skip


def _ticks(_home: Household, at: int, _words: Words) -> Fact:
    return Ticked(at=at)


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


def _watches(home: Household, at: int, words: Words) -> Fact:
    """Alarms are not repeated unless the line says so."""
    terms = WatchTerms(**{"repeat_max": 0, **dict(pairs(words.get("terms", ""), WATCH_TERMS))})
    return MeterWatchSet(at=at, id=home.order(at, None), meter=home.meter(words), terms=terms)


def _feeds(home: Household, at: int, words: Words) -> Fact:
    return MainMeterSet(
        at=at, id=home.order(at, None), meter=home.meter(words), subs=(int(words["sub"]),), loss_max_permille=0,
        loss_min=quantity_thousandths(words["quantity"]),
    )  # fmt: skip


def _counted(home: Household, at: int, words: Words) -> Fact:
    """The second stage's answer to what is asked; without amounts it waits for the sub-meter."""
    main = home.state.main_meters.get(home.meter(words))
    if main is None or main.ends is None:
        raise JourneyError("nothing is asked: expected `feeds METER into SUB` and a tick of a later day before")
    question = {"subs": main.subs, "begins": main.begins.at if main.begins else 0, "ends": main.ends.at}
    if "quantity" not in words:
        return SubMetersCounted(at=at, meter=main.meter, waits_for=main.subs, **question)
    used, counted = quantity_thousandths(words["quantity"]), quantity_thousandths(words["register"])
    return SubMetersCounted(at=at, meter=main.meter, used=used, counted=counted, subs_now=main.subs, **question)


def _purchases(home: Household, at: int, words: Words) -> Fact:
    return PurchasesCounted(at=at, meter=home.meter(words), count=int(words["count"]))


def _accepts(home: Household, at: int, words: Words) -> Fact:
    count, note = int(words["count"]), words["note"]
    return PurchasesAccepted(
        at=at, id=home.order(at, words.get("order")), meter=home.meter(words), count=count, note=note
    )


METERING = (
    Verb("ticks", "", _ticks),
    Verb("reads", "[METER] REGISTER [in bands BANDS] [of TIME] [with POWER W] [relay open|closed]", _reads),
    Verb("hears nonsense", "[METER] as REASON [stating QUANTITY]", _hears),
    Verb(
        "decides", "[METER] REASON accept|rebaseline|discard [at REGISTER] [charging QUANTITY] [order ORDER] because NOTE", _decides
    ),
    Verb("corrects", "[METER] TIME to UNTIL by QUANTITY [register REGISTER] [order ORDER] because NOTE", _corrects),
    Verb("watches", "[METER] with TERMS", _watches),
    Verb("feeds", "[METER] into SUB losing QUANTITY", _feeds),
    Verb("counted", "[METER] QUANTITY behind it REGISTER", _counted),
    Verb("counted not", "[METER]", _counted),
    Verb("watches no more", "[METER]", _watches),
    Verb("shows", "[METER] COUNT purchases", _purchases),
    Verb("accepts", "[METER] COUNT purchases [order ORDER] because NOTE", _accepts),
)  # fmt: skip
