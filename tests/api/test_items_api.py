"""Fees and allowances over HTTP: set, shown, ended."""

import pytest
from api_site import LATER, METER, append_readings, money, new_id, wait_until_settled

from domain.facts import Ticked
from domain.ids import shard_of
from domain.units import HOUR_MS


def rent(**more):
    """The body of a monthly rent from the next month on."""
    return {
        "id": new_id(), "kind": "rent", "amount": "3000.00", "period": "month", "starts": "2026-10-01", "title": "月租",
        "zone": "Asia/Shanghai", **more,
    }  # fmt: skip


def allowance(**more):
    """The body of an allowance of energy."""
    return {"id": new_id(), "kind": "electricity", "amount": "10.000", "starts": "2026-09-01", **more}


def test_a_fee_is_set_shown_and_ended(site, ask):
    """What an account pays is listed with what comes next; a fee that has ended is not there any more."""
    sent = ask("PUT", "/accounts/A-101/items/rent", json=rent(area="86.500"))
    ask("PUT", "/accounts/A-101/items/%E5%81%9C%E8%BD%A6", json=rent(kind="service", ends="2027-09-30", partial=True))
    shown = ask("GET", "/accounts/A-101/items").json()
    ended = ask("POST", "/accounts/A-101/items/rent/end", json={"id": new_id()})
    after = ask("GET", "/accounts/A-101/items").json()

    assert (sent.status_code, sent.json()["kind"]) == (201, "charge_item_set")
    assert ask("GET", sent.headers["location"]).json() == sent.json()
    assert shown["items"][0] == {
        "item": "rent", "title": "月租", "kind": "rent", "amount": "3000.00", "area": "86.500", "period": "month",
        "starts": "2026-10-01", "ends": None, "partial": False, "zone": "Asia/Shanghai", "next": "2026-10-01",
        "due_at": "2026-09-30T16:00:00.000Z",
    }  # fmt: skip
    assert [(each["item"], each["ends"]) for each in shown["items"][1:]] == [("停车", "2027-09-30")]
    assert (ended.status_code, ended.json()["kind"]) == (201, "charge_item_ended")
    assert [each["item"] for each in after["items"]] == ["停车"]


def test_a_fee_that_falls_due_is_taken_once(site, ask):
    """Rent is in the balance and the ledger under the order that set it; the order again charges nothing more."""
    body = rent(period="once", starts="2026-09-22", amount="30.00")
    ask("PUT", "/accounts/A-102/items/key", json=body)
    site.append(shard_of("A-102", site.shards), Ticked(at=LATER + 2 * HOUR_MS))
    wait_until_settled(site)

    again = ask("PUT", "/accounts/A-102/items/key", json=body)

    postings = ask("GET", "/accounts/A-102/ledger").json()["postings"]
    assert again.status_code == 201
    assert [(each["amount"], each["order"]) for each in postings] == [("30.00", body["id"])]
    assert ask("GET", "/accounts/A-102").json()["balance"] == "-30.00"


def test_fees_of_another_account_are_not_listed(site, ask):
    """An account whose id begins as another's sees its own fees only."""
    ask("POST", "/accounts", json={"id": new_id(), "account": "A-101.1", "currency": "CNY"})
    ask("PUT", "/accounts/A-101.1/items/rent", json=rent())

    assert ask("GET", "/accounts/A-101/items").json() == {"items": [], "next": None}


def test_an_allowance_is_used_before_money(site, ask):
    """Free energy is shown with what is left of it, and pays for usage; ended, nothing is free."""
    nothing = ask("GET", "/accounts/A-101/allowance").json()
    sent = ask("PUT", "/accounts/A-101/allowance", json=allowance())
    append_readings(site, (LATER, 5_000), meter=METER)
    wait_until_settled(site)
    used = ask("GET", "/accounts/A-101/allowance").json()
    ask("PUT", "/accounts/A-101/allowance", json=allowance(kind="none", amount="0"))

    assert nothing == {"kind": "none", "amount": "0.00", "unit": "CNY", "starts": None, "left": None, "month": None}
    assert (sent.status_code, sent.json()["kind"]) == (201, "allowance_set")
    assert used == {
        "kind": "electricity", "amount": "10.000", "unit": "kWh", "starts": "2026-09-01", "left": "6.000", "month": "2026-09",
    }  # fmt: skip
    assert ask("GET", "/accounts/A-101").json()["balance"] == "0.00"
    assert ask("GET", "/accounts/A-101/allowance").json()["kind"] == "none"


def test_an_allowance_may_be_money_or_water(site, ask):
    """Each in its own unit."""
    seen = []
    for kind, amount in (("money", "5.5"), ("water", "1.250")):
        ask("PUT", "/accounts/A-101/allowance", json=allowance(kind=kind, amount=amount))
        shown = ask("GET", "/accounts/A-101/allowance").json()
        seen.append((shown["kind"], shown["amount"], shown["unit"]))

    assert seen == [("money", "5.50", "CNY"), ("water", "1.250", "m³")]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", "items/rent", rent(starts="2026-02-30"), "body.starts"),
        ("PUT", "items/rent", rent(starts="1999-12-31"), "body.starts"),
        ("PUT", "items/rent", rent(starts=20_000), "body.starts"),
        ("PUT", "items/rent", rent(period="week"), "body.period"),
        ("PUT", "items/rent", rent(amount=3000), "body.amount"),
        ("PUT", "items/" + "x" * 65, rent(), "path.item"),
        ("PUT", "allowance", allowance(amount="1.0005"), "body"),
        ("PUT", "allowance", allowance(kind="gas"), "body.kind"),
        ("POST", "items/rent/end", {"id": "soon"}, "body.id"),
    ],
)
def test_a_form_with_a_mistake_is_told_where(site, ask, method, path, body, field):
    """422 with the field, and nothing is in the log."""
    before = [site.last(shard) for shard in range(site.shards)]

    answer = ask(method, f"/accounts/A-101/{path}", json=body)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert [site.last(shard) for shard in range(site.shards)] == before


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "refusal"),
    [
        ("POST", "A-101/items/rent/end", {"id": new_id()}, 404, "unknown_item"),
        ("PUT", "A-101/items/rent", rent(amount="-1"), 422, "terms_invalid"),
        ("PUT", "A-101/items/rent", rent(starts="2026-10-02", ends="2026-10-01"), 422, "terms_invalid"),
        ("PUT", "A-101/items/rent", rent(zone="Mars/Olympus"), 422, "terms_invalid"),
        ("PUT", "A-999/items/rent", rent(), 404, "unknown_account"),
        ("PUT", "A-101/allowance", allowance(amount="0"), 422, "terms_invalid"),
        ("PUT", "A-999/allowance", allowance(), 404, "unknown_account"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(site, ask, method, path, body, status, refusal):
    """A refusal of the machine reaches whoever ordered, with its name."""
    answer = ask(method, f"/accounts/{path}", json=body)

    assert (answer.status_code, answer.json().get("refusal")) == (status, refusal)


def test_a_closed_account_pays_nothing(site, ask):
    """Its fees are gone with its tenant."""
    ask("PUT", "/accounts/A-102/items/rent", json=rent())
    ask("POST", "/accounts/A-102/recharges", json=money("1.00"))
    ask("POST", "/accounts/A-102/closures", json={"id": new_id(), "settlement": "refund"})

    refused = ask("PUT", "/accounts/A-102/items/rent", json=rent())

    assert ask("GET", "/accounts/A-102/items").json()["items"] == []
    assert (refused.status_code, refused.json()["refusal"]) == (409, "account_closed")
