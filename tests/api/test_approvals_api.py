"""Two persons for large refunds."""

import pytest
from api_site import NOW, TOKEN, money, together
from test_access_api import bearer, made

from api.app import create_app
from api.settings import ApiSettings
from connectors.redis.keys import APPROVALS
from domain.units import money_micros


@pytest.fixture
def strict(site, store_url):
    """An API whose refunds of more than 20.00 need a second person."""
    limit = money_micros("20.00")
    return create_app(
        ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: NOW, wait_seconds=20, approve_over=limit)
    )


async def paid(client) -> None:
    """An account with money to refund."""
    assert (await client.post("/accounts/A-101/recharges", json=money("100.00"))).status_code == 201


def test_a_large_refund_waits_for_a_second_person(strict):
    """It moves nothing until somebody else approves, is not approved by who asked, and is paid once however often it is asked for."""

    async def live(client):
        await paid(client)
        clerk, second = [bearer(await made(client, "finance")) for _ in range(2)]
        refund = money("50.00", note="moved out")
        asked = [await client.post("/accounts/A-101/refunds", json=refund, headers=clerk) for _ in range(2)]
        before = (await client.get("/accounts/A-101")).json()["balance"]
        waiting = (await client.get("/approvals", headers=second)).json()
        place = asked[0].headers["location"]
        own = await client.post(place, json={"decision": "approve"}, headers=clerk)
        approved = await client.post(place, json={"decision": "approve"}, headers=second)
        again = await client.post("/accounts/A-101/refunds", json=refund, headers=clerk)
        gone = await client.get(place, headers=second)
        return (
            asked,
            before,
            waiting,
            own,
            approved,
            again,
            gone,
            (await client.get("/accounts/A-101")).json()["balance"],
        )

    asked, before, waiting, own, approved, again, gone, after = together(strict, live)

    assert [answer.status_code for answer in asked] == [202, 202]
    assert (before, after) == ("100.00", "50.00")
    assert [(each["amount"], each["note"]) for each in waiting] == [("50.00", "moved out")]
    assert (own.status_code, approved.status_code, gone.status_code) == (403, 201, 404)
    assert approved.json()["balance"] == "50.00"
    assert (again.status_code, again.json()) == (201, approved.json())


def test_a_small_refund_and_any_recharge_need_one_person(strict):
    """The limit itself is still small."""

    async def live(client):
        await paid(client)
        return [(await client.post("/accounts/A-101/refunds", json=money("20.00"))).status_code]

    assert together(strict, live) == [201]


def test_a_rejected_refund_is_never_paid(strict):
    """After the word of a second person nothing waits, and nothing has moved."""

    async def live(client):
        await paid(client)
        clerk = bearer(await made(client, "finance"))
        asked = await client.post("/accounts/A-101/refunds", json=money("50.00"), headers=clerk)
        rejected = await client.post(asked.headers["location"], json={"decision": "reject"})
        late = await client.post(asked.headers["location"], json={"decision": "approve"})
        return rejected.status_code, late.status_code, (await client.get("/accounts/A-101")).json()["balance"]

    assert together(strict, live) == (204, 404, "100.00")


def test_an_approval_beyond_the_balance_is_refused_by_the_machine(strict):
    """What was enough when it was asked for may not be when it is approved: the machine says so, and nothing waits any more."""

    async def live(client):
        clerk = bearer(await made(client, "finance"))
        asked = await client.post("/accounts/A-101/refunds", json=money("50.00"), headers=clerk)
        approved = await client.post(asked.headers["location"], json={"decision": "approve"})
        return approved.status_code, approved.json()["refusal"], (await client.get("/approvals")).json()

    assert together(strict, live) == (409, "insufficient_balance", [])


def test_an_id_that_waits_is_not_used_for_another_refund(strict):
    """The same id with another amount, or for another account, is refused while it waits."""

    async def live(client):
        refund = money("50.00")
        await client.post("/accounts/A-101/refunds", json=refund)
        others = [("A-101", refund | {"amount": "60.00"}), ("A-102", refund)]
        return [
            (await client.post(f"/accounts/{account}/refunds", json=body)).json()["refusal"] for account, body in others
        ]

    assert together(strict, live) == ["exists_with_different_content"] * 2


def test_approvals_keep_to_their_reach(strict):
    """Whoever reaches another account only neither sees nor decides what waits."""

    async def live(client):
        await paid(client)
        asked = await client.post("/accounts/A-101/refunds", json=money("50.00"))
        other = bearer(await made(client, "finance", accounts=["A-102"]))
        seen = (await client.get("/approvals", headers=other)).json()
        word = await client.post(asked.headers["location"], json={"decision": "approve"}, headers=other)
        return seen, word.status_code

    assert together(strict, live) == ([], 404)


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_refund_that_was_paid_is_answered_as_paid(strict, site, decision):
    """An API that was killed after it ordered a refund, and before it forgot what waited: another person's word changes nothing, and hears so."""

    async def live(client):
        await paid(client)
        refund = money("50.00")
        asked = await client.post("/accounts/A-101/refunds", json=refund)
        waiting = site._at(0).hgetall(APPROVALS)
        first, second = [bearer(await made(client, "finance")) for _ in range(2)]
        approved = await client.post(asked.headers["location"], json={"decision": "approve"}, headers=first)
        site._at(0).hset(APPROVALS, mapping=waiting)
        again = await client.post(asked.headers["location"], json={"decision": decision}, headers=second)
        gone = await client.get(asked.headers["location"])
        return approved.json(), again.status_code, again.json(), gone.status_code

    approved, status, again, gone = together(strict, live)

    assert (status, again, gone) == (201, approved, 404)
    assert approved["balance"] == "50.00"
