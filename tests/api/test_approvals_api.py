"""Two persons for much money."""

import asyncio

import msgspec
import pytest
from api_site import NOW, TOKEN, client_of, money, new_id, together
from test_access_api import PASSWORD, bearer

from api.app import create_app
from api.settings import ApiSettings
from connectors.redis.keys import APPROVALS, alone_keys
from domain.ids import order_id
from domain.units import DAY_MS, HOUR_MS, money_micros

LIMIT = money_micros("20.00")


class Wall:
    """The clock by which people are new or known, and orders add up."""

    def __init__(self) -> None:
        self.now = NOW - 10 * DAY_MS

    def __call__(self) -> int:
        """Ms UTC."""
        return self.now


@pytest.fixture
def wall() -> Wall:
    """A clock that a test moves."""
    return Wall()


@pytest.fixture
def strict(site, store_url, wall):
    """An API that wants a second person beyond 20.00."""
    return create_app(
        ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: NOW, wait_seconds=20, approve_over=LIMIT, wall=wall)
    )


async def person(client, login: str, role: str = "finance", **reach) -> None:
    """Somebody who may sign in."""
    body = {"login": login, "name": login, "password": PASSWORD, "role": role, **(reach or {"everything": True})}
    assert (await client.post("/people", json=body)).status_code == 201


async def signed_in(client, login: str) -> dict[str, str]:
    """The header of somebody who signs in."""
    answer = await client.post("/sessions", json={"login": login, "password": PASSWORD})
    return bearer(answer.json()["token"])


async def known(client, wall: Wall, *logins: str, role: str = "finance", **reach) -> list[dict[str, str]]:
    """Headers of people who have been known for more than a day."""
    for login in logins:
        await person(client, login, role, **reach)
    wall.now += 25 * HOUR_MS
    return [await signed_in(client, login) for login in logins]


APPROVE, REJECT = {"decision": "approve"}, {"decision": "reject"}


async def paid(client) -> None:
    """An account with money to refund."""
    assert (await client.post("/accounts/A-101/recharges", json=money("100.00"))).status_code == 201


def test_a_large_refund_waits_for_a_second_person(strict, wall):
    """It moves nothing until somebody else approves, is not approved by who asked, and is paid once however often it is asked for."""

    async def live(client):
        await paid(client)
        clerk, second = await known(client, wall, "clerk", "second")
        refund = money("50.00", note="moved out")
        asked = [await client.post("/accounts/A-101/refunds", json=refund, headers=clerk) for _ in range(2)]
        before = (await client.get("/accounts/A-101")).json()["balance"]
        waiting = (await client.get("/approvals", headers=second)).json()
        place = asked[0].headers["location"]
        own = await client.post(place, json=APPROVE, headers=clerk)
        approved = await client.post(place, json=APPROVE, headers=second)
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


def test_a_rejected_refund_is_never_paid(strict, wall):
    """After the word of a second person nothing waits, and nothing has moved."""

    async def live(client):
        await paid(client)
        clerk, second = await known(client, wall, "clerk", "second")
        asked = await client.post("/accounts/A-101/refunds", json=money("50.00"), headers=clerk)
        rejected = await client.post(asked.headers["location"], json=REJECT, headers=second)
        late = await client.post(asked.headers["location"], json=APPROVE, headers=second)
        return rejected.status_code, late.status_code, (await client.get("/accounts/A-101")).json()["balance"]

    assert together(strict, live) == (204, 404, "100.00")


def test_an_approval_beyond_the_balance_is_refused_by_the_machine(strict, wall):
    """What was enough when it was asked for may not be when it is approved: the machine says so, and nothing waits any more."""

    async def live(client):
        clerk, second = await known(client, wall, "clerk", "second")
        asked = await client.post("/accounts/A-101/refunds", json=money("50.00"), headers=clerk)
        approved = await client.post(asked.headers["location"], json=APPROVE, headers=second)
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


def test_approvals_keep_to_their_reach(strict, wall):
    """Whoever reaches another account only neither sees nor decides what waits."""

    async def live(client):
        await paid(client)
        asked = await client.post("/accounts/A-101/refunds", json=money("50.00"))
        (other,) = await known(client, wall, "other", accounts=["A-102"])
        seen = (await client.get("/approvals", headers=other)).json()
        word = await client.post(asked.headers["location"], json=APPROVE, headers=other)
        return seen, word.status_code

    assert together(strict, live) == ([], 404)


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_refund_that_was_paid_is_answered_as_paid(strict, site, wall, decision):
    """An API that was killed after it ordered a refund, and before it forgot what waited: another person's word changes nothing, and hears so."""

    async def live(client):
        await paid(client)
        refund = money("50.00")
        asked = await client.post("/accounts/A-101/refunds", json=refund)
        waiting = site._at(0).hgetall(APPROVALS)
        first, second = await known(client, wall, "first", "second")
        approved = await client.post(asked.headers["location"], json=APPROVE, headers=first)
        site._at(0).hset(APPROVALS, mapping=waiting)
        again = await client.post(asked.headers["location"], json={"decision": decision}, headers=second)
        gone = await client.get(asked.headers["location"])
        return approved.json(), again.status_code, again.json(), gone.status_code

    approved, status, again, gone = together(strict, live)

    assert (status, again, gone) == (201, approved, 404)
    assert approved["balance"] == "50.00"


def adjustment(amount: str = "5.00", order: str | None = None, **more):
    """The body of an adjustment."""
    return {"id": order or new_id(), "amount": amount, "currency": "CNY", "note": "misread", **more}


async def refunds(client, headers, *amounts: str, account: str = "A-101") -> list[int]:
    """Statuses of refunds, one after the other."""
    path = f"/accounts/{account}/refunds"
    return [(await client.post(path, json=money(each), headers=headers)).status_code for each in amounts]


def test_many_small_refunds_are_a_large_one(strict, wall):
    """Whoever splits an amount comes no further than with the whole: what one caller orders alone within a day adds up, whoever gets it."""

    async def live(client):
        await paid(client)
        clerk, other = await known(client, wall, "clerk", "other")
        path = "/accounts/A-102/adjustments"
        seen = await refunds(client, clerk, "8.00")
        seen += [
            (await client.post(path, json=adjustment(amount), headers=clerk)).status_code
            for amount in ("-8.00", "5.00")
        ]
        seen += await refunds(client, clerk, "4.00", "0.01")
        others = await refunds(client, other, "8.00")
        return seen, others, len((await client.get("/approvals")).json())

    assert together(strict, live) == ([201, 201, 202, 201, 202], [201], 2)


def test_a_day_later_one_person_is_enough_again(strict, wall):
    """Exactly what was ordered in the last 24 hours counts, and no more of it is kept."""

    async def live(client):
        await paid(client)
        (clerk,) = await known(client, wall, "clerk")
        seen = await refunds(client, clerk, "15.00")
        wall.now += 6 * HOUR_MS
        seen += await refunds(client, clerk, "5.00", "0.01")
        wall.now += 18 * HOUR_MS - 1
        clerk = await signed_in(client, "clerk")
        seen += await refunds(client, clerk, "0.01")
        wall.now += 1
        seen += await refunds(client, clerk, "15.00", "0.01")
        return seen

    assert together(strict, live) == [201, 201, 202, 202, 201, 202]


def test_what_is_kept_of_small_refunds_is_bounded(strict, site, wall):
    """Of a day that is over nothing is left, and of a caller who comes no more neither."""

    async def live(client):
        await paid(client)
        (clerk,) = await known(client, wall, "clerk")
        await refunds(client, clerk, *["0.10"] * 20)
        wall.now += DAY_MS
        await refunds(client, await signed_in(client, "clerk"), "0.30")

    together(strict, live)

    ids, amounts = alone_keys("clerk")
    assert site._at(0).zcard(ids) == 1
    assert site._at(0).hget(amounts, "sum") == b"300000"
    assert site._at(0).hlen(amounts) == 2
    assert all(0 < site._at(0).pttl(name) <= DAY_MS for name in (ids, amounts))


def test_the_same_order_again_adds_nothing(strict, wall):
    """A caller who heard no answer may ask again, also beyond the sum; an id that comes back with a larger amount counts as that."""

    async def live(client):
        await paid(client)
        (clerk,) = await known(client, wall, "clerk")
        body, path = money("12.00"), "/accounts/A-101/refunds"
        same = [await client.post(path, json=body, headers=clerk) for _ in range(3)]
        return [each.status_code for each in same], await refunds(client, clerk, "8.00", "0.01")

    assert together(strict, live) == ([201] * 3, [201, 202])


def test_refunds_at_the_same_time_add_up_across_processes(strict, site, store_url, wall):
    """Two API processes and ten refunds at once: the sum is counted in the store, in one step."""
    other = create_app(
        ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: NOW, wait_seconds=20, approve_over=LIMIT, wall=wall)
    )

    async def live(client):
        await paid(client)
        (clerk,) = await known(client, wall, "clerk")
        async with client_of(other) as second:
            sent = [
                each.post("/accounts/A-101/refunds", json=money("7.00"), headers=clerk)
                for each in (client, second)
                for _ in range(5)
            ]
            return sorted(answer.status_code for answer in await asyncio.gather(*sent))

    assert together(strict, live) == [201] * 2 + [202] * 8


def test_an_adjustment_needs_a_second_person_either_way(strict, wall):
    """Much given or much taken waits, and is carried out with what was asked for; the ledger has it against adjustments."""

    async def live(client):
        clerk, second = await known(client, wall, "clerk", "second")
        found = []
        for amount in ("30.00", "-25.00"):
            asked = await client.post("/accounts/A-101/adjustments", json=adjustment(amount), headers=clerk)
            (waiting,) = (await client.get("/approvals")).json()
            approved = await client.post(asked.headers["location"], json=APPROVE, headers=second)
            found.append((asked.status_code, waiting["kind"], waiting["amount"], approved.json()["balance"]))
        ledger = (await client.get("/accounts/A-101/ledger")).json()["postings"]
        return found, [(each["debit"], each["credit"], each["amount"]) for each in ledger]

    found, ledger = together(strict, live)

    assert found == [
        (202, "adjustment_ordered", "30.00", "30.00"),
        (202, "adjustment_ordered", "-25.00", "5.00"),
    ]
    assert ledger == [("customer", "adjustments", "25.00"), ("adjustments", "customer", "30.00")]


def test_a_second_self_does_not_approve(strict, wall):
    """Whoever may make people cannot approve by somebody made for it: not by a program, root, the maker of the program that asked, or a newcomer."""

    async def live(client):
        await paid(client)
        (admin,) = await known(client, wall, "admin", role="admin")
        made_here = {"name": "app", "role": "finance", "everything": True}
        program = bearer((await client.post("/tokens", json=made_here, headers=admin)).json()["token"])
        own = await client.post("/accounts/A-101/refunds", json=money("50.00"), headers=admin)
        programs = await client.post("/accounts/A-101/refunds", json=money("0.01"), headers=program)
        body = {"login": "self", "name": "x", "password": PASSWORD, "role": "finance", "everything": True}
        await client.post("/people", json=body, headers=admin)
        newcomer = await signed_in(client, "self")
        wall.now += 10 * HOUR_MS
        tries = [(own, program), (own, {}), (own, newcomer), (programs, admin)]
        denied = [await client.post(asked.headers["location"], json=APPROVE, headers=who) for asked, who in tries]
        wall.now += 15 * HOUR_MS
        admin, newcomer = await signed_in(client, "admin"), await signed_in(client, "self")
        denied.append(await client.post(programs.headers["location"], json=APPROVE, headers=admin))
        approved = await client.post(own.headers["location"], json=APPROVE, headers=newcomer)
        return (
            programs.status_code,
            [(each.status_code, each.json()["detail"][:15]) for each in denied],
            approved.status_code,
        )

    newcomers_ask, denied, later = together(strict, live)

    assert newcomers_ask == 202
    assert denied == [
        (403, "Neither a progr"),
        (403, "Neither a progr"),
        (403, "Who asked and w"),
        (403, "A program asked"),
        (403, "A program asked"),
    ]
    assert later == 201


def test_a_password_that_somebody_else_set_makes_a_newcomer(strict, wall):
    """An admin who takes over another person's login by a new password approves nothing with it on that day; a new name changes nothing."""

    async def live(client):
        await paid(client)
        admin, second, third = await known(client, wall, "admin", "second", "third", role="admin")
        asked = await client.post("/accounts/A-101/refunds", json=money("50.00"), headers=admin)
        await client.patch("/people/second", json={"password": "another long sentence"}, headers=admin)
        await client.patch("/people/third", json={"name": "Third"}, headers=admin)
        session = await client.post("/sessions", json={"login": "second", "password": "another long sentence"})
        tries = [bearer(session.json()["token"]), third]
        return [
            (await client.post(asked.headers["location"], json=APPROVE, headers=each)).status_code for each in tries
        ], second

    assert together(strict, live)[0] == [403, 201]


def test_who_asked_may_take_it_back(strict, wall):
    """Rejecting needs no second person."""

    async def live(client):
        (clerk,) = await known(client, wall, "clerk")
        asked = await client.post("/accounts/A-101/refunds", json=money("50.00"), headers=clerk)
        return (await client.post(asked.headers["location"], json=REJECT, headers=clerk)).status_code

    assert together(strict, live) == 204


def test_a_closing_that_pays_much_out_needs_a_second_person(strict, wall):
    """What waits says what it is about; where the balance has grown since, it is looked at again, and then all of it is paid out."""

    async def live(client):
        clerk, second = await known(client, wall, "clerk", "second", role="admin")
        body = {"id": new_id(), "settlement": "refund", "channel": "bank", "reason": "moves out"}
        path, found = "/accounts/A-102/closures", []
        await client.post("/accounts/A-102/recharges", json=money("30.00"))
        asked = [await client.post(path, json=body, headers=clerk) for _ in range(2)]
        for amount in ("5.00", "0"):  # The second recharge is refused: nothing has changed then.
            found += (await client.get("/approvals")).json()
            await client.post("/accounts/A-102/recharges", json=money(amount))
            found.append(await client.post(asked[0].headers["location"], json=APPROVE, headers=second))
        again = await client.post(path, json=body, headers=clerk)
        return asked, found, again, (await client.get("/accounts/A-102")).json()

    asked, (before, changed, after, closed), again, account = together(strict, live)

    assert [each.status_code for each in asked] == [202, 202]
    assert [(each["kind"], each["amount"], each["note"]) for each in (before, after)] == [
        ("account_closed", "30.00", "moves out"),
        ("account_closed", "35.00", "moves out"),
    ]
    assert (changed.status_code, closed.status_code, again.status_code) == (409, 201, 201)
    assert (closed.json()["amount"], closed.json()["balance"]) == ("35.00", "0.00")
    assert again.json() == closed.json()
    assert account["state"] == "closed"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("transfers", {"name": "Wang", "settlement": "refund"}, 202),
        ("transfers", {"name": "Wang", "settlement": "write_off", "reason": "gone"}, 202),
        ("transfers", {"name": "Wang", "settlement": "carry"}, 201),
        ("closures", {"settlement": "write_off", "reason": "gone"}, 202),
        ("closures", {"settlement": "pay_up"}, 409),
    ],
)
def test_whatever_pays_out_or_gives_up_needs_a_second_person(strict, wall, path, body, status):
    """No settlement is a way round the limit; one that moves nothing needs nobody else."""

    async def live(client):
        await client.post("/accounts/A-102/recharges", json=money("30.00"))
        return (await client.post(f"/accounts/A-102/{path}", json={"id": new_id(), **body})).status_code

    assert together(strict, live) == status


def test_what_waited_before_there_were_kinds_is_a_refund(strict, site, wall):
    """A store of an earlier release has refunds that wait: they are read, shown and approved."""
    order = new_id()
    old = {
        "id": order, "account": "A-101", "amount_micros": 50_000_000, "currency": "CNY", "channel": "cash", "note": "out",
        "asked_by": "clerk", "asked_at": NOW - DAY_MS,
    }  # fmt: skip
    site._at(0).hset(APPROVALS, order_id(order), msgspec.msgpack.encode(old))

    async def live(client):
        await paid(client)
        (second,) = await known(client, wall, "second")
        shown = (await client.get(f"/approvals/{order}")).json()
        return shown["kind"], (await client.post(f"/approvals/{order}", json=APPROVE, headers=second)).json()

    kind, paid_out = together(strict, live)

    assert (kind, paid_out["kind"], paid_out["balance"]) == ("refund_ordered", "refund_ordered", "50.00")
