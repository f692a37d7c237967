"""What of a meter is worth an alarm besides its money: raised once, repeated as told, cleared once."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_machine import EIGHT, Home, at, kinds

from domain.facts import AccountActivated, AccountClosed, MeterWatchSet, ReadingBlock, WatchTerms
from domain.units import HOUR_MS, MINUTE_MS
from domain.words import Settlement
from flows.readings.watching import is_within
from flows.readings.windows import month_of


def watches(home, **terms):
    """Watch meter 1; returns the refusal and its detail."""
    outcome = home.tell(MeterWatchSet(at=EIGHT, id=home.id(EIGHT), meter=1, terms=WatchTerms(**terms))).outcomes[0]
    return outcome.refusal, outcome.detail


def reads(home, when, register, power):
    """A reading with its power in W."""
    columns = [np.array([value], np.int64) for value in (1, when, register, power)]
    return home.tell(ReadingBlock(*columns))


def watched():
    """A home with money, so that no alarm of its balance is heard."""
    home = Home()
    home.pays(EIGHT, 500)
    return home


def reads_and_ticks(home, when, register):
    """The clock, a reading, and what the next look finds."""
    home.ticks(when)
    home.reads(when, register)
    return home.ticks(when)


def test_too_much_in_a_day_is_said_once_and_cleared_when_the_day_closes():
    """5 kWh are allowed: at 5.000 nothing, at 5.001 an alarm with the amount, nothing more that day, and a new day is free of it."""
    home = watched()
    watches(home, day_usage=5_000, repeat_max=0)
    steps = [("10:00", 105_000, []), ("11:00", 105_001, ["day_usage raised"]), ("12:00", 107_000, [])]

    told = []
    for clock, register, _ in steps:
        home.reads(at(clock), register)
        told.append(kinds(home.ticks(at(clock))))
    reads_and_ticks(home, at("23:30"), 107_000)
    home.ticks(at("00:29", days=1))
    home.reads(at("00:30", days=1), 107_100)

    assert told == [said for _, _, said in steps]
    assert kinds(home.ticks(at("00:31", days=1))) == ["day_usage cleared"]


def test_the_amount_is_in_the_alarm():
    """Whoever gets the message knows how much it is, in kWh, and in both languages."""
    home = watched()
    watches(home, day_usage=5_000)
    home.reads(at("10:00"), 106_250)

    (alarm,) = home.ticks(at("10:00")).alarms

    assert (alarm.account, alarm.meter, alarm.reason) == ("room-201", 1, "6.250 kWh")


def test_a_month_is_counted_over_its_days():
    """Three kWh on the 6th and three on the 7th pass a month's five; January begins at nothing."""
    home = watched()
    watches(home, month_usage=5_000, repeat_max=0)

    first = kinds(reads_and_ticks(home, at("20:00"), 103_000))
    second = kinds(reads_and_ticks(home, at("20:00", days=1), 106_000))
    third = kinds(home.ticks(at("00:30", days=26)))

    assert (first, second, third) == ([], ["month_usage raised"], ["month_usage cleared"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"repeat_max": 0}, {"repeat_max": 1, "repeat_ms": HOUR_MS}),
        ({"repeat_ms": 9 * HOUR_MS}, {"repeat_max": 1, "repeat_ms": HOUR_MS}),
    ],
    ids=["more often", "sooner"],
)
def test_what_stands_is_repeated_by_new_terms(before, after):
    """An alarm is raised by terms that repeat it later or never; terms that repeat it after an hour do so, once."""
    home = watched()
    watches(home, offline_ms=HOUR_MS, **before)
    raised = home.ticks(EIGHT + HOUR_MS + 1)
    watches(home, offline_ms=1, **after)

    told = [kinds(home.ticks(EIGHT + hours * HOUR_MS + 1)) for hours in (2, 3)]

    assert (kinds(raised), told) == (["offline raised"], [["offline repeated"], []])


def test_a_months_amount_is_said_while_no_day_is_open():
    """Three kWh of the 6th, which a tick has closed, pass what is allowed from the 7th on: the alarm says three, not none."""
    home = watched()
    home.reads(at("10:00"), 103_000)
    home.ticks(at("01:30", days=1))
    watches(home, month_usage=2_000)

    (alarm,) = home.ticks(at("01:31", days=1)).alarms

    assert (alarm.kind, alarm.reason) == ("month_usage", "3.000 kWh")


def test_a_silent_meter_is_offline_until_it_is_read():
    """Not at an hour but after it, repeated twice and no more, cleared by the next reading."""
    home = watched()
    watches(home, offline_ms=HOUR_MS, repeat_ms=2 * HOUR_MS, repeat_max=2)
    home.reads(at("09:00"), 100_100)
    clocks = ["10:00", "10:01", "11:00", "12:01", "14:01", "16:01", "18:01"]

    said = {clock: kinds(home.ticks(at(clock))) for clock in clocks}
    home.reads(at("18:30"), 100_200)

    assert {clock: told for clock, told in said.items() if told} == {
        "10:01": ["offline raised"],
        "12:01": ["offline repeated"],
        "14:01": ["offline repeated"],
    }
    assert kinds(home.ticks(at("18:31"))) == ["offline cleared"]


def test_a_register_that_stands_still_under_load_is_stuck():
    """Three hours at 900 W without a watt-hour; an idle flat is not stuck, and a register that moves is cleared."""
    home = watched()
    watches(home, stuck_ms=3 * HOUR_MS, stuck_w=500)
    idle = [kinds(_after(home, clock, 100_000, 20)) for clock in ("10:00", "12:00")]
    loaded = [kinds(_after(home, clock, 100_000, 900)) for clock in ("13:00", "13:30")]

    assert idle == [[], []]
    assert loaded == [["stuck raised"], []]
    assert kinds(_after(home, "14:00", 100_001, 900)) == ["stuck cleared"]


def _after(home, clock, register, power):
    reads(home, at(clock), register, power)
    return home.ticks(at(clock))


@pytest.mark.parametrize(("power", "expected"), [(-99, []), (-100, ["reverse_flow raised"]), (2_000, [])])
def test_power_that_flows_back(power, expected):
    """A tenant's generator, or a meter that is wired the wrong way."""
    home = watched()
    watches(home, reverse_w=100)

    assert kinds(_after(home, "10:00", 100_000, power)) == expected


def test_use_at_night_is_a_leak():
    """Between two and four nobody uses water: one litre is allowed, three are an alarm in the morning, a dry night clears it."""
    home = watched()
    watches(home, night_usage=1, repeat_max=0)
    nights = []
    register = 100_000
    for day, litres in ((1, 1), (2, 3), (3, 3), (4, 0)):
        for clock, used in (("01:59", 0), ("02:00", 0), ("03:30", litres), ("04:00", 0)):
            register += used
            home.reads(at(clock, days=day), register)
            nights += [(day, clock, each) for each in kinds(home.ticks(at(clock, days=day)))]

    assert nights == [(2, "04:00", "night_flow raised"), (4, "04:00", "night_flow cleared")]


def vacated(home, when, *, cut=False):
    """The tenant goes, with the balance paid out."""
    order = AccountClosed(at=when, id=home.id(when), account="room-201", settlement=Settlement.REFUND, cut=cut)
    assert home.tell(order).outcomes[0].refusal == ""


def occupied(home, when):
    """Somebody has the room again, with money."""
    home.tell(AccountActivated(at=when, id=home.id(when), account="room-201"))
    home.pays(when, 500)


def looked_at(home, register, *times):
    """Reads and looks at these times of (days, clock, used); returns the last register, and what was said with its time."""
    said = []
    for day, clock, used in times:
        register += used
        told = [home.ticks(at(clock, days=day)), home.reads(at(clock, days=day), register)]
        said += [(day, clock, each) for effects in (*told, home.ticks(at(clock, days=day))) for each in kinds(effects)]
    return register, said


def night(day, used, midway=0):
    """A night from two to four in which so much is used, some of it seen only at its end."""
    return (day, "01:59", 0), (day, "02:00", 0), (day, "03:30", used - midway), (day, "04:00", midway)


def test_a_leak_is_seen_where_nobody_lives():
    """A pipe bursts in an empty flat: nobody pays for it, and the night's alarm says it; a dry night clears it."""
    home = watched()
    watches(home, night_usage=1, repeat_max=0)
    vacated(home, EIGHT + 1)

    _, said = looked_at(home, 100_000, *night(1, 1), *night(2, 3), *night(3, 900, midway=400), *night(4, 0))

    assert said == [(2, "04:00", "night_flow raised"), (4, "04:00", "night_flow cleared")]
    assert (home.balance, int(home.state.meters.rows[0].closed_usage)) == ("0.00", 0)


@pytest.mark.parametrize(("leak", "used"), [(10, 20), (11, 23), (300, 700)])
def test_a_night_in_which_the_tenant_comes_or_goes_is_counted_whole(leak, used):
    """Ten before the tenant goes and ten after are as much as twenty of one; so too where one comes."""
    comes, goes = watched(), watched()
    for home, change in ((goes, vacated), (comes, occupied)):
        if home is comes:
            vacated(home, EIGHT + 1)
        watches(home, night_usage=used - 1, repeat_max=0)
        looked_at(home, 100_000, (1, "02:00", 0), (1, "03:00", leak))
        change(home, at("03:01", days=1))
        _, said = looked_at(home, 100_000 + leak, (1, "03:30", used - leak), (1, "04:00", 0))

        assert said == [(1, "04:00", "night_flow raised")]


def test_use_of_a_day_and_a_month_is_heard_where_nobody_lives():
    """Somebody cooks in an empty flat: the day is said, cleared at midnight, and the month goes on until it is over."""
    home = watched()
    watches(home, day_usage=5_000, month_usage=9_000, repeat_max=0)
    vacated(home, EIGHT + 1)
    days = (0, "20:00", 5_000), (0, "21:00", 1), (1, "00:01", 0), (1, "20:00", 4_000), (2, "09:00", 0)

    home.ticks(EIGHT + 2)
    register, said = looked_at(home, 100_000, *days)
    _, later = looked_at(home, register, (25, "23:00", 0), (26, "00:01", 0), (26, "12:00", 3_000))

    assert said == [
        (0, "21:00", "day_usage raised"),
        (1, "00:01", "day_usage cleared"),
        (1, "20:00", "month_usage raised"),
    ]
    assert later == [(26, "00:01", "month_usage cleared")]


def test_the_alarm_of_an_empty_room_says_how_much():
    """What the tenant used in the month before going counts in it; what the alarm says is both."""
    home = watched()
    home.reads(at("10:00"), 103_000)
    watches(home, month_usage=5_000)
    home.ticks(at("10:00"))
    vacated(home, at("10:01"))

    (alarm,) = reads_and_ticks(home, at("11:00"), 106_250).alarms

    assert (alarm.kind, alarm.reason) == ("month_usage", "6.250 kWh")


@pytest.mark.parametrize(
    ("registers", "expected"),
    [
        ([100_000, 20, 50], []),  # somebody has changed the meter and told nobody: it fell, then 30 of 100 allowed
        ([100_000, 20, 150], ["night_flow raised"]),
        ([100_000, 900_000, 900_101], ["night_flow raised"]),  # a jump counts nothing, what follows does
        ([100_000, 900_000, 900_100], []),
        ([999_990, 89, 91], ["night_flow raised"]),  # past the wrap
        ([999_990, 89, 90], []),
    ],
)
def test_jumps_and_falls_of_an_empty_room_are_no_use(registers, expected):
    """What no meter can have counted counts nothing; a register that goes on from zero does."""
    home = watched()
    watches(home, night_usage=100, repeat_max=0)
    vacated(home, EIGHT + 1)
    for clock, register in zip(("01:59", "02:10", "02:20"), registers, strict=True):
        reads_and_ticks(home, at(clock, days=1), register)

    assert kinds(home.ticks(at("04:00", days=1))) == expected


def test_the_count_for_nobody_goes_on_past_its_end():
    """Four gigawatt-hours of empty rooms later the count begins anew, and no alarm can tell."""
    home = watched()
    watches(home, day_usage=99, month_usage=99, night_usage=99, repeat_max=0)
    vacated(home, EIGHT + 1)
    home.state.meters.rows[0].vacant_usage = 2**32 - 50
    for clock, register in (("02:00", 100_000), ("03:00", 100_100)):
        said = kinds(reads_and_ticks(home, at(clock, days=1), register))
    said += kinds(home.ticks(at("04:00", days=1)))

    assert said == ["day_usage raised", "month_usage raised", "night_flow raised"]
    assert int(home.state.meters.rows[0].vacant_usage) == 50


def test_what_is_no_longer_watched_is_cleared():
    """New terms clear what they do not watch at the next tick, and nothing is repeated."""
    home = watched()
    watches(home, offline_ms=HOUR_MS)
    home.reads(at("09:00"), 100_100)
    home.ticks(at("10:30"))

    watches(home)

    assert kinds(home.ticks(at("10:31"))) == ["offline cleared"]
    assert kinds(home.ticks(at("18:00"))) == []


def test_the_same_terms_again_do_not_make_a_silent_meter_heard():
    """A site file says its terms at each start: what is offline stays so, and what is not has its hour from then on."""
    home = watched()
    watches(home, offline_ms=HOUR_MS)
    home.reads(at("09:00"), 100_100)
    home.ticks(at("09:40"))
    watches(home, offline_ms=HOUR_MS)
    said = [kinds(home.ticks(at(clock))) for clock in ("10:01", "10:40", "10:41")]

    watches(home, offline_ms=HOUR_MS)

    assert said == [[], [], ["offline raised"]]
    assert kinds(home.ticks(at("10:50"))) == []
    home.reads(at("10:55"), 100_200)
    assert kinds(home.ticks(at("10:56"))) == ["offline cleared"]


def test_a_meter_that_was_never_read_is_offline_from_its_terms_on():
    """A meter that is installed and never answers is told, an hour after it is watched."""
    home = Home(opening_register=None)
    watches(home, offline_ms=HOUR_MS)

    assert kinds(home.ticks(EIGHT + HOUR_MS)) == []
    assert kinds(home.ticks(EIGHT + HOUR_MS + MINUTE_MS)) == ["offline raised"]


@pytest.mark.parametrize(
    ("terms", "detail"),
    [
        ({"day_usage": -1}, "expected usages from 0 to 10^15"),
        ({"night_usage": -2}, "expected night_usage from -1"),
        (
            {"night_from": 60, "night_until": 60},
            "expected night_from and night_until to be different minutes from 0 to 1439",
        ),
        ({"repeat_ms": 0}, "expected 0 < repeat_ms <= 400 days"),
        (
            {"stuck_w": -1, "offline_ms": -1},
            "expected times from 0 to 400 days; expected watts from 0 to 10^9",
        ),
    ],
)
def test_terms_that_are_refused(terms, detail):
    """All mistakes at once, in words; the meter is watched as before."""
    home = watched()

    assert watches(home, **terms) == ("terms_invalid", detail)
    assert home.state.watches.count == 0


@given(st.dates(dt.date(1900, 1, 1), dt.date(2200, 12, 31)))
def test_the_month_of_a_day_is_the_calendars(day):
    """The compiled loop's months are the calendar's, leap years included."""
    number = (day - dt.date(1970, 1, 1)).days

    assert month_of(number) == 12 * day.year + day.month - 1


@pytest.mark.parametrize(
    ("minute", "begin", "end", "expected"),
    [
        (120, 120, 240, True),
        (240, 120, 240, False),
        (10, 1380, 60, True),
        (60, 1380, 60, False),
        (1380, 1380, 60, True),
    ],
)
def test_a_night_may_go_over_midnight(minute, begin, end, expected):
    """Half open, as every window here: its begin belongs to it, its end does not."""
    assert is_within(minute, begin, end) is expected
