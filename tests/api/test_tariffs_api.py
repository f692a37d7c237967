import asyncio
import time

import pytest
from api_site import METER, NOW, TARIFF, TOKEN, new_id, together, wait_until_settled

from api.app import create_app
from api.doors.apart import Apart, TooLongError
from api.settings import ApiSettings
from connectors.redis.everyone import Everyone
from connectors.redis.live import LiveStore
from domain.facts import AlarmTerms, PolicySet
from domain.ids import order_id
from tariffs.publishing import prepared

BANDS = """
tariff = "bands"
title = { zh = "分时", en = "bands" }
commodity = "electricity"
currency = "CNY"
zone = "Asia/Shanghai"
source = "made for tests"

[[version]]
from = 2020-01-01
prices = { peak = "1.00", valley = "0.25" }
days = { all = [["00:00", "valley"], ["08:00", "peak"], ["22:00", "valley"]] }
week = { mon-sun = "all" }
"""
NEXT = TARIFF + '\n[[version]]\nfrom = 2027-01-01\nprice = "0.7000"\n'


def test_a_tariff_is_published_to_every_shard_and_read_back(ask, site):
    """201 says that all shards have it; the list, the document, versions and bands are there at once, and the same order again is the same."""
    order = {"id": new_id(), "document": BANDS}

    first, again = (ask("POST", "/tariffs", json=order) for _ in range(2))
    read = ask("GET", "/tariffs/bands").json()
    listed = ask("GET", "/tariffs?limit=1").json()
    rest = ask("GET", f"/tariffs?cursor={listed['next']}").json()

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert (first.json()["shards"], first.json()["decided"]) == (site.shards, site.shards)
    assert ask("GET", first.headers["location"]).json() == first.json()
    assert (read["bands"], read["document"], read["meters"]) == (["peak", "valley"], BANDS, 0)
    assert read["versions"][0]["from"] == "2019-12-31T16:00:00.000Z"
    assert [each["tariff"] for each in listed["items"] + rest["items"]] == ["bands", "flat"]
    assert rest["next"] is None


def test_a_new_version_is_put_as_bare_toml(ask, site):
    """A tariff file goes over the wire as it is; what is there already is put, not posted."""
    posted = ask("POST", "/tariffs", json={"id": new_id(), "document": NEXT})
    toml = {"content": NEXT.encode(), "headers": {"content-type": "application/toml"}}
    put = ask("PUT", f"/tariffs/flat?id={new_id()}", **toml)
    other = ask("PUT", f"/tariffs/bands?id={new_id()}", **toml)
    without = ask("PUT", "/tariffs/flat", **toml)

    assert (posted.status_code, put.status_code, other.status_code, without.status_code) == (409, 201, 422, 422)
    read = ask("GET", "/tariffs/flat").json()
    assert (len(read["versions"]), read["meters"]) == (2, 2)


MISTAKES = TARIFF.replace('"0.6170"', "0.6170").replace("2020-01-01", '"soon"')


def test_every_mistake_is_said_at_once_with_its_place(ask, site):
    """A check publishes nothing; what is published with mistakes is refused with the same ones."""
    before = [site.last(shard) for shard in range(site.shards)]

    checked = ask("POST", "/tariff_checks", json={"document": MISTAKES})
    published = ask("PUT", "/tariffs/flat", json={"id": new_id(), "document": MISTAKES})

    assert checked.status_code == 200
    assert [(each["line"], each["key"]) for each in checked.json()["mistakes"]] == [
        (10, "version[0].from"),
        (11, "version[0].price"),
    ]
    assert checked.json()["publishable"] is False
    assert (published.status_code, published.json()["refusal"]) == (422, "tariff_invalid")
    assert published.json()["mistakes"] == checked.json()["mistakes"]
    assert [site.last(shard) for shard in range(site.shards)] == before


def test_what_a_wallet_cannot_be_charged_by_is_refused(ask, site):
    """A tariff with a standing charge may be checked, and is not published."""
    document = (
        TARIFF
        + '\n[[version.charge]]\nname = "basic"\ntitle = { zh = "基本", en = "basic" }\namount = "9"\nevery = "month"\n'
    )

    checked = ask("POST", "/tariff_checks", json={"document": document}).json()
    published = ask("PUT", "/tariffs/flat", json={"id": new_id(), "document": document})

    assert (checked["mistakes"], checked["publishable"], len(checked["obstacles"])) == ([], False, 1)
    assert (published.status_code, published.json()["refusal"]) == (422, "tariff_invalid")


def bomb(body: str) -> str:
    """A document that is small and means much."""
    return TARIFF.split("[[version]]")[0] + body


BOMBS = {
    "versions": bomb("[[version]]\nfrom = 2020-01-01\nprice = '1'\n" * 1_300),
    "nesting": bomb("x = " + "[" * 25_000 + "]" * 25_000),
    "nested json": '{"a":' + "[" * 25_000 + "]" * 25_000 + "}",
    "dots": bomb(".".join("a" * 25_000) + " = 1"),
    "days": bomb("[calendar.sets]\nx = [" + '"2026-01-01..2026-12-31",' * 2_000 + "]\n"),
    "header": bomb('["["' + " " * 40_000 + "]\n") + "\nx = 5",
    "far years": TARIFF.replace("2020-01-01", "9998-01-01"),
    "long example": TARIFF + '\n[[example]]\nfrom = 1971-01-01\nuntil = 2099-01-01\nusage = "1"\ntotal = "1"\nsource = "x"\n',
    "huge example": TARIFF + '\n[[example]]\nfrom = 2026-01-01\nuntil = 2026-02-01\nusage = "900000000000"\ntotal = "1"\nsource = "x"\n',
    "early example": TARIFF + '\n[[example]]\nfrom = 0001-01-01\nuntil = 0001-02-01\nusage = "1"\ntotal = "1"\nsource = "x"\n',
    "no text": "\x00",
    "empty table": "{}",
    "a number": "{1",
}  # fmt: skip


@pytest.mark.parametrize("document", BOMBS.values(), ids=BOMBS)
def test_a_stranger_s_document_neither_hangs_nor_breaks(document):
    """Whatever is sent, a list of mistakes comes back soon."""
    begun = time.monotonic()

    found = prepared(document)

    assert found.found.mistakes
    assert time.monotonic() - begun < 20


def test_work_that_takes_too_long_is_ended(site):
    """The API goes on, and so does the next who asks."""

    async def ask():
        apart = Apart(2.0)
        with pytest.raises(TooLongError):
            await apart.run(time.sleep, 60)
        with pytest.raises(ValueError, match="invalid literal"):
            await apart.run(int, "x")
        found = await apart.run(abs, -1)
        await asyncio.to_thread(apart.close)
        return found

    assert asyncio.run(ask()) == 1


def test_what_fifty_buys(ask, site):
    """All of it at the price of the instant; the rest is too little for one more Wh."""
    quote = ask("POST", "/tariffs/flat/quotes", json={"amount": "50.00"}).json()

    assert (quote["usage"], quote["unit"], quote["money"], quote["rest"]) == ("81.037", "kWh", "50", "0.000171")
    assert quote["terms"][0]["price"] == "0.617"
    assert ask("POST", "/tariffs/none/quotes", json={"amount": "1"}).json()["refusal"] == "unknown_tariff"


def test_a_bill_is_previewed(ask, site):
    """By the rows of usage, a bill for each month; by a month's total of each band; and what contradicts itself is refused."""
    ask("POST", "/tariffs", json={"id": new_id(), "document": BANDS})
    rows = [{"until": f"2026-02-{day:02d}T00:00:00+08:00", "usage": "10"} for day in (1, 11)]

    by_rows = ask("POST", "/tariffs/flat/previews", json={"begins": "2026-01-22T00:00:00+08:00", "rows": rows}).json()
    month = {"month": "2026-01", "by_band": {"peak": "100", "valley": "40"}}
    by_band = ask("POST", "/tariffs/bands/previews", json=month).json()

    assert [(bill["first"], bill["total"]) for bill in by_rows["bills"]] == [
        ("2026-01-22", "6.17"),
        ("2026-02-01", "6.17"),
    ]
    assert by_band["total"] == "110"
    assert {term["band"]: term["amount"] for term in by_band["bills"][0]["lines"][0]["terms"]} == {
        "peak": "100",
        "valley": "10",
    }


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"month": "2026-01"},
        {"month": "2026-13", "usage": "1"},
        {"month": "2026-01", "usage": "1", "by_band": {"flat": "1"}},
        {"month": "2026-01", "by_band": {"midnight": "1"}},
        {"month": "2026-01", "by_band": {}},
        {"month": "2026-01", "usage": "-1"},
        {"month": "2026-01", "usage": "99999999999"},
        {"begins": "2026-01-01T00:00:00Z", "rows": []},
        {"begins": "2026-01-01T00:00:00Z", "rows": [{"until": "2026-01-01T00:00:00Z", "usage": "1"}]},
        {"begins": "2026-01-01T00:00:00Z", "rows": [{"until": "2036-01-01T00:00:00Z", "usage": "1"}]},
        {"begins": "1975-01-01T00:00:00Z", "rows": [{"until": "1975-01-02T00:00:00Z", "usage": "1"}]},
    ],
)
def test_a_preview_that_cannot_be_is_refused(ask, site, body):
    """Usage that has no time, or more than any meter counts, is said to be wrong."""
    assert ask("POST", "/tariffs/flat/previews", json=body).status_code == 422


def test_prices_for_everybody_are_set_by_who_reaches_everything(ask, site):
    """An operator of one site does not change what another site pays, nor learns how many meters a tariff has."""
    made = ask("POST", "/tokens", json={"name": "a", "role": "operator", "sites": ["Garden"]}).json()["token"]

    put = ask("PUT", "/tariffs/flat", token=made, json={"id": new_id(), "document": NEXT})
    read = ask("GET", "/tariffs/flat", token=made).json()

    assert put.status_code == 403
    assert read["meters"] is None


def test_two_at_once_leave_one_state_everywhere(site, store_url):
    """Of two orders on one name, all shards end with the same one; and one that was overtaken half-way is not told on."""

    async def race():
        stores = [await LiveStore.open(store_url) for _ in range(2)]
        policies = [
            PolicySet(at=NOW, id=new_id(), policy="usual", alarms=AlarmTerms(low=low * 10**6)) for low in range(20, 40)
        ]
        tells = (
            Everyone(stores[number % 2]).tell("policy usual", order_id(policy.id), policy)
            for number, policy in enumerate(policies)
        )
        await asyncio.gather(*tells)
        early, late = (
            PolicySet(at=NOW, id=new_id(), policy="usual", alarms=AlarmTerms(low=low)) for low in (10**7, 9 * 10**6)
        )
        everyone = Everyone(stores[0])
        for each in (early, late):
            await everyone.tell("policy usual", order_id(each.id), each)
        overtaken = await everyone.tell("policy usual", order_id(early.id), early)
        for each in stores:
            await each.close()
        return overtaken

    overtaken = asyncio.run(race())
    wait_until_settled(site)

    states = {site.load(shard).records["policy_records"]["usual"] for shard in range(site.shards)}
    assert overtaken is None
    assert {each.alarms.low for each in states} == {9 * 10**6}


def test_what_not_every_shard_has_decided_is_pending(store, store_url, site, settling):
    """While nobody settles, the answer is 202 and names the shards that are waited for."""
    settling.set()
    app = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: NOW, wait_seconds=0.1))

    answer = together(app, lambda client: client.put("/tariffs/flat", json={"id": new_id(), "document": NEXT}))

    assert answer.status_code == 202
    assert answer.json()["waiting"] == list(range(store.shards))


def test_a_meter_is_assigned_another_tariff(ask, site):
    """From a time on; until then it is priced as before, and both are listed."""
    ask("POST", "/tariffs", json={"id": new_id(), "document": BANDS})
    order = {"id": new_id(), "tariff": "bands", "from": "2027-01-01T00:00:00+08:00", "persons": 3, "capacity": "8.5"}

    answer = ask("POST", f"/meters/{METER}/tariff_assignments", json=order)
    again = ask("GET", answer.headers["location"])
    unknown = ask("POST", f"/meters/{METER}/tariff_assignments", json=order | {"id": new_id(), "tariff": "none"})

    assert (answer.status_code, answer.json()) == (201, again.json())
    assert unknown.json()["refusal"] == "unknown_tariff"
    assert [(each["tariff"], each["from"]) for each in ask("GET", f"/meters/{METER}/tariff_assignments").json()] == [
        ("flat", None),
        ("bands", "2026-12-31T16:00:00.000Z"),
    ]
    assert [ask("GET", f"/tariffs/{name}").json()["meters"] for name in ("flat", "bands")] == [2, 1]
