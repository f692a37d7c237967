"""What operators look at: rooms, sites, meters, commands and cases, by filters and pages, within a caller's reach."""

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx
import numpy as np
import pytest
from api_site import DRY_METER, LATER, METER, NOW, append_readings, money, new_id, together, wait_until_settled
from test_access_api import bearer, made, routes

from api.models import AccountPage, AccountRead, MeterRead
from api.rooms.models import (
    AlarmPage,
    CasePage,
    CommandEventPage,
    CommandPage,
    MeterPage,
    RoomDetail,
    RoomPage,
    SiteRead,
    SiteSummary,
    StandingPage,
)
from connectors.redis.formats import iso
from domain.facts import (
    AccountOpened,
    AccountUpdated,
    AlarmTerms,
    MeterInstalled,
    MeterWatchSet,
    Place,
    ReadingBlock,
    SiteSet,
    Ticked,
    WatchTerms,
)
from domain.ids import meter_text, shard_of
from domain.units import HOUR_MS, MINUTE_MS
from domain.words import Commodity

ROOMS = {"B-1": ("Mall", "2", "10"), "B-2": ("Mall", "2", "2"), "B-3": ("Mall", "1", "3"), "C-1": ("Yard", "", "")}
"""Account: site, building, floor."""


def meter_of(account: str) -> int:
    """The number of the meter of one of ROOMS."""
    return 300_000_000_000 + sorted(ROOMS).index(account)


@pytest.fixture
def street(site):
    """The small site, and a mall and a yard beside it: B-2 prepared, C-1 without a meter, Mall told of as a site."""
    for shard in range(site.shards):
        said = {"title_zh": "商场", "title_en": "Mall", "zone": "Asia/Shanghai", "currency": "CNY"}
        site.append(shard, SiteSet(at=NOW, id=new_id(), site="Mall", **said))
    for account, (name, building, floor) in ROOMS.items():
        place = Place(site=name, building=building, floor=floor, room=f"r{account}")
        site.append(
            shard_of(account, site.shards),
            AccountOpened(
                at=NOW, id=new_id(), account=account, name=f"店 {account}", currency="CNY", place=place,
                alarms=AlarmTerms(max_balance=10**9), prepared=account == "B-2",
            ),
        )  # fmt: skip
        if account != "C-1":
            site.append(
                shard_of(account, site.shards),
                MeterInstalled(
                    at=NOW, id=new_id(), meter=meter_of(account), account=account, commodity=Commodity.ELECTRICITY,
                    tariff="flat", modulus=10**9, rated_per_hour=15_000, opening_register=1_000, switchable=True,
                ),
            )  # fmt: skip
    wait_until_settled(site)
    return site


def read(store, account: str, *readings: tuple[int, int], power: int | None = None) -> None:
    """Readings of the meter of one of ROOMS: (time, register)."""
    times, registers = (np.array(column, np.int64) for column in zip(*readings, strict=True))
    powers = None if power is None else np.full(len(times), power, np.int64)
    meters = np.full(len(times), meter_of(account), np.int64)
    store.append(shard_of(account, store.shards), ReadingBlock(meters, times, registers, powers))
    wait_until_settled(store)


def accounts(items: Iterable[dict[str, Any]]) -> list[str]:
    """The accounts of a list's items."""
    return [each["account"] for each in items]


def pages(client: httpx.AsyncClient, path: str, **asked: Any) -> Any:
    """All items of a list, page by page."""

    async def walk() -> list[dict[str, Any]]:
        found, cursor = [], {}
        for _ in range(1000):
            page = (await client.get(path, params=asked | cursor)).json()
            found += page["items"]
            if page["next"] is None:
                return found
            cursor = {"cursor": page["next"]}
        raise AssertionError("there is no end to it")

    return walk()


def test_rooms_are_in_the_order_of_their_places(street, ask):
    """Who walks through a building finds the list in that order: floor 2 before floor 10."""
    assert accounts(ask("GET", "/rooms").json()["items"]) == ["A-101", "A-102", "B-3", "B-2", "B-1", "C-1"]


def test_a_room_shows_what_an_operator_looks_for(street, ask):
    """Balance, level, supply, how fresh it is, the open day by commodity, and what stands, in one row."""
    append_readings(street, (NOW + 3_600_000, 2_000))
    append_readings(street, (NOW + 1_800_000, 3_000), meter=DRY_METER)
    wait_until_settled(street)

    room = ask("GET", "/rooms?text=a-101").json()["items"][0]

    supply = {"wanted": "off", "reason": "arrears", "seen": "unknown"}
    assert room == {
        "account": "A-101", "name": "", "place": {"site": "Garden", "building": "1", "floor": "1", "room": "101"},
        "state": "open", "balance": "-1.851", "currency": "CNY", "level": "arrears", "tripped": True, "online": False,
        "last_reading_at": iso(NOW + 3_600_000),
        "day": {"date": "2026-09-21", "electricity": {"usage": "3.000", "unit": "kWh", "cost": "1.851"}, "water": None},
        "meters": [
            {
                "meter": str(METER), "commodity": "electricity", "online": True,
                "last_reading_at": iso(NOW + 3_600_000), "supply": supply,
            },
            {
                "meter": str(DRY_METER), "commodity": "electricity", "online": False,
                "last_reading_at": iso(NOW + 1_800_000), "supply": supply,
            },
        ],
        "alarms": ["balance_arrears", "balance_low", "balance_pretrip"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"site": "Mall"}, ["B-3", "B-2", "B-1"]),
        ({"site": "Mall", "building": "2"}, ["B-2", "B-1"]),
        ({"site": "Mall", "building": "2", "floor": "10"}, ["B-1"]),
        ({"building": "1"}, ["A-101", "A-102", "B-3"]),
        ({"site": "mall"}, []),
        ({"state": "prepared"}, ["B-2"]),
        ({"state": "closed"}, []),
        ({"level": "arrears"}, ["B-3"]),
        ({"level": "low"}, []),
        ({"low_balance": "true"}, ["B-3"]),
        ({"low_balance": "false", "site": "Mall"}, ["B-2", "B-1"]),
        ({"balance_below": "0.000001"}, ["A-101", "A-102", "B-3", "B-2", "C-1"]),
        ({"balance_below": "-1"}, ["B-3"]),
        ({"online": "true"}, ["B-1"]),
        ({"online": "false"}, ["A-101", "B-3", "B-2"]),
        ({"supply_wanted": "off"}, ["B-3"]),
        ({"supply_wanted": "on"}, ["B-1"]),
        ({"supply_seen": "unknown", "site": "Mall"}, ["B-3", "B-2", "B-1"]),
        ({"supply_seen": "on"}, []),
        ({"text": "店 b"}, ["B-3", "B-2", "B-1"]),
        ({"text": "RB-3"}, ["B-3"]),
        ({"text": meter_text(meter_of("B-3"))[2:]}, ["B-3"]),
        ({"text": str(METER)}, ["A-101"]),
        ({"text": "%"}, []),
        ({"site": "Mall", "online": "true", "low_balance": "false", "text": "b-1"}, ["B-1"]),
    ],
)
def test_rooms_are_found_by_filters(street, ask, asked, expected):
    """Each filter finds what it says, alone and with others; accounts have the same ones."""
    ask("POST", "/accounts/B-1/recharges", json=money())
    read(street, "B-1", (LATER - HOUR_MS, 2_000))
    read(street, "B-3", (LATER - HOUR_MS - 1, 4_000))

    assert accounts(ask("GET", "/rooms", params=asked).json()["items"]) == expected
    assert sorted(accounts(ask("GET", "/accounts", params=asked).json()["accounts"])) == sorted(expected)


def test_a_watched_meter_is_online_for_as_long_as_its_terms_allow(street, ask):
    """Where somebody has said how long a meter may be silent, that holds; an hour is only what is usual."""
    read(street, "B-1", (LATER - 2 * HOUR_MS + MINUTE_MS, 2_000))
    before = ask("GET", f"/meters/{meter_of('B-1')}").json()["online"]
    terms = WatchTerms(offline_ms=2 * HOUR_MS)
    street.append(
        shard_of("B-1", street.shards), MeterWatchSet(at=NOW, id=new_id(), meter=meter_of("B-1"), terms=terms)
    )
    wait_until_settled(street)

    after = [ask("GET", path).json() for path in (f"/meters/{meter_of('B-1')}", "/rooms/B-1", "/meters?text=B-1")]

    assert before is False
    assert [after[0]["online"], after[1]["online"], after[2]["items"][0]["online"]] == [True] * 3


@pytest.mark.parametrize("limit", [1, 2, 4])
@pytest.mark.parametrize("path", ["/rooms", "/meters"])
def test_pages_hold_each_once(app, street, path, limit):
    """Whatever the size of a page, all pages together are the list."""

    async def walk(client):
        return await pages(client, path, limit=limit), (await client.get(path)).json()["items"]

    paged, whole = together(app, walk)

    assert paged == whole
    assert len(whole) >= 5


def test_a_room_that_moves_disturbs_no_other(app, street):
    """A tenant whose place is changed while somebody leafs through the list makes no other room appear twice or not at all."""

    async def leaf(client):
        first = (await client.get("/rooms?limit=3")).json()
        moved = AccountUpdated(at=NOW, id=new_id(), account="B-3", place=Place(site="Zoo"))
        street.append(shard_of("B-3", street.shards), moved)
        await asyncio.to_thread(wait_until_settled, street)
        return accounts(first["items"]), accounts(await pages(client, "/rooms", cursor=first["next"]))

    first, rest = together(app, leaf)

    assert (first, rest[:2]) == (["A-101", "A-102", "B-3"], ["B-2", "B-1"])
    assert "B-3" in rest


def test_what_was_answered_is_seen_in_every_list(app, street):
    """Who has been told that a recharge counts finds it in the next list, and the room's wishes with it."""

    async def pay(client):
        seen = []
        for number in range(1, 6):
            answer = await client.post("/accounts/B-1/recharges", json=money("1.00"))
            room = (await client.get("/rooms?text=b-1")).json()["items"][0]
            account = (await client.get("/accounts/B-1")).json()
            listed = (await client.get("/accounts?text=b-1")).json()["accounts"][0]
            balance = answer.json()["balance"]
            seen.append((balance, room["balance"], account["balance"], listed["balance"]) == (f"{number}.00",) * 4)
        return seen

    assert together(app, pay) == [True] * 5


def test_a_room_in_detail_says_why_it_is_off(street, ask):
    """The values of its meters, what must clear before the supply comes back, and every alarm that stands, with where and since when."""
    read(street, "B-3", (LATER - MINUTE_MS, 4_000), power=1_200)

    room = ask("GET", "/rooms/B-3").json()

    (meter,) = room["meters"]
    assert (meter["register"], meter["power_w"], meter["unit"]) == ("4.000", 1_200, "kWh")
    assert meter["reason"] == {"zh": "欠费", "en": "in arrears"}
    assert [text["en"][:14] for text in meter["must_clear"]] == ["the balance to"]
    assert meter["command"]["stage"] == "queued"
    assert [(each["id"], each["severity"]) for each in room["alarms"]] == [
        ("B-3:balance_arrears", "critical"), ("B-3:balance_low", "warning"), ("B-3:balance_pretrip", "warning"),
    ]  # fmt: skip
    assert room["alarms"][0]["place"] == room["place"]
    assert ask("GET", "/rooms/B-9").status_code == 404


def test_sites_say_what_there_is_of_each(street, ask):
    """Buildings and floors with how many rooms there are, by state; a site that only accounts name has no title."""
    sites = ask("GET", "/sites").json()
    mall = ask("GET", "/sites/Mall").json()

    counts = {"prepared": 1, "open": 2, "closed": 0}
    assert [each["site"] for each in sites] == ["Garden", "Mall", "Yard"]
    assert sites[1] == {
        "site": "Mall", "title": {"zh": "商场", "en": "Mall"}, "zone": "Asia/Shanghai", "currency": "CNY",
        "rooms": counts, "meters": {"electricity": 3, "water": 0},
    }  # fmt: skip
    assert (sites[0]["title"], sites[0]["meters"]["electricity"]) == (None, 2)
    assert {name: value for name, value in mall.items() if name != "buildings"} == sites[1]
    one, two = {"prepared": 0, "open": 1, "closed": 0}, {"prepared": 1, "open": 1, "closed": 0}
    assert mall["buildings"] == [
        {"building": "1", "rooms": one, "floors": [{"floor": "3", "rooms": one}]},
        {
            "building": "2", "rooms": two,
            "floors": [{"floor": "2", "rooms": one | {"prepared": 1, "open": 0}}, {"floor": "10", "rooms": one}],
        },
    ]  # fmt: skip
    assert ask("GET", "/sites/Nowhere").status_code == 404


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [METER, DRY_METER, *map(meter_of, ("B-1", "B-2", "B-3"))]),
        ({"site": "Mall", "building": "2"}, [meter_of("B-1"), meter_of("B-2")]),
        ({"commodity": "water"}, []),
        ({"commodity": "electricity", "site": "Garden"}, [METER, DRY_METER]),
        ({"online": "true"}, [meter_of("B-1")]),
        ({"supply_wanted": "off"}, [meter_of("B-3")]),
        ({"text": "000001"}, [METER, meter_of("B-2")]),
        ({"text": "b-3"}, [meter_of("B-3")]),
    ],
)
def test_meters_are_found_by_filters(street, ask, asked, expected):
    """Meters by number, each by its own values: one that is silent does not hide another of the same account."""
    ask("POST", "/accounts/B-1/recharges", json=money())
    read(street, "B-1", (LATER - MINUTE_MS, 2_000))
    read(street, "B-3", (NOW + MINUTE_MS, 1_200))

    found = ask("GET", "/meters", params=asked).json()["items"]

    assert [each["meter"] for each in found] == [meter_text(number) for number in expected]


def test_open_commands_are_listed_with_their_state(street, ask):
    """What has been told to meters and not been seen yet, and of one meter what was said before."""
    read(street, "B-3", (NOW + MINUTE_MS, 1_200))
    ask("POST", f"/meters/{METER}/commands", json={"id": new_id(), "wanted": "off", "minutes": 300, "operator": "li"})
    ask("POST", "/accounts/B-3/recharges", json=money())

    listed = ask("GET", "/commands").json()["items"]
    events = ask("GET", f"/meters/{meter_of('B-3')}/commands").json()

    assert [(each["meter"], each["account"], each["wanted"], each["stage"]) for each in listed] == [
        (str(METER), "A-101", "off", "queued"),
        (str(meter_of("B-3")), "B-3", "on", "queued"),
    ]  # fmt: skip
    assert accounts(ask("GET", "/commands?site=Mall&stage=queued").json()["items"]) == ["B-3"]
    assert ask("GET", f"/commands?meter={METER}&account=B-3").json()["items"] == []
    assert [(each["epoch"], each["wanted"], each["stage"]) for each in events["items"]] == [
        (2, "on", "queued"), (1, "off", "withdrawn"), (1, "off", "queued"),
    ]  # fmt: skip
    assert events["next"] is None


def test_commands_of_a_meter_are_leafed_through(app, street):
    """Pages of a meter's commands are its commands, each once."""
    for minute in range(1, 6):
        read(street, "B-3", (NOW + minute * MINUTE_MS, 1_000 + minute * 50))
        for shard in range(street.shards):
            street.append(shard, Ticked(at=NOW + minute * 20 * MINUTE_MS))
    wait_until_settled(street)

    async def walk(client):
        path = f"/meters/{meter_of('B-3')}/commands"
        return await pages(client, path, limit=1), (await client.get(path, params={"limit": 500})).json()["items"]

    paged, whole = together(app, walk)

    assert paged == whole
    assert len(whole) > 3


def test_cases_are_listed_until_they_are_decided(street, ask):
    """All readings that wait for a person, also of meters that nobody has; a decided one is gone."""
    append_readings(street, (NOW + 1_800_000, 2_000), (NOW + 3_600_000, 1_500))
    append_readings(street, (NOW + MINUTE_MS, 5), meter=777)
    wait_until_settled(street)

    cases = ask("GET", "/cases").json()["items"]
    decided = ask(
        "POST", f"/meters/{METER}/decisions",
        json={"id": new_id(), "reason": "decrease", "decision": "discard", "operator": "li", "note": "x"},
    )  # fmt: skip

    assert [(each["meter"], each["reason"], each["account"]) for each in cases] == [
        ("000000000777", "unknown_meter", None), (str(METER), "decrease", "A-101"),
    ]  # fmt: skip
    assert (cases[1]["baseline"], cases[1]["register"], cases[1]["released_at"]) == ("2.000", "1.500", None)
    assert decided.status_code == 201
    assert [each["meter"] for each in ask("GET", "/cases").json()["items"]] == ["000000000777"]
    assert [each["meter"] for each in ask("GET", "/cases?reason=unknown_meter&meter=777").json()["items"]] != []
    assert ask("GET", "/cases?site=Mall").json()["items"] == []


MODELS = {
    "/rooms": RoomPage,
    "/rooms/A-101": RoomDetail,
    "/rooms/C-1": RoomDetail,
    "/sites/Mall": SiteRead,
    "/meters": MeterPage,
    f"/meters/{METER}": MeterRead,
    "/accounts": AccountPage,
    "/accounts/A-101": AccountRead,
    "/accounts/C-1": AccountRead,
    "/commands": CommandPage,
    f"/meters/{METER}/commands": CommandEventPage,
    "/cases": CasePage,
    "/alarms": AlarmPage,
    "/alarms/standing": StandingPage,
}


@pytest.fixture
def troubled(street, ask):
    """The street with something of everything: a cut room, a forced supply, readings in quarantine."""
    ask("POST", "/accounts/A-101/recharges", json=money())
    append_readings(street, (NOW + 1_800_000, 2_000), (NOW + 3_600_000, 1_500))
    append_readings(street, (NOW + MINUTE_MS, 5), meter=777)
    ask("POST", f"/meters/{METER}/commands", json={"id": new_id(), "wanted": "off", "minutes": 300, "operator": "li"})
    read(street, "B-3", (NOW + MINUTE_MS, 1_200), power=30)
    return street


def test_answers_are_what_their_routes_declare(app, troubled):
    """Answers that are written without a model between are read back by the one that the route declares, and say nothing else."""

    async def look(client):
        return {path: (await client.get(path)).json() for path in [*MODELS, "/sites"]}

    answers = together(app, look)

    for path, model in MODELS.items():
        assert model.model_validate(answers[path]).model_dump(mode="json", by_alias=True) == answers[path], path
        assert answers[path].get("items", [1]) != [], path
    assert [SiteSummary.model_validate(each).model_dump() for each in answers["/sites"]] == answers["/sites"]
    declared = {route.path: route.response_model for route in routes(app) if "GET" in route.methods}
    for path, model in MODELS.items():
        template = path.replace("A-101", "{account}").replace("C-1", "{account}").replace("Mall", "{site}")
        assert declared[template.replace(str(METER), "{meter}")] is model


@pytest.mark.parametrize(
    ("reach", "rooms", "meters", "sites"),
    [
        ({"sites": ["Mall"]}, ["B-3", "B-2", "B-1"], ["B-1", "B-2", "B-3"], ["Mall"]),
        ({"accounts": ["A-101", "B-1"]}, ["A-101", "B-1"], ["A-101", "A-101", "B-1"], ["Garden", "Mall"]),
        ({"sites": ["Mall", "Yard"], "accounts": ["B-1", "A-102", "Z-9"]}, ["A-102", "B-3", "B-2", "B-1", "C-1"],
         ["B-1", "B-2", "B-3"], ["Garden", "Mall", "Yard"]),
        ({"sites": ["Nowhere"]}, [], [], []),
    ],
)  # fmt: skip
def test_lists_end_where_a_reach_ends(app, troubled, reach, rooms, meters, sites):
    """Every list shows a limited caller its own rooms only, each once and in order, and answers for others as if they were not there."""

    async def look(client):
        headers = bearer(await made(client, "viewer", **reach))
        client.headers.update(headers)
        found = {}
        for path in ("/rooms", "/meters", "/commands", "/cases", "/alarms", "/alarms/standing"):
            found[path] = await pages(client, path, limit=2)
        details = [(await client.get(path)).status_code for path in ("/rooms/A-101", "/sites/Garden")]
        listed = accounts((await client.get("/accounts")).json()["accounts"])
        return found, details, [each["site"] for each in (await client.get("/sites")).json()], listed

    found, details, found_sites, listed = together(app, look)

    assert accounts(found["/rooms"]) == rooms
    assert sorted(listed) == sorted(rooms)
    assert accounts(found["/meters"]) == meters
    assert found_sites == sites
    for path in ("/commands", "/cases", "/alarms", "/alarms/standing"):
        assert set(accounts(found[path])) <= set(rooms), path
    assert (details[0] == 200) is ("A-101" in rooms)
    assert (details[1] == 200) is ("Garden" in sites)


@pytest.mark.parametrize(
    "query",
    [
        "/rooms?limit=0", "/rooms?limit=501", "/rooms?cursor=x", "/rooms?cursor=W10=", "/rooms?cursor=%00", "/rooms?sort=balance",
        "/rooms?balance_below=1e9", "/rooms?balance_below=99999999999999999999", "/rooms?balance_below=NaN",
        "/rooms?level=deep", "/rooms?online=maybe", "/rooms?text=", f"/rooms?text={'x' * 101}",
        "/rooms?cursor=WyJcdWQ4MDAiLCAiIiwgIiIsICIiLCAiIiwgMV0=", "/accounts?cursor=-1", "/accounts?cursor=٣-1",
        "/meters?cursor=0", "/meters?cursor=9999999999999", "/meters?commodity=gas", "/commands?stage=x",
        f"/meters/{METER}/commands?cursor=1", "/cases?meter=x", "/alarms?from=yesterday", "/alarms?from=2026-01-01T00:00:00",
        "/alarms?cursor=1-2", "/alarms?kind=fire", "/alarms/standing?cursor=x", "/alarms?until=9999-12-31T23:59:59Z",
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_a_422(ask, site, query):
    """Whatever is asked wrongly is said to be wrong, and is never a bug of ours."""
    assert ask("GET", query).status_code == 422


@pytest.mark.parametrize(
    "query",
    [
        "/rooms?text=%00", "/rooms?site=%00%F0%9F%98%80", "/rooms?balance_below=-0", "/rooms?cursor=WyIiLCIiLCIiLCIiLCIiXQ==",
        "/accounts?cursor=9999-999999999", "/meters?cursor=999999999999", "/cases?cursor=%00", "/sites/%00",
        "/alarms?cursor=99-9999999999999999-999999999-999999999", "/alarms?cursor=9999-0-0-0", "/alarms?account=Z-9", "/alarms?cursor=00-0-0-0",
        f"/meters/{METER}/commands?cursor=9999999999999999-999999999", f"/meters/{METER}/commands?cursor=0-0",
    ],
)  # fmt: skip
def test_a_strange_question_is_answered(ask, site, query):
    """What is only unusual finds nothing or all, and is never a bug of ours."""
    assert ask("GET", query).status_code in {200, 404}
