"""What a household has used, from archive and live tail, against figures that are added by hand."""

import asyncio
from fractions import Fraction

import numpy as np
import pytest
from api_site import client_of
from figures_site import LIGHT, METERS, ROOM, SHOP, TAP, added, at, ms
from test_access_api import bearer, made

from connectors.redis.formats import iso
from domain.effects import POSTING
from domain.ids import shard_of
from domain.units import PICOS_PER_MICRO
from domain.words import Ledger

FORMS = {"hour": "%Y-%m-%dT%H", "day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}


def by_band(period):
    """What an answer says of a period, as exact numbers."""
    return {band["band"]: (round(Fraction(band["usage"]) * 1000), Fraction(band["cost"])) for band in period["bands"]}


@pytest.mark.parametrize("by", ["day", "month", "year"])
@pytest.mark.parametrize("meter", METERS)
def test_usage_is_what_was_read(household, by, meter):
    """Every period and band of a meter has the energy that was counted in it, at its own price, exactly, wherever its rows are."""
    (series,) = household.ask(f"/meters/{meter}/usage", by=by, from_="2026-01-01")["series"]

    expected = added(meter, FORMS[by])
    assert {period["period"]: by_band(period) for period in series["periods"]} == expected
    assert Fraction(series["cost"]) == sum(cost for bands in expected.values() for _, cost in bands.values())


def test_hours_are_local_and_the_last_is_open(household):
    """An hour stands at its begin; the one that is not over is there, and marked, as is its day."""
    asked = {"from_": "2026-02-03", "until": "2026-02-03"}
    (hours,) = household.ask(f"/meters/{LIGHT}/usage", by="hour", **asked)["series"]
    (days,) = household.ask(f"/meters/{LIGHT}/usage", by="day", **asked)["series"]

    expected = {
        iso(ms(at(3, hour, 2))): bands
        for hour, bands in enumerate(added(LIGHT, "%m%d%H")[f"0203{hour:02d}"] for hour in range(10))
    }
    assert {hour["period"]: by_band(hour) for hour in hours["periods"]} == expected
    assert [hour["open"] for hour in hours["periods"]] == [False] * 9 + [True]
    assert [(day["period"], day["open"]) for day in days["periods"]] == [("2026-02-03", True)]


def test_times_with_a_zone_are_taken_to_the_hour(household):
    """Two instants ask for the hours that begin between them, the second not included."""
    asked = {"from_": "2026-01-05T08:00:00+08:00", "until": "2026-01-05T02:00:00Z"}

    (series,) = household.ask(f"/meters/{TAP}/usage", by="hour", **asked)["series"]

    assert [hour["period"] for hour in series["periods"]] == [iso(ms(at(5, hour))) for hour in (8, 9)]


def test_an_account_has_a_series_of_each_commodity(household):
    """A room's electricity and water stand beside each other, each the sum of its meters."""
    found = household.ask(f"/accounts/{ROOM}/usage", by="month", from_="2026-01-01")

    assert [(each["commodity"], each["unit"]) for each in found["series"]] == [("electricity", "kWh"), ("water", "m³")]
    assert (found["zone"], found["currency"], found["meter"]) == ("Asia/Shanghai", "CNY", None)
    for meter, series in zip((LIGHT, TAP), found["series"], strict=True):
        assert {period["period"]: by_band(period) for period in series["periods"]} == added(meter, "%Y-%m")


def test_corrected_usage_is_in_its_hours_and_marked(household):
    """What was given back later is taken off the night that it is of, and its hours say that they are estimated."""
    (series,) = household.ask(f"/meters/{LIGHT}/usage", by="hour", from_="2026-01-18", until="2026-01-18")["series"]

    assert [hour["estimated"] for hour in series["periods"]] == [True] * 4 + [False] * 20
    assert series["estimated"]


@pytest.mark.parametrize("account", [ROOM, SHOP])
def test_usage_and_ledger_add_up(household, account):
    """All that was used has cost what the ledger has charged for it, and what is open, to the twelfth decimal."""
    series = household.ask(f"/accounts/{account}/usage", by="year", from_="2026-01-01")["series"]

    store = household.store
    shard = shard_of(account, store.shards)
    state = store.load(shard)
    row = state.records["account_records"][account].row
    posted = np.concatenate(
        [np.frombuffer(packed, POSTING) for packed in store._at(shard).lrange(f"ledger:{{{shard:02d}}}:{row}", 0, -1)]
    )
    of_usage = [
        (int(each["amount"]), int(each["debit"]))
        for each in posted
        if {int(each["debit"]), int(each["credit"])} & {3, 4}
    ]
    micros = sum(amount if debit == Ledger.CUSTOMER else -amount for amount, debit in of_usage)
    meters = state.rows["meters"][state.rows["meter_terms"]["account"] == row]
    picos = (micros + int(meters["day_cost"].sum())) * PICOS_PER_MICRO + int(meters["day_picos"].sum())
    assert sum(Fraction(each["cost"]) for each in series) == Fraction(picos, 10**12)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"from_": "2026-02-30"}, "local day"),
        ({"from_": "yesterday"}, "time with zone"),
        ({"from_": "2026-01-31", "until": "2026-01-01"}, "earlier from"),
        ({"from_": "2026-01-01", "until": "2026-01-31T00:00:00Z"}, "two local days"),
        ({"from_": "2020-01-01", "by": "hour"}, "at most 93"),
        ({"by": "week"}, "hour"),
        ({"from_": "2026-01-01\0"}, "time with zone"),
        ({"until": "９９９９-01-01"}, "local day"),
    ],
)
def test_a_question_that_cannot_be_answered_says_what_is_expected(household, query, words):
    """Days that are none, ends the wrong way round, and more than is answered at once are the caller's mistakes."""
    answer = household.answer(f"/meters/{LIGHT}/usage", **query)

    assert answer.status_code == 422
    assert words in answer.text


def test_usage_is_for_who_reaches_the_account(household):
    """A tenant sees its own usage; another's is answered as that of a meter that is not there."""

    async def look():
        async with client_of(household.app) as client:
            headers = bearer(await made(client, "tenant", accounts=[SHOP]))
            paths = (f"/accounts/{SHOP}/usage", f"/accounts/{ROOM}/usage", f"/meters/{LIGHT}/usage", "/meters/99/usage")
            return [await client.get(path, headers=headers) for path in paths]

    own, *others = asyncio.run(look())

    assert own.status_code == 200
    assert [each.status_code for each in others] == [404, 404, 404]
    assert others[1].json() == others[2].json()
