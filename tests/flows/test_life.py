"""A tenancy from beginning to end: prepared, opened, changed, passed on, closed and opened again."""

import msgspec
import pytest
from test_machine import EIGHT, ON, TERMS, YUAN, Home, at, classes, commands, kinds

from domain.facts import (
    AccountActivated,
    AccountClosed,
    AccountOpened,
    AccountTransferred,
    AccountUpdated,
    AdjustmentOrdered,
    MeterInstalled,
    Place,
    RechargeOrdered,
    ReversalOrdered,
    SiteSet,
)
from domain.units import DAY_MS, PICOS_PER_MICRO
from domain.words import QUARANTINED, AccountState, Commodity, Ledger, Metering, Reason, Settlement, Supply
from flows.readings.metering import is_quarantined

REFUND, PAY_UP, WRITE_OFF, CARRY = Settlement


def told(home, kind, when, **said):
    """An order about room-201; returns its effects."""
    return home.tell(kind(at=when, id=home.id(when), account="room-201", **said))


def refusal(effects):
    """The name of the refusal, or nothing."""
    return effects.outcomes[0].refusal


def closes(home, when, settlement=REFUND, **said):
    """The tenant goes; returns the effects."""
    return told(home, AccountClosed, when, settlement=settlement, **said)


def postings(effects):
    """Debit, credit and micros of each posting."""
    rows = [] if effects.postings is None else effects.postings
    return [(Ledger(int(row.debit)).name, Ledger(int(row.credit)).name, int(row.amount)) for row in rows]


def wallet(home):
    """Exact picos of the account."""
    row = home.state.accounts.rows[0]
    return int(row.balance) * PICOS_PER_MICRO + int(row.balance_picos)


def ledger(home, *effects):
    """Micros that all these effects' postings leave the customer with."""
    total = 0
    for effect in effects:
        for debit, credit, amount in postings(effect):
            total += amount * ((credit == "CUSTOMER") - (debit == "CUSTOMER"))
    return total


class Prepared(Home):
    """A room that is set up before anybody has it: the meter hangs, the account waits."""

    def __init__(self, **terms) -> None:
        super().__init__(meters=0, **terms)
        self.tell(
            AccountOpened(at=EIGHT, id=self.id(EIGHT), account="room-202", currency="CNY", alarms=TERMS, prepared=True)
        )
        self.tell(
            MeterInstalled(
                at=EIGHT, id=self.id(EIGHT), meter=2, account="room-202", tariff="one", commodity=Commodity.ELECTRICITY,
                modulus=1_000_000, rated_per_hour=60_000,
            )
        )  # fmt: skip

    @property
    def room(self):
        """The prepared account's row."""
        return self.state.accounts.rows[1]

    def opens(self, when, **said):
        """One action; returns its effects."""
        return self.tell(AccountActivated(at=when, id=self.id(when), account="room-202", **said))


@pytest.mark.parametrize("metering", Metering)
def test_the_loop_holds_what_the_words_call_quarantined(metering):
    """The compiled loop and the set of words never part."""
    assert is_quarantined(int(metering)) == (metering in QUARANTINED)


def test_usage_before_the_opening_is_nobodys():
    """A prepared room's readings move its baseline and cost nothing, whatever the register does; from the opening on they cost."""
    home = Prepared()

    before = [
        home.reads(at(clock), register, meter=2)
        for clock, register in [("08:10", 500), ("08:20", 90), ("08:30", 700_000)]
    ]
    opened = home.opens(at("08:31"), name="王")
    after = home.reads(at("08:40"), 705_000, meter=2)

    assert [classes(effect) for effect in before] == [[Metering.VACANT]] * 3
    assert refusal(opened) == ""
    assert classes(after) == [Metering.NORMAL]
    assert int(home.room.balance) == -5 * YUAN
    assert home.state.account_records["room-202"].name == "王"


def test_times_and_ranges_are_judged_in_an_empty_room_too():
    """Late, repeated, contradicting, future and impossible readings are named as ever."""
    home = Prepared(modulus=1_000_000)
    home.ticks(at("09:00"))
    home.reads(at("08:30"), 500, meter=2)

    readings = [("08:30", 500), ("08:20", 400), ("08:30", 501), ("11:00", 500), ("08:40", 1_000_000)]

    assert [classes(home.reads(at(clock), register, meter=2))[0].name for clock, register in readings] == [
        "DUPLICATE", "LATE", "CONFLICT", "FUTURE", "OUT_OF_RANGE",
    ]  # fmt: skip


def test_an_open_account_is_not_opened_again():
    """One action opens once; nobody's name is overwritten by a slip."""
    home = Prepared()

    assert refusal(home.tell(AccountActivated(at=EIGHT, id=home.id(EIGHT), account="nobody"))) == "unknown_account"
    assert refusal(home.opens(EIGHT)) == ""
    assert refusal(home.opens(EIGHT, name="李")) == "account_open"
    assert home.state.account_records["room-202"].name == ""


def test_money_before_the_opening_waits_for_it():
    """A prepared room may have credit; its supply is wanted on when somebody has it."""
    home = Prepared()
    paid = home.tell(
        RechargeOrdered(at=EIGHT, id=home.id(EIGHT), account="room-202", amount_micros=50 * YUAN, currency="CNY")
    )
    meter = home.state.meters.rows[0]
    before = Supply(int(meter.wanted))

    home.opens(at("08:10"))

    assert refusal(paid) == ""
    assert (before, Supply(int(meter.wanted))) == (Supply.UNKNOWN, Supply.ON)


def test_the_same_opening_again_changes_nothing():
    """A site file that is read at every start finds its accounts, whatever became of them since; another opening is refused."""
    home = Home()
    opened = AccountOpened(at=EIGHT, id=home.id(EIGHT), account="room-201", currency="CNY", alarms=TERMS)
    told(home, AccountUpdated, EIGHT, name="王", alarms=msgspec.structs.replace(TERMS, low=30 * YUAN))
    closes(home, at("08:10"))

    again = home.tell(msgspec.structs.replace(opened, id=home.id(EIGHT)))
    other = home.tell(msgspec.structs.replace(opened, id=home.id(EIGHT), name="李"))

    assert (refusal(again), refusal(other)) == ("", "exists_with_different_content")
    assert home.state.account_records["room-201"].name == "王"
    assert home.state.accounts.rows[0].state == AccountState.CLOSED


def test_new_terms_are_judged_at_once():
    """Who is warned earlier from now on and is that low already hears of it now; what is not said stays."""
    home = Home()
    home.pays(EIGHT, 30)

    changed = told(home, AccountUpdated, at("08:10"), alarms=msgspec.structs.replace(TERMS, low=40 * YUAN), name="王")
    place = told(home, AccountUpdated, at("08:20"), place=Place(room="201"))

    record = home.state.account_records["room-201"]
    assert kinds(changed) == ["balance_low raised"]
    assert kinds(place) == []
    assert (record.name, record.place.room, record.alarms.low) == ("王", "201", 40 * YUAN)


def test_new_terms_cut_and_restore():
    """An overdraft that is taken away cuts at once; one that is given restores."""
    home = Home(alarms=msgspec.structs.replace(TERMS, overdraft=50 * YUAN))
    home.pays(EIGHT, 10)
    home.reads(at("09:00"), 120_000, ON)

    cut = told(home, AccountUpdated, at("09:10"), alarms=TERMS)

    assert home.balance == "-10.00"
    assert commands(cut) == ["1 OFF queued"]
    assert home.wanted == (Supply.OFF, Reason.ARREARS)


@pytest.mark.parametrize(
    ("account", "terms", "answer"),
    [("nobody", {"low": -1}, "unknown_account"), ("room-201", {"low": -1}, "terms_invalid")],
)
def test_updates_that_are_refused(account, terms, answer):
    """Errors by descending precedence; an account that has never had money is not judged by an update."""
    home = Home()
    alarms = msgspec.structs.replace(TERMS, **terms)

    assert refusal(home.tell(AccountUpdated(at=EIGHT, id=home.id(EIGHT), account=account, alarms=alarms))) == answer
    assert kinds(told(home, AccountUpdated, EIGHT, alarms=TERMS)) == []
    assert home.wanted[0] == Supply.UNKNOWN


def test_a_closed_account_holds_nothing_to_the_last_pico():
    """The open day is posted, whole micros are paid out, the rest goes to rounding, and wallet and ledger are exactly zero."""
    home = Home(document=THIRDS)
    paid = home.pays(EIGHT, 10)
    read = home.reads(at("09:00"), 100_007)

    closed = closes(home, at("09:10"), channel="counter")

    assert postings(closed) == [
        ("CUSTOMER", "REVENUE_ELECTRICITY", 2_333),
        ("CUSTOMER", "CASH_COUNTER", 9_997_666),
        ("CUSTOMER", "ROUNDING", 1),
    ]
    assert wallet(home) == 0
    assert ledger(home, paid, read, closed) == 0
    assert int(home.state.meters.rows[0].day_picos) == 0
    assert [int(row.usage) for row in closed.usage] == [7]
    assert (closed.outcomes[0].amount_micros, closed.outcomes[0].balance_micros) == (9_997_666, 0)


THIRDS = """tariff = "thirds"
title = { zh = "测试", en = "Test" }
commodity = "electricity"
currency = "CNY"
zone = "Asia/Shanghai"
source = "made up"

[[version]]
from = 2024-01-01
price = "0.333333333"
"""


def test_a_debt_is_paid_at_the_door():
    """Who goes in arrears pays up; the alarms are over and nothing more is wanted of the supply."""
    home = Home()
    home.pays(EIGHT, 10)
    home.reads(at("09:00"), 125_000, ON)

    closed = closes(home, at("09:10"), PAY_UP, channel="bank")

    assert postings(closed)[1:] == [("CASH_BANK", "CUSTOMER", 15 * YUAN)]
    assert kinds(closed) == ["balance_arrears cleared", "balance_pretrip cleared", "balance_low cleared"]
    assert commands(closed) == ["1 OFF withdrawn"]
    assert home.wanted == (Supply.UNKNOWN, Reason.CLOSED)
    assert closed.outcomes[0].amount_micros == -15 * YUAN


@pytest.mark.parametrize(
    ("used", "written_off"),
    [(5_000, ("CUSTOMER", "WRITE_OFFS", 5 * YUAN)), (25_000, ("WRITE_OFFS", "CUSTOMER", 15 * YUAN))],
)
def test_a_balance_can_be_given_up(used, written_off):
    """What nobody will pay, or nobody will fetch, has an account of its own in the ledger, and a reason."""
    home = Home()
    home.pays(EIGHT, 10)
    home.reads(at("09:00"), 100_000 + used)

    assert refusal(closes(home, at("09:10"), WRITE_OFF, reason=" ")) == "note_missing"
    assert written_off in postings(closes(home, at("09:10"), WRITE_OFF, reason="gone without a word"))
    assert home.balance == "0.00"


@pytest.mark.parametrize(
    ("balance", "settlement", "answer"),
    [
        (10, REFUND, ""),
        (0, REFUND, ""),
        (10, PAY_UP, "balance_not_settled"),
        (0, PAY_UP, "balance_not_settled"),
        (-10, REFUND, "balance_not_settled"),
        (-10, PAY_UP, ""),
        (10, CARRY, "balance_not_settled"),
    ],
)
def test_a_settlement_fits_the_balance_or_is_refused(balance, settlement, answer):
    """Nobody is paid a debt, nobody pays a credit, and a closed account carries nothing over."""
    home = Home()
    home.tell(
        AdjustmentOrdered(
            at=EIGHT, id=home.id(EIGHT), account="room-201", amount_micros=balance * YUAN or 1, currency="CNY", note="n"
        )
    )
    if balance == 0:
        home.takes_out(EIGHT, 1)

    assert refusal(closes(home, at("08:10"), settlement)) == answer
    assert home.balance == ("0.00" if answer == "" else f"{balance}.00")


def test_a_meter_that_was_never_read_keeps_an_account_open():
    """Nobody leaves on a guess: every meter has a register that is believed, or the answer names it."""
    home = Home(opening_register=None, meters=2)
    home.reads(at("08:10"), 5)

    refused = closes(home, at("08:20"))
    home.reads(at("08:30"), 5, meter=2)

    assert (refusal(refused), refused.outcomes[0].detail) == ("meters_not_read", "000000000002")
    assert refusal(closes(home, at("08:40"))) == ""


def test_what_was_forced_ends_with_the_tenancy():
    """A person's wish for the former tenant's supply does not outlive him."""
    home = Home()
    home.pays(EIGHT, 10)
    home.reads(at("08:05"), 100_000, ON)
    home.forces(at("08:06"), Supply.OFF, at("20:00"))

    closed = closes(home, at("08:10"))

    assert commands(closed) == ["1 OFF withdrawn"]
    assert home.state.forced.get(1) is None


def test_a_closed_room_can_be_cut():
    """`cut` keeps the supply off until somebody has the room, however often it is seen on; then it comes back with credit."""
    home = Home()
    home.pays(EIGHT, 10)
    home.reads(at("08:05"), 100_000, ON)

    closed = closes(home, at("08:10"), cut=True)
    wanted = home.wanted
    told(home, AccountActivated, at("09:00"), name="李")
    opened = home.wanted
    home.pays(at("09:01"), 20)

    assert commands(closed) == ["1 OFF queued"]
    assert wanted == (Supply.OFF, Reason.CLOSED)
    assert opened[0] == Supply.UNKNOWN
    assert home.wanted == (Supply.ON, Reason.IN_CREDIT)


def test_a_closed_account_moves_no_money():
    """Recharges, refunds and adjustments wait until somebody has the room; what was paid before is settled for good."""
    home = Home()
    order = home.id(EIGHT)
    home.pays(EIGHT, 10, order)
    closes(home, at("08:10"))
    late = at("08:20")
    money = {"amount_micros": YUAN, "currency": "CNY"}

    answers = [
        refusal(told(home, RechargeOrdered, late, **money)),
        home.takes_out(late, 1),
        refusal(told(home, AdjustmentOrdered, late, **money, note="n")),
        refusal(closes(home, late)),
        refusal(told(home, AccountTransferred, late, settlement=REFUND, name="李")),
    ]

    assert answers == ["account_closed"] * 5
    assert refusal(told(home, ReversalOrdered, late, order=order)) == "unknown_order"
    assert home.balance == "0.00"


def test_the_next_tenant_does_not_pay_for_the_one_before():
    """Vacant usage is nobody's, the new tenancy begins with an empty wallet, and an old failed payment is not taken from it."""
    home = Home()
    order = home.id(EIGHT)
    home.pays(EIGHT, 10, order)
    closes(home, at("08:10"))
    vacant = home.reads(at("09:00"), 130_000)
    told(home, AccountActivated, at("09:10"), name="李")
    home.pays(at("09:20"), 20)
    home.reads(at("10:00"), 131_000)

    reversed_ = told(home, ReversalOrdered, at("10:10"), order=order)

    assert classes(vacant) == [Metering.VACANT]
    assert refusal(reversed_) == "unknown_order"
    assert home.balance == "19.00"


def test_a_transfer_settles_with_the_one_who_goes():
    """The old tenant gets the balance, the new one begins with nothing: unjudged, unwarned, until money moves."""
    home = Home()
    home.pays(EIGHT, 10)
    home.reads(at("09:00"), 104_000)

    passed = told(home, AccountTransferred, at("09:10"), settlement=REFUND, channel="wechat", name="李")
    after = home.reads(at("10:00"), 105_000)

    assert ("CUSTOMER", "CASH_WECHAT", 6 * YUAN) in postings(passed)
    assert home.state.account_records["room-201"].name == "李"
    assert classes(after) == [Metering.NORMAL]
    assert home.balance == "-1.00"


def test_a_transfer_can_leave_the_balance():
    """`carry` changes the name and nothing else: a debt stays a debt, an alarm an alarm, a recharge can be reversed."""
    home = Home()
    order = home.id(EIGHT)
    home.pays(EIGHT, 10, order)
    home.reads(at("09:00"), 115_000)

    passed = told(home, AccountTransferred, at("09:10"), settlement=CARRY, name="李")
    taken = told(home, ReversalOrdered, at("09:20"), order=order)

    assert postings(passed) == []
    assert kinds(passed) == []
    assert refusal(taken) == ""
    assert home.balance == "-15.00"


def test_a_closed_account_has_been_closed_for_good():
    """A tick, days later, finds nothing to post, repeat or charge."""
    home = Home()
    home.pays(EIGHT, 3)
    home.reads(at("09:00"), 100_999)
    closes(home, at("09:10"))

    later = home.ticks(at("09:10") + 3 * DAY_MS)

    assert (later.postings, later.usage, later.alarms) == (None, None, [])


def sets_site(home, **said):
    """A site is named; returns the name of the refusal."""
    words = {
        "site": "estate",
        "title_zh": "花园",
        "title_en": "Garden Court",
        "zone": "Asia/Shanghai",
        "currency": "CNY",
    }
    return refusal(home.tell(SiteSet(at=EIGHT, id=home.id(EIGHT), **(words | said))))


def test_a_site_has_titles_and_a_zone():
    """A site may be called otherwise later; what it is paid in stays."""
    home = Home()

    answers = [sets_site(home), sets_site(home, title_en="Court"), sets_site(home, currency="EUR")]

    assert answers == ["", "", "wrong_currency"]
    assert home.state.sites["estate"].title_en == "Court"


@pytest.mark.parametrize("said", [{"zone": "Mars/Olympus"}, {"site": ""}, {"site": "x" * 101}, {"currency": "yuan"}])
def test_a_site_that_cannot_be(said):
    """A zone that no clock knows, a name too long or none, a currency that is none: refused, with nothing entered."""
    home = Home()

    assert sets_site(home, **said) == "terms_invalid"
    assert len(home.state.sites) == 0
