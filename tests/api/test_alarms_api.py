"""Alarms: events by filters and pages, what stands, and who has seen it."""

import msgspec
import pytest
from api_site import METER, NOW, append_readings, new_id, together, wait_until_settled
from test_access_api import bearer, made
from test_rooms_api import pages, street, troubled  # noqa: F401 - fixtures

from api.alarms import routes as alarms_module
from connectors.redis import access as access_module
from connectors.redis.formats import iso
from domain.effects import Alarm
from domain.facts import MeterWatchSet, Ticked, WatchTerms
from domain.ids import shard_of
from domain.units import HOUR_MS, MINUTE_MS


def all_of(store) -> set[str]:
    """Ids of all events that a store keeps."""
    return {
        alarm.id
        for shard in range(store.shards)
        for _, fields in store.stream("alarms", shard)
        for alarm in msgspec.msgpack.decode(fields[b"b"], type=list[Alarm])
    }


@pytest.mark.parametrize("limit", [1, 2, 500])
@pytest.mark.parametrize("looked_at", [1, 2, 100])
def test_pages_of_alarms_hold_each_event_once(app, troubled, monkeypatch, limit, looked_at):  # noqa: F811 - a fixture
    """However few entries a request looks through, all pages together have all events, the last to enter a log first; of a filter those that it lets through."""
    monkeypatch.setattr(alarms_module, "_LOOKED_AT", looked_at)

    async def walk(client):
        whole = (await client.get("/alarms?limit=500")).json()["items"]
        critical = await pages(client, "/alarms", limit=limit, severity="critical")
        return await pages(client, "/alarms", limit=limit), whole, critical

    paged, whole, critical = together(app, walk)

    assert paged == whole
    assert {each["id"] for each in whole} == all_of(troubled)
    assert len(whole) == len(all_of(troubled)) > 5
    assert critical == [each for each in whole if each["severity"] == "critical"] != []


@pytest.mark.parametrize(
    ("asked", "holds"),
    [
        ({"kind": "quarantine"}, lambda each: each["kind"] == "quarantine"),
        ({"state": "noted"}, lambda each: each["state"] == "noted"),
        ({"site": "Mall"}, lambda each: each["site"] == "Mall"),
        ({"account": "B-3"}, lambda each: each["account"] == "B-3"),
        ({"meter": "777"}, lambda each: each["meter"] == "000000000777"),
        ({"from": iso(NOW + MINUTE_MS), "until": iso(NOW + 2 * MINUTE_MS)}, lambda each: each["at"] == iso(NOW + MINUTE_MS)),
    ],
)  # fmt: skip
def test_alarms_are_found_by_filters(app, troubled, asked, holds):  # noqa: F811 - a fixture
    """Each filter lets through what it says."""

    async def look(client):
        return (await client.get("/alarms", params=asked)).json()["items"], (await client.get("/alarms")).json()[
            "items"
        ]

    found, whole = together(app, look)

    assert found == [each for each in whole if holds(each)]
    assert 0 < len(found) < len(whole)


def test_what_stands_is_in_the_order_of_places(app, troubled):  # noqa: F811 - a fixture
    """Alarms that are over are not shown; of meters that nobody has come last, and only for those who reach everything."""

    async def look(client):
        headers = bearer(await made(client, "viewer", sites=["Mall"]))
        return [[each["id"] for each in await pages(client, "/alarms/standing", limit=limit)] for limit in (1, 100)], (
            await client.get("/alarms/standing", headers=headers)
        ).json()["items"]

    (paged, whole), mall = together(app, look)

    assert paged == whole
    assert whole == [
        f"{METER}:quarantine:decrease", "B-3:balance_arrears", "B-3:balance_low", "B-3:balance_pretrip",
        "000000000777:quarantine:unknown_meter",
    ]  # fmt: skip
    assert [each["id"] for each in mall] == whole[1:4]


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"kind": "balance_low"}, 1), ({"severity": "critical"}, 3), ({"site": "Garden"}, 1), ({"account": "B-3"}, 3),
        ({"meter": str(METER)}, 1), ({"meter": "777"}, 1), ({"site": "Mall", "meter": "777"}, 0),
    ],
)  # fmt: skip
def test_what_stands_is_found_by_filters(ask, troubled, asked, count):  # noqa: F811 - a fixture
    """Each filter lets through what it says."""
    assert len(ask("GET", "/alarms/standing", params=asked).json()["items"]) == count


@pytest.mark.parametrize("by", ["event", "standing"])
def test_an_acknowledged_alarm_says_who_has_seen_it(app, site, by):
    """By an event or by what stands: both show who and when, until the alarm is said again."""
    shard = shard_of("A-101", site.shards)
    terms = WatchTerms(offline_ms=HOUR_MS, repeat_ms=HOUR_MS)
    append_readings(site, (NOW, 1_000))
    site.append(shard, MeterWatchSet(at=NOW, id=new_id(), meter=METER, terms=terms))
    site.append(shard, Ticked(at=NOW + HOUR_MS + MINUTE_MS))
    wait_until_settled(site)

    async def see(client):
        event = (await client.get("/alarms?kind=offline")).json()["items"][0]
        alarm = event["id"] if by == "event" else f"{METER}:offline"
        answer = await client.post(f"/alarms/{alarm}/acknowledgement", json={"note": "sent somebody"})
        seen = [await shown(client)]
        site.append(shard, Ticked(at=NOW + 3 * HOUR_MS))
        wait_until_settled(site)
        return answer, [*seen, await shown(client)], (await client.get("/audit?limit=1")).json()["events"][0]

    async def shown(client):
        events = (await client.get("/alarms?kind=offline")).json()["items"]
        standing = (await client.get("/alarms/standing?kind=offline")).json()["items"]
        room = (await client.get("/rooms/A-101")).json()["alarms"]
        return [
            each["acknowledgement"]
            for each in (*events, *standing, *(each for each in room if each["kind"] == "offline"))
        ]

    answer, (before, after), audited = together(app, see)

    assert answer.status_code == 201, answer.text
    assert (answer.json()["by"], answer.json()["note"]) == ("root", "sent somebody")
    assert before == [answer.json()] * 3
    assert after == [None, answer.json(), None, None]
    assert audited["path"].endswith("/acknowledgement")


def test_who_acknowledges_later_is_shown(app, troubled):  # noqa: F811 - a fixture
    """A second person's word takes the place of the first's."""

    async def see(client):
        other = bearer(await made(client, "operator"))
        await client.post("/alarms/B-3:balance_low/acknowledgement", json={"note": "a"})
        last = await client.post("/alarms/B-3:balance_low/acknowledgement", json={"note": "b"}, headers=other)
        return last.json(), (await client.get("/alarms/standing?kind=balance_low")).json()["items"][0][
            "acknowledgement"
        ]

    last, shown = together(app, see)

    assert last == shown
    assert (shown["by"].partition(":")[0], shown["note"]) == ("token", "b")


@pytest.mark.parametrize(
    "alarm",
    [
        "A-102:balance_low",
        "nothing",
        "00-1-0-0",
        "9999-1-0-0",
        "%00",
        "B-3:balance_limit",
        "B-3%3Abalance_low%20",
        "x" * 200,
    ],
)
def test_what_is_no_alarm_cannot_be_acknowledged(ask, troubled, alarm):  # noqa: F811 - a fixture
    """Nobody leaves notes at what never was an alarm, or stands no more."""
    assert ask("POST", f"/alarms/{alarm}/acknowledgement", json={}).status_code == 404


def test_nobody_acknowledges_out_of_reach(app, troubled):  # noqa: F811 - a fixture
    """Another's alarm is answered as one that is not there, by its event and by what it is about; and reading is not enough."""

    async def see(client):
        operator = bearer(await made(client, "operator", accounts=["A-102"]))
        viewer = bearer(await made(client, "viewer"))
        event = (await client.get("/alarms?account=B-3")).json()["items"][0]["id"]
        paths = [f"/alarms/{each}/acknowledgement" for each in (event, "B-3:balance_low")]
        denied = [(await client.post(path, json={}, headers=operator)).status_code for path in paths]
        return denied, (await client.post(paths[0], json={}, headers=viewer)).status_code

    assert together(app, see) == ([404, 404], 403)


def test_acknowledgements_are_bounded(app, troubled, monkeypatch):  # noqa: F811 - a fixture
    """However many alarms are seen in the course of years, so many are kept at most, and the newest stay."""
    monkeypatch.setattr(access_module, "ACKNOWLEDGED_MAX", 10)

    async def see(client):
        access = app.state.access
        for number in range(25):
            seen = access_module.Acknowledgement(alarm=f"Z-{number}:balance_low", until=number, by="x", at=number)
            await access.acknowledge(seen)
        return await access.acknowledgements([f"Z-{number}:balance_low" for number in range(25)])

    kept = together(app, see)

    assert len(kept) <= 10
    assert "Z-24:balance_low" in kept


def test_a_limited_reach_reads_its_own_shards_only(app, troubled, monkeypatch):  # noqa: F811 - a fixture
    """A tenant's list of alarms costs what the tenant's shard has, not what the whole store has."""
    asked = []

    async def look(client):
        headers = bearer(await made(client, "tenant", accounts=["B-3"]))
        before = app.state.store.of_shards

        async def noted(shards, *more, **options):
            asked.append(list(shards))
            return await before(shards, *more, **options)

        monkeypatch.setattr(app.state.store, "of_shards", noted)
        return (await client.get("/alarms", headers=headers)).json()["items"]

    found = together(app, look)

    assert {each["account"] for each in found} == {"B-3"}
    assert asked == [[shard_of("B-3", troubled.shards)]]
