"""Money that moves by order: by which channel, put right, taken back, and lent."""

import msgspec
import pytest
from test_machine import EIGHT, TERMS, YUAN, Home, alarms, at, kinds

from domain.facts import AdjustmentOrdered, RechargeOrdered, ReversalOrdered
from domain.units import MONEY_MAX_MICROS, ORDER_MAX_MICROS
from domain.words import Ledger, Reason, Supply


def adjusts(home, when, micros, **changed):
    """An adjustment; returns its effects."""
    words = {"account": "room-201", "currency": "CNY", "note": "meter was read wrongly", "id": home.id(when)} | changed
    return home.tell(AdjustmentOrdered(at=when, amount_micros=micros, **words))


def reverses(home, when, order, **changed):
    """A reversal; returns its effects."""
    words = {"account": "room-201", "id": home.id(when)} | changed
    return home.tell(ReversalOrdered(at=when, order=order, **words))


def sides(effects):
    """Debit, credit and micros of the one posting."""
    (row,) = effects.postings
    return Ledger(int(row["debit"])).name, Ledger(int(row["credit"])).name, int(row["amount"])


@pytest.mark.parametrize(
    ("channel", "cash"),
    [
        ("counter", "CASH_COUNTER"),
        ("wechat", "CASH_WECHAT"),
        ("alipay", "CASH_ALIPAY"),
        ("card", "CASH_CARD"),
        ("bank", "CASH_BANK"),
        ("", "CASH"),
        ("vending machine", "CASH"),
    ],
)
def test_each_channel_has_its_own_cash(channel, cash):
    """What came by WeChat can be told from what lies in the till, and unknown channels are not lost."""
    home = Home()
    paid = home.tell(
        RechargeOrdered(
            at=EIGHT, id=home.id(EIGHT), account="room-201", amount_micros=5 * YUAN, currency="CNY", channel=channel
        )
    )

    assert sides(paid) == (cash, "CUSTOMER", 5 * YUAN)


def test_a_tenant_is_told_that_money_arrived():
    """A recharge is a notice with its amount and the balance after it; the same order again is none."""
    home = Home()
    order = home.id(EIGHT)

    first, again = home.pays(at("08:00"), 30, order), home.pays(at("08:01"), 30, order)

    (notice,) = first.alarms
    assert (notice.kind, notice.state, notice.amount, notice.balance) == (
        "money_arrived",
        "noted",
        30 * YUAN,
        30 * YUAN,
    )
    assert again.alarms == []


def test_an_adjustment_moves_the_balance_both_ways():
    """What a person puts right counts at once, below zero too, against an account of its own."""
    home = Home()
    home.pays(at("08:00"), 30)

    given, taken = adjusts(home, at("08:10"), 5 * YUAN), adjusts(home, at("08:20"), -40 * YUAN)

    assert sides(given) == ("ADJUSTMENTS", "CUSTOMER", 5 * YUAN)
    assert sides(taken) == ("CUSTOMER", "ADJUSTMENTS", 40 * YUAN)
    assert home.balance == "-5.00"
    assert "balance_arrears raised" in kinds(taken)


@pytest.mark.parametrize(
    ("changed", "micros", "refusal"),
    [
        ({"account": "nobody", "currency": "EUR"}, 0, "unknown_account"),
        ({"currency": "EUR", "note": ""}, 0, "wrong_currency"),
        ({"note": " "}, 0, "note_missing"),
        ({}, 0, "amount_is_zero"),
        ({}, ORDER_MAX_MICROS + 1, "amount_too_large"),
        ({}, -ORDER_MAX_MICROS - 1, "amount_too_large"),
    ],
)
def test_adjustments_that_are_refused(changed, micros, refusal):
    """Errors by descending precedence; nothing has moved."""
    home = Home()

    assert adjusts(home, EIGHT, micros, **changed).outcomes[0].refusal == refusal
    assert home.balance == "0.00"


def test_no_adjustment_leads_out_of_the_numbers_that_can_be_kept():
    """A balance stays within what no sum can overflow, however often it is adjusted."""
    home = Home()
    home.state.accounts.rows[0].balance = -MONEY_MAX_MICROS + 5

    assert adjusts(home, EIGHT, -6).outcomes[0].refusal == "amount_too_large"
    assert adjusts(home, EIGHT, -5).outcomes[0].refusal == ""


def test_a_payment_that_failed_is_taken_back():
    """The whole recharge goes, although it is spent: the balance is negative, supply is cut, and the posting names the old one."""
    home = Home()
    order = home.id(EIGHT)
    paid = home.pays(at("08:00"), 30, order)
    home.reads(at("09:00"), 125_000)

    taken = reverses(home, at("09:30"), order)

    assert home.balance == "-25.00"
    assert sides(taken) == ("CUSTOMER", "CASH", 30 * YUAN)
    assert int(taken.postings[0]["corrects"]) == int(paid.postings[0]["sequence"])
    assert home.wanted == (Supply.OFF, Reason.ARREARS)


def test_a_recharge_is_taken_back_once():
    """The second reversal is refused and says which order did it; the first one sent again is only answered again."""
    home = Home()
    order, first = home.id(EIGHT), home.id(EIGHT)
    home.pays(at("08:00"), 30, order)

    answers = [reverses(home, at("08:10"), order, id=first).outcomes[0] for _ in range(2)]
    second = reverses(home, at("08:20"), order).outcomes[0]

    assert [answer.refusal for answer in answers] == ["", ""]
    assert (second.refusal, second.detail) == ("already_reversed", f"by order {first}")
    assert home.balance == "0.00"


def test_only_a_kept_recharge_of_the_account_can_be_taken_back():
    """Refunds, refused recharges, other accounts' orders, unknown and forgotten ids are no recharge to take back."""
    home = Home()
    refused, refund = home.id(EIGHT), home.id(EIGHT)
    home.tell(RechargeOrdered(at=EIGHT, id=refused, account="room-201", amount_micros=0, currency="CNY"))
    home.pays(EIGHT, 10)
    home.takes_out(EIGHT, YUAN, id=refund)

    for order in (refused, refund, "no id", home.id(EIGHT)):
        assert reverses(home, EIGHT, order).outcomes[0].refusal == "unknown_order"
    assert home.balance == "9.00"


LENT = msgspec.structs.replace(TERMS, overdraft=10 * YUAN)


def test_an_overdraft_keeps_the_lights_on_until_it_is_used_up():
    """In arrears a tenant with 10.00 of credit is warned and supplied; at -10.00 another level is reached and supply is cut."""
    home = Home(alarms=LENT)
    home.pays(at("08:00"), 10)

    warned = home.reads(at("09:00"), 110_000)
    lent = home.wanted
    cut = home.reads(at("10:00"), 120_000)

    assert "balance_arrears raised 0.00" in alarms(warned)
    assert lent == (Supply.ON, Reason.IN_CREDIT)
    assert alarms(cut) == ["balance_limit raised -10.00"]
    assert home.wanted == (Supply.OFF, Reason.ARREARS)


def test_supply_comes_back_at_the_reconnect_amount_and_not_within_the_overdraft():
    """Paying a part of the debt lifts the limit's level but gives no supply; the reconnect amount does."""
    home = Home(alarms=LENT)
    home.pays(at("08:00"), 10)
    home.reads(at("10:00"), 120_000)

    part, wanted = home.pays(at("11:00"), 5), home.wanted
    home.pays(at("12:00"), 7)

    assert "balance_limit cleared" in kinds(part)
    assert wanted == (Supply.OFF, Reason.ARREARS)
    assert (home.balance, home.wanted) == ("2.00", (Supply.ON, Reason.IN_CREDIT))
