import asyncio
import json
import uuid

import pytest
from api_site import LATER, NOW, TOKEN, client_of, money, new_id, together
from ulid import ULID

from api.app import create_app
from api.doors.problems import STATUS
from api.models import order_text
from api.settings import ApiSettings
from domain.ids import shard_of
from domain.words import Refusal


def test_a_recharge_is_answered_with_its_outcome(site, ask):
    """Money sent is on the account when the answer arrives, and the answer can be asked for again."""
    body = money("50.00", channel="cash", note="收据 12")

    sent = ask("POST", "/accounts/A-101/recharges", json=body)
    asked = ask("GET", sent.headers["location"])
    account = ask("GET", "/accounts/A-101").json()

    assert sent.status_code == 201
    assert sent.json() == {
        "id": body["id"],
        "kind": "recharge_ordered",
        "at": "2026-09-21T16:13:20.000Z",
        "accepted": True,
        "refusal": None,
        "detail": "",
        "account": "A-101",
        "amount": "50.00",
        "balance": "50.00",
        "currency": "CNY",
    }
    assert asked.status_code == 200
    assert asked.json() == sent.json()
    assert (account["balance"], account["currency"], account["level"], account["tripped"]) == (
        "50.00",
        "CNY",
        "none",
        False,
    )


def test_twenty_callers_with_one_id_credit_once(site, app):
    """A recharge that is sent twenty times at once is one recharge, and everybody hears the same."""
    body = money("50.00")

    async def twenty(client):
        sent = [client.post("/accounts/A-101/recharges", json=body) for _ in range(20)]
        return await asyncio.gather(*sent), (await client.get("/accounts/A-101/ledger")).json()

    answers, ledger = together(app, twenty)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["balance"] == "50.00"
    assert [posting["order"] for posting in ledger["postings"]] == [body["id"]]


def test_an_id_with_another_amount_is_refused_by_name(site, ask):
    """The same id cannot mean two things."""
    body = money("50.00")
    ask("POST", "/accounts/A-101/recharges", json=body)

    answer = ask("POST", "/accounts/A-101/recharges", json=body | {"amount": "51.00"})

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:meterline:refusal:exists_with_different_content",
        "title": "exists with different content",
        "status": 409,
        "detail": "",
        "refusal": "exists_with_different_content",
    }


def test_a_uuid_and_its_ulid_are_one_order(site, ask):
    """The 128 bits are the id, however the caller writes them; the answer is in the letters of a ULID."""
    as_ulid = ULID.from_timestamp(NOW / 1000)
    bits = (int.from_bytes(as_ulid.bytes, "big") & ~(0xF << 76) & ~(0x3 << 62)) | (7 << 76) | (2 << 62)
    as_uuid = uuid.UUID(int=bits)

    first = ask("POST", "/accounts/A-101/recharges", json=money("5", str(as_uuid)))
    again = ask("POST", "/accounts/A-101/recharges", json=money("5", order_text(as_uuid.bytes).lower()))

    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert first.json()["id"] == order_text(as_uuid.bytes)
    assert ask("GET", f"/accounts/A-101/orders/{as_uuid}").json() == first.json()


def test_a_refund_never_pays_more_than_there_is(site, ask):
    """What is paid out was there."""
    ask("POST", "/accounts/A-101/recharges", json=money("50.00"))

    paid = ask("POST", "/accounts/A-101/refunds", json=money("20.50"))
    refused = ask("POST", "/accounts/A-101/refunds", json=money("29.51"))

    assert (paid.status_code, paid.json()["balance"]) == (201, "29.50")
    assert (refused.status_code, refused.json()["refusal"]) == (409, "insufficient_balance")


def test_the_ledger_is_newest_first_and_pages(site, ask):
    """Orders are found in the ledger by their ids, the last first."""
    orders = [new_id() for _ in range(3)]
    for order in orders:
        ask("POST", "/accounts/A-101/recharges", json=money("1.00", order))

    whole = ask("GET", "/accounts/A-101/ledger").json()
    page = ask("GET", "/accounts/A-101/ledger?limit=1&skip=1").json()

    assert [posting["order"] for posting in whole["postings"]] == orders[::-1]
    assert page["postings"] == whole["postings"][1:2]
    newest = whole["postings"][0]
    assert (newest["debit"], newest["credit"], newest["amount"]) == ("cash", "customer", "1.00")
    assert newest["day"] is newest["meter"] is None


def test_every_refusal_has_a_status():
    """A refusal that is added to the words gets a place in the table, or this fails."""
    assert list(STATUS) == list(Refusal)
    assert all(400 <= status < 500 for status in STATUS.values())


@pytest.mark.parametrize(
    ("account", "change", "status", "refusal"),
    [
        ("A-999", {}, 404, Refusal.UNKNOWN_ACCOUNT),
        ("A-101", {"currency": "EUR"}, 422, Refusal.WRONG_CURRENCY),
        ("A-101", {"amount": "-1.00"}, 422, Refusal.AMOUNT_NOT_POSITIVE),
        ("A-101", {"amount": "1000000000.01"}, 422, Refusal.AMOUNT_TOO_LARGE),
        ("A-101", {"amount": "1000.01"}, 409, Refusal.ABOVE_MAX_BALANCE),
        ("A-101", {"id": str(ULID.from_timestamp(LATER / 1000 - 91 * 86_400))}, 410, Refusal.TOO_OLD),
        ("A-101", {"id": str(ULID.from_timestamp(LATER / 1000 + 2 * 86_400))}, 422, Refusal.ID_FROM_THE_FUTURE),
    ],
)
def test_what_the_machine_refuses_is_a_problem_by_name(site, ask, account, change, status, refusal):
    """A refusal reaches the caller with its name and a status that fits."""
    answer = ask("POST", f"/accounts/{account}/recharges", json=money() | change)

    assert (answer.status_code, answer.json()["refusal"]) == (status, refusal)


def test_an_order_that_is_not_decided_in_time_is_answered_later(store, store_url, ask):
    """While nobody settles, the caller gets 202 and the place of the answer, and hears 404 there until it is decided."""
    app = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: LATER, wait_seconds=0.01))
    body = money()

    async def send():
        async with client_of(app) as client:
            return await client.post("/accounts/A-101/recharges", json=body)

    answer = asyncio.run(send())

    location = f"/accounts/A-101/orders/{body['id']}"
    assert answer.status_code == 202
    assert answer.json() == {"id": body["id"], "accepted": None, "location": location}
    assert answer.headers["location"] == location
    assert ask("GET", location).status_code == 404
    assert len(store.read(shard_of("A-101", store.shards), (0, 0), 10)) == 1


def test_an_order_is_not_shown_to_another_account(site, ask):
    """Who knows an order's id does not see it under an account that it does not belong to."""
    same_shard = next(name for name in (f"B-{n}" for n in range(100)) if shard_of(name, 4) == shard_of("A-101", 4))
    body = money()
    ask("POST", "/accounts/A-101/recharges", json=body)

    assert ask("GET", f"/accounts/A-102/orders/{body['id']}").status_code == 404
    assert ask("GET", f"/accounts/{same_shard}/orders/{body['id']}").json()["refusal"] == "unknown_account"


def test_every_mistake_in_a_body_is_listed(ask, store):
    """A caller repairs a body once, not field by field."""
    body = {"id": "yesterday", "amount": 50.0, "currency": "yuan", "balance": "1000.00"}

    answer = ask("POST", "/accounts/A-101/recharges", json=body)

    fields = [error["field"] for error in answer.json()["errors"]]
    assert answer.status_code == 422
    assert fields == ["body.id", "body.amount", "body.currency", "body.balance"]
    assert "yuan" not in answer.text


UNREADABLE = {
    "nothing": b"",
    "broken": b"{",
    "a list": b"[]",
    "deep": b"[" * 60_000,
    "a long number": b'{"id": ' + b"9" * 5_000 + b"}",
    "half a letter": json.dumps(money(note="\ud800")).encode(),
    "more than there is": json.dumps(money("9" * 18)).encode(),
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_a_body_that_cannot_be_read_is_the_callers_mistake(ask, store, body):
    """No bytes make the API fail."""
    answer = ask("POST", "/accounts/A-101/recharges", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_id_is_for_one_account_whatever_the_shard(site, ask):
    """A caller who corrects the account number under the same id is refused by name; only the first account has the money."""
    other = next(
        name for name in ("A-102", "A-103", "B-101", "B-1", "B-2") if shard_of(name, 4) != shard_of("A-101", 4)
    )
    body = money()
    first = ask("POST", "/accounts/A-101/recharges", json=body)

    second = ask("POST", f"/accounts/{other}/recharges", json=body)

    assert first.status_code == 201
    assert second.status_code == 409
    assert second.json()["refusal"] == "exists_with_different_content"


def adjustment(amount: str, **more):
    """The body of an adjustment."""
    return {"id": new_id(), "amount": amount, "currency": "CNY", "note": "misread", **more}


def test_an_adjustment_gives_or_takes_and_names_what_it_corrects(site, ask):
    """A person puts a balance right, below zero too; the posting names the order that was wrong."""
    wrong = money("50.00")
    ask("POST", "/accounts/A-101/recharges", json=wrong)

    given = ask("POST", "/accounts/A-101/adjustments", json=adjustment("2.50"))
    taken = ask("POST", "/accounts/A-101/adjustments", json=adjustment("-60.00", corrects=wrong["id"]))

    postings = ask("GET", "/accounts/A-101/ledger").json()["postings"]
    assert [(each.status_code, each.json()["amount"], each.json()["balance"]) for each in (given, taken)] == [
        (201, "2.50", "52.50"),
        (201, "-60.00", "-7.50"),
    ]
    assert (postings[0]["debit"], postings[0]["credit"]) == ("customer", "adjustments")
    assert postings[0]["corrects"] == postings[2]["sequence"]
    assert ask("GET", taken.headers["location"]).json() == taken.json()


def test_a_recharge_whose_payment_failed_is_taken_back_once(site, ask):
    """Whole, by the same channel, and never twice."""
    paid = money("50.00", channel="wechat")
    ask("POST", "/accounts/A-101/recharges", json=paid)

    reversal = {"id": new_id(), "order": paid["id"], "note": "cancelled by the bank"}
    sent = [
        ask("POST", "/accounts/A-101/reversals", json=body)
        for body in (reversal, reversal, reversal | {"id": new_id()})
    ]

    newest = ask("GET", "/accounts/A-101/ledger").json()["postings"][0]
    assert [answer.status_code for answer in sent] == [201, 201, 409]
    assert (sent[0].json()["balance"], sent[2].json()["refusal"]) == ("0.00", "already_reversed")
    assert (newest["debit"], newest["credit"], newest["amount"]) == ("customer", "cash_wechat", "50.00")
    assert ask("GET", sent[0].headers["location"]).json() == sent[0].json() == sent[1].json()


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("adjustments", adjustment("0"), 422, "amount_is_zero"),
        ("adjustments", adjustment("1.00", note=" "), 422, "note_missing"),
        ("adjustments", adjustment("1.00", currency="EUR"), 422, "wrong_currency"),
        ("adjustments", adjustment("1000000000.01"), 422, "amount_too_large"),
        ("adjustments", adjustment("1.00", note=""), 422, "body.note"),
        ("adjustments", adjustment("1.00", corrects="that one"), 422, "body.corrects"),
        ("reversals", {"id": new_id(), "order": new_id()}, 404, "unknown_order"),
        ("reversals", {"id": new_id(), "order": "that one"}, 422, "body.order"),
    ],
)
def test_what_cannot_be_put_right_is_said(site, ask, path, body, status, said):
    """By the name of the refusal, or by the field."""
    answer = ask("POST", f"/accounts/A-101/{path}", json=body)

    found = answer.json().get("refusal") or answer.json()["errors"][0]["field"]
    assert (answer.status_code, found) == (status, said)
