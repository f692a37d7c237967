from itertools import pairwise
from typing import get_args

import msgspec
import numpy as np
import pytest
from api_site import DRY_METER, LATER, METER, NOW, append_readings, money, new_id, wait_until_settled
from ulid import ULID

from api.models import ControlOrder, ReasonWord
from connectors.redis.formats import iso
from domain.alarm_message import AlarmMessage
from domain.effects import Alarm
from domain.facts import (
    ControlTerms,
    ControlTermsSet,
    MainMeterSet,
    ReadingBlock,
    RechargeOrdered,
    SubMetersCounted,
    Ticked,
)
from domain.ids import LOG_START, shard_of
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS
from domain.words import Reason


def force(wanted: str = "off", **more):
    """The body of a control order."""
    return {"id": new_id(), "wanted": wanted, "operator": "li", **more}


def test_a_meter_shows_its_reading_day_and_window(site, ask):
    """One look at a meter says what it counted, what that costs, and that nobody has switched it."""
    ask("POST", "/accounts/A-101/recharges", json=money())
    append_readings(site, (NOW + 1_800_000, 2_000), (NOW + 3_600_000, 3_500))
    wait_until_settled(site)

    meter = ask("GET", f"/meters/{METER}").json()

    assert meter["last_reading_at"] == iso(NOW + 3_600_000)
    assert (meter["register"], meter["unit"], meter["account"], meter["tariff"]) == ("3.500", "kWh", "A-101", "flat")
    assert meter["day"] == {"date": "2026-09-21", "usage": "2.500", "unit": "kWh", "cost": "1.5425"}
    assert (meter["window"]["start"], meter["window"]["band"]) == ("2026-09-21T15:00:00.000Z", "flat")
    assert meter["supply"] == {"wanted": "on", "reason": "in_credit", "seen": "unknown"}
    assert (meter["reason"], meter["must_clear"]) == ({"zh": "余额充足", "en": "in credit"}, [])
    assert meter["command"] is None
    assert meter["quarantine"] == []


def test_an_account_sums_its_meters(site, ask):
    """A household sees one balance and one day, whatever number of meters it has."""
    append_readings(site, (NOW + 3_600_000, 2_000))
    append_readings(site, (NOW + 3_600_000, 3_000), meter=DRY_METER)
    wait_until_settled(site)

    account = ask("GET", "/accounts/A-101").json()

    assert account["balance"] == "-1.851"
    assert [meter["meter"] for meter in account["meters"]] == [str(METER), str(DRY_METER)]
    assert account["day"] == {"date": "2026-09-21", "electricity_kwh": "3.000", "water_m3": None, "cost": "1.851"}
    assert account["place"] == {"site": "Garden", "building": "1", "floor": "1", "room": "101"}


def test_a_main_meter_shows_what_hangs_behind_it(site, ask):
    """Who asks for a main meter sees its sub-meters, what was lost in the days that were compared last, and what the next ones wait for."""
    shard, midnight = shard_of("A-101", site.shards), NOW + 6_400_000
    subs = (DRY_METER,)
    site.append(shard, MainMeterSet(at=NOW, id=new_id(), meter=METER, subs=subs, loss_max_permille=0, loss_min=0))
    site.append(shard, Ticked(at=NOW))
    midnights = [0, *(midnight + number * DAY_MS for number in range(3))]
    for (begins, ends), waits in zip(pairwise(midnights), ((), (), subs), strict=True):
        site.append(shard, Ticked(at=ends))
        said = {"used": 9_000, "counted": 8_500, "subs_now": subs, "waits_for": waits}
        site.append(shard, SubMetersCounted(at=ends, meter=METER, subs=subs, begins=begins, ends=ends, **said))
    wait_until_settled(site)

    main = ask("GET", f"/meters/{METER}").json()["main_meter"]

    assert main == {
        "subs": [str(DRY_METER)],
        "last": {
            "begins": iso(midnight),
            "ends": iso(midnight + DAY_MS),
            "used": "9.000",
            "counted": "8.500",
            "lost": "0.500",
        },
        "waits_for": [str(DRY_METER)],
    }


def test_a_suspicious_reading_is_shown_as_waiting(site, ask):
    """A register that falls is neither charged nor hidden."""
    append_readings(site, (NOW + 1_800_000, 2_000), (NOW + 3_600_000, 1_500))
    wait_until_settled(site)

    meter = ask("GET", f"/meters/{METER}").json()

    assert meter["register"] == "2.000"
    (case,) = meter["quarantine"]
    assert (case["count"], case["baseline"], case["register"]) == (1, "2.000", "1.500")


def test_a_forced_supply_is_wanted_at_once_and_commanded(site, ask):
    """The answer says that the order counts; the meter says what is wanted, why, and that nothing has been seen yet."""
    ask("POST", "/accounts/A-101/recharges", json=money())
    order = force("off", minutes=300, note="漏水")

    sent = ask("POST", f"/meters/{METER}/commands", json=order)
    meter = ask("GET", f"/meters/{METER}").json()

    assert (sent.status_code, sent.json()["accepted"], sent.json()["meter"]) == (201, True, str(METER))
    assert ask("GET", sent.headers["location"]).json() == sent.json()
    assert meter["supply"] == {"wanted": "off", "reason": "forced", "seen": "unknown"}
    assert (meter["command"]["wanted"], meter["command"]["stage"]) == ("off", "queued")
    assert meter["reason"]["en"].startswith("forced off by li until ")
    assert [text["zh"][:4] for text in meter["must_clear"]] == ["强控到期"]


def test_a_meter_that_is_cut_for_its_load_says_what_must_clear(site, ask):
    """The terms of control reach the API: why the supply is off, until when, and that the meter must do something about it."""
    terms = ControlTerms(zone="Asia/Shanghai", power_limit_w=2_000)
    shard = shard_of("A-101", site.shards)
    ask("POST", "/accounts/A-101/recharges", json=money())
    site.append(shard, ControlTermsSet(at=NOW, id=new_id(), meter=METER, terms=terms))
    columns = [np.array([value], np.int64) for value in (METER, NOW + MINUTE_MS, 1_001, 2_500)]
    site.append(shard, ReadingBlock(*columns))
    wait_until_settled(site)

    meter = ask("GET", f"/meters/{METER}").json()

    assert meter["supply"]["reason"] == "load"
    assert meter["reason"]["en"] == "too much power: 2500 W, allowed 2000 W"
    assert [text["en"][:16] for text in meter["must_clear"]] == ["the wait to end "]
    assert meter["command"]["waits_for_button"] is False


def test_every_reason_can_be_answered():
    """A new reason for a supply is a word of the API with it."""
    assert [reason.name.lower() for reason in sorted(Reason)] == sorted(
        get_args(ReasonWord), key=lambda word: Reason[word.upper()]
    )


def test_a_repeated_order_of_minutes_is_the_same_order(site, ask):
    """Minutes count from the id's own time, so a retry later is no other order."""
    order = force("off", minutes=300)

    first, again = (ask("POST", f"/meters/{METER}/commands", json=order) for _ in range(2))
    same_end = order | {"minutes": None, "until": iso(ULID.from_str(order["id"]).milliseconds + 300 * MINUTE_MS)}
    in_words = ask("POST", f"/meters/{METER}/commands", json=same_end)

    assert first.json() == again.json() == in_words.json()
    assert first.status_code == again.status_code == in_words.status_code == 201


@pytest.mark.parametrize(
    ("meter", "order", "status", "refusal"),
    [
        ("1", {"minutes": 300}, 404, "unknown_meter"),
        (DRY_METER, {"minutes": 300}, 409, "meter_has_no_switch"),
        (METER, {"until": iso(LATER - 1)}, 422, "already_expired"),
    ],
)
def test_a_force_that_cannot_be_is_refused_by_name(site, ask, meter, order, status, refusal):
    """A refusal reaches the operator with its name."""
    answer = ask("POST", f"/meters/{meter}/commands", json=force() | order)

    assert (answer.status_code, answer.json()["refusal"]) == (status, refusal)


@pytest.mark.parametrize(
    "order",
    [
        {},
        {"minutes": 5, "until": iso(LATER + HOUR_MS)},
        {"wanted": "automatic", "minutes": 5},
        {"until": "2026-09-21T18:00:00"},
        {"until": 1_790_000_000},
        {"until": "20260921T180000Z"},
        {"until": "2026-W39-1T18:00:00Z"},
        {"until": "2026-09-21 18:00:00Z"},
        {"until": "2026-09-21T18:00Z"},
        {"until": iso(NOW + 366 * 24 * HOUR_MS + 1)},
        {"minutes": True},
        {"minutes": 5, "operator": ""},
    ],
)
def test_a_force_says_once_when_it_ends(store, ask, order):
    """A switch never stays forced because somebody forgot to say until when, or said it in no time zone."""
    assert ask("POST", f"/meters/{METER}/commands", json=force() | order).status_code == 422


def test_a_force_may_last_a_year():
    """The last moment that `minutes` could name can be said as a time as well, in any zone."""
    order = force(until=iso(NOW + 366 * 24 * HOUR_MS).replace("Z", "+00:00"))

    assert ControlOrder.model_validate(order).until_ms == NOW + 366 * 24 * HOUR_MS


def test_accounts_are_listed_by_pages(site, ask):
    """Pages hold every account once."""
    first = ask("GET", "/accounts?limit=1").json()
    second = ask("GET", "/accounts", params={"limit": 1, "cursor": first["next"]}).json()

    names = [account["account"] for account in first["accounts"] + second["accounts"]]
    assert sorted(names) == ["A-101", "A-102"]
    assert second["next"] is None
    assert ask("GET", "/accounts").json() == {"accounts": first["accounts"] + second["accounts"], "next": None}


def test_alarms_are_the_messages_of_the_channel_newest_first(site, ask):
    """A consumer that was down reads what it missed, in the same words: what came last is first, whatever time it tells of."""
    shard = shard_of("A-101", site.shards)
    paid = RechargeOrdered(at=NOW, id=new_id(), account="A-101", amount_micros=25_000_000, currency="CNY")
    site.append(shard, paid)
    for time, register in ((NOW + 1_800_000, 6_000), (NOW + 5_400_000, 17_000), (NOW + 7_000_000, 22_000)):
        append_readings(site, (time, register))
    append_readings(site, (NOW + 100_000, 1_500), meter=DRY_METER)
    append_readings(site, (NOW + 150_000, 1_400), meter=DRY_METER)
    wait_until_settled(site)

    alarms = ask("GET", "/alarms").json()["items"]

    kept = [a for _, f in site.stream("alarms", shard) for a in msgspec.msgpack.decode(f[b"b"], type=list[Alarm])]
    assert {alarm["kind"] for alarm in alarms} == {"money_arrived", "balance_low", "quarantine"}
    assert [alarm["id"] for alarm in alarms] == [alarm.id for alarm in reversed(kept)]
    assert set(alarms[0]) == {*AlarmMessage.__struct_fields__, "acknowledgement"}
    assert alarms[-1]["room"] == "101"
    for limit in range(1, len(alarms)):
        assert ask("GET", f"/alarms?limit={limit}").json()["items"] == alarms[:limit]
    assert site.read(shard, LOG_START, 1)
