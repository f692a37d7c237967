"""Main meters: what is lost between one and its sub-meters, judged once a day."""

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from histories import effect_bytes, flat, history, lived, numbered
from hypothesis import given, settings
from hypothesis import strategies as st
from streets import Housed
from test_life import refusal
from test_machine import EIGHT, Home, at, kinds

from domain.effects import USAGE
from domain.facts import MainMeterSet, MeterInstalled, MeterRemoved, MeterReplaced, TariffPublished
from domain.units import HOUR_MS
from domain.words import Commodity
from flows.counting import Found, answer, is_due

MAIN, SUB_A, SUB_B = 1, 2, 3


class House(Home):
    """A house with a main meter and two sub-meters, and the second stage. Days are counted from its first whole one."""

    def __init__(self, **said) -> None:
        self.facts = []
        self.usage = [np.empty(0, USAGE)]
        super().__init__(meters=3)
        self.registers = dict.fromkeys((MAIN, SUB_A, SUB_B), 100_000)
        self.answer = self.sets(**said)
        self.pays(EIGHT, 900)
        self.ticks(EIGHT)
        self.day = 0
        self.ends()

    def tell(self, fact):
        """One fact, remembered, with the usage that it closed."""
        self.facts.append(fact)
        effects = super().tell(fact)
        self.usage += [effects.usage] if effects.usage is not None else []
        return effects

    def sets(self, when=EIGHT, **said):
        """The main meter is named; returns the refusal and its detail."""
        terms = {"meter": MAIN, "subs": (SUB_A, SUB_B), "loss_max_permille": 100, "loss_min": 500} | said
        outcome = self.tell(MainMeterSet(at=when, id=self.id(when), **terms)).outcomes[0]
        return outcome.refusal, outcome.detail

    def uses(self, used):
        """Wh on each meter by half past ten in the evening, and nothing until after midnight; None: not heard."""
        heard = {number: usage for number, usage in used.items() if usage is not None}
        for clock, day in (("22:30", self.day), ("00:10", self.day + 1)):
            self.ticks(at(clock, days=day))
            for number, usage in heard.items():
                self.registers[number] += usage if clock == "22:30" else 0
                self.reads(at(clock, days=day), self.registers[number], meter=number)

    def ends(self, *used):
        """The day ends after these usages; returns the effects of the second stage's answer."""
        self.uses(dict(zip((MAIN, SUB_A, SUB_B), used or (0, 0, 0), strict=True)))
        return self.counted()

    def counted(self):
        """It is two hours after midnight, and the second stage answers what is asked."""
        self.day += 1
        self.ticks(at("02:00", days=self.day))
        said = [self.tell(self.count(main)) for _, main in self.state.main_meters.sorted() if is_due(main, self.now)]
        return said[0] if said else None

    @property
    def now(self):
        """The machine's clock."""
        return self.state.header.now

    def count(self, main):
        """What the second stage says."""
        rows, records = self.state.meters.rows, dict(self.state.meter_records.sorted())
        meters = {
            number: [Found(0, record, int(rows[record.row].time), int(rows[record.row].window_start))]
            for number, record in records.items()
        }
        return answer(main, self.now, {**{number: [] for number in main.subs}, **meters}, np.concatenate(self.usage))

    @property
    def main(self):
        """What is known of the main meter."""
        return self.state.main_meters.get(MAIN)


@pytest.mark.parametrize(
    ("used", "expected"),
    [
        ((10_000, 5_000, 4_000), []),
        ((10_000, 5_000, 3_999), ["line_loss raised"]),
        ((5_000, 2_500, 2_000), []),
        ((500, 0, 0), []),
        ((501, 0, 0), ["line_loss raised"]),
        ((0, 0, 0), []),
        ((5_000, 5_000, 5_000), []),
    ],
)
def test_more_is_lost_than_may_be(used, expected):
    """A tenth may be lost, and half a kilowatt-hour in any case: at the limits nothing, beyond them an alarm; more counted than came in is none."""
    house = House()

    assert kinds(house.ends(*used)) == expected


def test_the_alarm_says_how_much():
    """Whoever looks for the thief or the cable sees what came in, what was counted and what is missing."""
    house = House()

    (alarm,) = house.ends(100_000 - 1, 50_000, 26_543).alarms

    assert (alarm.meter, alarm.account) == (MAIN, "room-201")
    assert alarm.reason == "99.999 − 76.543 = 23.456 kWh, 23.4 %"


def test_a_day_within_the_limit_clears():
    """Raised once however long it lasts, cleared by the first good day."""
    house = House()

    days = [kinds(house.ends(*used)) for used in ((10_000, 0, 0), (10_000, 0, 0), (10_000, 9_000, 1_000), (0, 0, 0))]

    assert days == [["line_loss raised"], [], ["line_loss cleared"], []]


def test_the_first_whole_day_is_the_first_that_is_judged():
    """What was used on the day on which the house became known to be one says nothing."""
    house = House(subs=(SUB_A,))

    assert house.sets(at("10:00", days=1), subs=(SUB_A, SUB_B)) == ("", "")
    assert kinds(house.ends(10_000, 0, 0)) == []
    assert kinds(house.ends(10_000, 0, 0)) == ["line_loss raised"]


def test_a_meter_that_is_not_heard_puts_the_judgement_off():
    """Sub-meter B was silent over midnight: nothing is said; the next day both days are judged together, and nothing was lost."""
    house = House()

    silent = kinds(house.ends(10_000, 5_000, None))
    heard = house.ends(10_000, 5_000, 9_500)

    assert (silent, kinds(heard)) == ([], [])
    assert kinds(house.ends(10_000, 5_000, 2_000)) == ["line_loss raised"]


def test_two_days_together_may_lose_as_much_as_one_share():
    """The alarm of two days has the amounts of both."""
    house = House()
    house.ends(10_000, 5_000, None)

    (alarm,) = house.ends(10_000, 5_000, 3_000).alarms

    assert alarm.reason == "20.000 − 13.000 = 7.000 kWh, 35.0 %"


def test_what_is_waited_for_is_named():
    """Whoever wonders why nothing is judged reads which meter was not heard, until it is."""
    house = House()

    house.ends(10_000, 5_000, None)
    waiting, begins = house.main.waits_for, house.main.begins
    house.ends(0, 0, 0)

    assert (waiting, begins.at) == ((SUB_B,), at("00:00", days=1))
    assert (house.main.waits_for, house.main.begins.at) == ((), at("00:00", days=3))


@pytest.mark.parametrize(("days", "judged"), [(6, False), (7, True)])
def test_a_meter_that_is_seldom_read_is_judged_by_the_week(days, judged):
    """Sub-meter B is read at six in the morning only: nobody knows what it used before midnight, and after a week that no longer matters."""
    house = House()
    for _ in range(days):
        house.uses({MAIN: 10_000, SUB_A: 0})
        house.registers[SUB_B] += 10_000
        when = at("06:00", days=house.day + 1)
        house.ticks(when)
        house.reads(when, house.registers[SUB_B], meter=SUB_B)
        house.day += 1

    said = house.tell(house.count(house.main))

    assert (house.main.last is not None, house.main.waits_for) == (judged, () if judged else (SUB_B,))
    assert kinds(said) == []


def test_an_answer_counts_once():
    """The second stage may be killed after it has answered, and answers again; and an answer to an older question is none."""
    house = House()
    house.ends(10_000, 0, 0)
    told = house.facts[-1]
    before = house.main
    again = house.tell(told)

    assert (kinds(again), house.main) == ([], before)

    house.uses({MAIN: 0, SUB_A: 0, SUB_B: 0})
    house.ticks(at("02:00", days=3))
    asked = house.main

    assert (kinds(house.tell(told)), house.main) == ([], asked)


@pytest.mark.parametrize(("zone", "days"), [("Europe/London", [24, 23, 24]), ("Asia/Shanghai", [24, 24, 24])])
def test_days_are_those_of_the_site(zone, days):
    """A day begins and ends at midnight by the clock of the main meter's tariff, also on the day of 23 hours."""
    start = 1_743_163_200_000
    home = Home(flat("one", zone, ("2024-01-01", "1")), meters=2, start=start)
    home.tell(MainMeterSet(at=start, id=home.id(start), meter=1, subs=(2,), loss_max_permille=0, loss_min=0))
    ends = []
    for hour in range(96):
        home.ticks(start + hour * HOUR_MS)
        ends.append(home.state.main_meters[1].ends)

    midnights = sorted({end.at for end in ends if end})
    assert [(after - before) // HOUR_MS for before, after in pairwise(midnights)] == days
    assert [datetime.fromtimestamp(each // 1000, ZoneInfo(zone)).hour for each in midnights] == [0] * 4


def test_no_sub_meters_end_it():
    """A main meter without sub-meters is a meter like others; its alarm is over."""
    house = House()
    house.ends(10_000, 0, 0)
    when = at("09:00", days=2)

    ended = house.tell(MainMeterSet(at=when, id=house.id(when), meter=MAIN, subs=(), loss_max_permille=0, loss_min=0))

    assert kinds(ended) == ["line_loss cleared"]
    assert len(house.state.main_meters) == 0
    assert house.ends(10_000, 0, 0) is None


def test_other_limits_hold_from_the_next_day_on():
    """The same sub-meters by a wider limit: the day that began goes on, and the alarm is over with it."""
    house = House()
    house.ends(10_000, 5_000, 3_000)

    assert house.sets(at("08:00", days=2), loss_max_permille=300) == ("", "")
    assert kinds(house.ends(10_000, 5_000, 3_000)) == ["line_loss cleared"]


def test_a_sub_meter_that_is_replaced_has_a_successor():
    """On the day of the replacement both count, and from then on the new meter stands in its place."""
    house = House()
    when = at("12:00", days=1)
    house.ticks(when)
    house.registers[SUB_B] += 2_000
    replaced = MeterReplaced(
        at=when, id=house.id(when), meter=SUB_B, closing_register=house.registers[SUB_B], new_meter=9, opening_register=7,
        modulus=0, rated_per_hour=60_000,
    )  # fmt: skip
    assert refusal(house.tell(replaced)) == ""
    house.uses({MAIN: 10_000, SUB_A: 5_000})
    for clock, days, register in (("22:40", 1, 3_007), ("00:20", 2, 3_007)):
        house.reads(at(clock, days=days), register, meter=9)

    assert kinds(house.counted()) == []
    assert (house.main.subs, house.main.last.used, house.main.last.counted) == ((SUB_A, 9), 10_000, 10_000)


def test_a_main_meter_that_is_replaced_has_a_successor_too():
    """Its alarm is cleared under the number that it was raised with; the new meter is judged from its first whole day on."""
    house = House()
    house.ends(10_000, 0, 0)
    when = at("12:00", days=2)
    house.ticks(when)
    replaced = MeterReplaced(
        at=when, id=house.id(when), meter=MAIN, closing_register=house.registers[MAIN], new_meter=9, opening_register=0,
        modulus=0, rated_per_hour=60_000,
    )  # fmt: skip

    effects = house.tell(replaced)
    house.registers[9] = 0
    days = []
    for usage in (10_000, 20_000):
        house.uses({9: usage, SUB_A: 0, SUB_B: 0})
        days.append([(alarm.meter, alarm.kind, alarm.reason) for alarm in house.counted().alarms])

    assert [(alarm.kind, alarm.state, alarm.meter) for alarm in effects.alarms] == [("line_loss", "cleared", MAIN)]
    assert list(dict(house.state.main_meters.sorted())) == [9]
    assert days == [[], [(9, "line_loss", "20.000 − 0.000 = 20.000 kWh, 100.0 %")]]


@given(st.integers(0, 2**32), st.sets(st.integers(1, 60), max_size=12))
@settings(max_examples=30)
def test_a_cut_of_any_history_never_shows(seed, cuts):
    """What is asked, answered and raised is the same however the log was cut, and after any loss of memory."""
    entries = history(seed, 60, Housed)

    whole, effects = lived(entries)
    cut, effects_cut = lived(entries, cuts, reload=True)

    assert cut.bytes() == whole.bytes()
    assert effect_bytes(effects_cut) == effect_bytes(effects)


def test_any_cut_of_the_log_says_the_same():
    """Reloaded from its records after every entry, the machine finds the same losses, to the byte."""
    house = House()
    for used in ((10_000, 0, 0), (10_000, 5_000, None), (10_000, 5_000, 9_000), (10_000, 0, 0)):
        house.ends(*used)
    entries = numbered(house.facts)

    whole, effects = lived(entries)
    cut, effects_cut = lived(entries, range(len(entries)), reload=True)

    assert [str(alarm.state) for effect in effects for alarm in effect.alarms if alarm.kind == "line_loss"] == [
        "raised",
        "cleared",
        "raised",
    ]
    assert effect_bytes(effects_cut) == effect_bytes(effects)
    assert cut.bytes() == whole.bytes()


@pytest.mark.parametrize(("gone", "left"), [([SUB_A], (SUB_B,)), ([SUB_A, SUB_B], None), ([MAIN], None)])
def test_meters_that_are_taken_down(gone, left):
    """A sub-meter that is gone is no longer counted; with the main meter or the last sub-meter the alarm is over."""
    house = House()
    house.ends(10_000, 0, 0)
    said = []
    for number in gone:
        when = at("12:00", days=2)
        house.ticks(when)
        removed = MeterRemoved(at=when, id=house.id(when), meter=number, closing_register=house.registers[number])
        said += kinds(house.tell(removed))
    house.uses({number: 10_000 * (number == MAIN) for number in {MAIN, SUB_A, SUB_B} - set(gone)})
    effects = house.counted()
    said += kinds(effects) if effects else []

    assert (house.main.subs if house.main else None) == left
    assert said == ([] if left else ["line_loss cleared"])


def test_what_cannot_be_counted_is_waited_for():
    """A number that nobody has, and water behind electricity: nothing is compared, and both are named."""
    house = House()
    document = flat("water", "Asia/Shanghai", ("2024-01-01", "1"), commodity="water")
    house.tell(TariffPublished(at=EIGHT, id=house.id(EIGHT), tariff="water", document=document))
    house.tell(
        MeterInstalled(
            at=EIGHT, id=house.id(EIGHT), meter=4, account="room-201", tariff="water", commodity=Commodity.WATER,
            modulus=0, rated_per_hour=1, opening_register=0,
        )
    )  # fmt: skip

    assert house.sets(at("08:00", days=1), subs=(SUB_A, 4, 7)) == ("", "")
    assert kinds(house.ends(10_000, 0, 0)) == []
    assert house.main.waits_for == (4, 7)


@pytest.mark.parametrize(
    ("said", "answer", "detail"),
    [
        ({"meter": 8}, "unknown_meter", ""),
        ({"subs": (1, 2)}, "terms_invalid", "expected a main meter that is none of its sub-meters"),
        ({"subs": (2, 2)}, "terms_invalid", "expected at most 1000 sub-meters, each once"),
        ({"subs": (2, 0)}, "terms_invalid", "expected meter numbers of 1 to 12 digits"),
        ({"loss_max_permille": 1001}, "terms_invalid", "expected 0 <= loss_max_permille <= 1000"),
        ({"loss_min": -1}, "terms_invalid", "expected 0 <= loss_min <= 10^15"),
    ],
)
def test_main_meters_that_are_refused(said, answer, detail):
    """The main meter is one of ours, its sub-meters are others, and limits are what can be lost."""
    assert House().sets(**said) == (answer, detail)
