"""When the money will have run down, and when supply will be cut, as an app is told."""

import pytest
from api_site import LATER, METER, NOW, append_readings, money, new_id, wait_until_settled

from domain.facts import ControlTerms, ControlTermsSet, Window
from domain.ids import shard_of

HOUR = 3_600_000


def test_an_account_that_uses_nothing_has_no_end(site, ask):
    """Nothing is promised about a meter that has not been read."""
    ask("POST", "/accounts/A-101/recharges", json=money("6.17"))

    assert ask("GET", "/accounts/A-101/outlook").json() == {
        "account": "A-101",
        "currency": "CNY",
        "spendable": "6.17",
        "runs_down_at": None,
        "trips_at": None,
        "days_left": None,
    }


@pytest.fixture
def used(site, ask):
    """A-101 has used 12 kWh on its day at 0.617, and has money for 10 kWh more: twenty hours."""
    append_readings(site, (NOW + HOUR, 13_000))
    wait_until_settled(site)
    ask("POST", "/accounts/A-101/recharges", json=money("13.574"))


def test_the_day_goes_on_as_it_was(used, ask):
    """Half a kWh an hour from 16:13 on: used up in the hour that ends at 13:00 the next day, and the supply is cut then."""
    told = ask("GET", "/accounts/A-101/outlook").json()

    assert (told["spendable"], told["days_left"]) == ("6.17", 0)
    assert told["runs_down_at"] == told["trips_at"] == "2026-09-22T13:00:00.000Z"


def test_a_no_trip_window_puts_the_cut_off(used, site, ask):
    """13:00 UTC is nine in the evening in Shanghai; nobody is cut there before eight in the morning."""
    night = Window(days=127, from_minute=20 * 60, until_minute=8 * 60)
    terms = ControlTerms(zone="Asia/Shanghai", no_trip=(night,))
    site.append(shard_of("A-101", site.shards), ControlTermsSet(at=LATER, id=new_id(), meter=METER, terms=terms))
    wait_until_settled(site)

    told = ask("GET", "/accounts/A-101/outlook").json()

    assert (told["runs_down_at"], told["trips_at"]) == ("2026-09-22T13:00:00.000Z", "2026-09-23T00:00:00.000Z")
