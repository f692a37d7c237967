"""Policies: alarm amounts for many accounts, and accounts that have their own."""

import msgspec
import pytest
from test_life import refusal
from test_machine import EIGHT, OFF, ON, TERMS, YUAN, Home, at, commands, kinds

from domain.facts import AccountOpened, AccountUpdated, PolicySet, RechargeOrdered

SHOPS = msgspec.structs.replace(TERMS, low=30 * YUAN)


def sets(home, when=EIGHT, policy="shops", **terms):
    """The shops' policy, with some other amounts than usual; returns the effects."""
    alarms = msgspec.structs.replace(SHOPS, **terms)
    return home.tell(PolicySet(at=when, id=home.id(when), policy=policy, alarms=alarms))


def opens(home, account, when=EIGHT, **said):
    """An account is opened; returns the effects."""
    return home.tell(AccountOpened(at=when, id=home.id(when), account=account, currency="CNY", **said))


def updates(home, when=EIGHT, account="room-201", **said):
    """An account changes; returns the effects."""
    return home.tell(AccountUpdated(at=when, id=home.id(when), account=account, **said))


def pays(home, account, yuan, when=EIGHT):
    """A recharge of any account."""
    order = RechargeOrdered(at=when, id=home.id(when), account=account, amount_micros=yuan * YUAN, currency="CNY")
    return home.tell(order)


def said_of(effects):
    """Whom each level alarm is about."""
    return [
        (alarm.account, f"{alarm.kind} {alarm.state}") for alarm in effects.alarms if alarm.threshold or alarm.balance
    ]


def low_of(home, account="room-201"):
    """Amount of the first warning in the record and in the row, in yuan, and the policy."""
    record = home.state.account_records[account]
    row = int(home.state.account_terms.rows[record.row].low)
    assert record.alarms.low == row
    return row // YUAN, record.policy


def test_an_account_that_is_opened_with_a_policy_has_its_amounts():
    """Nobody says the shops' amounts twice: whoever is opened as a shop is warned as shops are."""
    home = Home()
    sets(home)

    answer = refusal(opens(home, "shop-1", policy="shops"))
    warned = pays(home, "shop-1", 30)

    assert (answer, low_of(home, "shop-1")) == ("", (30, "shops"))
    assert kinds(warned) == ["money_arrived noted", "balance_low raised"]


def test_a_policy_that_changes_is_judged_for_all_its_accounts_at_once():
    """Three shops with 40 yuan and a flat: at 50 all shops are warned, in the order of their opening, and nobody else; at 30 it is over."""
    home = Home()
    sets(home)
    for account in ("shop-9", "shop-1", "shop-5"):
        opens(home, account, policy="shops")
        pays(home, account, 40)
    home.pays(EIGHT, 40)

    raised = sets(home, at("09:00"), low=50 * YUAN)
    cleared = sets(home, at("10:00"), low=30 * YUAN)

    shops = ["shop-9", "shop-1", "shop-5"]
    assert said_of(raised) == [(shop, "balance_low raised") for shop in shops]
    assert said_of(cleared) == [(shop, "balance_low cleared") for shop in shops]
    assert [low_of(home, shop) for shop in shops] == [(30, "shops")] * 3


def test_a_policy_cuts_and_restores_in_the_same_entry():
    """Shops lose their overdraft: the supply of one in debt is commanded off by the very order, and on again by a gentler one."""
    home = Home()
    sets(home, overdraft=50 * YUAN)
    home.pays(EIGHT, 10)
    updates(home, policy="shops")
    home.reads(at("09:00"), 120_000, ON)

    cut = sets(home, at("09:10"))
    home.reads(at("09:20"), 120_000, OFF)
    back = sets(home, at("09:30"), arrears=-20 * YUAN, reconnect=-15 * YUAN)

    assert home.balance == "-10.00"
    assert commands(cut) == ["1 OFF queued"]
    assert kinds(back) == ["balance_arrears cleared"]
    assert commands(back) == ["2 ON queued"]


def test_the_same_policy_again_changes_nothing():
    """A site file says its policies at each start: no alarm, no command, no judgement."""
    home = Home()
    sets(home)
    opens(home, "shop-1", policy="shops")
    pays(home, "shop-1", 10)
    home.state.take_changes()

    again = sets(home, at("09:00"))

    assert (refusal(again), kinds(again), commands(again)) == ("", [], [])
    assert len(home.state.take_changes().rows["accounts"].rows) == 0


def test_own_amounts_end_following():
    """Who has agreed on other amounts keeps them when the policy changes."""
    home = Home()
    sets(home)
    updates(home, policy="shops")
    followed = low_of(home)

    updates(home, alarms=msgspec.structs.replace(TERMS, low=7 * YUAN))
    sets(home, at("09:00"), low=90 * YUAN)

    assert (followed, low_of(home)) == ((30, "shops"), (7, ""))


def test_an_account_that_no_longer_follows_keeps_the_amounts_that_it_has():
    """Leaving a policy is no change of amounts; a new name is none either, and leaves the policy in force."""
    home = Home()
    sets(home)
    updates(home, policy="shops")
    updates(home, name="王")
    named = low_of(home)

    updates(home, policy="")
    sets(home, at("09:00"), low=90 * YUAN)

    assert (named, low_of(home)) == ((30, "shops"), (30, ""))


def test_a_shop_that_never_had_money_is_not_judged():
    """A policy says nothing of an account whose balance has never moved; its first recharge is judged by it."""
    home = Home()
    sets(home)
    opens(home, "shop-1", policy="shops")

    changed = sets(home, low=50 * YUAN)

    assert kinds(changed) == []
    assert "balance_low raised" in kinds(pays(home, "shop-1", 45))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({"account": "nobody", "policy": "none"}, "unknown_account"),
        ({"policy": "none", "alarms": TERMS}, "unknown_policy"),
        ({"policy": "shops", "alarms": TERMS}, "terms_invalid"),
        ({"policy": "", "alarms": TERMS}, ""),
        ({"policy": "shops"}, ""),
    ],
)
def test_updates_that_name_a_policy(said, answer):
    """Errors by descending precedence: who, which policy, and that it is one or the other."""
    home = Home()
    sets(home)

    assert refusal(updates(home, **said)) == answer


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ({"policy": "none"}, "unknown_policy"),
        ({"policy": "shops", "alarms": TERMS}, "terms_invalid"),
        ({"policy": "shops"}, ""),
    ],
)
def test_openings_that_name_a_policy(said, answer):
    """An account is not opened by a policy that is not there, nor by two sets of amounts."""
    home = Home()
    sets(home)

    assert refusal(opens(home, "shop-1", **said)) == answer
    assert ("shop-1" in home.state.account_records) is (answer == "")


@pytest.mark.parametrize(
    ("policy", "terms"), [("", {}), ("x" * 101, {}), ("shops", {"low": -1}), ("shops", {"overdraft": -1})]
)
def test_policies_that_cannot_be(policy, terms):
    """No name, one too long, amounts out of order: refused, and what was there stays."""
    home = Home()
    sets(home)

    assert refusal(sets(home, policy=policy, **terms)) == "terms_invalid"
    assert [record.alarms for _, record in home.state.policies.sorted()] == [SHOPS]


def test_the_same_opening_again_finds_its_account_whatever_the_policy_says_now():
    """The opening is what was said, not what the policy said then."""
    home = Home()
    sets(home)
    opens(home, "shop-1", policy="shops")
    sets(home, low=50 * YUAN)

    assert refusal(opens(home, "shop-1", policy="shops")) == ""
    assert refusal(opens(home, "shop-1")) == "exists_with_different_content"
