"""Main meters: what is lost between one and its sub-meters, judged once a day."""

import pytest
from histories import effect_bytes, flat, lived, numbered
from test_life import refusal
from test_machine import EIGHT, Home, at, kinds

from domain.facts import MainMeterSet, MeterInstalled, MeterRemoved, MeterReplaced, TariffPublished
from domain.words import Commodity

MAIN, SUB_A, SUB_B = 1, 2, 3


class House(Home):
    """A house with a main meter and two sub-meters. Days are counted from its first whole one."""

    def __init__(self, **said) -> None:
        self.facts = []
        super().__init__(meters=3)
        self.registers = dict.fromkeys((MAIN, SUB_A, SUB_B), 100_000)
        self.answer = self.sets(**said)
        self.pays(EIGHT, 900)
        self.day = 0
        self.ends()

    def tell(self, fact):
        """One fact, remembered."""
        self.facts.append(fact)
        return super().tell(fact)

    def sets(self, when=EIGHT, **said):
        """The main meter is named; returns the refusal and its detail."""
        terms = {"meter": MAIN, "subs": (SUB_A, SUB_B), "loss_max_permille": 100, "loss_min": 500} | said
        outcome = self.tell(MainMeterSet(at=when, id=self.id(when), **terms)).outcomes[0]
        return outcome.refusal, outcome.detail

    def uses(self, *used, clock="23:50"):
        """Wh on each meter, read at that time; None: not heard."""
        for number, usage in zip((MAIN, SUB_A, SUB_B), used, strict=True):
            if usage is not None:
                self.registers[number] += usage
                self.reads(at(clock, days=self.day), self.registers[number], meter=number)

    def ends(self, *used):
        """The day ends after these usages; returns the effects of the tick after midnight."""
        self.ticks(at("23:40", days=self.day))
        self.uses(*(used or (0, 0, 0)))
        self.day += 1
        return self.ticks(at("00:00", days=self.day))


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
    """What was used before the house was known to be one says nothing, nor does the rest of that day."""
    home = Home(meters=3)
    home.pays(EIGHT, 900)
    home.ticks(at("09:00"))
    home.reads(at("10:00"), 150_000)
    home.tell(
        MainMeterSet(at=at("11:00"), id=home.id(at("11:00")), meter=1, subs=(2,), loss_max_permille=0, loss_min=0)
    )
    home.reads(at("12:00"), 160_000)
    for number in (1, 2):
        home.reads(at("23:55"), 160_000 if number == 1 else 100_000, meter=number)

    assert kinds(home.ticks(at("00:00", days=1))) == []


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


def test_no_sub_meters_end_it():
    """A main meter without sub-meters is a meter like others; its alarm is over."""
    house = House()
    house.ends(10_000, 0, 0)

    ended = house.tell(
        MainMeterSet(
            at=at("09:00", days=2),
            id=house.id(at("09:00", days=2)),
            meter=MAIN,
            subs=(),
            loss_max_permille=0,
            loss_min=0,
        )
    )

    assert kinds(ended) == ["line_loss cleared"]
    assert len(house.state.main_meters) == 0
    assert kinds(house.ends(10_000, 0, 0)) == []


def test_other_limits_hold_from_the_next_day_on():
    """The same sub-meters by a wider limit: the day that began goes on, and the alarm is over with it."""
    house = House()
    house.ends(10_000, 5_000, 3_000)

    assert house.sets(at("08:00", days=2), loss_max_permille=300) == ("", "")
    assert kinds(house.ends(10_000, 5_000, 3_000)) == ["line_loss cleared"]


def test_a_sub_meter_that_is_replaced_has_a_successor():
    """The day of the replacement is not judged; from the next one on the new meter counts in its place."""
    house = House()
    when = at("12:00", days=1)
    house.ticks(when)
    replaced = MeterReplaced(
        at=when, id=house.id(when), meter=SUB_B, closing_register=100_000, new_meter=9, opening_register=7, modulus=0,
        rated_per_hour=60_000,
    )  # fmt: skip
    answer = refusal(house.tell(replaced))
    house.ticks(at("23:40", days=1))
    house.uses(10_000, 5_000, None)
    house.reads(at("23:50", days=1), 10, meter=9)
    same_day = kinds(house.ticks(at("00:00", days=2)))
    house.day = 2
    house.ticks(at("23:40", days=2))
    house.uses(10_000, 5_000, None)
    house.reads(at("23:50", days=2), 5_010, meter=9)

    assert (answer, same_day) == ("", [])
    assert house.state.main_meters[MAIN].subs == (SUB_A, 9)
    assert kinds(house.ticks(at("00:00", days=3))) == []


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
    days = []
    for day, register in ((2, 10), (3, 10_010)):
        house.day = day
        house.ticks(at("23:40", days=day))
        house.uses(None, 0, 0)
        house.reads(at("23:50", days=day), register, meter=9)
        days += [(day, alarm.meter, alarm.kind) for alarm in house.ticks(at("00:00", days=day + 1)).alarms]

    assert [(alarm.kind, alarm.state, alarm.meter) for alarm in effects.alarms] == [("line_loss", "cleared", MAIN)]
    assert (list(dict(house.state.main_meters.sorted())), days) == ([9], [(3, 9, "line_loss")])


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

    main = house.state.main_meters.get(MAIN)
    assert (main.subs if main else None) == left
    assert said == ([] if left else ["line_loss cleared"])


@pytest.mark.parametrize(
    ("said", "answer", "detail"),
    [
        ({"meter": 8, "subs": (2, 7)}, "unknown_meter", "not there: 000000000008, 000000000007"),
        ({"subs": (2, 4)}, "wrong_commodity", ""),
        ({"subs": (1, 2)}, "terms_invalid", "expected a main meter that is none of its sub-meters"),
        ({"subs": (2, 2)}, "terms_invalid", "expected at most 1000 sub-meters, each once"),
        ({"loss_max_permille": 1001}, "terms_invalid", "expected 0 <= loss_max_permille <= 1000"),
        ({"loss_min": -1}, "terms_invalid", "expected 0 <= loss_min <= 10^15"),
    ],
)
def test_main_meters_that_are_refused(said, answer, detail):
    """Meters of another shard are not there, water is not behind electricity, and limits are what can be lost."""
    house = House()
    document = flat("water", "Asia/Shanghai", ("2024-01-01", "1"), commodity="water")
    house.tell(TariffPublished(at=EIGHT, id=house.id(EIGHT), tariff="water", document=document))
    house.tell(
        MeterInstalled(
            at=EIGHT, id=house.id(EIGHT), meter=4, account="room-201", tariff="water", commodity=Commodity.WATER,
            modulus=0, rated_per_hour=1,
        )
    )  # fmt: skip

    refused, words = house.sets(**said)

    assert (refused, words.endswith(detail)) == (answer, True)
