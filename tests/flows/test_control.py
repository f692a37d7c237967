"""A supply that is cut and restored by itself: protected, spared at night, by the clock on the wall, and for its load."""

import numpy as np
import pytest
from test_machine import EIGHT, OFF, ON, Home, at, commands, in_arrears, kinds

from domain.facts import (
    AccountClosed,
    ControlTerms,
    ControlTermsSet,
    LoadReleased,
    ProtectionOrdered,
    ReadingBlock,
    ScheduledSupply,
    StepRange,
    Window,
)
from domain.units import HOUR_MS, MINUTE_MS
from domain.words import Reason, Settlement, Stage, Supply
from flows.supply.commands import COMMAND_LIFE_MS

EVERY_DAY, WEEKEND, HOLIDAY = 0b1111111, 0b1100000, 0b10000000
SIXTH = 20_428
"""2025-12-06, the Saturday on which these days begin, as a day number."""


def sets(home: Home, when: int = EIGHT, meter: int = 1, **terms):
    """Terms of control for a meter in Shanghai."""
    known = ControlTerms(zone="Asia/Shanghai", **terms)
    return home.tell(ControlTermsSet(at=when, id=home.id(when), meter=meter, terms=known))


def protects(home: Home, when: int, *, protected: bool = True, until: int = 0):
    """A person protects the supply, or no longer."""
    return home.tell(ProtectionOrdered(at=when, id=home.id(when), meter=1, protected=protected, until=until))


def closes(home: Home, when: int, *, cut: bool = False):
    """The tenant goes, and whatever is left is given up."""
    return home.tell(
        AccountClosed(
            at=when,
            id=home.id(when),
            account="room-201",
            settlement=Settlement.WRITE_OFF,
            reason="moved",
            operator="li",
            cut=cut,
        )
    )


def releases(home: Home, when: int):
    """A person has seen to the load."""
    return home.tell(LoadReleased(at=when, id=home.id(when), meter=1))


def draws(home: Home, clock: str, watts: int, register: int = 100_000, status: int = ON, days: int = 0):
    """A reading with its power, at the time that the machine's clock has come to."""
    home.ticks(at(clock, days))
    columns = [np.array([value], np.int64) for value in (1, at(clock, days), register, watts, status)]
    return home.tell(ReadingBlock(*columns))


def hours(start: str, end: str, days: int = EVERY_DAY, **more):
    """A window, or scheduled hours where a supply is given."""
    minutes = [60 * int(clock[:2]) + int(clock[3:]) for clock in (start, end)]
    kind = ScheduledSupply if more else Window
    return kind(days=days, from_minute=minutes[0], until_minute=minutes[1], **more)


def supplied(**terms) -> Home:
    """A home with money whose supply is seen on, controlled by these terms."""
    home = Home()
    home.pays(EIGHT, 500)
    sets(home, **terms)
    home.reads(at("08:00") + 1, 100_000, ON)
    return home


# Protection.


def test_a_protected_supply_is_not_cut_in_arrears():
    """Somebody at home depends on a machine: the trip that was queued is withdrawn, and comes again when the protection is revoked."""
    home = in_arrears()

    protected = protects(home, at("09:01"))
    during = home.wanted
    revoked = protects(home, at("20:00"), protected=False)

    assert commands(protected) == ["1 OFF withdrawn"]
    assert during == (Supply.ON, Reason.PROTECTED)
    assert commands(revoked) == ["2 OFF queued"]
    assert home.wanted == (Supply.OFF, Reason.ARREARS)


def test_a_protection_ends_at_its_time_by_itself():
    """Protected until ten: at ten the arrears count again, and not a minute before."""
    home = in_arrears()
    protects(home, at("09:01"), until=at("10:00"))

    told = [commands(home.ticks(at(clock))) for clock in ("09:59", "10:00", "10:01")]

    assert told == [[], ["2 OFF queued"], []]


def test_a_protection_that_is_over_before_it_begins_is_refused():
    """The time has passed by the machine's clock: nothing is protected."""
    home = Home()
    home.ticks(at("09:00"))

    refused = protects(home, at("08:59"), until=at("09:00")).outcomes[0].refusal

    assert refused == "already_expired"
    assert home.state.controls.get(1) is None


def test_only_a_person_wins_over_a_protection():
    """A supply that is protected is cut by force, and by nothing else; when the force ends it is given back."""
    home = supplied()
    protects(home, at("08:05"))

    forced = home.forces(at("08:10"), Supply.OFF, until=at("09:00"))
    end = home.ticks(at("09:00"))

    assert (commands(forced), commands(end)) == (["1 OFF queued"], ["1 OFF withdrawn"])
    assert home.wanted == (Supply.ON, Reason.PROTECTED)


# Arrears at night.


def broke_at(clock: str, **terms) -> tuple[Home, list[str]]:
    """A home with five yuan that are used up at a time of the evening, and what is commanded at it."""
    home = Home()
    home.pays(EIGHT, 5)
    sets(home, **terms)
    home.reads(at("08:00") + 1, 100_000, ON)
    home.ticks(at(clock))
    return home, commands(home.reads(at(clock), 105_000, ON))


def test_a_trip_waits_for_the_end_of_the_night():
    """Credit is gone at 23:10; from ten to seven nobody is cut, so it happens at 07:00 and not a minute before."""
    home, at_night = broke_at("23:10", no_trip=(hours("22:00", "07:00"),))
    waiting = home.wanted

    told = {clock: commands(home.ticks(at(clock, days=1))) for clock in ("00:00", "06:59", "07:00", "07:01")}

    assert (at_night, waiting) == ([], (Supply.ON, Reason.NO_TRIP))
    assert told == {"00:00": [], "06:59": [], "07:00": ["1 OFF queued"], "07:01": []}
    assert home.wanted == (Supply.OFF, Reason.ARREARS)


def test_whoever_pays_at_night_is_not_cut_in_the_morning():
    """The debt is paid before the night is over: nothing is left to be done at seven."""
    home, _ = broke_at("23:10", no_trip=(hours("22:00", "07:00"),))

    paid, morning = home.pays(at("02:00", days=1), 20), home.ticks(at("07:00", days=1))

    assert commands(paid) + commands(morning) == []
    assert home.wanted == (Supply.ON, Reason.IN_CREDIT)


def test_a_supply_that_is_off_is_not_given_back_for_the_night():
    """Cut at 21:00; at ten the no-trip window begins, and the room stays as it is."""
    home, cut = broke_at("21:00", no_trip=(hours("22:00", "07:00"),))

    home.reads(at("21:01"), 105_000, OFF)
    night = home.ticks(at("22:00"))

    assert (cut, commands(night)) == (["1 OFF queued"], [])
    assert home.wanted == (Supply.OFF, Reason.ARREARS)


NIGHT = hours("22:00", "07:00")


def trip_under_way(**terms) -> Home:
    """A home whose trip of 21:50 nobody has answered when the no-trip window begins at ten."""
    home, cut = broke_at("21:50", no_trip=(NIGHT,), **terms)
    assert cut == ["1 OFF queued"]
    return home


@pytest.mark.parametrize("stage", [None, Stage.SENT, Stage.FAILED])
def test_a_trip_that_is_under_way_is_not_tried_again_at_night(stage):
    """Ordered at 21:50 to a meter that does not answer: withdrawn at ten, and ordered again at seven."""
    home = trip_under_way()
    if stage:
        home.reports(at("21:55"), 1, stage)

    times = [("22:00", 0), ("22:30", 0), ("23:59", 0), ("06:59", 1), ("07:00", 1)]
    told = {clock: commands(home.ticks(at(clock, days))) for clock, days in times}

    assert told == {
        "22:00": ["1 OFF withdrawn"], "22:30": [], "23:59": [], "06:59": [], "07:00": ["2 OFF queued"],
    }  # fmt: skip
    assert home.wanted == (Supply.OFF, Reason.ARREARS)


def test_a_trip_that_waits_for_the_morning_is_not_ordered_by_what_the_meter_shows():
    """A reading of the night shows the supply on, or on again: the trip still waits."""
    home = trip_under_way()
    home.ticks(at("22:00"))

    shown = [commands(home.reads(at(clock), 105_000, status)) for clock, status in (("22:10", OFF), ("22:20", ON))]

    assert shown == [[], []]
    assert commands(home.ticks(at("07:00", days=1))) == ["2 OFF queued"]


def test_who_pays_at_night_is_not_tripped_in_the_morning_by_a_trip_that_waits():
    """The trip was withdrawn at ten and is not wanted any more at seven."""
    home = trip_under_way()
    home.ticks(at("22:00"))

    paid, morning = home.pays(at("02:00", days=1), 20), home.ticks(at("07:00", days=1))

    assert commands(paid) + commands(morning) == []


def test_a_trip_that_is_done_at_night_is_content():
    """The meter opened just before ten and says so just after: nothing is withdrawn that has done its work."""
    home, _ = broke_at("21:59", no_trip=(NIGHT,))

    seen, night = home.reads(at("21:59") + 30_000, 105_000, OFF), home.ticks(at("22:00"))

    assert (commands(seen), commands(night)) == (["1 OFF verified"], [])


def test_what_is_cut_for_safety_or_by_force_is_cut_at_night():
    """While a trip waits for the morning, the supply is on: a malignant load cuts it, and so does a person."""
    malignant = trip_under_way(malignant_step_w=1_500)
    draws(malignant, "22:00", 100, 105_000)
    forced = trip_under_way()
    forced.ticks(at("22:00"))

    assert commands(draws(malignant, "22:01", 2_000, 105_000)) == ["2 OFF queued"]
    assert malignant.wanted == (Supply.OFF, Reason.SAFETY)
    assert commands(forced.forces(at("22:01"), Supply.OFF, until=at("23:00"))) == ["2 OFF queued"]
    assert commands(forced.ticks(at("22:31"))) == ["2 OFF expired"]
    assert commands(forced.ticks(at("22:33"))) == ["3 OFF queued"]
    assert commands(forced.ticks(at("23:00"))) == ["3 OFF withdrawn"]


def test_what_else_cuts_a_supply_that_is_spared_leaves_it_to_its_arrears():
    """In arrears and spared at night, cut at eleven by the clock: the window gives nothing back, so from then on arrears are why."""
    home, _ = broke_at(
        "22:30", no_trip=(hours("22:00", "07:00"),), schedule=(hours("23:00", "23:30", supply=Supply.OFF),)
    )

    wanted = {}
    for clock in ("22:59", "23:00", "23:01", "23:30"):
        home.ticks(at(clock))
        wanted[clock] = home.wanted

    off = (Supply.OFF, Reason.ARREARS)
    assert wanted == {"22:59": (Supply.ON, Reason.NO_TRIP), "23:00": off, "23:01": off, "23:30": off}


def test_nobody_is_cut_on_a_holiday():
    """The credit of Saturday the 6th, a holiday, is gone at noon; the trip happens when Sunday begins."""
    home, noon = broke_at("12:00", no_trip=(hours("00:00", "24:00", HOLIDAY),), holidays=(SIXTH,))

    told = [commands(home.ticks(at(clock, days))) for clock, days in (("23:59", 0), ("00:00", 1))]

    assert (noon, told) == ([], [[], ["1 OFF queued"]])


# Load.


def test_a_duplicate_with_more_power_cuts_once():
    """The same register of the same instant with four kilowatts: cut as by any reading, and not again when it is repeated."""
    home = supplied(power_limit_w=3_000)
    home.ticks(at("09:00"))
    known = [np.array([value], np.int64) for value in (1, at("09:00"), 100_000)]
    home.tell(ReadingBlock(*known, np.array([500], np.int64)))

    told = [home.tell(ReadingBlock(*known, np.array([4_000], np.int64))) for _ in range(2)]

    assert [kinds(effects) for effects in told] == [["load_limit raised"], []]


# Scheduled hours.


def test_a_supply_follows_its_hours():
    """A shop is dark from ten to six: cut at 22:00, restored at 06:00, each said once."""
    home = supplied(schedule=(hours("22:00", "06:00", supply=Supply.OFF),))

    evening = [commands(home.ticks(at(clock))) for clock in ("21:59", "22:00")]
    dark = home.wanted
    home.reads(at("22:01"), 100_000, OFF)
    morning = [commands(home.ticks(at(clock, days=1))) for clock in ("05:59", "06:00")]

    assert (evening, morning) == ([[], ["1 OFF queued"]], [[], ["2 ON queued"]])
    assert dark == (Supply.OFF, Reason.SCHEDULE)


def test_holidays_have_hours_of_their_own():
    """On Saturday the 6th, a holiday, the holiday's hours count and the Saturday's do not; on the next one it is the other way round."""
    week = (hours("09:00", "10:00", supply=Supply.OFF), hours("12:00", "13:00", HOLIDAY, supply=Supply.OFF))
    home = supplied(schedule=week, holidays=(SIXTH,))

    seen = {}
    for days in (0, 7):
        for clock in ("09:30", "12:30"):
            home.ticks(at(clock, days))
            seen[days, clock] = home.wanted[0].name

    assert seen == {(0, "09:30"): "ON", (0, "12:30"): "OFF", (7, "09:30"): "OFF", (7, "12:30"): "ON"}


def test_the_first_of_the_scheduled_hours_that_holds_counts():
    """Off at weekends, but on from nine to noon, which stands first in the list."""
    opening = hours("09:00", "12:00", WEEKEND, supply=Supply.ON)
    home = supplied(schedule=(opening, hours("00:00", "24:00", WEEKEND, supply=Supply.OFF)))

    told = []
    for clock in ("08:30", "09:00", "12:00"):
        home.ticks(at(clock))
        told.append(home.wanted[0].name)

    assert told == ["OFF", "ON", "OFF"]


def test_hours_do_not_help_who_has_not_paid():
    """Scheduled to be on, and in arrears: arrears come first."""
    home, cut = broke_at("10:00", schedule=(hours("00:00", "24:00", supply=Supply.ON),))

    assert cut == ["1 OFF queued"]
    assert home.wanted == (Supply.OFF, Reason.ARREARS)


def test_terms_may_be_set_while_their_hours_hold():
    """Set at noon for hours that began at ten: they count at once."""
    home = supplied()

    effects = sets(home, at("12:00"), schedule=(hours("10:00", "13:00", supply=Supply.OFF),))

    assert commands(effects) == ["1 OFF queued"]


# Too much power.


def test_too_much_power_cuts_and_comes_back_by_itself():
    """2,000 W are allowed, 2,001 cut: the alarm has the amount, five minutes later the supply is back and the alarm is cleared."""
    home = supplied(power_limit_w=2_000)

    allowed, cut = draws(home, "09:00", 2_000), draws(home, "09:01", 2_001)
    why = home.wanted
    home.reads(at("09:02"), 100_000, OFF)
    waiting, back = home.ticks(at("09:05")), home.ticks(at("09:06"))

    assert kinds(allowed) + commands(allowed) == []
    assert (kinds(cut), cut.alarms[0].reason, commands(cut)) == (
        ["load_limit raised"],
        "2001 W > 2000 W",
        ["1 OFF queued"],
    )
    assert why == (Supply.OFF, Reason.LOAD)
    assert kinds(waiting) + commands(waiting) == []
    assert (kinds(back), commands(back)) == (["load_limit cleared"], ["2 ON queued"])


def overloads(home: Home, clock: str, days: int = 0) -> list[str]:
    """Three kilowatts again, and what the clock does about it six minutes later."""
    draws(home, clock, 3_000, days=days)
    draws(home, clock, 0, status=OFF, days=days)
    return kinds(home.ticks(at(clock, days) + 6 * MINUTE_MS))


def test_a_force_and_a_cut_that_end_together_leave_the_command_alone():
    """Off for its load, forced on, and no tick until both are over: the supply is to be on before and after, so nothing is withdrawn or ordered."""
    home = supplied(power_limit_w=2_000)
    draws(home, "09:01", 3_000)
    home.reads(at("09:02"), 100_000, OFF)

    forced = home.forces(at("09:03"), Supply.ON, until=at("09:05"))
    both_over = home.ticks(at("09:06"))

    assert commands(forced) == ["2 ON queued"]
    assert (kinds(both_over), commands(both_over)) == (["load_limit cleared"], [])
    assert home.wanted == (Supply.ON, Reason.IN_CREDIT)


def test_restores_are_counted_by_the_local_day_and_then_a_person_must_come():
    """Twice a day it comes back by itself; the third cut of Saturday stays, also on Sunday, until a person releases it."""
    home = supplied(power_limit_w=2_000, restores=2)

    saturday = [overloads(home, clock) for clock in ("10:00", "12:00", "14:00")]
    sunday = [kinds(home.ticks(at(clock, days=1))) for clock in ("00:00", "12:00")]
    still = home.wanted
    released = releases(home, at("12:30", days=1))
    again = overloads(home, "13:00", days=1)

    assert saturday == [["load_limit cleared"], ["load_limit cleared"], []]
    assert (sunday, still) == ([[], []], (Supply.OFF, Reason.LOAD))
    assert (kinds(released), commands(released)[-1][-9:]) == (["load_limit cleared"], "ON queued")
    assert again == ["load_limit cleared"]


def test_a_restore_after_midnight_counts_for_the_new_day():
    """Cut at 23:58 and back at four past midnight: of Sunday's two restores one is used, and nothing of Saturday's counts."""
    home = supplied(power_limit_w=2_000, restores=2)

    told = [overloads(home, clock, days) for clock, days in (("10:00", 0), ("23:58", 0), ("10:00", 1), ("12:00", 1))]

    assert told == [["load_limit cleared"]] * 3 + [[]]


def test_the_next_day_has_restores_of_its_own():
    """Once a day: used on Saturday, and there again on Sunday."""
    home = supplied(power_limit_w=2_000, restores=1)

    assert [overloads(home, clock, days) for clock, days in (("10:00", 0), ("11:00", 1), ("12:00", 1))] == [
        ["load_limit cleared"],
        ["load_limit cleared"],
        [],
    ]


@pytest.mark.parametrize("spared", ["forced", "protected", "off anyhow", "of nobody"])
def test_nothing_is_cut_for_its_load_that_is_spared(spared):
    """The load is the person's own wish, or will be gone at once: no cut, no alarm, no restore used up."""
    home = supplied(power_limit_w=2_000)
    if spared == "forced":
        home.forces(at("08:30"), Supply.ON, until=at("20:00"))
    elif spared == "protected":
        protects(home, at("08:30"))
    elif spared == "of nobody":
        closes(home, at("08:30"))
    else:
        home.forces(at("08:30"), Supply.OFF, until=at("08:59"))

    effects = draws(home, "08:45", 9_000)

    assert kinds(effects) + commands(effects) == []
    assert home.state.controls[1].cut is None


def test_a_block_of_readings_is_looked_at_one_by_one():
    """Of four readings in one block the second is too much: it cuts, although the last is not."""
    home = supplied(power_limit_w=2_000)
    times = [at("09:00") + minute * MINUTE_MS for minute in range(4)]
    columns = [[1] * 4, times, [100_000] * 4, [100, 2_500, 100, 100], [int(ON)] * 4]

    effects = home.tell(ReadingBlock(*(np.array(column, np.int64) for column in columns)))

    assert kinds(effects) == ["load_limit raised"]


# Malignant loads.


def test_a_step_of_power_cuts_at_once():
    """A kettle of 1,800 W on a dormitory's socket: 300 W, then 2,100; safety wins over the limit that is passed as well."""
    home = supplied(malignant_step_w=1_800, power_limit_w=2_000)
    draws(home, "09:00", 300)

    cut = draws(home, "09:01", 2_100)

    assert (kinds(cut), cut.alarms[0].reason) == (["malignant_load raised"], "+1800 W ≥ 1800 W")
    assert home.wanted == (Supply.OFF, Reason.SAFETY)


@pytest.mark.parametrize(
    ("terms", "watts"),
    [
        ({"malignant_step_w": 1_800}, 2_099),
        ({"malignant_step_w": 1_800, "whitelisted": True}, 9_000),
        ({"malignant_step_w": 1_800, "tolerated": (StepRange(low_w=1_900, high_w=2_100),)}, 2_300),
        ({"malignant_step_w": 0}, 9_000),
    ],
    ids=["one watt less", "whitelisted", "tolerated", "not looked at"],
)
def test_what_is_no_malignant_load(terms, watts):
    """A step that is smaller, tolerated or not looked at leaves the supply alone."""
    home = supplied(**terms)
    draws(home, "09:00", 300)

    effects = draws(home, "09:01", watts)

    assert kinds(effects) + commands(effects) == []


def test_the_first_power_that_is_known_is_no_step():
    """After a reading without its power nobody knows what came before: no supply is cut on a guess."""
    home = supplied(malignant_step_w=1_800)

    effects = [draws(home, "09:00", 5_000), home.reads(at("09:01"), 100_000, ON), draws(home, "09:02", 9_000)]

    assert [kinds(each) for each in effects] == [[], [], []]


@pytest.mark.parametrize(("watts", "said"), [(1_899, True), (1_900, False), (2_100, False), (2_101, True)])
def test_a_tolerated_range_holds_from_end_to_end(watts, said):
    """Both ends are let pass; a watt less or more is as malignant as it was."""
    home = supplied(malignant_step_w=1_800, tolerated=(StepRange(low_w=1_900, high_w=2_100),))
    draws(home, "09:00", 0)

    assert bool(draws(home, "09:01", watts).alarms) is said


def test_a_tolerated_step_may_still_pass_the_limit():
    """The air conditioner is tolerated; together with the rest it is too much all the same."""
    home = supplied(malignant_step_w=1_800, tolerated=(StepRange(low_w=0, high_w=9_000),), power_limit_w=2_000)
    draws(home, "09:00", 300)

    assert kinds(draws(home, "09:01", 2_200)) == ["load_limit raised"]


# Use while the supply is off.


def tripped() -> Home:
    """In arrears, and seen off at 09:01."""
    home = in_arrears()
    home.reads(at("09:01"), 105_000, OFF)
    return home


def test_use_while_tripped_is_said_once_and_cleared_when_it_stops():
    """What came with the first reading may be from before the cut; the second is said, with the amount, and so is its end."""
    home = tripped()

    told = []
    for minute in (15, 30, 45):
        told.append(home.reads(at(f"09:{minute}"), 105_000 + 100 * minute, OFF))
        home.ticks(at(f"09:{minute + 1}"))
    home.reads(at("09:50"), 109_500, OFF)
    stopped = home.ticks(at("09:51"))

    assert [kinds(each) for each in told] == [[], ["use_while_tripped raised"], []]
    assert (told[1].alarms[0].reason, kinds(stopped)) == ("3.000 kWh", ["use_while_tripped cleared"])


@pytest.mark.parametrize(
    ("cut", "registers", "said"),
    [
        (True, (100_100, 100_200), True),
        (True, (100_100, 100_100), False),
        (True, (100_100, 900_000), False),
        (True, (100_100, 50_000), False),
        (False, (100_100, 100_200), False),
    ],
    ids=["counts on", "stands still", "another meter, higher", "another meter, lower", "was not cut"],
)
def test_use_in_an_empty_room_that_was_cut_is_said(cut, registers, said):
    """Nobody pays for it, so somebody has to be told; a meter that was changed meanwhile is no use."""
    home = supplied()
    closes(home, at("09:00"), cut=cut)
    home.reads(at("09:01"), 100_000, OFF)
    home.reads(at("09:15"), registers[0], OFF)

    effects = home.reads(at("09:30"), registers[1], OFF)

    assert kinds(effects) == ["use_while_tripped raised"] * said
    assert home.balance == "0.00"


def test_a_supply_that_comes_back_ends_the_use_while_tripped():
    """The tenant pays: what is counted from now on is paid for."""
    home = tripped()
    for minute in (15, 30):
        home.reads(at(f"09:{minute}"), 105_000 + 10 * minute, OFF)

    assert "use_while_tripped cleared" in kinds(home.pays(at("09:40"), 50))


def test_one_last_reading_of_use_is_no_alarm():
    """The interval in which the relay opened has use, the next has none."""
    home = tripped()

    told = [home.reads(at("09:15"), 105_100, OFF), home.ticks(at("09:16")), home.reads(at("09:30"), 105_100, OFF)]
    told += [home.ticks(at("09:31")), home.reads(at("09:45"), 105_110, OFF)]

    assert [kinds(each) for each in told] == [[]] * 5


# Meters with a button.


def waiting_for_button() -> Home:
    """Paid after a trip; the meter has allowed its supply to be closed."""
    home = tripped()
    sets(home, at("09:02"), button=True)
    assert commands(home.pays(at("09:10"), 50)) == ["2 ON queued"]
    home.reports(at("09:11"), 2, Stage.ACKNOWLEDGED)
    return home


def test_allowing_to_close_is_done_when_it_is_acknowledged():
    """Nobody presses the button until tomorrow: nothing is sent again, and nobody is alarmed."""
    home = waiting_for_button()

    told = [home.reads(at("09:15"), 105_000, OFF), home.ticks(at("09:10") + COMMAND_LIFE_MS)]
    told += [home.ticks(at("09:00", days=1))]

    assert [commands(each) + kinds(each) for each in told] == [[], [], []]
    assert home.open_command.waits_for_button
    assert commands(home.reads(at("09:01", days=1), 105_000, ON)) == ["2 ON verified"]


def test_an_allowance_that_was_not_acknowledged_is_tried_again():
    """A meter that does not answer has allowed nothing yet."""
    home = tripped()
    sets(home, at("09:02"), button=True)
    home.pays(at("09:10"), 50)

    assert commands(home.ticks(at("09:10") + COMMAND_LIFE_MS)) == ["2 ON expired"]


def test_an_allowance_is_taken_back_when_money_is_gone_before_the_button_is_pressed():
    """The meter would still close at a press, so it is told to be off, and only a read-back ends that."""
    home = waiting_for_button()

    effects = home.forces(at("09:30"), Supply.OFF, until=at("20:00"))

    assert commands(effects) == ["2 ON withdrawn", "3 OFF queued"]


def test_the_alarm_of_a_silent_meter_ends_when_it_allows_to_close():
    """Three attempts failed and somebody was called; the fourth is acknowledged, and the rest is a person's hand."""
    home, now = tripped(), at("09:10")
    sets(home, at("09:02"), button=True)
    home.pays(now, 50)
    for _ in range(3):
        now += COMMAND_LIFE_MS
        home.ticks(now)
        now += HOUR_MS
        home.ticks(now)

    effects = home.reports(now, home.open_command.epoch, Stage.ACKNOWLEDGED)

    assert kinds(effects) == ["command_failed cleared"]
    assert home.open_command.waits_for_button


# Who wins.


STEP, LIMIT = {"malignant_step_w": 1_000}, {"power_limit_w": 999}


@pytest.mark.parametrize(
    ("terms", "acts", "reasons"),
    [
        (STEP, "end revoke release pay clear", "FORCED PROTECTED SAFETY ARREARS SCHEDULE IN_CREDIT"),
        (LIMIT, "end revoke pay release clear", "FORCED PROTECTED ARREARS LOAD SCHEDULE IN_CREDIT"),
    ],
    ids=["a step", "too much power"],
)
def test_the_order_of_the_wishes(terms, acts, reasons):
    """Everything that could cut does; as each reason goes, from the top, the next one counts."""
    home = Home()
    home.pays(EIGHT, 5)
    sets(home, restores=0, **terms)
    draws(home, "08:01", 0)
    draws(home, "08:02", 1_000)
    sets(home, at("08:03"), schedule=(hours("00:00", "24:00", supply=Supply.OFF),))
    home.reads(at("09:00"), 105_000)
    protects(home, at("09:10"))
    home.forces(at("09:20"), Supply.OFF, until=at("10:00"))
    does = {
        "end": lambda: home.ticks(at("10:00")),
        "revoke": lambda: protects(home, at("10:01"), protected=False),
        "release": lambda: releases(home, at("10:02")),
        "pay": lambda: home.pays(at("10:03"), 50),
        "clear": lambda: sets(home, at("10:04")),
    }

    told = [home.wanted[1].name]
    for act in acts.split():
        does[act]()
        told.append(home.wanted[1].name)

    assert told == reasons.split()


# Orders.


@pytest.mark.parametrize(
    ("terms", "detail"),
    [
        ({"zone": "Mars/Base"}, "an IANA time zone"),
        ({"holidays": (2, 1)}, "holidays to ascend"),
        ({"no_trip": (Window(days=0, from_minute=0, until_minute=5),)}, "no_trip 1"),
        ({"no_trip": (Window(days=256, from_minute=0, until_minute=5),)}, "no_trip 1"),
        ({"no_trip": (Window(days=1, from_minute=5, until_minute=5),)}, "no_trip 1"),
        ({"no_trip": (Window(days=1, from_minute=1440, until_minute=5),)}, "no_trip 1"),
        ({"schedule": (hours("08:00", "24:01", supply=Supply.ON),)}, "schedule 1"),
        ({"schedule": (hours("08:00", "09:00", supply=Supply.UNKNOWN),)}, "schedule 1: expected supply ON or OFF"),
        ({"power_limit_w": -1}, "power_limit_w"),
        ({"malignant_step_w": 10**9 + 1}, "malignant_step_w"),
        ({"tolerated": (StepRange(low_w=2, high_w=1),)}, "low_w <= high_w"),
        ({"restores": -1}, "restores"),
        ({"restore_wait_ms": 59_999}, "restore_wait_ms"),
    ],
)
def test_terms_that_cannot_be_are_refused_in_words(terms, detail):
    """Each mistake is said, and the meter keeps the terms that it had."""
    home = Home()
    known = ControlTerms(**{"zone": "Asia/Shanghai", **terms})

    outcome = home.tell(ControlTermsSet(at=EIGHT, id=home.id(EIGHT), meter=1, terms=known)).outcomes[0]

    assert outcome.refusal == "terms_invalid"
    assert detail in outcome.detail
    assert home.state.controls.get(1) is None


@pytest.mark.parametrize(
    ("switchable", "meter", "refusal"), [(True, 9, "unknown_meter"), (False, 1, "meter_has_no_switch")]
)
def test_control_needs_a_meter_with_a_switch(switchable, meter, refusal):
    """Terms, protection and release are refused by name where there is nothing to switch."""
    home = Home(switchable=switchable)
    orders = (
        ControlTermsSet(at=EIGHT, id=home.id(EIGHT), meter=meter, terms=ControlTerms(zone="UTC")),
        ProtectionOrdered(at=EIGHT, id=home.id(EIGHT), meter=meter, protected=True),
        LoadReleased(at=EIGHT, id=home.id(EIGHT), meter=meter),
    )

    assert [home.tell(order).outcomes[0].refusal for order in orders] == [refusal] * 3


def test_a_tick_looks_only_at_meters_whose_time_has_come():
    """Each meter has one time on the agenda, and one that has neither hours nor protection nor cut has none."""
    home = Home(meters=3)
    home.pays(EIGHT, 500)
    sets(home, meter=1, schedule=(hours("22:00", "06:00", supply=Supply.OFF),))
    sets(home, meter=2, power_limit_w=2_000)

    assert [home.state.controls[meter].look_at for meter in (1, 2)] == [at("22:00"), 0]
    assert 3 not in home.state.controls
    home.ticks(at("22:00"))
    assert home.state.controls[1].look_at == at("06:00", days=1)
