"""What a person decides about readings that were not believed, and corrects in what was charged."""

import numpy as np
import pytest
from histories import all_postings, flat, readings, stepped, time_of_use
from test_machine import EIGHT, YUAN, Home, alarms, at, classes, kinds, usage_rows

from domain.facts import (
    AccountActivated,
    AccountClosed,
    AccountTransferred,
    AllowanceSet,
    QuarantineDecided,
    ReadingCorrected,
    ReadingRefused,
)
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS, MONEY_MAX_MICROS, PICOS_PER_MICRO
from domain.words import AllowanceKind, Decision, Ledger, Metering, Refusal, Settlement, Status

ACCEPT, REBASELINE, DISCARD = Decision.ACCEPT, Decision.REBASELINE, Decision.DISCARD
LADDER = stepped(
    "one", "Asia/Shanghai", ("2024-01-01", 'price = ["1", "2"]', 'cycle = "month"\nlimits = ["10"]\nmode = "graduated"')
)
WHOLE_USE = stepped(
    "one", "Asia/Shanghai", ("2024-01-01", 'price = ["1", "2"]', 'cycle = "month"\nlimits = ["10"]\nmode = "volume"')
)
DAY_AND_NIGHT = time_of_use(
    "one", "Asia/Shanghai",
    ("2024-01-01", {"peak": "1", "valley": "0.5"}, {"every": [("00:00", "valley"), ("06:00", "peak"), ("22:00", "valley")]}),
)  # fmt: skip


def decides(home, when, decision, reason="jump", **changed):
    """A person's word on a case of meter 1; returns its effects."""
    words = {"meter": 1, "note": "went there and looked", "id": home.id(when)} | changed
    return home.tell(QuarantineDecided(at=when, reason=reason, decision=decision, **words))


def corrects(home, when, since, until, delta, **changed):
    """A correction of what meter 1 was charged; returns its effects."""
    words = {"meter": 1, "note": "the photo shows another register", "id": home.id(when)} | changed
    return home.tell(ReadingCorrected(at=when, from_ms=since, until_ms=until, usage_delta=delta, **words))


def answer(effects):
    """The refusal, or what was charged and said."""
    (outcome,) = effects.outcomes
    return outcome.refusal or (outcome.amount_micros, outcome.detail)


def home_with(register, document=None, yuan=500, **terms):
    """A home with money that has read so much at nine, which is not believed where it is nonsense."""
    home = Home(**({"document": document} if document else {}), **terms)
    home.pays(EIGHT, yuan)
    home.reads(at("09:00"), register)
    return home


# A register that jumped.


def test_an_accepted_jump_is_charged_over_its_time():
    """400 kWh in two hours were true: charged half at the day's price, half at the night's, and the meter counts on from there."""
    home = Home(DAY_AND_NIGHT)
    home.pays(EIGHT, 500)
    home.reads(at("21:00"), 100_000)
    home.reads(at("23:00"), 500_000)

    effects = decides(home, at("23:30"), ACCEPT)

    assert answer(effects) == (300 * YUAN, "usage 400000, register 500000")
    assert (home.balance, kinds(effects)) == ("200.00", ["quarantine cleared"])
    assert "000000000001:jump" not in home.state.cases
    assert classes(home.reads(at("23:45"), 501_000)) == [Metering.NORMAL]
    assert home.balance == "199.50"


def test_three_silent_days_beyond_the_rated_power_wait_and_are_then_spread():
    """Energy that is over the limit is neither dropped nor put into the first hour: a person says, and each hour has its share."""
    home = Home(rated_per_hour=5_000)
    home.pays(EIGHT, 900)
    held = home.reads(at("08:00", days=3), 820_000)

    told = [held, decides(home, at("09:00", days=3), ACCEPT), home.ticks(at("10:00", days=3))]

    assert classes(held) == [Metering.JUMP]
    assert [usage for _, usage, _ in usage_rows(*told)] == [10_000] * 72
    assert {int(row.estimated) for effects in told[1:] for row in effects.usage} == {1}
    assert home.balance == "180.00"


def test_an_accepted_jump_may_trip_the_account():
    """What was held back is owed: the levels that it crosses are said, and the supply is cut."""
    home = home_with(500_000, yuan=100)

    effects = decides(home, at("10:00"), ACCEPT)

    assert alarms(effects)[1:] == [f"balance_{level} raised -300.00" for level in ("low", "pretrip", "arrears")]
    assert [command.wanted.name for command in effects.commands] == ["OFF"]


def test_a_discarded_jump_was_never_held():
    """Nonsense of the gateway: the next register is judged against the old baseline, however high the held one was."""
    home = home_with(500_000)

    effects = decides(home, at("10:00"), DISCARD)

    assert (answer(effects), kinds(effects)) == ((0, "usage 0"), ["quarantine cleared"])
    assert classes(home.reads(at("09:00", days=9), 600_000)) == [Metering.NORMAL]
    assert home.balance == "0.00"


def test_a_discarded_case_that_comes_again_is_a_new_one():
    """The same nonsense after a decision is told again, and counted from one."""
    home = home_with(500_000)
    decides(home, at("09:05"), DISCARD)

    assert kinds(home.reads(at("09:15"), 500_000)) == ["quarantine raised"]
    assert home.state.cases["000000000001:jump"].count == 1


# A register that fell.


def test_a_fallen_counter_is_begun_anew_and_nothing_is_charged():
    """A meter that was swapped without telling starts at 40: not minus 60 kWh, not 60; a person lets it count on from there."""
    home = home_with(40_000, modulus=0)
    assert classes(home.reads(at("09:15"), 41_000)) == [Metering.DECREASE]

    effects = decides(home, at("10:00"), REBASELINE, reason="decrease")

    assert (answer(effects), home.balance) == ((0, "usage 0, register 41000"), "500.00")
    home.reads(at("10:15"), 43_000)
    assert home.balance == "498.00"


def test_a_meter_begun_anew_never_goes_back_in_time():
    """Its last reading came from a clock that is ahead: what a person says at half past ten holds from that reading on, not before."""
    home = home_with(101_000, modulus=0)
    home.reads(at("10:50"), 102_000)
    home.reads(at("10:55"), 50)

    decides(home, at("10:30"), REBASELINE, reason="decrease", register=60)

    assert classes(home.reads(at("10:40"), 70)) == [Metering.LATE]
    assert home.balance == "498.00"


def test_a_gap_can_be_charged_as_a_person_says():
    """The old meter had run 30 kWh more when it was swapped: they are charged over the gap, spread, and from then the new one counts."""
    home = home_with(41_000, DAY_AND_NIGHT, modulus=0)

    effects = decides(home, at("10:00"), REBASELINE, reason="decrease", register=42_000, usage=30_000)

    assert answer(effects) == (30 * YUAN, "usage 30000, register 42000")
    told = [effects, home.reads(at("11:00"), 44_000), home.ticks(at("14:00"))]
    assert usage_rows(*told) == [
        ("12-06T00:00", 15_000, "15.00"),
        ("12-06T01:00", 15_000, "15.00"),
        ("12-06T02:00", 2_000, "2.00"),
    ]


def test_a_meter_that_wraps_may_have_fallen_because_it_wrapped():
    """999 kWh, then 300 an hour later is too fast for this meter, but the person knows the pump: 301 kWh."""
    home = Home(opening_register=999_000)
    home.pays(EIGHT, 500)
    home.reads(at("09:00"), 300_000)

    assert answer(decides(home, at("09:30"), ACCEPT, reason="decrease")) == (
        301 * YUAN,
        "usage 301000, register 300000",
    )


def test_a_counter_that_shows_nothing_and_comes_back_leaves_a_case_to_close():
    """0 for one reading and back: not one Wh is charged, the alarm is over by itself, and the person has only to say that it was seen."""
    home = home_with(0, modulus=0)
    home.reads(at("09:15"), 100_000)

    effects = decides(home, at("10:00"), DISCARD, reason="decrease")

    assert (answer(effects), kinds(effects), home.balance) == ((0, "usage 0"), [], "500.00")
    assert len(home.state.cases) == 0


def test_believing_a_meter_ends_all_that_was_held_of_it():
    """A fall, a jump, then the person's word on one: the other alarm is over, too, since the meter counts from a new register."""
    home = home_with(99_000, modulus=0)
    home.reads(at("09:15"), 500_000)

    effects = decides(home, at("10:00"), REBASELINE, reason="decrease", register=100_000)

    assert kinds(effects) == ["quarantine cleared", "quarantine cleared"]
    assert [key for key, _ in home.state.cases.sorted()] == ["000000000001:jump"]
    assert answer(decides(home, at("10:05"), ACCEPT)) == Refusal.DECISION_NOT_POSSIBLE


def test_discarding_one_case_leaves_the_other_alarm():
    """Two reasons are two cases: a word on one is none on the other, which still ends when the meter is believed."""
    home = home_with(99_000, modulus=0)
    home.reads(at("09:15"), 500_000)

    assert kinds(decides(home, at("10:00"), DISCARD)) == ["quarantine cleared"]
    assert kinds(home.reads(at("10:15"), 100_500)) == ["quarantine cleared"]


def test_cases_of_nobody_and_of_lines_can_be_closed():
    """A meter that nobody owns, and a line that nobody could read: there is nothing to charge, but they need not stand for ever."""
    home = Home()
    home.reads(at("09:00"), 5, meter=77)
    home.tell(ReadingRefused(at=at("09:00"), source="june.csv", line=4, text="x;y", reason="no number", meter=1))

    told = [
        decides(home, at("10:00"), DISCARD, reason="unknown_meter", meter=77),
        decides(home, at("10:00"), DISCARD, reason="no number"),
    ]

    assert [kinds(effects) for effects in told] == [["quarantine cleared"]] * 2
    assert len(home.state.cases) == 0


@pytest.mark.parametrize(
    ("decision", "changed", "refusal"),
    [
        (ACCEPT, {"meter": 99}, Refusal.UNKNOWN_METER),
        (DISCARD, {"meter": 99}, Refusal.UNKNOWN_CASE),
        (DISCARD, {"reason": "decrease"}, Refusal.UNKNOWN_CASE),
        (ACCEPT, {"register": 5, "note": ""}, Refusal.TERMS_INVALID),
        (DISCARD, {"usage": 5}, Refusal.TERMS_INVALID),
        (REBASELINE, {"register": 1_000_000}, Refusal.TERMS_INVALID),
        (REBASELINE, {"usage": -1}, Refusal.TERMS_INVALID),
        (REBASELINE, {"usage": 10**9 + 1}, Refusal.TERMS_INVALID),
        (ACCEPT, {"note": " "}, Refusal.NOTE_MISSING),
        (ACCEPT, {}, ""),
    ],
)
def test_a_decision_is_refused_by_name(decision, changed, refusal):
    """What is wrong is said in the order of the refusals, and then nothing has changed."""
    home = home_with(500_000)
    words = {"reason": "jump"} | changed

    effects = decides(home, at("10:00"), decision, **words)

    assert effects.outcomes[0].refusal == refusal
    assert (home.balance == "500.00") == bool(refusal)


@pytest.mark.parametrize(
    ("register", "modulus", "reason", "decision", "changed", "words"),
    [
        (90_000, 0, "decrease", ACCEPT, {}, "does not wrap"),
        (2**61, 0, "jump", ACCEPT, {}, "more than 10^9 at once"),
        (2**61, 0, "jump", REBASELINE, {}, "more than a meter shows"),
        (-1, 0, "out_of_range", ACCEPT, {}, "only registers that jumped or fell"),
        (-1, 0, "out_of_range", REBASELINE, {}, "holds no register"),
        (500_000, 0, "jump", REBASELINE, {"usage": 5, "register": 7, "at": EIGHT - 1}, "no time between"),
    ],
)
def test_a_decision_that_the_case_does_not_allow_says_why(register, modulus, reason, decision, changed, words):
    """Each reason has decisions that make no sense for it; the answer says which would."""
    home = home_with(register, modulus=modulus)
    when = changed.pop("at", at("10:00"))

    (outcome,) = decides(home, when, decision, reason=reason, **changed).outcomes

    assert outcome.refusal == Refusal.DECISION_NOT_POSSIBLE
    assert words in outcome.detail
    assert home.balance == "500.00"


def test_a_repeated_decision_is_answered_as_before():
    """The clerk pressed twice: one charge, one answer, although the case is long closed."""
    home = home_with(500_000)
    order = home.id(at("10:00"))

    first, again = decides(home, at("10:00"), ACCEPT, id=order), decides(home, at("10:01"), ACCEPT, id=order)

    assert first.outcomes == again.outcomes
    assert (home.balance, again.postings) == ("100.00", None)


# Corrections.


def test_usage_that_was_charged_wrongly_is_given_back_at_its_own_prices():
    """Four kWh too many from nine in the evening to one at night: one peak hour, three of the valley, in hours and in one posting."""
    home = Home(DAY_AND_NIGHT)
    home.pays(EIGHT, 500)
    home.reads(at("21:00"), 100_000)
    home.reads(at("08:00", days=1), 120_000)
    order = home.id(at("09:00", days=1))

    effects = corrects(home, at("09:00", days=1), at("21:00"), at("01:00", days=1), -4_000, id=order)

    (row,) = effects.postings
    assert answer(effects) == (-2_500_000, "usage -4000")
    assert usage_rows(effects) == [
        ("12-06T13:00", -1_000, "-1.00"), ("12-06T14:00", -1_000, "-0.50"),
        ("12-06T15:00", -1_000, "-0.50"), ("12-06T16:00", -1_000, "-0.50"),
    ]  # fmt: skip
    assert (Ledger(int(row.debit)), Ledger(int(row.credit)), int(row.amount)) == (
        Ledger.REVENUE_ELECTRICITY, Ledger.CUSTOMER, 2_500_000,
    )  # fmt: skip
    assert str(np.datetime64(int(row.day), "D")) == "2025-12-07"
    assert (int(row.order_high) << 64 | int(row.order_low)) == int(order.replace("-", ""), 16)


@pytest.mark.parametrize(
    ("document", "delta", "after"),
    [
        (LADDER, -1_000, "488.00"),  # 12 kWh cost 10 + 2 x 2; the last of them costs 2.
        (LADDER, -3_000, "491.00"),  # two of 2 yuan, one of 1
        (LADDER, -12_000, "500.00"),
        (LADDER, 1_000, "484.00"),
        (WHOLE_USE, -1_000, "478.00"),  # 12 kWh cost 24; 11 cost 22
        (WHOLE_USE, -2_000, "490.00"),  # and 10 cost 10: below the limit all of them are cheap
        (WHOLE_USE, -12_000, "500.00"),
        (WHOLE_USE, 1_000, "474.00"),
    ],
)
def test_a_correction_takes_the_top_of_the_counter(document, delta, after):
    """What is given back is what the last kWh of the period cost: F(used) - F(used - d), in tiers and where the whole use chooses."""
    home = home_with(112_000, document)

    corrects(home, at("10:00"), EIGHT, at("09:00"), delta)

    assert home.balance == after


@pytest.mark.parametrize("document", [LADDER, WHOLE_USE])
def test_what_comes_after_a_correction_is_priced_as_if_the_mistake_had_not_been(document):
    """12 kWh charged, 4 given back, 4 used: the same as 12, whichever way prices depend on the period's use."""
    home, honest = home_with(112_000, document), home_with(112_000, document)

    corrects(home, at("09:30"), EIGHT, at("09:00"), -4_000)
    home.reads(at("10:00"), 116_000)

    assert home.balance == honest.balance


def test_a_correction_never_takes_more_than_was_counted():
    """13 of 12 kWh cannot be given back, nor any of a month in which nothing was used."""
    home = home_with(112_000, LADDER)

    too_much = corrects(home, at("10:00"), EIGHT, at("09:00"), -12_001)

    assert answer(too_much) == Refusal.CORRECTION_TOO_LARGE
    assert home.balance == "486.00"
    assert (
        answer(corrects(home, at("10:00"), EIGHT - 20 * DAY_MS, EIGHT - 19 * DAY_MS, -1))
        == Refusal.CORRECTION_TOO_LARGE
    )


def test_a_month_that_is_forgotten_can_be_corrected_where_no_tier_asks_for_it():
    """Half a year later the counter of June is gone: at one price that does not matter, in tiers nobody could say what is due."""
    homes = [home_with(110_000), home_with(110_000, LADDER)]
    for home in homes:
        for month in (40, 80, 120):
            home.reads(at("09:00", days=month), 110_000 + 10 * month)

    told = [corrects(home, at("10:00", days=120), EIGHT, at("09:00"), -2_000) for home in homes]

    assert [answer(effects) for effects in told] == [(-2 * YUAN, "usage -2000"), Refusal.CORRECTION_TOO_LARGE]


def test_a_register_is_put_right():
    """The import had a digit wrong: two kWh are given back and the meter goes on from the register that it truly has."""
    home = home_with(103_000)

    corrects(home, at("10:00"), EIGHT, at("09:00"), -2_000, register=101_000)
    home.reads(at("10:15"), 102_000)

    assert home.balance == "498.00"


def test_a_correction_leaves_the_open_hour_and_day_alone():
    """What was read today is still posted by its day, in full; the correction is a posting of its own, and together they are the balance."""
    home = home_with(103_000)
    told = [
        corrects(home, at("10:00"), EIGHT, at("09:00"), -1_000),
        home.reads(at("10:00"), 104_000),
        home.ticks(at("03:00", days=1)),
    ]

    assert [int(row.amount) for row in all_postings(told)] == [YUAN, 4 * YUAN]
    assert [usage for _, usage, _ in usage_rows(*told)] == [-1_000, 3_000, 1_000]
    assert home.balance == "497.00"


def test_the_rest_of_a_micro_goes_on_with_the_day():
    """A third of a micro is not lost: the ledger and what the day still holds are the balance, to the pico."""
    home = home_with(100_001, flat("one", "Asia/Shanghai", ("2024-01-01", "0.000333333")), yuan=1)

    effects = corrects(home, at("10:00"), EIGHT, at("09:00"), -1)

    (row,) = effects.postings
    meter, account = home.state.meters.rows[0], home.state.accounts.rows[0]
    assert int(row.amount) == 1  # 0.33 of a micro, rounded towards the tenant …
    assert int(meter.day_cost) * PICOS_PER_MICRO + int(meter.day_picos) == 1_000_000  # … and taken again with the day.
    assert (int(account.balance), int(account.balance_picos)) == (YUAN, 0)


def test_a_correction_may_give_the_supply_back():
    """A tenant who was cut for a misread register is in credit again, and the supply comes back at once."""
    home = home_with(160_000, yuan=50)
    home.reads(at("09:01"), 160_000, Status.SUPPLY_KNOWN)

    effects = corrects(home, at("09:30"), EIGHT, at("09:00"), -50_000)

    assert [command.wanted.name for command in effects.commands] == ["ON"]
    assert home.balance == "40.00"


def leaves(home, when, kind, **said):
    """Something of a tenancy happens to room-201."""
    home.tell(kind(at=when, id=home.id(when), account="room-201", **said))


@pytest.mark.parametrize(
    ("settlement", "since", "refusal"),
    [
        (Settlement.REFUND, "08:00", "decision_not_possible"),
        (Settlement.REFUND, "09:29", "decision_not_possible"),
        (Settlement.REFUND, "09:30", ""),
        (Settlement.CARRY, "08:00", ""),
    ],
)
def test_what_another_tenant_used_is_not_corrected(settlement, since, refusal):
    """The next tenant gets back nothing that was the last one's, unless the balance was carried over."""
    home = home_with(110_000)
    leaves(home, at("09:30"), AccountTransferred, settlement=settlement, name="李")
    home.reads(at("10:00"), 112_000)
    before = home.balance

    effects = corrects(home, at("10:10"), at(since), at("10:00"), -1_000)

    assert effects.outcomes[0].refusal == refusal
    assert (home.balance == before) is bool(refusal)


@pytest.mark.parametrize(
    ("settlement", "refusal"), [(Settlement.REFUND, "decision_not_possible"), (Settlement.CARRY, "")]
)
def test_what_was_held_of_another_tenant_is_not_charged(settlement, refusal):
    """A jump of before the transfer is not charged to the next tenant, unless the balance was carried over."""
    home = home_with(110_000)
    home.reads(at("09:10"), 400_000)
    leaves(home, at("09:30"), AccountTransferred, settlement=settlement, name="李")
    accepted = {"meter": 1, "reason": "jump", "decision": Decision.ACCEPT, "note": "it was true"}

    effects = home.tell(QuarantineDecided(at=at("09:40"), id=home.id(at("09:40")), **accepted))

    assert effects.outcomes[0].refusal == refusal
    assert home.balance == ("0.00" if refusal else "200.00")


def test_what_nobody_used_is_not_corrected():
    """What was counted in an empty room is not charged to the next tenant afterwards; the register may still be put right."""
    home = home_with(110_000)
    leaves(home, at("09:30"), AccountClosed, settlement=Settlement.REFUND)
    home.reads(at("10:00"), 120_000)
    leaves(home, at("10:00"), AccountActivated)
    home.reads(at("11:00"), 121_000)

    answers = [
        corrects(home, at("11:01"), at("09:45"), at("10:30"), 5_000),
        corrects(home, at("11:02"), 0, 0, 0, register=5),
    ]

    assert [each.outcomes[0].refusal for each in answers] == ["decision_not_possible", ""]
    assert home.balance == "-1.00"


@pytest.mark.parametrize(
    ("since", "until", "delta", "changed", "refusal"),
    [
        (EIGHT, at("09:00"), -1, {"meter": 99}, Refusal.UNKNOWN_METER),
        (EIGHT, at("09:00"), 0, {}, Refusal.TERMS_INVALID),
        (EIGHT, at("09:00") + 1, 1, {}, Refusal.TERMS_INVALID),
        (EIGHT, EIGHT, 1, {}, Refusal.TERMS_INVALID),
        (at("09:00") - 1_098 * DAY_MS - 1, EIGHT, 1, {}, Refusal.TERMS_INVALID),
        (EIGHT, at("09:00"), 10**9 + 1, {}, Refusal.TERMS_INVALID),
        (EIGHT, at("09:00"), -1, {"register": 10**6, "note": ""}, Refusal.TERMS_INVALID),
        (EIGHT, at("09:00"), -1, {"note": "\n"}, Refusal.NOTE_MISSING),
        (EIGHT, at("09:00"), -10_001, {}, Refusal.CORRECTION_TOO_LARGE),
        (0, 0, 0, {"register": 5}, ""),
        (EIGHT, at("09:00"), -10_000, {}, ""),
    ],
)
def test_a_correction_is_refused_by_name(since, until, delta, changed, refusal):
    """Only what was charged can be corrected, by somebody who says why."""
    home = home_with(110_000)

    effects = corrects(home, at("10:00"), since, until, delta, **changed)

    assert effects.outcomes[0].refusal == refusal
    assert home.balance == ("500.00" if not refusal and delta else "490.00")


def test_a_wallet_beyond_all_bounds_is_left_alone():
    """Where readings are no longer charged, decisions and corrections are not either."""
    home = home_with(110_000)
    home.state.accounts.rows[0].balance = -MONEY_MAX_MICROS - 1

    assert answer(corrects(home, at("10:00"), EIGHT, at("09:00"), -1)) == Refusal.AMOUNT_TOO_LARGE


def allows(home, kind, amount):
    """Something free in each month from 1970 on."""
    fact = AllowanceSet(at=EIGHT, id=home.id(EIGHT), account="room-201", kind=kind, amount=amount)
    assert home.tell(fact).outcomes[0].refusal == ""


@pytest.mark.parametrize("kind", [AllowanceKind.ELECTRICITY, AllowanceKind.MONEY])
def test_usage_that_may_have_been_free_is_not_given_back_as_money(kind):
    """Ten kWh of an allowance cost nothing, so taking them back must pay nothing out; the register can still be put right."""
    home = Home()
    allows(home, kind, 10_000 if kind == AllowanceKind.ELECTRICITY else 10 * YUAN)
    home.pays(EIGHT, 50)
    home.reads(at("09:00"), 110_000)

    effects = corrects(home, at("10:00"), EIGHT, at("09:00"), -5_000)

    assert (answer(effects), home.balance) == (Refusal.DECISION_NOT_POSSIBLE, "50.00")
    assert answer(corrects(home, at("10:00"), 0, 0, 0, register=105_000)) == (0, "usage 0")


def test_an_allowance_of_water_does_not_stand_in_the_way_of_electricity():
    """What is free of another commodity was not used here."""
    home = Home()
    allows(home, AllowanceKind.WATER, 10_000)
    home.pays(EIGHT, 50)
    home.reads(at("09:00"), 110_000)

    assert answer(corrects(home, at("10:00"), EIGHT, at("09:00"), -5_000)) == (-5 * YUAN, "usage -5000")


@pytest.mark.parametrize("after", [AllowanceKind.NONE, AllowanceKind.WATER])
@pytest.mark.parametrize("kind", [AllowanceKind.ELECTRICITY, AllowanceKind.MONEY])
def test_what_may_have_been_free_before_an_allowance_ended_is_not_given_back(kind, after):
    """The ten kWh until 09:00 were free: taking them back pays nothing out after the end either. What came later was paid."""
    home = Home()
    allows(home, kind, 10_000 if kind == AllowanceKind.ELECTRICITY else 10 * YUAN)
    home.pays(EIGHT, 50)
    home.reads(at("09:00"), 110_000)
    allows(home, after, 1)
    home.reads(at("11:00"), 120_000)

    answers = [
        answer(corrects(home, at("12:00"), since, at("11:00"), -5_000))
        for since in (EIGHT, at("09:00") - 1, at("09:00"))
    ]

    assert answers == [Refusal.DECISION_NOT_POSSIBLE, Refusal.DECISION_NOT_POSSIBLE, (-5 * YUAN, "usage -5000")]
    assert home.balance == "45.00"


def test_an_allowance_of_water_that_ended_does_not_stand_in_the_way_of_electricity():
    """What was free of another commodity was not used here."""
    home = Home()
    allows(home, AllowanceKind.WATER, 10_000)
    home.pays(EIGHT, 50)
    home.reads(at("09:00"), 110_000)
    allows(home, AllowanceKind.NONE, 0)

    assert answer(corrects(home, at("10:00"), EIGHT, at("09:00"), -5_000)) == (-5 * YUAN, "usage -5000")


def test_decided_usage_uses_the_allowance_first():
    """What was held back is usage like any other: what is free of it is not charged."""
    home = Home()
    allows(home, AllowanceKind.ELECTRICITY, 150_000)
    home.pays(EIGHT, 500)
    home.reads(at("09:00"), 500_000)

    assert answer(decides(home, at("10:00"), ACCEPT)) == (250 * YUAN, "usage 400000, register 500000")


# Clocks.


def test_a_clock_that_is_ahead_is_said_after_three_readings():
    """A quarter of an hour ahead, three times in a row, is no accident; one reading in time ends it."""
    home = Home()
    home.pays(EIGHT, 50)
    ahead = []
    for minutes in range(4):
        home.ticks(EIGHT + minutes * MINUTE_MS)
        ahead.append(home.reads(EIGHT + (15 + minutes) * MINUTE_MS, 100_000 + minutes))
    home.ticks(at("08:30"))
    in_time = home.reads(at("08:30"), 100_100)

    assert [kinds(effects) for effects in ahead] == [[], [], ["clock_drift raised"], []]
    assert kinds(in_time) == ["clock_drift cleared"]
    assert len(home.state.meter_clocks) == 0


@pytest.mark.parametrize("minutes", [(10, 10, 10), (11, 12, 5), (11, 11, 11)])
def test_a_clock_is_given_the_benefit_of_the_doubt(minutes):
    """Ten minutes are allowed, the count begins anew after a reading in time, and the same reading again says nothing new."""
    home = Home()
    home.pays(EIGHT, 50)

    for ticked, number in enumerate(minutes):
        home.ticks(EIGHT + ticked)
        assert kinds(home.reads(EIGHT + number * MINUTE_MS, 100_000)) == []


def test_a_machine_whose_ticks_are_late_accuses_no_meter():
    """The server was away for twenty minutes, or a fast clock's thread was: the readings of the meantime come before the next tick."""
    home = Home()
    home.pays(EIGHT, 50)
    home.ticks(EIGHT)
    minutes = range(11, 30)

    waited = home.tell(readings(*[(1, EIGHT + number * MINUTE_MS, 100_000 + number) for number in minutes]))
    one_by_one = [home.reads(EIGHT + number * MINUTE_MS, 100_000 + number) for number in (30, 31, 32)]
    home.ticks(at("08:33"))
    after = home.reads(at("08:33"), 100_033)

    assert [kinds(effects) for effects in (waited, *one_by_one, after)] == [[]] * 5
    assert len(home.state.meter_clocks) == 0


def test_a_clock_that_is_ahead_is_found_however_fast_time_runs():
    """A demo's minutes are a fifth of a second and its ticks may leave some out: three ticks with readings ahead are enough."""
    home = Home()
    home.pays(EIGHT, 50)

    told = []
    for minutes in (0, 4, 9):
        home.ticks(EIGHT + minutes * MINUTE_MS)
        told += [home.reads(EIGHT + (minutes + more) * MINUTE_MS, 100_000 + minutes + more) for more in (20, 21)]

    assert [kinds(effects) for effects in told] == [[], [], [], [], ["clock_drift raised"], []]


def test_an_hour_ahead_is_held_and_said():
    """A clock in next year is in quarantine besides; the alarm says what is wrong with the meter."""
    home = Home()
    home.pays(EIGHT, 50)

    told = []
    for number in range(3):
        home.ticks(EIGHT + number * MINUTE_MS)
        told.append(home.reads(EIGHT + 400 * DAY_MS + number * HOUR_MS, 100_001))

    assert kinds(told[0]) + kinds(told[1]) == ["quarantine raised"]
    assert kinds(told[2]) == ["clock_drift raised"]
