"""A site file that is read at every start, beside what has become of its fees and allowances since."""

import datetime as dt
from pathlib import Path

import pytest
from ulid import ULID

from commands.site_fees import fees_of, has_fees
from connectors.files.site import account_facts, parse_site
from domain.facts import AccountActivated, AccountClosed, ChargeItemEnded, RechargeOrdered, Ticked
from domain.state import StoredShard
from domain.units import DAY_MS, money_text
from domain.words import Settlement
from flows.machine import fold
from flows.state import ShardState
from tariffs.loader import catalogue

MARCH_10 = int(dt.datetime(2026, 3, 10, 4, tzinfo=dt.UTC).timestamp() * 1000)
SITE = """
[site]
name = "Court"
zone = "Asia/Shanghai"
currency = "CNY"
[[tariff]]
file = "demo-electricity"
[[account]]
id = "A-101"
{fees}
[[bus]]
name = "east"
kind = "tcp"
host = "127.0.0.1"
[[bus.meter]]
number = "000000000001"
unit = 1
profile = "acrel-ddsy1352"
account = "A-101"
tariff = "demo-electricity"
"""
RENT = '[[account.item]]\nitem = "rent"\nkind = "rent"\namount = "100"\nperiod = "month"\nstarts = 2026-03-01\n'
KEY_MONEY = RENT.replace('"rent"\nkind', '"key"\nkind').replace("month", "once")
FREE = '[account.allowance]\nkind = "money"\namount = "5"\nstarts = 2026-03-01\n'


class Court:
    """A site that is started again and again, with its machine."""

    def __init__(self, fees):
        self.state, self.number, self.now = ShardState(0), 0, MARCH_10
        self.starts(fees)

    def tell(self, *facts):
        """Facts, one after the other."""
        for fact in facts:
            self.number += 1
            self.state, _ = fold(self.state, [((self.number, 0), fact)])

    def order(self, kind, **said):
        """An order about the account, now."""
        self.tell(kind(at=self.now, id=str(ULID.from_timestamp(self.now / 1000)), account="A-101", **said))

    def starts(self, fees):
        """The site file is read; returns the kinds of facts about fees, and what is left out."""
        self.now += 1_000
        site = parse_site(SITE.format(fees=fees), "site.toml", Path(), catalogue())
        found = fees_of(site, self.now, [self.stored()])
        self.tell(*account_facts(site, self.now), *found.facts, Ticked(at=self.now))
        return [fact.KIND for fact in found.facts], found.left_out

    def stored(self):
        """The shard as a store would give it."""
        state = self.state
        rows = {"accounts": state.accounts.rows, "account_terms": state.account_terms.rows}
        records = {"account_records": dict(state.account_records.sorted()), "charge_items": dict(state.items.sorted())}
        return StoredShard(0, state.position, state.header, rows, records)

    def waits(self, days):
        """Time passes."""
        self.now += days * DAY_MS
        self.tell(Ticked(at=self.now))

    @property
    def balance(self):
        """The wallet, in yuan."""
        return money_text(int(self.state.accounts.rows[0].balance))


def test_a_start_charges_nothing_that_an_earlier_one_has_charged():
    """A month's rent and a fee once are taken at the first start, the next rent in April, and nothing by any further start."""
    court = Court(RENT + KEY_MONEY)
    first = court.balance

    again = [court.starts(RENT + KEY_MONEY) for _ in range(3)]
    court.waits(30)
    april = court.starts(RENT + KEY_MONEY)

    assert first == "-200.00"
    assert again == [([], [])] * 3
    assert (april, court.balance) == (([], []), "-300.00")


def test_a_fee_that_was_ended_is_not_charged_again_by_the_file():
    """Somebody ended the rent: the file that still has it is told so, and takes nothing of what had been paid before."""
    court = Court(RENT)
    court.order(ChargeItemEnded, item="rent")

    (facts, (sentence,)) = court.starts(RENT)

    assert (facts, court.balance) == ([], "-100.00")
    assert sentence.startswith("account A-101: the fee rent is not among its fees and begins in the past")
    assert court.starts(RENT.replace("2026-03-01", "2026-04-01")) == (["charge_item_set"], [])


def test_a_fee_that_changes_goes_on():
    """The rent is raised in March: March stays as it was charged, April has the new one."""
    court = Court(RENT)

    changed = court.starts(RENT.replace('"100"', '"120"'))
    march = court.balance
    court.waits(30)

    assert (changed, march, court.balance) == ((["charge_item_set"], []), "-100.00", "-220.00")


def test_a_new_tenant_does_not_pay_the_rent_of_the_old_one():
    """The account is settled, closed and opened again: the file's rent of March is not charged to who comes in May."""
    court = Court(RENT)
    court.order(AccountClosed, settlement=Settlement.PAY_UP)
    court.waits(60)
    court.order(AccountActivated, name="李")

    facts, left_out = court.starts(RENT)

    assert (facts, len(left_out), court.balance) == ([], 1, "0.00")


@pytest.mark.parametrize(
    ("ends", "said"), [("ends = 2026-03-09\n", ([], [])), ("", (["charge_item_set"], [])), ("ends = 2026-05-31\n", (["charge_item_set"], []))]
)  # fmt: skip
def test_a_fee_of_an_account_that_money_never_moved_on_is_said(ends, said):
    """An opening that was cut short is completed by the next start; what ended before today is charged once, and no more."""
    court = Court("")
    first = court.starts(RENT + ends)

    again = court.starts(RENT + ends)

    assert (first, again) == ((["charge_item_set"], []), ([], []))
    assert court.balance == "-100.00"


def test_today_is_too_late_for_a_fee_of_an_account_in_use():
    """What starts today may have been charged at midnight; what starts tomorrow cannot have been."""
    court = Court("")
    court.order(RechargeOrdered, amount_micros=1, currency="CNY")

    today = court.starts(KEY_MONEY.replace("2026-03-01", "2026-03-10"))
    tomorrow = court.starts(KEY_MONEY.replace("2026-03-01", "2026-03-11"))
    court.waits(1)
    after = court.starts(KEY_MONEY.replace("2026-03-01", "2026-03-11"))

    assert (today, tomorrow, after) == (([], []), (["charge_item_set"], []), ([], []))
    assert court.balance == "-99.999999"


def test_an_allowance_is_given_once():
    """Five yuan a month are not five yuan a start; ten instead are another allowance."""
    court = Court(FREE)
    left = int(court.state.accounts.rows[0].allowance)

    said = [
        court.starts(FREE)[0],
        court.starts(FREE.replace('"5"', '"10"'))[0],
        court.starts(FREE.replace('"5"', '"10"'))[0],
    ]

    assert (left, said) == (5_000_000, [[], ["allowance_set"], []])


def test_a_site_without_fees_has_none():
    """A start reads the store only where the file speaks of fees."""
    sites = [parse_site(SITE.format(fees=fees), "site.toml", Path(), catalogue()) for fees in ("", RENT, FREE)]

    assert [has_fees(site) for site in sites] == [False, True, True]
