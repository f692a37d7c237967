"""Fees that fall due by the calendar: what is taken, when, and never twice."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_machine import EIGHT, TERMS, Home, at, kinds

from domain.facts import (
    AccountActivated,
    AccountClosed,
    AccountOpened,
    AccountTransferred,
    ChargeItemEnded,
    ChargeItemSet,
)
from domain.ids import account_id
from domain.units import DAY_MS, HOUR_MS, money_text
from domain.words import ItemKind, Ledger, Period, Settlement
from flows.items import item_key
from flows.state import ShardState


def is_account(text: str) -> bool:
    """Whether an account may have this id."""
    try:
        return bool(account_id(text))
    except ValueError:
        return False


def day(text: str) -> int:
    """Local day number of a date."""
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


def midnight(text: str) -> int:
    """Ms UTC at which a date begins in Shanghai."""
    return day(text) * DAY_MS - 8 * HOUR_MS


def sets(home, starts, micros=3_000_000_000, **changed):
    """An item of 3,000.00 a month; returns its refusal."""
    words = {
        "account": "room-201", "item": "rent", "kind": ItemKind.RENT, "period": Period.MONTH, "zone": "Asia/Shanghai",
        "at": EIGHT, "id": home.id(EIGHT),
    } | changed  # fmt: skip
    return home.tell(ChargeItemSet(amount_micros=micros, starts=day(starts), **words)).outcomes[0].refusal


def taken(home, *days):
    """Amounts that the first tick of each day takes."""
    return [[money_text(int(row["amount"])) for row in _rows(home.ticks(midnight(each)))] for each in days]


def _rows(effects):
    return [] if effects.postings is None else effects.postings


# EIGHT is 8 o'clock on Saturday, 2025-12-06, in Shanghai.
@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({}, ["3000.00"]),
        ({"partial": True}, ["1645.16"]),  # 3,000 × 17 of 31 days of January
        ({"partial": True, "ends": day("2026-01-20")}, ["580.65"]),  # 6 of 31 days
        ({"micros": 2_350_000, "area": 87_450}, ["205.51"]),  # 2.35 × 87.45 m² = 205.5075
        ({"period": Period.ONCE, "partial": True}, ["3000.00"]),
        ({"period": Period.QUARTER, "partial": True}, ["2533.33"]),  # 76 of 90 days
        ({"period": Period.YEAR, "partial": True}, ["2884.93"]),  # 351 of 365 days
    ],
)
def test_what_a_first_charge_is(terms, expected):
    """From 15 January: the whole amount, or its share by days where the site says so; by area; rounded once, half up."""
    home = Home()
    assert sets(home, "2026-01-15", **terms) == ""

    assert taken(home, "2026-01-14", "2026-01-15", "2026-01-16") == [[], expected, []]


def test_later_charges_are_for_calendar_periods():
    """After the first, rent falls due on the first of each month, at local midnight and not before, and no longer after its end."""
    home = Home()
    sets(home, "2026-01-15", ends=day("2026-03-31"))
    home.ticks(midnight("2026-01-15"))

    before = home.ticks(midnight("2026-02-01") - 60_000)

    assert before.postings is None
    assert taken(home, "2026-02-01", "2026-03-01", "2026-04-01", "2026-05-01") == [["3000.00"], ["3000.00"], [], []]


def test_months_that_no_tick_saw_are_charged_one_by_one():
    """After an outage of two months each month has its own posting, with the day on which it fell due."""
    home = Home()
    sets(home, "2026-01-01")

    effects = home.ticks(midnight("2026-03-02"))

    assert [int(row["at"]) for row in effects.postings] == [midnight(f"2026-0{month}-01") for month in (1, 2, 3)]
    assert {Ledger(int(row["credit"])) for row in effects.postings} == {Ledger.REVENUE_RENT}
    assert home.balance == "-9000.00"


def test_new_terms_never_charge_a_period_again():
    """A rent that is raised in the middle of the month costs the new amount from the next month on."""
    home = Home()
    sets(home, "2026-01-01")
    home.ticks(midnight("2026-01-01"))

    sets(home, "2026-01-01", 3_500_000_000)

    assert taken(home, "2026-01-20", "2026-02-01") == [[], ["3500.00"]]


def ends(home):
    """The rent is ended by order."""
    return home.tell(ChargeItemEnded(at=EIGHT, id=home.id(EIGHT), account="room-201", item="rent"))


@pytest.mark.parametrize(
    ("first", "is_ended", "again", "expected"),
    [
        ({}, True, {}, [[], ["3000.00"]]),
        ({"ends": day("2026-01-31")}, False, {}, [[], ["3000.00"]]),
        ({"ends": day("2026-01-20")}, False, {}, [[], ["3000.00"]]),  # January was charged whole
        ({"ends": day("2026-01-20"), "partial": True}, False, {"partial": True}, [["1064.52"], ["3000.00"]]),  # 11 days
        ({"period": Period.YEAR}, True, {}, [[], []]),
        ({"period": Period.ONCE}, False, {}, [["3000.00"], ["3000.00"]]),  # on 2 January, by its name
        ({}, True, {"starts": "2026-02-10", "partial": True}, [[], []]),
    ],
)
def test_an_item_that_is_gone_and_set_again_charges_nothing_twice(first, is_ended, again, expected):
    """Ended by order, run out or charged once: what is set again from 1 January on begins after what has been charged."""
    home = Home()
    sets(home, "2026-01-01", **first)
    home.ticks(midnight("2026-01-25"))
    if is_ended:
        ends(home)

    assert sets(home, again.pop("starts", "2026-01-01"), **again) == ""

    assert taken(home, "2026-01-25", "2026-02-01") == expected


def test_what_was_never_charged_may_begin_earlier():
    """A rent that was to begin in March, ended or not, may begin in January after all."""
    home = Home()
    sets(home, "2026-03-01")
    sets(home, "2026-02-01")
    ends(home)

    assert sets(home, "2026-01-01") == ""

    assert taken(home, "2026-01-01") == [["3000.00"]]


@pytest.mark.parametrize(("starts", "answer"), [("2026-01-01", "terms_invalid"), ("2026-01-02", "")])
def test_a_fee_once_is_charged_again_from_a_later_day_only(starts, answer):
    """The same key money said again is a mistake; another key, on a later day, is not."""
    home = Home()
    sets(home, "2026-01-01", period=Period.ONCE)
    home.ticks(midnight("2026-01-01"))

    assert sets(home, starts, period=Period.ONCE) == answer

    assert taken(home, "2026-01-03") == [[] if answer else ["3000.00"]]


def test_what_has_been_charged_is_forgotten_after_a_year():
    """It is kept while an item could still begin before it, and no longer."""
    home = Home()
    sets(home, "2026-01-01", ends=day("2026-01-31"))
    home.ticks(midnight("2026-01-01"))

    kept = []
    for when in ("2027-02-01", "2027-02-03"):
        home.ticks(midnight(when))
        kept.append([key for key, _ in home.state.charged_items.sorted()])

    assert kept == [["room-201:rent"], []]


def test_another_tenant_pays_for_no_day_of_the_one_before():
    """The one who went had paid for January. The next, from the 12th on, pays by days from then, whatever day is said."""
    home = Home()
    sets(home, "2026-01-01")
    home.ticks(midnight("2026-01-01"))
    said = {"account": "room-201", "at": midnight("2026-01-10")}
    home.tell(AccountClosed(id=home.id(said["at"]), settlement=Settlement.WRITE_OFF, reason="moved", **said))
    moved = midnight("2026-01-12") + 9 * HOUR_MS
    home.tell(AccountActivated(id=home.id(moved), account="room-201", at=moved))

    assert sets(home, "2026-01-01", partial=True) == ""

    assert taken(home, "2026-01-13") == [["1935.48"]]  # 20 of 31 days


def test_an_item_that_ended_is_charged_no_more():
    """What has been charged stays, and an item that nobody has is refused by name."""
    home = Home()
    sets(home, "2026-01-01")
    end = ChargeItemEnded(at=EIGHT, id=home.id(EIGHT), account="room-201", item="rent")

    answers = [home.tell(end).outcomes[0].refusal, sets(home, "2026-01-01", account="nobody")]
    again = home.tell(ChargeItemEnded(at=EIGHT, id=home.id(EIGHT), account="room-201", item="rent"))

    assert answers == ["", "unknown_account"]
    assert again.outcomes[0].refusal == "unknown_item"
    assert taken(home, "2026-02-01") == [[]]


def prepared(home):
    """room-202, which nobody has yet."""
    words = {"account": "room-202", "currency": "CNY", "prepared": True}
    home.tell(AccountOpened(at=EIGHT, id=home.id(EIGHT), alarms=TERMS, **words))
    return {"account": "room-202"}


def opens(home, when):
    """room-202 is opened with one action."""
    return home.tell(AccountActivated(at=when, id=home.id(when), account="room-202"))


@pytest.mark.parametrize(
    ("terms", "at_opening", "february"),
    [
        ({"partial": True}, ["1161.29"], ["3000.00"]),  # 12 of 31 days
        ({}, ["3000.00"], ["3000.00"]),
        ({"period": Period.ONCE}, ["3000.00"], []),
        ({"ends": day("2026-01-19")}, [], []),  # ran out before anybody had the room
        ({"ends": day("2026-01-22"), "partial": True}, ["290.32"], []),  # 3 of 31 days
    ],
)
def test_fees_of_a_prepared_account_wait_for_its_opening(terms, at_opening, february):
    """Rent from November on, and the room is opened on 20 January: nothing before, and that day begins the first period."""
    home = Home()
    room = prepared(home)
    assert sets(home, "2025-11-15", **room, **terms) == ""

    waiting = taken(home, "2025-12-07", "2026-01-01", "2026-01-20")
    opens(home, midnight("2026-01-20") + 9 * HOUR_MS)

    assert waiting == [[], [], []]
    assert taken(home, "2026-01-21", "2026-02-01") == [at_opening, february]


def test_an_opening_changes_no_fee_that_falls_due_later():
    """Rent that is to begin in March begins in March; a reload before the opening forgets none that waits."""
    home = Home()
    room = prepared(home)
    sets(home, "2026-01-01", **room)
    sets(home, "2026-03-01", **room, item="lift")
    home.ticks(midnight("2026-01-02"))
    home.state.due_items = ShardState(0, items=home.state.items).due_items

    opens(home, midnight("2026-02-10"))

    assert taken(home, "2026-02-11", "2026-03-01") == [["3000.00"], ["3000.00", "3000.00"]]


def goes(home, when, order=AccountClosed, settlement=Settlement.WRITE_OFF, **changed):
    """The tenant of room-201 goes; returns what that did."""
    words = {"account": "room-201", "at": when, "reason": "moved"} | ({} if order is AccountClosed else {"name": "Li"})
    return home.tell(order(id=home.id(when), settlement=settlement, **(words | changed)))


def posted(effects):
    """What was posted: day, amount, and what the tenant's money went to."""
    return [(int(row["day"]), money_text(int(row["amount"])), Ledger(int(row["credit"]))) for row in _rows(effects)]


GOES = pytest.mark.parametrize("order", [AccountClosed, AccountTransferred])


@GOES
def test_what_is_due_is_taken_from_the_tenant_who_goes(order):
    """January's rent falls due at midnight, and the tenant goes before the clock has ticked: it is taken first, and the rest is paid out."""
    home = Home()
    home.pays(EIGHT, 900)
    sets(home, "2026-01-01", 100_000_000)
    sets(home, "2026-01-02", 100_000_000, item="lift")

    effects = goes(home, midnight("2026-01-01") + 30_000, order, Settlement.REFUND)

    assert posted(effects) == [
        (day("2026-01-01"), "100.00", Ledger.REVENUE_RENT),
        (-1, "800.00", Ledger.CASH),
    ]
    assert (effects.outcomes[0].amount_micros, effects.alarms, home.balance) == (800_000_000, [], "0.00")
    assert taken(home, "2026-01-02") == [["100.00"] if order is AccountTransferred else []]


@GOES
def test_the_settlement_is_judged_by_what_is_left_after_what_is_due(order):
    """A refund does not fit a balance that the rent of today has used up; the answer says so, and takes nothing."""
    home = Home()
    home.pays(EIGHT, 900)
    sets(home, "2025-12-31", 500_000_000)
    when = midnight("2026-01-01") + 30_000

    refused = goes(home, when, order, Settlement.REFUND)
    before = home.balance
    paid = goes(home, when, order, Settlement.PAY_UP)

    assert refused.outcomes[0].refusal == "balance_not_settled"
    assert refused.outcomes[0].detail == "refund is for a balance of zero or more; the balance is -100.00"
    assert (refused.postings, before) == (None, "900.00")
    assert (paid.outcomes[0].refusal, paid.outcomes[0].amount_micros) == ("", -100_000_000)
    assert [amount for _, amount, _ in posted(paid)] == ["500.00", "500.00", "100.00"]


def test_a_balance_that_is_carried_over_pays_its_fees_by_the_clock():
    """The account goes on with its money and its fees: the next tick takes what is due, as if nothing had been."""
    home = Home()
    sets(home, "2026-01-01", 100_000_000)

    effects = goes(home, midnight("2026-01-01") + 30_000, AccountTransferred, Settlement.CARRY)

    assert effects.postings is None
    assert taken(home, "2026-01-02") == [["100.00"]]


def test_a_fee_that_is_ended_after_it_fell_due_is_taken():
    """Ended half a minute after midnight, before a tick: January is due, February is not; the tenant is warned like by a tick."""
    home = Home()
    home.pays(EIGHT, 100)
    sets(home, "2026-01-01", 99_000_000)
    sets(home, "2026-01-01", 1_000_000, item="lift")
    when = midnight("2026-01-01") + 30_000

    effects = home.tell(ChargeItemEnded(at=when, id=home.id(when), account="room-201", item="rent"))

    assert effects.outcomes[0].refusal == ""
    assert posted(effects) == [(day("2026-01-01"), "99.00", Ledger.REVENUE_RENT)]
    assert kinds(effects) == ["balance_low raised", "balance_pretrip raised"]
    assert taken(home, "2026-01-01", "2026-02-01") == [["1.00"], ["1.00"]]


def test_a_fee_once_may_be_ended_when_it_is_due():
    """It is taken, and gone; whoever ends it is not told that there was none."""
    home = Home()
    sets(home, "2026-01-01", period=Period.ONCE)
    when = midnight("2026-01-01")

    effects = home.tell(ChargeItemEnded(at=when, id=home.id(when), account="room-201", item="rent"))

    assert (effects.outcomes[0].refusal, [amount for _, amount, _ in posted(effects)]) == ("", ["3000.00"])
    assert home.state.items.sorted() == []


def test_a_fee_of_a_prepared_account_is_ended_unpaid():
    """Nobody has the room yet, so nothing is due."""
    home = Home()
    room = prepared(home)
    sets(home, "2025-12-01", **room)

    effects = home.tell(ChargeItemEnded(at=EIGHT, id=home.id(EIGHT), item="rent", **room))

    assert (effects.outcomes[0].refusal, effects.postings) == ("", None)


def test_a_month_that_is_paid_is_not_the_next_tenants():
    """No tick saw the 1st; the tenant who went on the 3rd has paid for January, as if one had, and the next one pays February."""
    home = Home()
    sets(home, "2026-01-01", partial=True)

    goes(home, midnight("2026-01-03") + 9 * HOUR_MS, AccountTransferred)

    assert taken(home, "2026-01-04", "2026-02-01") == [[], ["3000.00"]]


def test_a_prepared_account_that_is_closed_owes_nothing():
    """Its fees end without a charge, and the opening after it brings none of them back."""
    home = Home()
    room = prepared(home)
    sets(home, "2025-12-01", **room)
    home.ticks(midnight("2025-12-07"))
    home.tell(AccountClosed(at=EIGHT, id=home.id(EIGHT), **room, settlement=Settlement.REFUND))
    opens(home, midnight("2026-01-01"))

    assert taken(home, "2026-01-02", "2026-02-01") == [[], []]


def test_a_fee_can_bring_a_tenant_into_arrears():
    """Rent is taken from the wallet like usage: alarms are raised and the supply is cut."""
    home = Home()
    home.pays(at("08:00"), 100)
    sets(home, "2026-01-01")

    effects = home.ticks(midnight("2026-01-01"))

    assert kinds(effects) == ["balance_low raised", "balance_pretrip raised", "balance_arrears raised"]


@pytest.mark.parametrize(
    ("changed", "detail"),
    [
        ({"zone": "Mars/Base"}, "expected zone to be an IANA time zone such as Asia/Shanghai"),
        ({"item": ""}, "expected item to have a name of 1 to 64 characters"),
        ({"micros": 0}, "expected 0 < amount <= 10^9"),
        ({"starts": "2024-01-01"}, "expected starts at most 366 days back"),
        ({"ends": 5}, "expected ends not before starts"),
    ],
)
def test_terms_that_are_refused(changed, detail):
    """Each mistake is said in words, and nothing is set."""
    home = Home()
    words = {
        "account": "room-201", "item": "rent", "kind": ItemKind.RENT, "period": Period.MONTH, "zone": "Asia/Shanghai",
    }  # fmt: skip
    starts, micros = changed.pop("starts", "2026-01-01"), changed.pop("micros", 1)

    outcome = home.tell(
        ChargeItemSet(at=EIGHT, id=home.id(EIGHT), amount_micros=micros, starts=day(starts), **(words | changed))
    ).outcomes[0]

    assert (outcome.refusal, outcome.detail) == ("terms_invalid", detail)
    assert home.state.items.sorted() == []


NAMES = st.text("aA1:.-", min_size=1, max_size=6)
ACCOUNTS = st.from_regex(r"[aA1:.-]{1,4}", fullmatch=True).filter(is_account)


@given(ACCOUNTS, NAMES, ACCOUNTS, NAMES)
def test_no_two_fees_have_one_key(account, item, other, others):
    """What stands before the first colon is the account, which has none, whatever its fees are called."""
    assert (item_key(account, item) == item_key(other, others)) is ((account, item) == (other, others))


@pytest.mark.parametrize("text", ["room:201", ":", "room-201:", "room\uff1a201"])
def test_no_account_has_a_colon_in_its_id(text):
    """Files, tables and the API take an account's id through this, and it is refused."""
    with pytest.raises(ValueError, match="expected 1 to 64 letters, digits"):
        account_id(text)


def test_a_reload_forgets_no_due_day():
    """What falls due is known from the records alone: a state that comes from a store charges the same."""
    home = Home()
    sets(home, "2026-01-01")

    reborn = ShardState(0, account_records=home.state.account_records, items=home.state.items)

    assert reborn.due_items.take() == (midnight("2026-01-01"), "room-201:rent")
