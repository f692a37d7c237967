"""Meters that go: taken down, replaced, hung up again."""

import pytest
from test_life import refusal, told, wallet
from test_machine import EIGHT, OFF, ON, TERMS, YUAN, Home, at, classes, commands, kinds

from domain.facts import (
    AccountClosed,
    AccountOpened,
    MeterInstalled,
    MeterRemoved,
    MeterReplaced,
    MeterWatchSet,
    WatchTerms,
)
from domain.units import DAY_MS, HOUR_MS
from domain.words import Commodity, Metering, Reason, Settlement, Supply

INSTALLED = {
    "meter": 1, "account": "room-201", "tariff": "one", "commodity": Commodity.ELECTRICITY, "modulus": 1_000_000,
    "rated_per_hour": 60_000, "opening_register": 100_000,
}  # fmt: skip


def removes(home, when, register, **said):
    """The meter comes down; returns the effects."""
    return home.tell(MeterRemoved(at=when, id=home.id(when), **({"meter": 1, "closing_register": register} | said)))


def replaces(home, when, closing, opening, **said):
    """Meter 2 takes the place of meter 1; returns the effects."""
    words = {"meter": 1, "new_meter": 2, "modulus": 1_000_000, "rated_per_hour": 60_000} | said
    fact = MeterReplaced(at=when, id=home.id(when), closing_register=closing, opening_register=opening, **words)
    return home.tell(fact)


def installs(home, when, **said):
    """Somebody hangs meter 1 up; returns the effects."""
    return home.tell(MeterInstalled(at=when, id=home.id(when), **(INSTALLED | said)))


def meter(home, row):
    """The wish for the supply of a row, and why."""
    found = home.state.meters.rows[row]
    return Supply(int(found.wanted)), Reason(int(found.reason))


def test_a_meter_goes_with_a_last_reading():
    """What it counted until it came down is charged and posted; its number is nobody's any more."""
    home = Home()
    home.pays(EIGHT, 30)
    home.reads(at("09:00"), 104_000)

    gone = removes(home, at("10:00"), 107_000)
    after = home.reads(at("11:00"), 108_000)

    assert home.balance == "23.00"
    assert [int(row.amount) for row in gone.postings] == [7 * YUAN]
    assert gone.outcomes[0].amount_micros == 3 * YUAN
    assert classes(after) == [Metering.UNKNOWN_METER]
    assert home.state.account_records["room-201"].meters == ()
    assert home.state.account_records["room-201"].former == (1,)
    assert home.state.meter_records[1].removed_at == at("10:00")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({"meter": 9, "closing_register": -1}, "unknown_meter"),
        ({"closing_register": -1}, "terms_invalid"),
        ({"closing_register": 1_000_000}, "terms_invalid"),
        ({"closing_register": 400_000}, "register_not_believed"),
        ({"closing_register": 99_000}, "register_not_believed"),
        ({"closing_register": 100_000}, ""),
    ],
)
def test_a_closing_register_is_judged_like_a_reading(said, answer):
    """A digit too many is refused, and so is a register that fell; nothing has moved, and the meter is still there."""
    home = Home(modulus=1_000_000)
    home.pays(EIGHT, 30)
    home.reads(at("09:00"), 100_000)

    assert refusal(removes(home, at("09:10"), 0, **said)) == answer
    assert home.balance == "30.00"
    assert (home.state.installed(1) is None) == (answer == "")


def test_a_reading_with_a_fast_clock_does_not_keep_a_meter_up():
    """A last reading some minutes ahead of the order is not a contradiction; the closing register follows it."""
    home = Home()
    home.reads(at("09:05"), 101_000)

    gone = removes(home, at("09:00"), 101_000)

    assert refusal(gone) == ""
    assert home.state.meter_records[1].removed_at == at("09:05") + 1


def test_nothing_is_asked_of_a_meter_that_is_gone():
    """Its command is withdrawn, its wish and its alarms end, and no order or report finds it."""
    home = Home()
    home.pays(EIGHT, 100)
    home.reads(at("08:05"), 100_000, ON)
    terms = WatchTerms(offline_ms=HOUR_MS)
    home.tell(MeterWatchSet(at=EIGHT, id=home.id(EIGHT), meter=1, terms=terms))
    raised = home.ticks(at("10:00"))
    home.forces(at("10:01"), Supply.OFF, at("20:00"))

    gone = removes(home, at("10:02"), 100_000)

    assert kinds(raised) == ["offline raised"]
    assert kinds(gone) == ["offline cleared"]
    assert commands(gone) == ["1 OFF withdrawn"]
    assert refusal(home.forces(at("10:03"), Supply.ON, at("20:00"))) == "unknown_meter"
    assert refusal(home.tell(MeterWatchSet(at=at("10:03"), id=home.id(EIGHT), meter=1, terms=terms))) == "unknown_meter"
    assert kinds(home.ticks(at("10:00", days=3))) == []


def test_a_swapped_meter_starts_where_it_starts():
    """Old 5,500 kWh, new 78 kWh: what was used is charged, not -5,422 kWh; wallet, plan and tier counter go on."""
    home = Home(modulus=0, opening_register=5_490_000)
    home.pays(EIGHT, 100)

    swapped = replaces(home, at("12:00"), 5_500_000, 78_000, modulus=0, ratio=2)
    after = home.reads(at("13:00"), 79_000, meter=2)

    old, new = home.state.meter_records[1], home.state.meter_records[2]
    assert refusal(swapped) == ""
    assert classes(after) == [Metering.NORMAL]
    assert home.balance == "88.00"
    assert (old.replaced_by, new.replaces, new.tariff, new.installed_at) == (2, 1, "one", at("12:00"))
    assert home.state.meter_terms.rows[0].counter == home.state.meter_terms.rows[1].counter
    assert int(home.state.counters.rows[home.state.meter_terms.rows[1].counter].used) == 12_000
    assert home.state.account_records["room-201"].meters == (2,)


def test_wishes_move_over_to_the_new_meter():
    """A supply that was forced off stays so behind the new meter, which is told so at once; watching goes on too."""
    home = Home()
    home.pays(EIGHT, 100)
    home.reads(at("08:05"), 100_000, OFF)
    home.tell(MeterWatchSet(at=EIGHT, id=home.id(EIGHT), meter=1, terms=WatchTerms(offline_ms=HOUR_MS)))
    home.forces(at("08:06"), Supply.OFF, at("20:00"))

    swapped = replaces(home, at("08:10"), 100_000, 0)
    seen = home.reads(at("08:20"), 10, ON, meter=2)

    assert meter(home, 1) == (Supply.OFF, Reason.FORCED)
    assert meter(home, 0) == (Supply.UNKNOWN, Reason.CLOSED)
    assert (commands(swapped), commands(seen)) == (["1 OFF queued"], [])
    assert home.state.forced.get(1) is None
    assert kinds(home.ticks(at("10:00"))) == ["offline raised"]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({"new_meter": 1}, "exists_with_different_content"),
        ({"meter": 9}, "unknown_meter"),
        ({"new_meter": 0}, "terms_invalid"),
        ({"opening_register": 1_000_000}, "terms_invalid"),
        ({"rated_per_hour": 0}, "terms_invalid"),
        ({"closing_register": 10**16}, "terms_invalid"),
        ({"closing_register": 900_000}, "register_not_believed"),
    ],
)
def test_replacements_that_are_refused(said, answer):
    """Errors by descending precedence; the old meter stays, the new one is not there."""
    home = Home()
    words = {"meter": 1, "closing_register": 100_000, "new_meter": 2, "opening_register": 0, "modulus": 1_000_000}
    fact = MeterReplaced(at=at("09:00"), id=home.id(EIGHT), **(words | {"rated_per_hour": 60_000} | said))

    assert refusal(home.tell(fact)) == answer
    assert home.state.installed(1)
    assert home.state.meters.count == 1


def test_a_removed_meter_can_hang_elsewhere():
    """Repaired and given to the neighbour it is a new meter, from the register that it shows then; its old room does not pay."""
    home = Home()
    home.pays(EIGHT, 10)
    home.tell(AccountOpened(at=EIGHT, id=home.id(EIGHT), account="room-202", currency="CNY", alarms=TERMS))
    removes(home, at("09:00"), 101_000)

    stale = installs(home, at("09:10"))
    unread = installs(home, at("09:10"), account="room-202", opening_register=None)
    hung = installs(home, at("09:20"), account="room-202", opening_register=101_500)
    home.reads(at("10:00"), 104_500)

    assert [refusal(each) for each in (stale, unread, hung)] == ["meter_removed", "meter_removed", ""]
    assert home.balance == "9.00"
    assert int(home.state.accounts.rows[1].balance) == -3 * YUAN


def test_a_room_without_its_meter_closes_to_zero():
    """What a meter that is gone had left unposted, parts of a micro, goes with the account."""
    home = Home(document=Home().state.tariff_records["one"].document.replace('price = "1"', 'price = "0.333333333"'))
    home.pays(EIGHT, 10)
    removes(home, at("09:00"), 100_007)

    closed = told(home, AccountClosed, at("09:10"), settlement=Settlement.REFUND)

    assert refusal(closed) == ""
    assert wallet(home) == 0
    assert int(home.state.meters.rows[0].day_picos) == 0


def test_a_meter_that_goes_has_no_open_day():
    """A tick after midnight finds nothing more to post for it."""
    home = Home()
    home.pays(EIGHT, 10)
    removes(home, at("09:00"), 100_500)

    later = home.ticks(at("09:00") + 2 * DAY_MS)

    assert (later.postings, later.usage) == (None, None)
