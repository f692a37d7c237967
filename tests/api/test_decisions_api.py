"""Decisions and corrections over HTTP: what an operator sends, and what comes back."""

import numpy as np
import pytest
from api_site import METER, NOW, append_readings, money, new_id, wait_until_settled

from connectors.redis.formats import iso
from domain.facts import PurchasesCounted, ReadingBlock
from domain.ids import shard_of, shard_of_unknown_meter
from domain.units import HOUR_MS


def word(decision="accept", **more):
    """The body of a decision."""
    return {"id": new_id(), "reason": "jump", "decision": decision, "operator": "li", "note": "went there"} | more


def correction(usage="-1.000", **more):
    """The body of a correction."""
    span = {"from": iso(NOW), "until": iso(NOW + HOUR_MS)}
    return {"id": new_id(), **span, "usage": usage, "operator": "li", "note": "misread"} | more


def accepted(count=7, **more):
    """The body of an order to accept a purchase count."""
    return {"id": new_id(), "count": count, "operator": "li", "note": "the old tenant's card"} | more


def append_purchases(site, *counts):
    """What the meter's purchase counter shows, one after the other."""
    for number, count in enumerate(counts):
        site.append(shard_of("A-101", site.shards), PurchasesCounted(at=NOW + number, meter=METER, count=count))
    wait_until_settled(site)


def test_a_jump_is_accepted_and_no_longer_waits(site, ask):
    """The answer says what it cost and what is left; the meter shows the register and no case."""
    ask("POST", "/accounts/A-101/recharges", json=money("500.00"))
    append_readings(site, (NOW + HOUR_MS, 101_000))
    wait_until_settled(site)

    sent = ask("POST", f"/meters/{METER}/decisions", json=word())

    meter = ask("GET", f"/meters/{METER}").json()
    assert sent.status_code == 201
    assert {name: sent.json()[name] for name in ("account", "amount", "balance", "currency", "meter")} == {
        "account": "A-101", "amount": "61.70", "balance": "438.30", "currency": "CNY", "meter": str(METER),
    }  # fmt: skip
    assert (meter["register"], meter["quarantine"]) == ("101.000", [])
    assert ask("GET", sent.headers["location"]).json() == sent.json()


def test_a_case_of_a_meter_that_nobody_owns_is_closed(site, ask):
    """Its readings are in a shard by its number, and so is the person's word."""
    append_readings_of_nobody(site)

    sent = ask("POST", "/meters/77/decisions", json=word("discard", reason="unknown_meter"))

    assert (sent.status_code, sent.json()["account"], sent.json()["meter"]) == (201, None, "000000000077")
    assert ask("GET", sent.headers["location"]).json() == sent.json()


def append_readings_of_nobody(site):
    """One reading of meter 77, where the collector puts it."""
    columns = (np.array([value], np.int64) for value in (77, NOW, 5))
    site.append(shard_of_unknown_meter(77, site.shards), ReadingBlock(*columns))
    wait_until_settled(site)


def test_usage_is_given_back(site, ask):
    """A kWh less is its price more; the register is as it should have been."""
    append_readings(site, (NOW + HOUR_MS, 4_000))
    wait_until_settled(site)

    sent = ask("POST", f"/meters/{METER}/corrections", json=correction(register="3.000"))

    assert (sent.status_code, sent.json()["amount"], sent.json()["balance"]) == (201, "-0.617", "-1.234")
    assert ask("GET", f"/meters/{METER}").json()["register"] == "3.000"
    assert ask("GET", sent.headers["location"]).json() == sent.json()


def test_a_purchase_count_is_accepted_and_expected_from_then_on(site, ask):
    """The meter shows both counts, the alarm is over, and nothing was charged."""
    append_purchases(site, 5, 7)
    before = ask("GET", f"/meters/{METER}").json()["purchases"]

    sent = ask("POST", f"/meters/{METER}/accepted_purchases", json=accepted())

    said = [(alarm["kind"], alarm["state"], alarm["reason"]) for alarm in ask("GET", "/alarms").json()["items"]]
    assert before == {"counted": 7, "accepted": 5}
    assert (sent.status_code, sent.json()["amount"], sent.json()["account"]) == (201, "0.00", "A-101")
    assert sent.json()["detail"] == "purchase count 7, before 5"
    assert ask("GET", f"/meters/{METER}").json()["purchases"] == {"counted": 7, "accepted": 7}
    assert said == [("purchase_count_mismatch", state, "7 ≠ 5") for state in ("cleared", "raised")]
    assert ask("GET", sent.headers["location"]).json() == sent.json()


@pytest.mark.parametrize(
    ("path", "body", "status", "refusal"),
    [
        (f"/meters/{METER}/decisions", word(), 404, "unknown_case"),
        ("/meters/77/decisions", word(), 404, "unknown_meter"),
        ("/meters/77/corrections", correction(), 404, "unknown_meter"),
        (f"/meters/{METER}/corrections", correction(note=" ", until=iso(NOW)), 422, "terms_invalid"),
        ("/meters/77/accepted_purchases", accepted(), 404, "unknown_meter"),
        (f"/meters/{METER}/accepted_purchases", accepted(note=" "), 422, "note_missing"),
        (f"/meters/{METER}/accepted_purchases", accepted(), 409, "decision_not_possible"),
    ],
)
def test_what_cannot_be_is_refused_by_name(site, ask, path, body, status, refusal):
    """A refusal of the machine reaches the operator with its name."""
    answer = ask("POST", path, json=body | {"id": new_id()})

    assert (answer.status_code, answer.json()["refusal"]) == (status, refusal)


@pytest.mark.parametrize(
    "more", [{"usage": "1.0005"}, {"usage": 1}, {"register": "high"}, {"from": "yesterday"}, {"operator": ""}]
)
def test_a_form_with_a_mistake_is_told_where(ask, more):
    """A quantity in tenths of a Wh, a number for a text, a time without a zone: 422, with the field."""
    answer = ask("POST", f"/meters/{METER}/corrections", json=correction() | more)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == f"body.{next(iter(more))}"


@pytest.mark.parametrize("more", [{"count": 65_536}, {"count": -1}, {"count": "7"}, {"operator": ""}])
def test_a_purchase_count_that_no_meter_shows_is_told_where(ask, more):
    """One register, and a number: 422, with the field."""
    answer = ask("POST", f"/meters/{METER}/accepted_purchases", json=accepted() | more)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, f"body.{next(iter(more))}")


def test_an_order_that_was_never_sent_is_not_there(site, ask):
    """Neither a decision, a correction nor an accepted purchase count of this id."""
    for route in ("decisions", "corrections", "accepted_purchases"):
        assert ask("GET", f"/meters/{METER}/{route}/{new_id()}").status_code == 404
