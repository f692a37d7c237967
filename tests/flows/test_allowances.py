"""Free energy and money: used before paid credit, month by month, and the ledger says so."""

from datetime import date

import pytest
from histories import stepped
from test_machine import EIGHT, Home, at

from domain.facts import AllowanceSet
from domain.units import DAY_MS, money_text
from domain.words import AllowanceKind, Ledger
from flows.readings.windows import month_of

DECEMBER = (date(2025, 12, 1) - date(1970, 1, 1)).days
KWH, YUAN = 1_000, 1_000_000


def gives(home, kind, amount, from_day=DECEMBER, **changed):
    """An allowance; returns its refusal and detail."""
    fact = AllowanceSet(
        at=EIGHT, id=home.id(EIGHT), account="room-201", kind=kind, amount=amount, from_day=from_day, **changed
    )
    outcome = home.tell(fact).outcomes[0]
    return outcome.refusal, outcome.detail


def reads(home, when, register):
    """The clock, then a reading; returns the balance after it."""
    home.ticks(when)
    home.reads(when, register)
    return home.balance


@pytest.mark.parametrize(
    ("kind", "amount", "balances"),
    [
        (AllowanceKind.NONE, 0, ["48.00", "44.00"]),
        (AllowanceKind.ELECTRICITY, 3 * KWH, ["50.00", "47.00"]),
        (AllowanceKind.MONEY, 3 * YUAN, ["50.00", "47.00"]),
        (AllowanceKind.MONEY, 1_500_001, ["49.500001", "45.500001"]),
        (AllowanceKind.WATER, 3 * KWH, ["48.00", "44.00"]),
    ],
)
def test_what_is_free_is_used_first(kind, amount, balances):
    """Two kWh and then four at 1.00: the wallet pays what is left; free water does not pay for electricity."""
    home = Home()
    home.pays(EIGHT, 50)
    gives(home, kind, amount)

    assert [reads(home, at("09:00"), 102_000), reads(home, at("10:00"), 106_000)] == balances


def test_the_month_gives_it_anew_and_what_was_left_is_gone():
    """One of three kWh is used in December; January has three again, and not five."""
    home = Home()
    home.pays(EIGHT, 50)
    gives(home, AllowanceKind.ELECTRICITY, 3 * KWH)

    reads(home, at("09:00"), 101_000)
    reads(home, at("08:00", days=26), 101_000)

    assert reads(home, at("09:00", days=26), 105_000) == "49.00"


def test_an_interval_over_the_months_end_uses_both_months():
    """From 23:00 to 01:00 four kWh: two in December, of which one is free, and two in January, which are."""
    home = Home()
    home.pays(EIGHT, 50)
    gives(home, AllowanceKind.ELECTRICITY, 3 * KWH)
    reads(home, at("09:00"), 102_000)
    reads(home, at("23:00", days=25), 102_000)

    assert reads(home, at("01:00", days=26), 106_000) == "49.00"


@pytest.mark.parametrize(
    ("changed", "free"), [({"partial": True}, 2_516), ({}, 3_000), ({"from_day": DECEMBER + 6}, 0)]
)
def test_a_first_month_may_have_its_share(changed, free):
    """From 6 December on, 26 of 31 days of 3 kWh, rounded down; or all of it; and nothing before its first day."""
    home = Home()
    home.pays(EIGHT, 50)
    gives(home, AllowanceKind.ELECTRICITY, 3 * KWH, **({"from_day": DECEMBER + 5} | changed))

    assert reads(home, at("20:00"), 110_000) == money_text(40 * YUAN + free * 1000)


def test_the_ledger_says_what_was_free():
    """A day of four kWh, three of them free: revenue has four, the customer paid one, allowances bear three."""
    home = Home()
    home.pays(EIGHT, 50)
    gives(home, AllowanceKind.ELECTRICITY, 3 * KWH)
    reads(home, at("20:00"), 104_000)

    effects = home.ticks(at("02:00", days=1))

    assert [
        (Ledger(int(row["debit"])).name, Ledger(int(row["credit"])).name, money_text(int(row["amount"])))
        for row in effects.postings
    ] == [("CUSTOMER", "REVENUE_ELECTRICITY", "4.00"), ("ALLOWANCES", "CUSTOMER", "3.00")]
    assert home.balance == "49.00"


def test_free_energy_counts_for_tiers():
    """Two of four kWh are free and in the first tier; what is paid is the rest of the first tier and one kWh of the second."""
    version = ("2024-01-01", 'price = ["1", "5"]', 'cycle = "month"\nlimits = ["3"]')
    home = Home(stepped("steps", "Asia/Shanghai", version))
    home.pays(EIGHT, 50)
    gives(home, AllowanceKind.ELECTRICITY, 2 * KWH)

    assert reads(home, at("12:00"), 104_000) == "44.00"


def test_an_allowance_that_ends_is_free_no_more():
    """NONE takes away what was left."""
    home = Home()
    home.pays(EIGHT, 50)
    gives(home, AllowanceKind.MONEY, 30 * YUAN)

    assert gives(home, AllowanceKind.NONE, 0) == ("", "")
    assert reads(home, at("09:00"), 101_000) == "49.00"


@pytest.mark.parametrize(
    ("kind", "amount", "day", "detail"),
    [
        (AllowanceKind.MONEY, 0, DECEMBER, "expected 0 < amount <= 10^15"),
        (AllowanceKind.WATER, 10**15 + 1, DECEMBER, "expected 0 < amount <= 10^15"),
        (AllowanceKind.MONEY, 1, -1, "expected from_day from 1970 to 2100"),
    ],
)
def test_what_is_refused(kind, amount, day, detail):
    """Each mistake in words."""
    assert gives(Home(), kind, amount, day) == ("terms_invalid", detail)


def test_december_is_the_month_of_these_days():
    """The tests' own days are where they say."""
    assert month_of(DECEMBER) == 12 * 2025 + 11
    assert EIGHT // DAY_MS == DECEMBER + 5
