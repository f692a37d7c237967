"""The books of a household's month, against what was ordered and what is added by hand."""

import asyncio
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from api_site import TOKEN, client_of, together
from figures_site import FEE, LIGHT, ORDERS, RENT, ROOM, SHOP, TAP, TILL, added, at, ms
from log_samples import order_text
from test_access_api import bearer, made

from domain.effects import POSTING
from domain.units import money_micros
from domain.words import Ledger

WHOLE = {"from_": "2026-01-01", "until": "2026-02-28"}


def micros(text):
    """Of an amount that is answered."""
    return money_micros(text)


def statement(household, body, kind="application/json", **query):
    """What a statement is answered."""
    asked = {name.rstrip("_"): value for name, value in query.items()}
    send = {"content": body, "headers": {"Content-Type": kind}} if isinstance(body, bytes) else {"json": body}
    path = "/finance/reconciliations" + ("/csv" if kind == "text/csv" else "")
    return together(household.app, lambda client: client.post(path, params=asked, **send))


def all_postings(household):
    """Every posting that the store or its archive has, as rows, by whoever's account: taken from the ledgers of the accounts."""
    store, found = household.store, []
    for shard in range(store.shards):
        for record in store.load(shard).records["account_records"].values():
            packed = store._at(shard).lrange(f"ledger:{{{shard:02d}}}:{record.row}", 0, -1)
            found += [np.frombuffer(each, POSTING)[0] for each in packed]
    return found


def test_every_order_is_there_newest_first(household):
    """What was ordered is listed with who, how, why and how much; fees stand on the day on which they fell due."""
    items = household.ask("/finance/orders", **WHOLE)["items"]

    room = [
        (each["day"], each["kind"], each["amount"], each["channel"], each["operator"], each["note"])
        for each in items
        if each["account"] == ROOM
    ]
    assert room == [
        ("2026-02-01", "recharge", "40.00", "kiosk", "", ""),
        ("2026-02-01", "fee", "-100.00", "", "", ""),
        ("2026-01-16", "fee", "-20.00", "", "", ""),
        ("2026-01-13", "adjustment", "2.000001", "", "li", "a gift"),
        ("2026-01-12", "adjustment", "-1.50", "", "li", "broken key"),
        ("2026-01-10", "reversal", "-30.00", "alipay", "li", "bounced"),
        ("2026-01-09", "recharge", "30.00", "alipay", "", ""),
        ("2026-01-08", "refund", "-10.00", "counter", "wang", ""),
        ("2026-01-05", "recharge", "50.00", "counter", "wang", "=1+1"),
        ("2026-01-02", "recharge", "200.00", "wechat", "li", ""),
    ]
    assert [each["at"] for each in items] == sorted((each["at"] for each in items), reverse=True)
    assert (
        next(each for each in items if each["kind"] == "reversal")["corrects"]
        == next(each for each in items if each["channel"] == "alipay" and each["kind"] == "recharge")["posting"]
    )


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"kind": "fee"}, 2),
        ({"kind": "recharge"}, 5),
        ({"channel": "counter"}, 2),
        ({"channel": "kiosk"}, 1),
        ({"operator": "li"}, 4),
        ({"site": "Mall"}, 1),
        ({"account": SHOP}, 1),
        ({"account": ROOM, "kind": "refund", "operator": "wang"}, 1),
        ({"site": "nowhere"}, 0),
        ({"until": "2026-01-05"}, 3),
        ({"from_": "2026-02-01"}, 2),
    ],
)
def test_orders_are_found_by_what_is_asked(household, query, count):
    """Each filter leaves what it says, and together they leave what all of them say."""
    assert len(household.ask("/finance/orders", **(WHOLE | query))["items"]) == count


def test_pages_of_orders_are_the_whole(household):
    """Page by page every order comes once, in the same order."""
    whole = household.ask("/finance/orders", **WHOLE)["items"]
    pages, cursor = [], {}
    while cursor is not None:
        page = household.ask("/finance/orders", limit="3", **WHOLE, **cursor)
        pages += page["items"]
        cursor = {"cursor": page["next"]} if page["next"] else None

    assert pages == whole


def test_income_is_what_was_ordered_and_used(household):
    """Money by channel is the sum of orders; usage is what was counted at its prices, less than a micro a meter and day."""
    (income,) = household.ask("/finance/income", site="Garden", from_="2026-01-01", until="2026-01-31")["items"]

    channels = {each["channel"]: (each["received"], each["refunded"], each["reversed"]) for each in income["channels"]}
    assert channels == {
        "counter": ("50.00", "10.00", "0.00"),
        "wechat": ("200.00", "0.00", "0.00"),
        "alipay": ("30.00", "0.00", "30.00"),
        "card": ("0.00", "0.00", "0.00"),
        "bank": ("0.00", "0.00", "0.00"),
        "other": ("0.00", "0.00", "0.00"),
    }
    assert (income["received"], income["refunded"], income["reversed"]) == ("280.00", "10.00", "30.00")
    assert income["adjustments"] == "0.500001"
    assert {each["kind"]: each["amount"] for each in income["fees"]} == {
        "property": "20.00",
        "rent": "0.00",
        "service": "0.00",
        "other": "0.00",
    }
    for meter, word in ((LIGHT, "electricity"), (TAP, "water")):
        cost = sum(cost for _, cost in added(meter, "%Y-%m")["2026-01"].values())
        assert 0 <= cost - Fraction(income[word]) < Fraction(1, 10**6)


def test_what_was_free_is_apart(household):
    """A shop's usage is income in full, and what of it was free stands beside it: five in each month."""
    items = household.ask("/finance/income", by="month", account=SHOP, **WHOLE)["items"]

    assert [(each["period"], each["allowances"]) for each in items] == [("2026-01", "5.00"), ("2026-02", "5.00")]
    january = sum(cost for _, cost in added(TILL, "%Y-%m")["2026-01"].values())
    assert 0 <= january - Fraction(items[0]["electricity"]) < Fraction(1, 10**6)


@pytest.mark.parametrize("by", [None, "day", "month", "year"])
def test_income_agrees_with_the_ledger(household, by):
    """However it is cut into periods, all that was posted is in it once: the sums by ledger account are the ledger's, and debits are credits."""
    items = household.ask("/finance/income", **WHOLE, **({"by": by} if by else {}))["items"]

    debits, credits_ = Counter(), Counter()
    for each in all_postings(household):
        debits[Ledger(int(each["debit"])).name.lower()] += int(each["amount"])
        credits_[Ledger(int(each["credit"])).name.lower()] += int(each["amount"])
    found = [(row["ledger"], micros(row["debit"]), micros(row["credit"])) for item in items for row in item["ledger"]]
    assert Counter({name: sum(debit for each, debit, _ in found if each == name) for name, _, _ in found}) == debits
    assert (
        Counter({name: sum(credit for each, _, credit in found if each == name) for name, _, credit in found})
        == credits_
    )
    for item in items:
        customers = {row["ledger"]: micros(row["credit"]) - micros(row["debit"]) for row in item["ledger"]}
        assert sum(customers.values()) == 0
        assert micros(item["change"]) == customers["customer"]


def test_sums_by_day_and_channel_are_there_to_be_compared(household):
    """A cashier's day is a line: how often and how much came in, and went out."""
    found = household.ask("/finance/reconciliations", channel="counter", **WHOLE)["items"]

    assert [
        (each["day"], each["received"], each["received_count"], each["paid"], each["paid_count"]) for each in found
    ] == [
        ("2026-01-05", "50.00", 1, "0.00", 0),
        ("2026-01-08", "0.00", 0, "10.00", 1),
    ]


def lines(*changes):
    """A statement of the room's counter, and more."""
    known = {(3, 5): "50.00", (4, 8): "-10.00"}
    said = [{"id": order_text(ms(at(day, 10)), number), "amount": amount} for (number, day), amount in known.items()]
    return {"orders": [*said, *changes]}


def test_a_statement_that_agrees_is_matched(household):
    """Every line has its order, and every order its line."""
    found = statement(household, lines(), channel="counter", **WHOLE).json()

    assert (found["matched"], found["matched_amount"], found["stated_amount"], found["our_amount"]) == (
        2,
        "40.00",
        "40.00",
        "40.00",
    )
    assert found["missing_here"] == found["missing_there"] == found["different"] == found["doubled"] == []


def test_a_statement_that_differs_is_told_line_by_line(household):
    """A payment that never reached us, one that the provider does not know, another amount, and one that stands twice: each has its own list."""
    stated = lines(
        {"id": "W-2026-77", "amount": "5.00", "time": "2026-01-07"},
        {"id": order_text(ms(at(2, 10)), 1), "amount": "200.01"},
        {"id": order_text(ms(at(5, 10)), 3).lower(), "amount": "50.00"},
    )

    found = statement(household, stated, site="Garden", **WHOLE).json()

    assert found["matched"] == 2
    assert found["missing_here"] == [{"line": 3, "id": "W-2026-77", "amount": "5.00", "time": "2026-01-07"}]
    assert [(each["line"], each["stated"], each["amount"]) for each in found["different"]] == [(4, "200.01", "200.00")]
    assert [each["line"] for each in found["doubled"]] == [5]
    assert [each["amount"] for each in found["missing_there"]] == ["30.00", "-30.00", "40.00"]


@pytest.mark.parametrize("heading", ["id,amount,time", "商户订单号,交易金额,交易时间"])
def test_a_statement_may_be_csv(household, heading):
    """A provider's file is sent as it is: UTF-8, with or without a byte order mark, its columns named in English or Chinese."""
    body = "\r\n".join([heading, *(f"{each['id']},{each['amount']},2026-01-05 10:00:00" for each in lines()["orders"])])

    found = statement(household, body.encode("utf-8-sig"), "text/csv", channel="counter", **WHOLE).json()

    assert (found["matched"], found["missing_here"], found["missing_there"]) == (2, [], [])


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"a,b\n1,2\n", "text/csv", "columns id"),
        (b"", "text/csv", "columns id"),
        (b"\xff\xfe\x00", "text/csv", "UTF-8"),
        (b"id,amount\nx,1.5e3\n", "text/csv", "line 1"),
        (b"id,amount\n\0,1\n", "text/csv", ""),
        (b'id,amount\n"x,1\n', "text/csv", "CSV"),
        (b"{", "application/json", "JSON"),
        ({"orders": [{"id": "x", "amount": 5}]}, "application/json", "amount"),
        ({"orders": [{"id": "x", "amount": "1" * 19}]}, "application/json", "amount"),
        ({"orders": [], "more": 1}, "application/json", "more"),
    ],
)
def test_a_statement_that_cannot_be_read_says_why(household, body, kind, words):
    """No statement makes the API fail; its mistakes are named."""
    answer = statement(household, body, kind, **WHOLE)

    assert answer.status_code in ({422, 200} if not words else {422})
    assert answer.headers["content-type"].startswith("application/")


def test_figures_are_for_who_reaches_the_accounts(household):
    """A tenant's books are its own account's; nothing of another's is in any sum."""

    async def look():
        async with client_of(household.app, TOKEN) as client:
            headers = bearer(await made(client, "tenant", accounts=[SHOP]))
            asked = {"from": "2026-01-01", "until": "2026-02-28"}
            orders = await client.get("/finance/orders", headers=headers, params=asked)
            income = await client.get("/finance/income", headers=headers, params=asked)
            other = await client.get("/finance/orders", headers=headers, params=asked | {"account": ROOM})
            site = await client.get("/finance/income", headers=headers, params=asked | {"site": "Garden"})
            return orders, income, other, site

    orders, income, other, site = asyncio.run(look())

    assert [each["account"] for each in orders.json()["items"]] == [SHOP]
    assert income.json()["items"][0]["received"] == "500.00"
    assert (other.status_code, other.json()["refusal"]) == (404, "unknown_account")
    assert site.json()["items"] == []


def test_the_orders_of_the_month_were_all_carried_out():
    """What the tests above expect is what was ordered: a month's orders, and two fees."""
    assert len(ORDERS) == 9
    assert (FEE, RENT) == (20_000_000, 100_000_000)
