import asyncio
import signal
import time
from typing import Any

import httpx
import pytest
from api_site import DRY_METER, LATER, METER, NOW, TOKEN, client_of, new_id, together, wait_until_settled
from test_serve import serving
from ulid import ULID

from api.app import create_app
from api.batches.worker import BatchWorker
from api.settings import ApiSettings
from connectors.redis.access import Access
from connectors.redis.batches import KEPT_MS, Batches
from connectors.redis.keys import BATCHES, batch_key
from connectors.redis.live import LiveStore
from connectors.redis.store import Store
from domain.facts import AccountOpened, AlarmTerms, Place, RechargeOrdered
from domain.ids import order_id, shard_of
from flows.settle import Batch, fold_batch
from flows.state import ShardState

RECHARGE = {"operation": "recharge", "terms": {"amount": "5.00", "currency": "CNY"}}
EVERYBODY = {"place": {"site": "Garden"}}


def batch(**more: Any) -> dict[str, Any]:
    """The body of a batch: 5.00 for everybody, unless told otherwise."""
    return {"id": new_id(), **RECHARGE, "targets": EVERYBODY, **more}


async def over(client: httpx.AsyncClient, made: httpx.Response) -> dict[str, Any]:
    """A batch once it is over."""
    assert made.status_code == 202, made.text
    deadline = time.monotonic() + 60
    while True:
        read = (await client.get(made.headers["location"])).json()
        if read["finished_at"]:
            return read
        assert time.monotonic() < deadline, read
        await asyncio.sleep(0.05)


async def items(client: httpx.AsyncClient, made: httpx.Response, query: str = "") -> list[dict[str, Any]]:
    """What became of its items."""
    return (await client.get(f"{made.headers['location']}/items{query}")).json()["items"]


def balances(store: Store, *accounts: str) -> list[int]:
    """Balances in micros, as committed."""
    found = []
    for account in accounts:
        shard = store.load(shard_of(account, store.shards))
        found.append(int(shard.rows["accounts"][shard.records["account_records"][account].row]["balance"]))
    return found


def recharges(store: Store) -> int:
    """How many orders to recharge are in all logs, repeated ones counted each time."""
    return sum(
        isinstance(fact, RechargeOrdered)
        for shard in range(store.shards)
        for _, fact in store.read(shard, (0, 0), 100_000)
    )


def open_rooms(store: Store, count: int) -> list[str]:
    """More accounts in the garden."""
    rooms = [f"R-{number:04d}" for number in range(count)]
    for room in rooms:
        opened = AccountOpened(
            at=NOW, id=new_id(), account=room, currency="CNY", place=Place(site="Rooms"), alarms=AlarmTerms()
        )
        store.append(shard_of(room, store.shards), opened)
    return rooms


def test_everybody_is_recharged_once(app, site):
    """A batch of a place: 202 with where it is, then done; the same order again is the same batch, and each item's order can be looked up."""

    async def run(client):
        body = batch()
        made = await client.post("/batches", json=body)
        read = await over(client, made)
        again = await client.post("/batches", json=body)
        other = await client.post("/batches", json=body | {"note": "another"})
        found = await items(client, made)
        order = await client.get(f"/accounts/A-101/orders/{found[0]['order']}")
        return made, read, again, other, found, order

    made, read, again, other, found, order = together(app, run)

    assert made.headers["location"] == f"/batches/{made.json()['id']}"
    assert (read["state"], read["count"], read["counts"]["done"]) == ("done", 2, 2)
    assert again.json() == read
    assert other.json()["refusal"] == "exists_with_different_content"
    assert [(each["target"], each["state"]) for each in found] == [("A-101", "done"), ("A-102", "done")]
    assert (order.json()["amount"], order.json()["accepted"]) == ("5.00", True)
    assert balances(site, "A-101", "A-102") == [5_000_000, 5_000_000]
    assert recharges(site) == 2


METERS = {"meters": [str(METER), str(DRY_METER)]}
OPERATIONS = {
    "set_tariff": ({"tariff": "flat", "from": "2027-01-01T00:00:00Z"}, METERS, ["done", "done"]),
    "force_supply": ({"wanted": "off", "minutes": 30, "operator": "li"}, METERS, ["done", "meter_has_no_switch"]),
    "protect": ({"protected": True, "operator": "li"}, METERS, ["done", "meter_has_no_switch"]),
    "set_control_terms": (
        {"zone": "Asia/Shanghai", "no_trip": ["mon-sun 22:00-06:00"]}, METERS, ["done", "meter_has_no_switch"],
    ),
    "set_watch": ({"offline_minutes": 90}, METERS, ["done", "done"]),
    "set_policy": ({"policy": "none"}, {"accounts": ["A-101"]}, ["unknown_policy"]),
    "recharge": ({"amount": "5000.00", "currency": "CNY"}, EVERYBODY, ["above_max_balance", "above_max_balance"]),
}  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_says_what_became_of_each_target(app, site, operation):
    """What the machine refuses is refused by name, item by item; the rest is done."""
    terms, targets, expected = OPERATIONS[operation]

    async def run(client):
        made = await client.post(
            "/batches", json={"id": new_id(), "operation": operation, "terms": terms, "targets": targets}
        )
        return await over(client, made), await items(client, made), await items(client, made, "?state=refused")

    read, found, refused = together(app, run)

    assert [each["refusal"] or each["state"] for each in found] == expected
    assert read["counts"]["refused"] == len(refused) == sum(word != "done" for word in expected)
    assert read["terms"].items() >= {name: value for name, value in terms.items() if name != "from"}.items()


def test_a_batch_begins_at_its_time_also_after_a_restart(site, store_url):
    """Until its time it is scheduled; an app that is started after its time begins with it."""
    now = [LATER]

    def app():
        return create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: now[0]))

    async def before(client):
        made = await client.post("/batches", json=batch(at="2026-09-22T08:00:00+08:00"))
        await asyncio.sleep(2)
        return made, (await client.get(made.headers["location"])).json()

    async def after(client):
        return await over(client, made)

    made, scheduled = together(app(), before)
    now[0] = 1_790_035_200_000 + 5_000
    done = together(app(), after)

    assert (scheduled["state"], scheduled["counts"]["waiting"]) == ("scheduled", 2)
    assert (done["state"], done["counts"]["done"], done["at"]) == ("done", 2, "2026-09-22T00:00:00.000Z")
    assert balances(site, "A-101", "A-102") == [5_000_000, 5_000_000]


def test_a_cancelled_batch_does_not_begin(app, site):
    """What has not begun is cancelled and stays so; what is over cannot be cancelled."""

    async def run(client):
        made = await client.post("/batches", json=batch(at="2026-12-01T00:00:00Z"))
        cancelled = await client.delete(made.headers["location"])
        again = await client.delete(made.headers["location"])
        done = await client.post("/batches", json=batch())
        await over(client, done)
        return cancelled, again, await items(client, made), await client.delete(done.headers["location"])

    cancelled, again, found, late = together(app, run)

    assert (cancelled.status_code, again.json()["state"]) == (200, "cancelled")
    assert cancelled.json()["counts"] == {"waiting": 0, "done": 0, "refused": 0, "failed": 0, "cancelled": 2}
    assert [each["state"] for each in found] == ["cancelled", "cancelled"]
    assert late.status_code == 409
    assert recharges(site) == 2


def settle(store: Store) -> None:
    """Fold and commit all that waits."""
    for shard in range(store.shards):
        state = ShardState.of(store.load(shard))
        while entries := store.read(shard, state.position, 64):
            commit = fold_batch(state, Batch(shard, entries))
            assert commit is not None
            store.commit(commit)


def test_a_process_that_is_killed_in_the_middle_loses_and_doubles_nothing(store, server, settling, site):
    """Orders are in the log and undecided when the process is killed; another goes on, and every room has its money once."""
    rooms = open_rooms(store, 120)
    wait_until_settled(store)
    settling.set()
    time.sleep(0.1)
    order = str(ULID())
    body = batch(id=order, targets={"accounts": rooms})

    with serving(server.data) as (port, process):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        made = httpx.post(f"http://127.0.0.1:{port}/batches", json=body, headers=headers)
        deadline = time.monotonic() + 60
        while recharges(store) < 16:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    half = recharges(store)
    store._at(0).delete(batch_key("batch_claim", order_id(order)))  # It would lapse by itself, half a minute later.
    settle(store)

    async def go_on():
        app = create_app(ApiSettings(redis_url=server.url, token=TOKEN, clock=lambda: time.time_ns() // 1_000_000))
        async with client_of(app) as client:
            going = asyncio.create_task(over(client, made))
            while not going.done():
                await asyncio.to_thread(settle, store)
                await asyncio.sleep(0.05)
            return await going

    done = asyncio.run(go_on())

    assert made.status_code == 202
    assert 0 < half < len(rooms)
    assert done["counts"] == {"waiting": 0, "done": len(rooms), "refused": 0, "failed": 0, "cancelled": 0}
    assert set(balances(store, *rooms)) == {5_000_000}


def test_two_at_once_on_one_batch_do_everything_once(site, store_url):
    """A claim has lapsed while its holder lives: both carry all items out, and each counts once."""
    rooms = open_rooms(site, 60)
    wait_until_settled(site)
    settings = ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: LATER)
    body = batch(targets={"accounts": rooms}, at="2026-09-21T17:00:00Z")

    async def run():
        made = await ask_once(create_app(settings), body)
        stores = [await LiveStore.open(store_url) for _ in range(2)]
        workers = [BatchWorker(each, Access(each), Batches(each), settings) for each in stores]
        kept = await Batches(stores[0]).batch(order_id(body["id"]))
        await asyncio.gather(*(worker._claimed(kept) for worker in workers))
        progress = await Batches(stores[0]).progress(kept)
        for each in stores:
            await each.close()
        return made, progress

    made, progress = asyncio.run(run())

    assert made.status_code == 202
    assert (progress.begun, progress.done, progress.settled) == (60, 60, 60)
    assert set(balances(site, *rooms)) == {5_000_000}


async def ask_once(app, body) -> httpx.Response:
    """One batch by a client of its own."""
    async with client_of(app) as client:
        return await client.post("/batches", json=body)


def test_targets_are_within_reach_when_it_is_made(app, site):
    """One's own rooms only, by name or by place; unknown and foreign targets are named alike; an operation needs the scope of its single door."""

    async def run(client):
        async def token(role, **reach):
            made = await client.post("/tokens", json={"name": "a", "role": role, **reach})
            return {"Authorization": f"Bearer {made.json()['token']}"}

        own, viewer = await token("operator", accounts=["A-102"]), await token("viewer", everything=True)
        finance = await token("finance", everything=True)
        tried = {
            "foreign": await client.post("/batches", json=batch(targets={"accounts": ["A-101", "A-102"]}), headers=own),
            "foreign meter": await client.post(
                "/batches",
                json={"id": new_id(), "operation": "set_watch", "terms": {}, "targets": {"meters": [str(METER)]}},
                headers=own,
            ),
            "place": await client.post("/batches", json=batch(), headers=own),
            "nowhere": await client.post("/batches", json=batch(targets={"place": {"site": "Mall"}}), headers=own),
            "viewer": await client.post("/batches", json=batch(), headers=viewer),
            "finance may": await client.post("/batches", json=batch(targets={"accounts": ["A-101"]}), headers=finance),
            "finance may not": await client.post(
                "/batches",
                json={"id": new_id(), "operation": "set_watch", "terms": {}, "targets": METERS},
                headers=finance,
            ),
        }
        theirs = tried["finance may"].headers["location"]
        tried["another's"] = await client.get(theirs, headers=own)
        tried["cancel another's"] = await client.delete(theirs, headers=own)
        tried["who reaches all looks"] = await client.get(theirs, headers=viewer)
        tried["and does not cancel"] = await client.delete(theirs, headers=viewer)
        return tried, (await client.get("/batches", headers=own)).json(), await items(client, tried["place"])

    tried, listed, found = together(app, run)

    assert {what: answer.status_code for what, answer in tried.items()} == {
        "foreign": 404, "foreign meter": 404, "place": 202, "nowhere": 422, "viewer": 403, "finance may": 202,
        "finance may not": 403, "another's": 404, "cancel another's": 404, "who reaches all looks": 200,
        "and does not cancel": 403,
    }  # fmt: skip
    assert tried["foreign"].json()["detail"] == "A-101"
    assert [each["id"] for each in listed["items"]] == [tried["place"].json()["id"]]
    assert [each["target"] for each in found] == ["A-102"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"accounts": ["A-102"]}, "refused"), ({"role": "viewer"}, "failed"), ({"disabled": True}, "failed")],
    ids=["reach", "role", "disabled"],
)
def test_who_may_not_any_more_has_nothing_carried_out(site, store_url, change, expected):
    """Reach and scopes are those that the caller has when the batch is carried out, not those of when it was made."""
    now = [LATER]
    app = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: now[0]))
    person = {
        "login": "li",
        "name": "Li",
        "password": "five green meters hum",
        "role": "operator",
        "accounts": ["A-101"],
    }

    async def run(client):
        await client.post("/people", json=person)
        session = await client.post("/sessions", json={"login": "li", "password": person["password"]})
        headers = {"Authorization": f"Bearer {session.json()['token']}"}
        body = batch(targets={"accounts": ["A-101"]}, at="2026-09-22T00:00:00Z")
        made = await client.post("/batches", json=body, headers=headers)
        assert (await client.patch("/people/li", json=change)).status_code == 200
        now[0] = 1_790_035_200_000
        await over(client, made)
        return await items(client, made)

    found = together(app, run)

    assert [each["state"] for each in found] == [expected]
    assert recharges(site) == 0


def test_a_batch_of_recharges_counts_each_of_them(site, store_url):
    """Nobody gets round the limit on orders by putting them together."""
    app = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: LATER, orders="3/hour"))

    async def run(client):
        made = [await client.post("/batches", json=batch()) for _ in range(2)]
        return [*made, await client.post("/batches", json=batch(targets={"accounts": rooms}))]

    rooms = open_rooms(site, 4)
    wait_until_settled(site)
    assert [answer.status_code for answer in together(app, run)] == [202, 429, 422]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"targets": {"accounts": []}}, 422),
        ({"targets": {}}, 422),
        ({"targets": {"accounts": ["A-101"], "place": {"site": "Garden"}}}, 422),
        ({"targets": {"accounts": ["A-101", "A-101"]}}, 422),
        ({"targets": {"meters": [str(METER)]}}, 422),
        ({"targets": {"accounts": [f"A-{n}" for n in range(10_001)]}}, 422),
        ({"operation": "dance"}, 422),
        ({"terms": {"amount": "-5", "currency": "cny"}}, 422),
        ({"at": "2028-01-01T00:00:00Z"}, 422),
        ({"at": "soon"}, 422),
        ({"id": str(ULID.from_timestamp(LATER / 1000 - 91 * 86_400))}, 410),
        ({"id": str(ULID.from_timestamp(LATER / 1000 + 2 * 86_400))}, 422),
        ({"note": "x" * 2_000_000}, 413),
        ({"note": "\x00" * 501}, 422),
    ],
)
def test_a_batch_that_cannot_be_is_refused(ask, site, body, status):
    """It says exactly one kind of target, each once, at a time that is near enough, under an id of now."""
    assert ask("POST", "/batches", json=batch(**body)).status_code == status


@pytest.mark.parametrize(
    "path",
    [
        "/batches?cursor=" + "I" * 26,
        "/batches?cursor=x",
        "/batches/x",
        "/batches/01K5QYV3J8Z6M2T4W9X1C7B0ND/items?cursor=-1",
    ],
)
def test_a_cursor_or_id_that_is_none_is_refused(ask, site, path):
    """Letters that no id has, and places before the first."""
    assert ask("GET", path).status_code == 422


def test_ten_thousand_targets_fit(app, site):
    """The most that a batch may have goes through the door, and through the store, in pages."""
    rooms = open_rooms(site, 10_000)
    wait_until_settled(site)

    async def run(client):
        follow = {"operation": "set_policy", "terms": {"policy": "usual"}}
        body = batch(targets={"accounts": rooms}, at="2026-12-01T00:00:00Z")
        made = await client.post("/batches", json=body | follow)
        assert made.status_code == 202, made.text
        last = (await client.get(f"{made.headers['location']}/items?cursor=9990")).json()
        return made, last

    made, last = together(app, run)

    assert made.status_code == 202
    assert (made.json()["count"], len(last["items"]), last["next"]) == (10_000, 10, None)
    assert last["items"][-1]["target"] == rooms[-1]


def test_batches_are_listed_by_pages_and_forgotten_in_time(app, site, store_url):
    """Newest first; 92 days after one was due, and over, nothing of it is left."""

    async def run(client):
        made = [await client.post("/batches", json=batch()) for _ in range(3)]
        for each in made:
            await over(client, each)
        pages, cursor = [], ""
        while cursor is not None:
            page = (await client.get(f"/batches?limit=2&cursor={cursor}")).json()
            pages.append([each["id"] for each in page["items"]])
            cursor = page["next"]
        live = await LiveStore.open(store_url)
        kept = await Batches(live).forget(LATER + KEPT_MS - 1), await Batches(live).forget(LATER + KEPT_MS + 1)
        await live.close()
        return made, pages, kept

    made, pages, kept = together(app, run)

    ids = [each.json()["id"] for each in made]
    assert sorted(map(len, pages)) == [1, 2]
    assert sorted(each for page in pages for each in page) == sorted(ids)
    assert kept == (0, 3)
    assert site._at(0).keys("*{batches}*") == [b"batch_items_kept:{batches}"]
    assert site._at(0).exists(BATCHES) == 0
