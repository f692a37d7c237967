"""What a tenant or clerk is told who asks why a room is off, and what must clear."""

import pytest
from test_control import draws, hours, protects, sets, tripped, waiting_for_button
from test_machine import EIGHT, OFF, ON, Home, at

from domain.facts import AccountClosed
from domain.supply_text import Standing, must_clear, why
from domain.words import Reason, Settlement, Supply

NOT_YET = "no money has moved yet, so the supply is left alone"


def standing(home: Home) -> Standing:
    """All that bears on the supply of meter 1."""
    state = home.state
    return Standing(
        meter=state.meters.rows[0],
        account=state.account_records["room-201"],
        wallet=state.accounts.rows[0],
        forced=state.forced.get(1),
        control=state.controls.get(1),
        command=state.commands.get(1),
    )


def says(home: Home) -> tuple[str, list[str]]:
    """Why, and what must clear, in English; both languages say something, and not the same."""
    texts = [why(standing(home)), *must_clear(standing(home))]
    assert all(zh and en and zh != en for zh, en in texts)
    return texts[0][1], [en for _, en in texts[1:]]


def paid() -> Home:
    """A home with money, seen on."""
    home = Home()
    home.pays(EIGHT, 50)
    home.reads(at("08:01"), 100_000, ON)
    return home


def test_a_new_home_and_one_with_money_wait_for_nothing():
    """Before the first payment nothing is wanted; after it the supply is on."""
    assert says(Home()) == (NOT_YET, [])
    assert says(paid()) == ("in credit", [])


def test_arrears_say_how_much_is_missing():
    """Nothing is left; two yuan bring the supply back, and what is missing is said to the fen."""
    home = tripped()
    home.pays(at("09:10"), 1)

    assert says(home) == ("in arrears", ["the balance to reach 2.00 CNY, 1.00 CNY more than now"])


def test_a_force_says_who_and_until_when_and_what_stands_behind_it():
    """Whoever ends the force learns at once that the tenant must pay as well."""
    home = tripped()
    home.forces(at("09:10"), Supply.OFF, until=at("12:00"))

    assert says(home) == (
        "forced off by ? until 2025-12-06 04:00 UTC",
        [
            "the force to end (2025-12-06 04:00 UTC), or a person to give the supply back to automatic",
            "the balance to reach 2.00 CNY, 2.00 CNY more than now",
        ],
    )


@pytest.mark.parametrize(
    ("until", "said"),
    [(0, "protected until revoked"), (at("20:00"), "protected until 2025-12-06 12:00 UTC")],
)
def test_a_protection_says_how_long(until, said):
    """With an end, or until somebody revokes it."""
    home = paid()
    protects(home, at("08:30"), until=until)

    assert says(home) == (said, [])


@pytest.mark.parametrize(
    ("terms", "said", "cleared"),
    [
        ({"power_limit_w": 2_000}, "too much power: 3000 W, allowed 2000 W", "the wait to end (2025-12-06 01:06 UTC), or a person to release it"),
        ({"malignant_step_w": 2_000, "restores": 0}, "a malignant load: 2900 W, allowed 2000 W", "a person to see to the load and release it"),
    ],
)  # fmt: skip
def test_a_load_says_how_much_and_who_gives_the_supply_back(terms, said, cleared):
    """By itself at a time, or only by a person."""
    home = paid()
    sets(home, at("08:30"), **terms)
    draws(home, "09:00", 100)
    draws(home, "09:01", 3_000)

    assert says(home) == (said, [cleared])


def test_scheduled_hours_have_to_end():
    """Dark from ten at night: nobody has to do anything but wait."""
    home = paid()
    sets(home, at("08:30"), schedule=(hours("22:00", "06:00", supply=Supply.OFF),))
    home.ticks(at("22:00"))

    assert says(home) == ("by its scheduled hours", ["the scheduled hours to end"])


def test_a_waiting_trip_is_announced():
    """In arrears at night: the supply is on, and it is said that it will not stay so."""
    home = paid()
    sets(home, at("08:30"), no_trip=(hours("22:00", "06:00"),))
    home.ticks(at("23:00"))
    home.reads(at("23:00"), 150_000, ON)

    assert says(home) == ("in arrears, in a no-trip window: cut at its end unless paid", [])


def test_a_supply_that_is_wanted_and_not_seen_waits_for_the_meter_or_for_a_hand():
    """Paid, and still dark: the command is under way, or somebody must press the button."""
    home = tripped()
    home.pays(at("09:10"), 50)

    assert says(home) == ("in credit", ["the meter to carry out its command"])
    assert says(waiting_for_button()) == ("in credit", ["somebody to press the button of the meter"])


def test_what_is_over_has_nothing_to_clear():
    """A cut that has been restored is not named beside the arrears that came later."""
    home = paid()
    sets(home, at("08:30"), power_limit_w=2_000)
    draws(home, "09:01", 3_000)
    draws(home, "09:02", 0, status=OFF)
    home.ticks(at("09:06"))
    home.reads(at("10:00"), 150_000, OFF)

    assert says(home)[1] == ["the balance to reach 2.00 CNY, 2.00 CNY more than now"]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words(reason):
    """A new reason is given words with it, also where its record is already gone."""
    home = Home()
    home.state.meters.rows[0].reason = reason

    assert says(home)[0]


def test_an_empty_room_says_so():
    """After the tenant has gone the reason is that nobody has the room; what is cut comes back when somebody has."""
    home = paid()
    home.tell(
        AccountClosed(at=at("08:10"), id=home.id(EIGHT), account="room-201", settlement=Settlement.REFUND, cut=True)
    )

    reason, clear = says(home)

    assert reason == "nobody has it: the account is not open, or the meter is gone"
    assert clear[0] == "the account to be opened again"
