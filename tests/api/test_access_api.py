"""Who may come in, what they may do and know of, and what is written down of it."""

import asyncio
import hashlib

import httpx
import msgspec
import pytest
from api_site import METER, NOW, TOKEN, client_of, money, new_id, together, wait_until_settled
from fastapi.routing import APIRoute, iter_route_contexts

from api.app import create_app
from api.doors.gate import OPEN_PATHS
from api.settings import ApiSettings
from connectors.redis.access import CHAIN_BEGIN, Access, chained
from connectors.redis.keys import AUDIT
from connectors.redis.live import LiveStore
from domain.access import SCOPES, AuditEvent, Role, Scope
from domain.facts import AccountOpened, AlarmTerms, Place
from domain.ids import shard_of

PASSWORD = "five green meters hum"
PERSON = {"login": "li.wei", "name": "Li Wei", "password": PASSWORD, "role": "operator", "everything": True}

NAMES = {
    "account": "A-101", "meter": METER, "order": new_id(), "login": "x", "token": "x", "tariff": "flat", "policy": "usual",
    "site": "Garden", "batch": new_id(), "alarm": "x", "item": "x",
}  # fmt: skip
"""Of what routes have in their paths."""


def bearer(token: str) -> dict[str, str]:
    """The header of a caller."""
    return {"Authorization": f"Bearer {token}"}


async def made(client: httpx.AsyncClient, role: str, **reach) -> str:
    """A new token's text."""
    answer = await client.post("/tokens", json={"name": "app", "role": role, **(reach or {"everything": True})})
    assert answer.status_code == 201, answer.text
    return answer.json()["token"]


def routes(app) -> list[APIRoute]:
    """Every route but the open ones and the description's. The library keeps those of an included router in that router."""
    found = [context.original_route for context in iter_route_contexts(app.routes)]
    closed = [route for route in found if isinstance(route, APIRoute) and route.path not in OPEN_PATHS]
    assert len(closed) > 30, "a walk that finds no routes proves nothing"
    return closed


def scopes_of(route: APIRoute) -> list[Scope]:
    """What a route's doors ask."""
    return [each.call.scope for each in route.dependant.dependencies if hasattr(each.call, "scope")]


def test_every_route_is_walked(app):
    """What is said below of all routes is said of those that are served."""
    served = {path for path in app.openapi()["paths"] if path not in OPEN_PATHS}

    assert {route.path for route in routes(app)} == served


def test_every_route_has_one_door(app):
    """A route that is added without saying what it needs would be open to every caller: there is none."""
    assert {route.path: scopes_of(route) for route in routes(app) if len(scopes_of(route)) != 1} == {}


@pytest.mark.parametrize("role", Role)
def test_a_role_opens_what_its_scopes_say_and_nothing_else(app, site, role):
    """Each role knocks at every route: 403 where the scope is missing, and only there."""

    async def knock(client):
        reach = {"accounts": ["A-101"]} if role == Role.TENANT else {"everything": True}
        headers = bearer(await made(client, role, **reach)) | {"Last-Event-ID": "none, so that no stream begins"}
        found = {}
        for route in routes(app):
            path = route.path.format(**NAMES)
            for method in route.methods:
                if (method, path) != ("DELETE", "/sessions/current"):
                    asked = {"limit": "none"} if path == "/rooms/events" else {}  # Nor does this stream.
                    answer = await client.request(method, path, headers=headers, json={}, params=asked)
                    found[method, path] = answer.status_code == 403, scopes_of(route)[0] not in SCOPES[role]
        return found

    found = together(app, knock)

    assert [
        where for where, (is_denied, must_be) in found.items() if is_denied != must_be and where[1] != "/me/password"
    ] == []


def test_nobody_learns_of_accounts_out_of_reach(app, site):
    """A tenant's token shows its own account and meters; another's are answered as those that are not there, and take no orders."""

    async def look(client):
        headers = bearer(await made(client, "tenant", accounts=["A-102"]))
        paths = ["/accounts/A-101", "/accounts/A-101/ledger", "/accounts/A-101/outlook", f"/meters/{METER}"]
        paths += [f"/accounts/A-101/orders/{new_id()}", f"/meters/{METER}/commands/{new_id()}"]
        foreign = [await client.get(path, headers=headers) for path in paths]
        missing = await client.get("/accounts/A-999", headers=headers)
        own = [await client.get(path, headers=headers) for path in ("/accounts", "/accounts/A-102", "/alarms")]
        seller = bearer(await made(client, "operator", accounts=["A-102"]))
        sold = await client.post("/accounts/A-101/recharges", json=money(), headers=seller)
        switched = await client.post(
            f"/meters/{METER}/commands",
            json={"id": new_id(), "wanted": "off", "minutes": 5, "operator": "x"},
            headers=seller,
        )
        return foreign, missing, own, [sold, switched]

    before = [site.last(shard) for shard in range(site.shards)]
    foreign, missing, own, orders = together(app, look)

    assert {answer.status_code for answer in foreign} == {404}
    assert foreign[0].json() == missing.json()
    assert [answer.status_code for answer in own] == [200, 200, 200]
    assert [each["account"] for each in own[0].json()["accounts"]] == ["A-102"]
    assert [answer.status_code for answer in orders] == [404, 404]
    assert [site.last(shard) for shard in range(site.shards)] == before


def test_a_site_is_a_reach(app, site):
    """Whoever looks after one estate sees its rooms only."""
    elsewhere = AccountOpened(
        at=NOW, id=new_id(), account="B-1", currency="CNY", place=Place(site="Mall"), alarms=AlarmTerms()
    )
    site.append(shard_of("B-1", site.shards), elsewhere)
    wait_until_settled(site)

    async def look(client):
        headers = bearer(await made(client, "viewer", sites=["Mall"]))
        return (await client.get("/accounts", headers=headers)).json()["accounts"]

    assert [each["account"] for each in together(app, look)] == ["B-1"]


def test_a_person_signs_in_and_out(app, store):
    """The password opens a session; the session's token works until it is signed out, and the answer never shows what is kept."""

    async def live(client):
        person = await client.post("/people", json=PERSON)
        session = await client.post(
            "/sessions", json={"login": "li.wei", "password": PASSWORD}, headers={"Authorization": ""}
        )
        headers = bearer(session.json()["token"])
        me = await client.get("/me", headers=headers)
        out = await client.delete("/sessions/current", headers=headers)
        return person, session, me, out, await client.get("/me", headers=headers)

    person, session, me, out, after = together(app, live)

    assert (person.status_code, session.status_code, out.status_code, after.status_code) == (201, 201, 204, 401)
    assert "password" not in person.text
    assert PASSWORD not in session.text
    assert (me.json()["name"], me.json()["role"]) == ("li.wei", "operator")


def test_a_change_of_a_person_holds_at_once(app, store):
    """A session that is open is demoted, and then ended, by the next request."""

    async def live(client):
        await client.post("/people", json=PERSON | {"role": "admin"})
        token = (await client.post("/sessions", json={"login": "li.wei", "password": PASSWORD})).json()["token"]
        seen = [(await client.get("/people", headers=bearer(token))).status_code]
        for change in ({"role": "viewer"}, {"disabled": True}):
            assert (await client.patch("/people/li.wei", json=change)).status_code == 200
            seen.append((await client.get("/people", headers=bearer(token))).status_code)
        refused = await client.post("/sessions", json={"login": "li.wei", "password": PASSWORD})
        return [*seen, refused.status_code]

    assert together(app, live) == [200, 403, 401, 401]


def test_a_token_expires_and_is_revoked(store, store_url):
    """A program's token ends at its time, or when it is taken away; when it was used last is known to the minute."""
    now = [NOW]
    app = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: NOW, wall=lambda: now[0]))

    async def live(client):
        short = (
            await client.post("/tokens", json={"name": "a", "role": "viewer", "everything": True, "days": 1})
        ).json()
        long = (
            await client.post("/tokens", json={"name": "b", "role": "viewer", "everything": True, "days": 0})
        ).json()
        seen = [(await client.get("/me", headers=bearer(each["token"]))).status_code for each in (short, long)]
        now[0] += 86_400_000
        seen += [(await client.get("/me", headers=bearer(each["token"]))).status_code for each in (short, long)]
        listed = (await client.get("/tokens")).json()
        await client.delete(f"/tokens/{long['id']}")
        seen.append((await client.get("/me", headers=bearer(long["token"]))).status_code)
        return seen, listed

    seen, listed = together(app, live)

    assert seen == [200, 200, 401, 200, 401]
    assert [each["last_used_at"] for each in listed] == ["2026-09-21T14:13:20.000Z", "2026-09-22T14:13:20.000Z"]
    assert all("token" not in each and "secret" not in each for each in listed)


def test_what_is_kept_of_a_secret_opens_nothing(app, store):
    """A stolen copy of the store has digests and argon2 hashes: no token, no password."""

    async def live(client):
        token = await made(client, "viewer")
        await client.post("/people", json=PERSON)
        return token

    token = together(app, live)

    dump = b"".join(
        b"".join(part for pair in store._at(0).hgetall(name).items() for part in pair)
        for name in ("tokens:{access}", "people:{access}")
    )
    assert token.split(".")[1].encode() not in dump
    assert hashlib.sha256(token.split(".")[1].encode()).digest() in dump
    assert PASSWORD.encode() not in dump
    assert b"$argon2id$" in dump


@pytest.mark.parametrize("password", ["short", "password password", "aaaaaaaaaaaaaaaa", "MyTokenIs0123456789"])
def test_a_weak_password_is_refused(ask, store, password):
    """The answer says what is expected, and does not repeat what was tried."""
    answer = ask("POST", "/people", json=PERSON | {"password": password})

    assert answer.status_code == 422
    assert password not in answer.text


@pytest.mark.parametrize(
    ("role", "reach"),
    [
        ("viewer", {}),
        ("viewer", {"everything": True, "sites": ["Mall"]}),
        ("tenant", {"everything": True}),
        ("tenant", {"sites": ["Mall"]}),
        ("tenant", {}),
    ],
)
def test_nobody_gets_everything_by_leaving_something_out(ask, store, role, reach):
    """A reach is said: an empty one is refused, and a tenant's is its own accounts."""
    assert ask("POST", "/tokens", json={"name": "app", "role": role, **reach}).status_code == 422


def test_guessing_from_one_address_is_slowed_down(store, store_url):
    """Of one address only so many wrong passwords and unknown tokens are answered, then 429 with a time to come back; who is known goes on."""
    app = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: NOW, denials="3/minute"))

    async def guess(client):
        sprayed = [await client.post("/sessions", json={"login": f"l{n}", "password": "x"}) for n in range(2)]
        unknown = [await client.get("/me", headers=bearer(f"guess-{number}")) for number in range(2)]
        late = await client.post("/sessions", json={"login": "l3", "password": "x"})
        return [*sprayed, *unknown, late], await client.get("/me")

    denied, known = together(app, guess)

    assert [answer.status_code for answer in denied] == [401, 401, 401, 429, 429]
    assert int(denied[-1].headers["retry-after"]) > 0
    assert known.status_code == 200


def test_guessing_one_password_is_slowed_down(store, store_url):
    """Of one login only so many passwords are tried, from wherever; after that not even the right one is."""
    app = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: NOW, logins="2/minute"))

    async def guess(client):
        await client.post("/people", json=PERSON)
        tried = ["wrong", "wrong too", PASSWORD]
        return [
            (await client.post("/sessions", json={"login": "li.wei", "password": each})).status_code for each in tried
        ]

    assert together(app, guess) == [401, 401, 429]


def test_nobody_gives_more_than_they_have(app, store):
    """An admin makes people and tokens of any reach, so an admin reaches everything: one of a single site could make itself more."""

    async def live(client):
        made_ = await client.post("/tokens", json={"name": "app", "role": "admin", "sites": ["Mall"]})
        await client.post("/people", json=PERSON | {"role": "viewer", "everything": False, "sites": ["Mall"]})
        raised = await client.patch("/people/li.wei", json={"role": "admin"})
        return made_.status_code, raised.status_code

    assert together(app, live) == (422, 422)


def test_sessions_that_are_over_are_forgotten(store, store_url):
    """Whoever signs in each day for years leaves one session, not thousands."""
    now = [NOW]
    app = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: NOW, wall=lambda: now[0]))

    async def live(client):
        await client.post("/people", json=PERSON)
        for _ in range(3):
            await client.post("/sessions", json={"login": "li.wei", "password": PASSWORD})
            now[0] += 86_400_000
        return (await client.get("/tokens")).json()

    assert len(together(app, live)) == 1


def test_a_caller_has_so_many_requests_and_orders(site, store_url):
    """A program that runs wild is answered 429 before it reads or moves more than it was allowed to."""
    settings = ApiSettings(
        redis_url=store_url, token=TOKEN, clock=lambda: NOW, wait_seconds=20, requests="4/minute", orders="1/hour"
    )

    async def run_wild(client):
        orders = [await client.post("/accounts/A-101/recharges", json=money()) for _ in range(2)]
        return [answer.status_code for answer in [*orders, *[await client.get("/me") for _ in range(3)]]]

    assert together(create_app(settings), run_wild) == [201, 429, 200, 200, 429]


def recorded(store) -> list[tuple[AuditEvent, bytes, bytes]]:
    """Events with their bytes and chains, oldest first."""
    found = store._at(0).xrange(AUDIT)
    return [(msgspec.msgpack.decode(each[b"b"], type=AuditEvent), each[b"b"], each[b"c"]) for _, each in found]


def test_every_attempt_and_denial_is_written_down(app, site):
    """Who, what and when, with the answer: writes also where they are refused, reads only where they are denied; no body, no header."""

    async def live(client):
        viewer = await made(client, "viewer")
        await client.get("/accounts")
        await client.post("/accounts/A-101/recharges", json=money(note="a private note"))
        await client.post("/accounts/A-101/recharges", json=money("-1"))
        await client.post("/accounts/A-101/recharges", json=money(), headers=bearer(viewer))
        await client.get("/people", headers=bearer(viewer))
        await client.get("/me", headers=bearer("who-knows"))
        return (await client.get("/audit?limit=3")).json(), (await client.get("/me")).headers

    page, headers = together(app, live)

    events = recorded(site)
    assert [(event.caller.split(":")[0], event.method, event.path, event.status) for event, *_ in events] == [
        ("root", "POST", "/tokens", 201),
        ("root", "POST", "/accounts/A-101/recharges", 201),
        ("root", "POST", "/accounts/A-101/recharges", 422),
        ("token", "POST", "/accounts/A-101/recharges", 403),
        ("token", "GET", "/people", 403),
        ("", "GET", "/me", 401),
    ]
    assert [each["status"] for each in page["events"]] == [401, 403, 403]
    assert not any(b"private" in packed or b"who-knows" in packed for _, packed, _ in events)
    assert headers["x-request-id"]


def test_the_audit_log_is_a_chain(app, store, store_url):
    """Each event's digest is of the one before and its own bytes, also where two processes write at once."""

    async def write_at_once():
        stores = [await LiveStore.open(store_url) for _ in range(2)]
        processes = [Access(each) for each in stores]
        event = AuditEvent(at=1, caller="li", method="POST", path="/x", status=201, client="", request="")
        await asyncio.gather(*(each.record(event) for each in processes for _ in range(200)))
        for each in stores:
            await each.close()

    asyncio.run(write_at_once())

    before, count = CHAIN_BEGIN, 0
    for _, packed, chain in recorded(store):
        before, count = chained(before, packed), count + 1
        assert chain == before
    assert count == 400


def test_what_cannot_be_written_down_is_not_answered(app, server, site):
    """An order whose attempt cannot be recorded is answered 503, as one whose fate is not known."""

    async def order(client):
        site._at(0).set("audit:{access}", "not a stream")
        return await client.post("/accounts/A-101/recharges", json=money())

    answer = together(app, order)

    assert answer.status_code == 503
    assert "repeat it with the same id" in answer.json()["detail"]


def test_one_s_own_password_is_changed_by_knowing_it(app, store):
    """Another password ends one's other sessions, and takes the old one."""

    async def live(client):
        await client.post("/people", json=PERSON)
        tokens = [
            (await client.post("/sessions", json={"login": "li.wei", "password": PASSWORD})).json()["token"]
            for _ in range(2)
        ]
        change = {"old": "not the old one", "new": "six blue valves sing"}
        wrong = await client.put("/me/password", json=change, headers=bearer(tokens[0]))
        right = await client.put("/me/password", json=change | {"old": PASSWORD}, headers=bearer(tokens[0]))
        seen = [(await client.get("/me", headers=bearer(token))).status_code for token in tokens]
        old = await client.post("/sessions", json={"login": "li.wei", "password": PASSWORD})
        return wrong.status_code, right.status_code, seen, old.status_code

    assert together(app, live) == (403, 204, [200, 401], 401)


def test_nobody_locks_themselves_out(app, store):
    """The last admin neither disables nor demotes itself by a slip."""

    async def live(client):
        await client.post("/people", json=PERSON | {"role": "admin"})
        token = (await client.post("/sessions", json={"login": "li.wei", "password": PASSWORD})).json()["token"]
        changes = ({"disabled": True}, {"role": "viewer"}, {"name": "Li"})
        return [
            (await client.patch("/people/li.wei", json=each, headers=bearer(token))).status_code for each in changes
        ]

    assert together(app, live) == [409, 409, 200]


def test_a_token_text_opens_nothing_when_it_is_cut_or_mixed(app, store):
    """Another's id with one's own secret, a secret cut short, and another prefix are nobody."""

    async def live(client):
        one, other = [await made(client, "viewer") for _ in range(2)]
        mixed = one.split(".")[0] + "." + other.split(".")[1]
        texts = [mixed, one[:-1], one.replace("mlt_", "mlx_"), one.split(".")[0] + ".", "mlt_.", one]
        return [(await client.get("/me", headers=bearer(text))).status_code for text in texts]

    async def run():
        async with client_of(app) as client:
            return await live(client)

    assert asyncio.run(run()) == [401, 401, 401, 401, 401, 200]
