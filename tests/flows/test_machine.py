"""A household's day: facts in, and what comes out, said as a person would say it."""

import msgspec
import numpy as np
import pytest
from histories import flat, order_text, readings, time_of_use

from connectors.redis.commit import commit_of
from domain.effects import Effects
from domain.facts import (
    AccountOpened,
    AlarmTerms,
    CommandReported,
    ControlOrdered,
    MeterInstalled,
    MeterRemoved,
    ReadingBlock,
    ReadingRefused,
    RechargeOrdered,
    RefundOrdered,
    TariffPublished,
    Ticked,
)
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS, PICOS_PER_MICRO, money_text
from domain.words import Commodity, Ledger, Metering, Reason, Stage, Status, Supply
from flows.machine import fold
from flows.orders.answers import IDS_AHEAD_MS, IDS_KEPT_MS
from flows.state import ShardState
from flows.supply.commands import COMMAND_LIFE_MS, RETRY_MAX_MS

EIGHT = 1_764_979_200_000
"""2025-12-06 08:00 in Shanghai, a Saturday."""
YUAN = 1_000_000
ON = Status.SUPPLY_KNOWN | Status.SUPPLY_ON
OFF = Status.SUPPLY_KNOWN
ONE_YUAN = flat("one", "Asia/Shanghai", ("2024-01-01", "1"))
TERMS = AlarmTerms(
    low=20 * YUAN, pretrip=5 * YUAN, arrears=0, hysteresis=YUAN, reconnect=2 * YUAN, max_balance=1_000 * YUAN,
    repeat_ms=HOUR_MS, repeat_max=2,
)  # fmt: skip


def at(clock: str, days: int = 0) -> int:
    """Milliseconds UTC of a time of the day in Shanghai, on the first day or `days` later."""
    hours, minutes = clock.split(":")
    return EIGHT + days * DAY_MS + (int(hours) - 8) * HOUR_MS + int(minutes) * MINUTE_MS


class Home:
    """One account with meters, and the machine that looks after it. Every method tells it a fact and returns what it did."""

    def __init__(self, document: str = ONE_YUAN, meters: int = 1, **terms) -> None:
        self.state = ShardState(0)
        self.number = 0
        self.start = terms.pop("start", EIGHT)
        self.terms = {"modulus": 1_000_000, "rated_per_hour": 60_000, "opening_register": 100_000} | terms
        tariff = document.split('"')[1]
        currency = self.terms.pop("currency", "CNY")
        warned = self.terms.pop("alarms", TERMS)
        self.tell(TariffPublished(at=self.start, id=self.id(self.start), tariff=tariff, document=document))
        self.tell(
            AccountOpened(at=self.start, id=self.id(self.start), account="room-201", currency=currency, alarms=warned)
        )
        for meter in range(1, meters + 1):
            installed = MeterInstalled(
                at=self.start, id=self.id(self.start), meter=meter, account="room-201", tariff=tariff,
                commodity=Commodity.ELECTRICITY, **self.terms,
            )  # fmt: skip
            assert self.tell(installed).outcomes[0].refusal == ""

    def id(self, when: int) -> str:
        """A new id, made at `when`."""
        self.number += 1
        return order_text(when, self.number)

    def tell(self, fact) -> Effects:
        """One fact."""
        self.number += 1
        self.state, effects = fold(self.state, [((self.number, 0), fact)])
        return effects[0]

    def reads(self, when: int, register: int, status: int | None = None, meter: int = 1) -> Effects:
        """One reading."""
        return self.tell(readings((meter, when, register), status=None if status is None else [status]))

    def ticks(self, when: int) -> Effects:
        """The clock."""
        return self.tell(Ticked(at=when))

    def pays(self, when: int, yuan: int, name: str = "") -> Effects:
        """A recharge."""
        order = name or self.id(when)
        return self.tell(
            RechargeOrdered(at=when, id=order, account="room-201", amount_micros=yuan * YUAN, currency="CNY")
        )

    def takes_out(self, when: int, micros: int, **changed) -> str:
        """A refund; returns its refusal."""
        said = {"account": "room-201", "currency": "CNY", "id": self.id(when)} | changed
        return self.tell(RefundOrdered(at=when, amount_micros=micros, **said)).outcomes[0].refusal

    def forces(self, when: int, wanted: Supply, until: int = 0, meter: int = 1) -> Effects:
        """A person's wish."""
        return self.tell(ControlOrdered(at=when, id=self.id(when), meter=meter, wanted=wanted, until=until))

    def reports(self, when: int, epoch: int, stage: Stage, seen: Supply = Supply.UNKNOWN) -> Effects:
        """What became of a command."""
        return self.tell(CommandReported(at=when, meter=1, epoch=epoch, stage=stage, seen=seen))

    @property
    def balance(self) -> str:
        """The whole micros of the wallet, in yuan."""
        return money_text(int(self.state.accounts.rows[0].balance))

    @property
    def wanted(self) -> tuple[Supply, Reason]:
        """The supply that is wanted of meter 1, and why."""
        meter = self.state.meters.rows[0]
        return Supply(int(meter.wanted)), Reason(int(meter.reason))

    @property
    def open_command(self):
        """The command that waits for meter 1."""
        return self.state.commands.get(1)


def alarms(effects: Effects) -> list[str]:
    """`balance_low raised 20.00`."""
    return [f"{alarm.kind} {alarm.state} {money_text(alarm.balance)}" for alarm in effects.alarms]


def kinds(effects: Effects) -> list[str]:
    """`command_failed raised`."""
    return [f"{alarm.kind} {alarm.state}" for alarm in effects.alarms]


def commands(effects: Effects) -> list[str]:
    """`1 OFF queued`."""
    return [f"{command.epoch} {command.wanted.name} {command.stage}" for command in effects.commands]


def classes(effects: Effects) -> list[Metering]:
    """Classes of a block's readings."""
    return [Metering(int(metering)) for metering in effects.classes]


# Balance alarms.


@pytest.mark.parametrize(
    ("register", "said"),
    [
        (104_999, []),
        (105_000, ["balance_low raised 20.00"]),
        (106_000, []),
        (120_000, ["balance_pretrip raised 5.00"]),
        (130_000, ["balance_low raised -5.00", "balance_pretrip raised -5.00", "balance_arrears raised -5.00"]),
    ],
)
def test_a_level_is_reached_at_its_amount(register, said):
    """25 yuan run down; each level that is crossed is said once, in order, at the reading that crosses it."""
    home = Home()
    home.pays(EIGHT, 25)
    before = {106_000: 105_500, 120_000: 106_000}.get(register)
    if before:
        home.reads(at("08:30"), before)

    assert alarms(home.reads(at("09:00"), register)) == said


def test_a_morning_of_levels():
    """Down, to and fro about a level, and up again: one event a crossing, and calm within the hysteresis."""
    home = Home()
    day = [
        ("08:00", home.pays, 21, ["money_arrived noted 21.00"]),
        ("09:00", home.reads, 101_000, ["balance_low raised 20.00"]),
        ("10:00", home.reads, 101_500, []),
        ("10:10", home.pays, 1, ["money_arrived noted 20.50"]),
        ("11:00", home.reads, 102_000, []),
        ("11:10", home.pays, 2, ["money_arrived noted 22.00", "balance_low cleared 22.00"]),
        ("12:00", home.reads, 104_000, ["balance_low raised 20.00"]),
    ]

    told = [(clock, alarms(act(at(clock), value))) for clock, act, value, _ in day]

    assert told == [(clock, said) for clock, _, _, said in day]


def test_the_alarm_is_at_the_reading_that_crosses():
    """Four readings in one block: the second brings the balance below the level, and the alarm has its time and balance."""
    home = Home()
    home.pays(EIGHT, 25)
    quarters = [("08:15", 104_000), ("08:30", 106_000), ("08:45", 108_000), ("09:00", 110_000)]

    effects = home.tell(readings(*((1, at(clock), register) for clock, register in quarters)))

    assert [(alarm.at, money_text(alarm.balance)) for alarm in effects.alarms] == [(at("08:30"), "19.00")]


def test_a_standing_level_is_repeated_by_ticks_a_stated_number_of_times():
    """Raised at nine, repeated at ten and at eleven, and then no more: repeat_max is 2."""
    home = Home()
    home.pays(EIGHT, 25)
    home.reads(at("09:00"), 106_000)
    clocks = ["09:59", "10:00", "10:01", "10:59", "11:00", "12:00", "13:00"]

    said = {clock: [alarm.repeat for alarm in home.ticks(at(clock)).alarms] for clock in clocks}

    assert {clock: repeats for clock, repeats in said.items() if repeats} == {"10:00": [1], "11:00": [2]}


# The supply.


def in_arrears() -> Home:
    """A home that has been switched on, and at nine has used up its five yuan: a trip is queued."""
    home = Home()
    home.pays(EIGHT, 5)
    home.reads(at("08:01"), 100_000, ON)
    assert commands(home.reads(at("09:00"), 105_000, ON)) == ["1 OFF queued"]
    return home


def test_arrears_cut_the_supply_and_the_reconnect_amount_restores_it():
    """At zero the supply is wanted OFF because of arrears; one yuan is not enough to come back, two are."""
    home = in_arrears()
    assert home.wanted == (Supply.OFF, Reason.ARREARS)
    assert commands(home.reads(at("09:01"), 105_000, OFF)) == ["1 OFF verified"]

    too_little = home.pays(at("09:10"), 1)
    enough = home.pays(at("09:20"), 1)

    assert commands(too_little) == []
    assert commands(enough) == ["2 ON queued"]
    assert home.wanted == (Supply.ON, Reason.IN_CREDIT)


def test_a_trip_is_withdrawn_if_the_tenant_pays_while_it_is_queued():
    """The supply was never touched: nothing else is commanded."""
    home = in_arrears()

    effects = home.pays(at("09:01"), 10)

    assert commands(effects) == ["1 OFF withdrawn"]
    assert home.open_command is None


def test_a_trip_that_was_sent_before_the_tenant_paid_is_undone():
    """Nobody knows what the relay did, so the supply counts as not seen and a close is commanded until it is read back."""
    home = in_arrears()
    home.reports(at("09:01"), 1, Stage.SENT)

    effects = home.pays(at("09:02"), 10)

    assert commands(effects) == ["1 OFF withdrawn", "2 ON queued"]
    assert commands(home.reads(at("09:03"), 105_000, ON)) == ["2 ON verified"]


@pytest.mark.parametrize("ends", ["it failed without an answer", "it expired", "it is tried again"])
def test_a_trip_that_may_have_arrived_is_undone_however_it_ended(ends):
    """A trip was sent, and its answer was lost; whatever the machine then made of it, the tenant who pays gets a close."""
    home = in_arrears()
    home.reports(at("09:01"), 1, Stage.SENT)
    if ends == "it failed without an answer":
        home.reports(at("09:02"), 1, Stage.FAILED)
    else:
        home.ticks(at("09:00") + COMMAND_LIFE_MS)
    if ends == "it is tried again":
        home.ticks(at("09:00") + COMMAND_LIFE_MS + 2 * MINUTE_MS)

    effects = home.pays(at("10:00"), 10)

    assert commands(effects)[1:] == [f"{home.open_command.epoch} ON queued"]


def test_a_late_answer_to_a_withdrawn_trip_is_put_right():
    """The trip was withdrawn, but the meter had it: a read-back of an older epoch says OFF, and a close is commanded."""
    home = in_arrears()
    home.pays(at("09:01"), 10)

    effects = home.reports(at("09:02"), 1, Stage.VERIFIED, Supply.OFF)

    assert commands(effects) == ["2 ON queued"]


def test_only_a_read_back_verifies():
    """Sent and acknowledged are not done; a reading that shows the supply off is."""
    home = in_arrears()

    stages = [home.reports(at("09:01"), 1, stage) for stage in (Stage.SENT, Stage.ACKNOWLEDGED)]
    stages.append(home.reads(at("09:02"), 105_000, ON))
    done = home.reads(at("09:03"), 105_000, OFF)

    assert [commands(effects) for effects in stages] == [[], [], []]
    assert commands(done) == ["1 OFF verified"]


def test_a_silent_meter_is_tried_again_later_each_time_and_then_somebody_is_called():
    """Attempts expire, wait two, four, eight … minutes, at most an hour; the third raises one alarm, the read-back clears it."""
    home, now = in_arrears(), at("09:00")
    waits, said = [], []
    for _ in range(8):
        now += COMMAND_LIFE_MS
        expired = home.ticks(now)
        said += kinds(expired)
        assert [command.stage for command in expired.commands] == [Stage.EXPIRED]
        wait = home.open_command.retry_at - now
        assert home.ticks(now + wait - 1).commands == []
        now += wait
        assert [command.stage for command in home.ticks(now).commands] == [Stage.QUEUED]
        waits.append(wait)

    minutes = [wait // MINUTE_MS for wait in waits]
    assert minutes == [2, 4, 8, 16, 32, RETRY_MAX_MS // MINUTE_MS, 60, 60]
    assert [words for words in said if "command" in words] == ["command_failed raised"]
    assert "command_failed cleared" in kinds(home.reads(now, 105_000, OFF))
    assert home.open_command is None


def test_commands_that_are_due_at_once_go_in_the_order_of_their_meters():
    """Three meters of one account, cut in another order than that of their numbers: the retries are in number order."""
    home = Home(meters=3)
    for meter in (3, 1, 2):
        home.forces(EIGHT, Supply.OFF, until=at("23:00"), meter=meter)

    expired = home.ticks(EIGHT + COMMAND_LIFE_MS)

    assert [command.meter for command in expired.commands] == [1, 2, 3]


def test_a_person_wins_over_arrears_until_the_time_is_over():
    """Forced on while in arrears; at its end the machine cuts by itself, so no forced supply is left behind."""
    home = in_arrears()

    forced = home.forces(at("09:05"), Supply.ON, until=at("10:00"))
    during = home.wanted
    before_end, end = home.ticks(at("09:59")), home.ticks(at("10:00"))

    assert commands(forced) == ["1 OFF withdrawn"]
    assert during == (Supply.ON, Reason.FORCED)
    assert commands(before_end) == []
    assert commands(end) == ["2 OFF queued"]
    assert home.wanted == (Supply.OFF, Reason.ARREARS)


def test_a_person_gives_the_supply_back_to_the_machine():
    """UNKNOWN ends a forced OFF before its time: in credit, the supply is wanted ON again."""
    home = Home()
    home.pays(EIGHT, 50)
    home.forces(at("08:10"), Supply.OFF, until=at("20:00"))
    home.reads(at("08:11"), 100_000, OFF)

    effects = home.forces(at("08:20"), Supply.UNKNOWN)

    assert commands(effects) == ["2 ON queued"]
    assert home.wanted == (Supply.ON, Reason.IN_CREDIT)


def test_a_meter_without_a_switch_is_never_commanded():
    """What is wanted is still said; no command is made."""
    home = Home(switchable=False)
    home.pays(EIGHT, 5)

    effects = home.reads(at("09:00"), 105_000, ON)

    assert commands(effects) == []
    assert home.wanted == (Supply.OFF, Reason.ARREARS)


# Registers that cannot be believed.


def test_a_counter_that_shows_nothing_and_comes_back_books_nothing():
    """0, then the old register: the zero waits in quarantine, and not one Wh is charged for the way back."""
    home = Home(modulus=0)
    home.pays(EIGHT, 50)

    zero, back = home.reads(at("09:00"), 0), home.reads(at("09:15"), 100_000)

    assert classes(zero) + classes(back) == [Metering.DECREASE, Metering.NORMAL]
    assert kinds(zero) == ["quarantine raised"]
    assert home.balance == "50.00"


def test_a_counter_that_falls_is_held_and_said():
    """Neither stored in silence nor charged: a row, a case, one alarm for all its readings."""
    home = Home()
    home.pays(EIGHT, 50)

    first, second = home.reads(at("09:00"), 99_000), home.reads(at("09:15"), 99_010)

    case = home.state.cases["000000000001:decrease"]
    assert [int(row.register) for row in first.quarantined] == [99_000]
    assert kinds(first) + kinds(second) == ["quarantine raised"]
    assert (case.count, case.baseline, case.register, home.balance) == (2, 100_000, 99_010, "50.00")


def test_a_jump_stays_held_even_when_time_has_made_it_possible():
    """400 kWh in an hour is a jump; a day later it could be true, and is still for a person to decide."""
    home = Home()
    home.pays(EIGHT, 50)

    jump, later = home.reads(at("09:00"), 500_000), home.reads(at("09:00", days=1), 500_000)

    assert classes(jump) + classes(later) == [Metering.JUMP, Metering.JUMP]
    assert home.balance == "50.00"
    assert home.state.cases["000000000001:jump"].usage == 400_000


def test_a_jump_that_comes_back_releases_what_was_held():
    """The next register is where it should be: it is charged, nothing is held back, and the case still stands."""
    home = Home()
    home.pays(EIGHT, 50)
    home.reads(at("09:00"), 500_000)

    effects = home.reads(at("09:15"), 101_000)

    assert classes(effects) == [Metering.NORMAL]
    assert (home.balance, home.state.cases["000000000001:jump"].usage) == ("49.00", 0)


def test_a_register_of_nonsense_can_still_be_kept():
    """The highest number of 64 bits times the ratio is more than a store can hold: the case states the most it can."""
    home = Home(modulus=0, ratio=1_000)

    home.reads(at("09:00"), 2**63 - 1)

    assert home.state.cases["000000000001:jump"].usage == 10**18


def test_a_register_that_wraps_goes_on():
    """999 kWh, then 1: two have been used, not minus 998."""
    home = Home(opening_register=999_000)
    home.pays(EIGHT, 50)

    effects = home.reads(at("09:00"), 1_000)

    assert (classes(effects), home.balance) == ([Metering.ROLLOVER], "48.00")


def test_the_same_reading_twice_and_an_older_one_change_nothing():
    """A gateway that retries or is late costs nothing; another register for the same moment is a conflict to look at."""
    home = Home()
    home.pays(EIGHT, 50)
    home.reads(at("09:00"), 101_000)

    told = [home.reads(at("09:00"), 101_000), home.reads(at("08:30"), 100_700), home.reads(at("09:00"), 101_001)]

    assert [classes(effects)[0] for effects in told] == [Metering.DUPLICATE, Metering.LATE, Metering.CONFLICT]
    assert home.balance == "49.00"


def test_a_duplicate_may_say_something_new_of_the_supply():
    """The register was read twice in one instant, and the relay opened in between: the trip is done. Said again, it says nothing."""
    home = in_arrears()

    told = [home.reads(at("09:00"), 105_000, status) for status in (ON, OFF, OFF)]

    assert [classes(effects)[0] for effects in told] == [Metering.DUPLICATE] * 3
    assert [commands(effects) for effects in told] == [[], ["1 OFF verified"], []]
    assert home.state.meters.rows[0].seen == Supply.OFF


def test_a_block_that_is_sent_again_does_not_bring_back_what_was_seen_before():
    """The relay was read back as open after the reading; a gateway that repeats its block of before says nothing new."""
    home = in_arrears()
    home.reports(at("09:01"), 1, Stage.VERIFIED, Supply.OFF)

    again = home.reads(at("09:00"), 105_000, ON)

    assert commands(again) == []
    assert home.state.meters.rows[0].seen == Supply.OFF


def test_a_block_from_before_a_reading_that_is_held_says_nothing_new():
    """A register that is not believed still shows the relay open; the block before it, sent again, is older."""
    home = in_arrears()
    home.reads(at("09:05"), 100_000, OFF)

    home.reads(at("09:00"), 105_000, ON)

    assert home.state.meters.rows[0].seen == Supply.OFF


def test_a_duplicate_that_says_no_power_leaves_it_as_it_was():
    """Only what is said is taken in: the power of the instant came with another message than its relay."""
    home = Home()
    home.pays(EIGHT, 50)

    told = [
        home.tell(readings((1, at("09:00"), 100_500), power=power, status=status))
        for power, status in (([700], None), (None, [ON]), ([900], None), (None, None))
    ]

    meter = home.state.meters.rows[0]
    assert [classes(effects)[0] for effects in told[1:]] == [Metering.DUPLICATE] * 3
    assert (int(meter.power), int(meter.has_power), int(meter.seen)) == (900, 1, Supply.ON)


def test_a_reading_from_later_today_is_not_believed():
    """A meter whose clock is ahead is held against the machine's clock, with one hour's grace."""
    home = Home()
    home.ticks(at("08:30"))

    assert classes(home.reads(at("09:31"), 100_001)) == [Metering.FUTURE]
    assert classes(home.reads(at("09:30"), 100_001)) == [Metering.NORMAL]


def after_an_outage(*, passed_ms: int, ticked: bool = True) -> Home:
    """A home whose last tick was at 8:30; so much has passed at the server when the next fact is appended."""
    home = Home()
    home.number = EIGHT
    if ticked:
        home.ticks(at("08:30"))
    home.number += passed_ms - 1
    return home


@pytest.mark.parametrize(
    ("passed_ms", "clock", "expected"),
    [
        (3 * HOUR_MS, "11:30", Metering.NORMAL),  # before anybody ticks
        (3 * HOUR_MS, "12:30", Metering.NORMAL),
        (3 * HOUR_MS - 1, "12:30", Metering.FUTURE),
        (1, "09:30", Metering.NORMAL),
        (5_000, "09:31", Metering.FUTURE),
    ],
)
def test_what_is_read_after_an_outage_before_a_tick_is_believed(passed_ms, clock, expected):
    """Since the last tick as much time has passed as at the server, by the entries of the log; an hour more is too much."""
    home = after_an_outage(passed_ms=passed_ms)

    assert classes(home.reads(at(clock), 100_001)) == [expected]


def test_a_clock_that_runs_faster_than_life_ticks_on():
    """A minute of life is an hour of a demo: each tick says what time it is, and what is later by more than an hour is held."""
    home = after_an_outage(passed_ms=MINUTE_MS)
    home.ticks(at("09:30"))
    home.number += MINUTE_MS

    assert classes(home.reads(at("10:31"), 100_001)) == [Metering.NORMAL]
    assert classes(home.reads(at("10:32"), 100_001)) == [Metering.FUTURE]


def test_before_the_first_tick_nothing_is_too_late():
    """So too in a state of release 0.1.0, which kept no entry of its last tick: it goes by that tick's time alone until the next."""
    unticked, kept = after_an_outage(passed_ms=5, ticked=False), after_an_outage(passed_ms=3 * HOUR_MS)
    kept.state.header = msgspec.structs.replace(kept.state.header, ticked=0)

    assert classes(unticked.reads(at("23:00"), 100_001)) == [Metering.NORMAL]
    assert classes(kept.reads(at("11:30"), 100_001)) == [Metering.FUTURE]


def test_a_meter_is_taken_down_after_an_outage_before_a_tick():
    """The closing register is a reading too, and its time is as believable."""
    home = after_an_outage(passed_ms=3 * HOUR_MS)
    order = MeterRemoved(at=at("11:30"), id=home.id(at("11:30")), meter=1, closing_register=100_500)

    assert home.tell(order).outcomes[0].refusal == ""


def test_the_alarm_of_a_reading_after_an_outage_has_its_time():
    """What jumps before the first tick is said to have done so when it was read, and not hours earlier."""
    home = after_an_outage(passed_ms=3 * HOUR_MS)

    (alarm,) = home.reads(at("11:30"), 900_000).alarms

    assert (alarm.reason, alarm.at) == ("jump", at("11:30"))


def test_readings_of_unknown_meters_and_refused_ones_are_kept():
    """A meter that nobody owns and a line that nobody could read: each is a case with an alarm of its own."""
    home = Home()

    unknown = home.reads(at("09:00"), 5, meter=77)
    refused = home.tell(ReadingRefused(at=at("09:00"), source="june.csv", line=4, text="x;y", reason="no number"))

    assert classes(unknown) == [Metering.UNKNOWN_METER]
    assert kinds(unknown) + kinds(refused) == ["quarantine raised", "quarantine raised"]
    assert [record.text for record in refused.refused] == ["x;y"]


# Splitting and pricing.


def usage_rows(*told: Effects) -> list[tuple[str, int, str]]:
    """(UTC time, Wh, cost in yuan) of closed windows, ordered by time."""
    rows = [row for effects in told if effects.usage is not None for row in effects.usage]
    return [
        (str(np.datetime64(int(row.start), "m"))[5:], int(row.usage), money_text(int(row.cost_micros))) for row in rows
    ]


def test_three_silent_days_are_spread_over_their_hours():
    """72 kWh after three days: one in each of the 72 hours, at the price of its hour, all marked as estimated."""
    night = [("00:00", "valley"), ("06:00", "peak"), ("22:00", "valley")]
    document = time_of_use("two", "Asia/Shanghai", ("2024-01-01", {"peak": "1", "valley": "0.5"}, {"every": night}))
    home = Home(document)
    home.pays(EIGHT, 100)

    told = [home.reads(at("08:00", days=3), 172_000), home.ticks(at("10:00", days=3))]

    rows = [row for effects in told for row in effects.usage]
    assert [int(row.usage) for row in rows] == [1_000] * 72
    assert {int(row.estimated) for row in rows} == {1}
    assert sum(row.cost_micros == YUAN for row in rows) == 3 * 16
    assert home.balance == money_text((100 - 48 - 12) * YUAN)


def test_two_price_changes_within_one_interval_both_apply():
    """Three hours, three prices: 1, then 2 from nine, then 3 from ten; neither the last is lost nor the first kept."""
    document = flat(
        "one", "Asia/Shanghai", ("2024-01-01", "1"), ("2025-12-06T09:00:00+08:00", "2"), ("2025-12-06T02:00:00Z", "3")
    )
    home = Home(document)
    home.pays(EIGHT, 50)

    home.reads(at("11:00"), 103_000)

    assert home.balance == "44.00"


def test_a_price_published_later_does_not_touch_what_is_priced():
    """A new state of the tariff holds for what is read from then on."""
    home = Home()
    home.pays(EIGHT, 50)
    home.reads(at("09:00"), 101_000)
    dearer = flat("one", "Asia/Shanghai", ("2024-01-01", "9"))

    home.tell(TariffPublished(at=at("09:30"), id=home.id(at("09:30")), tariff="one", document=dearer))
    home.reads(at("10:00"), 102_000)

    assert home.balance == "40.00"


@pytest.mark.parametrize(
    ("midnight", "hours", "night"),
    [("2025-03-30T00:00Z", 23, 6), ("2025-10-25T23:00Z", 25, 8)],
    ids=["the day of 23 hours", "the day of 25 hours"],
)
def test_a_day_on_which_clocks_change(midnight, hours, night):
    """One kWh an hour from midnight to midnight in London: every hour counts once, and the night is shorter or longer."""
    day = [("00:00", "day"), ("00:30", "night"), ("07:30", "day")]
    document = time_of_use("two", "Europe/London", ("2024-01-01", {"day": "1", "night": "0.5"}, {"every": day}))
    start = int(np.datetime64(midnight[:-1], "ms").astype(int))
    home = Home(document, start=start)
    home.pays(start, 100)

    told = [home.reads(start + hours * HOUR_MS, 100_000 + hours * 1_000)]
    told.append(home.reads(start + (hours + 1) * HOUR_MS, 100_001 + hours * 1_000))

    rows = [row for effects in told for row in effects.usage if row.day == told[0].usage[0].day]
    assert sum(int(row.usage) for row in rows) == hours * 1_000
    assert sum(int(row.usage) for row in rows if row.band == 1) == night * 1_000
    assert [int(row.amount) for effects in told if effects.postings is not None for row in effects.postings] == [
        (hours - night) * YUAN + night * YUAN // 2
    ]


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"])
def test_where_hours_begin_at_half_past_a_window_does_not_depend_on_what_else_was_read(zone):
    """A meter opened at twenty past belongs to the local hour that began at half past, whatever old reading came before."""
    alone, disturbed = (Home(flat("one", zone, ("2024-01-01", "1")), start=at("08:20")) for _ in range(2))
    disturbed.reads(at("05:00"), 1)

    told = [home.reads(at("08:21"), 100_500) for home in (alone, disturbed)]

    assert classes(told[0]) == [Metering.NORMAL]
    assert alone.state.meters.rows[0].window_start == disturbed.state.meters.rows[0].window_start
    assert alone.state.meters.rows[0].window_start > at("08:20") // MINUTE_MS - 60


# Windows, days and the ledger.


def test_usage_is_posted_once_per_local_day():
    """From 22:00 to 02:00 one kWh an hour: the reading after midnight posts the two of the day before."""
    home = Home()
    home.pays(EIGHT, 50)
    home.reads(at("22:00"), 100_000)

    effects = home.reads(at("02:00", days=1), 104_000)

    row = effects.postings[0]
    assert len(effects.postings) == 1
    assert (int(row.debit), int(row.credit)) == (Ledger.CUSTOMER, Ledger.REVENUE_ELECTRICITY)
    assert (int(row.amount), int(row.meter), int(row.day)) == (2 * YUAN, 1, EIGHT // DAY_MS)
    assert home.balance == "46.00"


def test_a_tick_closes_the_hour_and_the_day_of_a_silent_meter():
    """Nothing is read after 22:30: at midnight the hour is closed, and at one o'clock the day, each an hour late."""
    home = Home()
    home.pays(EIGHT, 50)
    home.reads(at("22:00"), 100_000)
    home.reads(at("22:30"), 100_500)

    told = {clock: home.ticks(at(clock, days=clock < "08")) for clock in ("23:59", "00:00", "00:59", "01:00", "01:01")}

    assert {clock: usage_rows(effects) for clock, effects in told.items() if usage_rows(effects)} == {
        "00:00": [("12-06T14:00", 500, "0.50")]
    }
    assert {
        clock: int(effects.postings[0].amount) for clock, effects in told.items() if effects.postings is not None
    } == {"01:00": YUAN // 2}


def test_less_than_a_micro_is_carried_to_the_next_day():
    """One Wh a day at a price of 1.5 micros: the days post 1, 2, 1 micros and the balance is exact throughout."""
    home = Home(flat("one", "Asia/Shanghai", ("2024-01-01", "0.0015")))
    home.pays(EIGHT, 1)

    told = [home.reads(at("08:00", days=1), 100_000)]
    told += [home.reads(at("09:00", days=day), 100_000 + day) for day in (1, 2, 3, 4)]

    posted = [int(row.amount) for effects in told if effects.postings is not None for row in effects.postings]
    account = home.state.accounts.rows[0]
    assert int(account.balance) * PICOS_PER_MICRO + int(account.balance_picos) == 10**12 - 4 * 1_500_000
    assert posted == [1, 2, 1]


def test_the_clock_may_be_behind_the_first_reading():
    """A meter was opened at eight by its own clock; ticks of two days and of half an hour before close nothing and break nothing."""
    home = Home()

    told = [home.ticks(EIGHT + minutes * MINUTE_MS) for minutes in (-2 * 24 * 60, -30, 1, 30, 61)]

    assert [effects.usage for effects in told] == [None] * 5


# Orders.


def test_a_recharge_repeated_is_answered_as_before_and_booked_once():
    """The client lost the answer and asks again, later: same id, same amount, same answer, one posting."""
    home = Home()
    name = home.id(EIGHT)

    first, again = home.pays(EIGHT, 20, name), home.pays(at("08:01"), 20, name)

    assert again.outcomes == first.outcomes
    assert (len(first.postings), again.postings, home.balance) == (1, None, "20.00")


def test_another_order_under_a_used_id_is_refused():
    """The same id with another amount, or of another kind, is not the same order, and the first answer stands."""
    home = Home()
    name = home.id(EIGHT)
    home.pays(EIGHT, 20, name)

    other = home.pays(EIGHT, 21, name).outcomes[0].refusal
    another_kind = home.takes_out(EIGHT, 20 * YUAN, id=name)

    assert {other, another_kind} == {"exists_with_different_content"}
    assert home.pays(EIGHT, 20, name).outcomes[0].refusal == ""
    assert home.balance == "20.00"


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("order-1", "bad_id"),
        ("f47ac10b-58cc-4372-a567-0e02b2c3d479", "bad_id"),
        (order_text(EIGHT - IDS_KEPT_MS - 1, 1), "too_old"),
        (order_text(EIGHT - IDS_KEPT_MS, 1), ""),
        (order_text(EIGHT + IDS_AHEAD_MS, 1), ""),
        (order_text(EIGHT + IDS_AHEAD_MS + 1, 1), "id_from_the_future"),
    ],
)
def test_ids_that_the_machine_could_not_remember(name, refusal):
    """No UUIDv7 and no ULID, older than it keeps, or so young that it would outlive its keeping."""
    assert Home().pays(EIGHT, 20, name).outcomes[0].refusal == refusal


def test_an_id_that_has_been_forgotten_is_too_old_and_never_new():
    """After 90 days the answer is gone, and so is the chance to use its id again."""
    home = Home()
    name = home.id(EIGHT)
    home.pays(EIGHT, 20, name)
    home.ticks(EIGHT + IDS_KEPT_MS + DAY_MS)

    late = home.pays(EIGHT, 20, name)

    assert late.outcomes[0].refusal == "too_old"
    assert home.balance == "20.00"


def test_a_refund_is_never_more_than_the_balance():
    """Of 19.999999 and a rest nobody can be paid 20; all that is whole can go."""
    home = Home(flat("one", "Asia/Shanghai", ("2024-01-01", "0.0000005")))
    home.pays(EIGHT, 20)
    home.reads(at("09:00"), 100_001)

    assert home.takes_out(at("09:01"), 20 * YUAN) == "insufficient_balance"
    assert home.takes_out(at("09:01"), 20 * YUAN - 1) == ""
    assert home.balance == "0.00"


def test_a_recharge_never_lifts_the_balance_above_its_limit():
    """1,000 yuan may be held, not a fen more."""
    home = Home()
    home.pays(EIGHT, 900)

    assert home.pays(EIGHT, 101).outcomes[0].refusal == "above_max_balance"
    assert home.pays(EIGHT, 100).outcomes[0].refusal == ""


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"account": "?", "currency": "EUR", "micros": 0}, "unknown_account"),
        ({"currency": "EUR", "micros": 0}, "wrong_currency"),
        ({"micros": 0}, "amount_not_positive"),
        ({"micros": -1}, "amount_not_positive"),
        ({"micros": 10**15 + 1}, "amount_too_large"),
        ({"micros": 10**15}, "insufficient_balance"),
    ],
)
def test_refusals_have_an_order(wrong, refusal):
    """Of all that is wrong with an order the first is said, in the order of the list of refusals."""
    home = Home()
    micros = wrong.pop("micros")

    assert home.takes_out(EIGHT, micros, **wrong) == refusal


def test_a_repeated_order_that_was_refused_stays_refused():
    """Refused for want of money; the money comes, and the same id is still answered as it was."""
    home = Home()
    name = home.id(EIGHT)

    before = home.takes_out(EIGHT, YUAN, id=name)
    home.pays(EIGHT, 20)
    after = home.takes_out(at("08:01"), YUAN, id=name)

    assert (before, after, home.balance) == ("insufficient_balance", "insufficient_balance", "20.00")


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ("tariff = 1", "tariff_invalid"),
        (ONE_YUAN.replace('"one"', '"two"'), "tariff_invalid"),
        (flat("one", "Asia/Shanghai", ("2024-01-01", "1"), commodity="water"), "wrong_commodity"),
        (flat("one", "Asia/Shanghai", ("2024-01-01", "1"), currency="EUR"), "wrong_currency"),
    ],
)
def test_a_tariff_keeps_what_its_meters_rely_on(document, refusal):
    """Broken, of another name, or suddenly of water or of euros: the tariff stays as it was."""
    home = Home()
    home.pays(EIGHT, 20)

    outcome = home.tell(TariffPublished(at=EIGHT, id=home.id(EIGHT), tariff="one", document=document)).outcomes[0]
    home.reads(at("09:00"), 101_000)

    assert (outcome.refusal, home.balance) == (refusal, "19.00")


def test_a_block_without_readings_does_nothing():
    """An empty round of a gateway is no event."""
    empty = np.empty(0, np.int64)

    assert Home().tell(ReadingBlock(empty, empty, empty)).classes is None


def test_a_clock_that_was_ahead_costs_nobody_and_spares_nobody():
    """A gateway's clock runs most of an hour ahead and is put right: what is used from then on is charged at once."""
    home = Home()
    home.ticks(at("08:00"))
    assert classes(home.reads(at("08:50"), 100_000)) == [Metering.NORMAL]

    assert classes(home.reads(at("08:05"), 101_000)) == [Metering.LATE]
    assert classes(home.reads(at("08:20"), 102_000)) == [Metering.NORMAL]

    assert home.state.header.usage[0] == 2_000


def test_a_trip_that_was_sent_before_we_heard_of_it_is_undone_after_payment():
    """The tenant pays, the trip is withdrawn, and only then comes the word that it was sent: the supply is closed again."""
    home = in_arrears()
    assert commands(home.pays(at("10:00"), 50)) == ["1 OFF withdrawn"]
    assert home.open_command is None

    assert commands(home.reports(at("10:01"), 1, Stage.SENT)) == ["2 ON queued"]


def test_a_glitch_that_comes_again_is_told_again():
    """The counter falls to zero and is back: the alarm is cleared. It falls again: the alarm is raised again."""
    home = Home()
    home.pays(EIGHT, 50)
    home.reads(at("08:10"), 100_000)

    told = [kinds(home.reads(at(f"08:{minute}"), register)) for minute, register in ((20, 0), (30, 100_100), (40, 0))]

    assert told == [["quarantine raised"], ["quarantine cleared"], ["quarantine raised"]]


def test_a_meter_whose_register_is_not_believed_still_shows_its_relay():
    """A register that jumps is held; the relay bit of the same reading is taken all the same."""
    home = Home()
    home.pays(EIGHT, 5)
    home.reads(at("08:10"), 100_000, ON)

    home.reads(at("08:11"), 900_000, OFF)

    assert home.state.meters.rows[0].seen == Supply.OFF
    assert home.open_command.wanted == Supply.ON


@pytest.mark.parametrize("when", [1, 10**14, 10**17, 2**62])
def test_no_time_however_absurd_stops_a_commit(when):
    """A reading from the year 57 973, or a refusal of one, is held with an alarm that can be published."""
    home = Home()
    effects = [home.reads(when, 100_001)]
    effects.append(
        home.tell(ReadingRefused(at=when, source="f.csv", line=1, text="x", reason="unreadable_time", meter=1))
    )

    commit = commit_of(0, (0, 0), home.state.position, home.state.take_changes(), effects)

    assert "PUBLISH" in commit.arguments
