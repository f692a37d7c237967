"""The business as gauges against the rows that they are counted from: by site, at once, and cheaply."""

import asyncio
import random
import re
from collections import Counter

import numpy as np
import pytest
from api_site import LATER, METER, NOW, TOKEN, append_readings, money, new_id, together, wait_until_settled

from api.app import create_app
from api.settings import ApiSettings
from connectors.redis.census import Census
from connectors.redis.keys import key
from connectors.redis.live import LiveStore
from domain.facts import AccountOpened, AlarmTerms, ControlOrdered, MeterInstalled, MeterWatchSet, Place, WatchTerms
from domain.ids import shard_of
from domain.units import DAY_MS, HOUR_MS
from domain.words import Commodity, Supply
from tariffs.forecast import Outlook, expected_costs, means, runs_down_at
from tariffs.loader import catalogue, load_tariff
from tariffs.tariff import Premises, Stage


def gauges(app):
    """Every number of a scrape, by metric with labels, without `meterline_`."""
    text = together(app, lambda client: client.get("/metrics")).text
    lines = [line.removeprefix("meterline_").rpartition(" ") for line in text.splitlines() if line.startswith("meterline_")]  # fmt: skip
    return {name: float(value) for name, _, value in lines}


def fresh(store_url, now=LATER):
    """An app that has read nothing yet."""
    return create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: now))


def open_elsewhere(store, account, meter, site, **more):
    """One more account with a meter, on a site."""
    shard, place = shard_of(account, store.shards), Place(site=site, room=account)
    store.append(
        shard, AccountOpened(at=NOW, id=new_id(), account=account, currency="CNY", place=place, alarms=AlarmTerms())
    )
    installed = MeterInstalled(
        at=NOW, id=new_id(), meter=meter, account=account, commodity=Commodity.ELECTRICITY, tariff="flat",
        modulus=10**9, rated_per_hour=15_000, switchable=True, **({"opening_register": 0} | more),
    )  # fmt: skip
    store.append(shard, installed)


def test_meters_are_online_by_their_watch_or_an_hour(site, store_url):
    """As lists of rooms judge it: read within what the watch allows, or an hour. A register that was read when a meter was installed is a reading."""
    open_elsewhere(site, "B-1", 11, "Harbour")
    open_elsewhere(site, "B-2", 12, "Harbour")
    open_elsewhere(site, "B-3", 13, "Harbour")
    open_elsewhere(site, "B-4", 14, "Harbour", opening_register=None)
    watch = MeterWatchSet(at=NOW, id=new_id(), meter=13, terms=WatchTerms(offline_ms=3 * HOUR_MS))
    site.append(shard_of("B-3", site.shards), watch)
    for account, meter in (("B-1", 11), ("B-2", 12), ("B-3", 13)):
        append_readings(site, (NOW + (0 if meter != 12 else HOUR_MS), 500), meter=meter, account=account)
    wait_until_settled(site)

    found = gauges(fresh(store_url, NOW + 2 * HOUR_MS))

    def meters(place, state):
        return found[f'meters{{commodity="electricity",site="{place}",state="{state}"}}']

    assert [meters("Harbour", state) for state in ("online", "offline", "never_read")] == [2, 1, 1]
    assert [meters("Garden", state) for state in ("online", "offline", "never_read")] == [0, 2, 0]
    assert found['meters{commodity="water",site="Garden",state="online"}'] == 0


def test_money_and_supply_are_counted_by_site(site, ask, store_url):
    """Held and owed apart, never netted; a recharge is a debit of its channel's cash; a supply that a person cut is told so."""
    ask("POST", "/accounts/A-102/recharges", json=money("30.00", channel="wechat"))
    append_readings(site, (NOW + 1_800_000, 3_000))
    ordered = ControlOrdered(
        at=LATER, id=new_id(), meter=METER, wanted=Supply.OFF, until=LATER + DAY_MS, operator="eva", note="works"
    )
    site.append(shard_of("A-101", site.shards), ordered)
    wait_until_settled(site)

    found = gauges(fresh(store_url))

    assert found['credit_money{currency="CNY",site="Garden"}'] == 30.0
    assert found['arrears_money{currency="CNY",site="Garden"}'] == pytest.approx(2 * 0.617)
    assert found['ledger_debited_money_total{currency="CNY",ledger="cash_wechat"}'] == 30.0
    assert found['ledger_credited_money_total{currency="CNY",ledger="customer"}'] == 30.0
    assert found['meters_wanted{reason="forced",site="Garden",supply="off"}'] == 1
    assert found['commands_open{site="Garden",stage="queued",supply="off"}'] == 1
    assert found['command_events_total{stage="queued",supply="off"}'] == 1
    assert found['accounts{level="arrears",site="Garden"}'] + found['accounts{level="limit",site="Garden"}'] == 1
    assert found['alarms_standing{kind="balance_arrears",severity="critical",site="Garden"}'] == 1
    assert found['alarm_events_total{kind="balance_arrears",site="Garden",state="raised"}'] == 1
    assert found['log_lag_entries{shard="00"}'] == 0
    assert found['redis_used_memory_bytes{node="00"}'] > 0
    assert found['redis_persistence_failed{node="00",of="aof_write"}'] == 0


def test_what_waits_is_counted_in_entries(store, store_url):
    """Before anybody settles, everything waits."""
    open_elsewhere(store, "B-1", 11, "Harbour")

    assert gauges(fresh(store_url))[f'log_lag_entries{{shard="{shard_of("B-1", store.shards):02d}"}}'] == 2


def test_wallets_that_run_down_are_those_of_the_outlook(site, ask, store_url):
    """12 kWh a day at 0.617: money for ten hours is gone within a day, for two days within three, for ten days in none of the horizons."""
    for account, meter, amount in (("B-1", 11, "10.00"), ("B-2", 12, "22.00"), ("B-3", 13, "90.00")):
        open_elsewhere(site, account, meter, "Harbour")
        append_readings(site, (NOW, 0), (NOW + HOUR_MS, 12_000), meter=meter, account=account)
        wait_until_settled(site)
        ask("POST", f"/accounts/{account}/recharges", json=money(amount))

    found = gauges(fresh(store_url))
    days_left = [ask("GET", f"/accounts/B-{number}/outlook").json()["days_left"] for number in (1, 2, 3)]

    assert [found[f'accounts_running_down{{days="{days}",site="Harbour"}}'] for days in (1, 3, 7)] == [
        sum(left is not None and left < days for left in days_left) for days in (1, 3, 7)
    ]
    assert found['accounts_running_down{days="1",site="Harbour"}'] == 1
    assert found['accounts_running_down{days="3",site="Harbour"}'] == 2


def test_costs_at_mean_prices_are_near_the_forecasts():
    """Over bands and through tiers, an estimate within a few parts in a hundred of the hour by hour forecast."""
    chance, name = random.Random(4), "shanghai-residential-tou"
    tariff = load_tariff(catalogue()[name], name)
    plan = (Stage(0, tariff, Premises(1, 0)),)
    mean = means([plan], NOW, (1, 3, 7))
    for _ in range(40):
        daily, used = chance.randrange(2_000, 60_000), chance.randrange(0, 500_000)
        costs = expected_costs(mean, (1, 3, 7), np.array([0]), np.array([daily]), np.array([used]))[:, 0].tolist()
        for days, cost in zip((1, 3, 7), costs, strict=True):
            outlook = [Outlook(plan, daily, {int(mean.period[0]): used})]
            sooner, later = (runs_down_at(outlook, round(cost * part), NOW) for part in (0.96, 1.04))
            assert sooner <= NOW + days * DAY_MS + HOUR_MS
            assert later >= NOW + days * DAY_MS - HOUR_MS


def test_a_census_reads_on_from_what_has_changed(site, store_url):
    """After any number of commits it has the rows, sites and what stands, as one that reads all anew."""

    def held(census):
        return [
            (
                {name: rows.tobytes() for name, rows in each.rows.items()},
                [census.sites[place] for place in each.site],
                Counter(standing.id for found in each.standing.values() for standing in found),
            )
            for each in census.shards
        ]

    async def follow():
        live = await LiveStore.open(store_url)
        one = Census(live)
        await one.take()
        for number in range(6):
            open_elsewhere(site, f"C-{number}", 100 + number, f"Place {number % 2}")
            append_readings(site, (NOW + 1_800_000, 10**8), meter=100 + number, account=f"C-{number}")
            await asyncio.to_thread(wait_until_settled, site)
            for each in one.shards:
                each.terms_read = -1e9
            await one.take()
            other = Census(live)
            await other.take()
            assert held(one) == held(other)
        await live.close()
        return one

    census = asyncio.run(follow())

    assert set(census.sites) == {"Garden", "Place 0", "Place 1"}
    assert sum(len(each.cases) for each in census.shards) == 6


def test_no_label_is_an_id(site, ask, store_url):
    """Whoever may read counts must not learn who lives where."""
    open_elsewhere(site, "SECRET-1", 987_654_321, "Harbour")
    append_readings(site, (NOW + 1_800_000, 10**8), meter=987_654_321, account="SECRET-1")
    wait_until_settled(site)

    text = together(fresh(store_url), lambda client: client.get("/metrics")).text

    assert 'quarantine_cases_open{reason="jump",site="Harbour"} 1.0' in text
    assert not re.search(r"SECRET|987654321|A-10\d|B-\d", text)


def test_a_damaged_tally_is_no_reason_to_say_nothing(site, store_url):
    """A field that a later release has added is left alone."""
    site._at(0).hset(key("tallies", 0), "something new", 5)

    assert gauges(fresh(store_url))["store_up"] == 1
