"""The life of accounts and meters over HTTP: every order is answered with what it did, and asked for again."""

import asyncio

import pytest
from api_site import LATER, METER, TOKEN, append_readings, client_of, money, new_id, together, wait_until_settled
from test_access_api import bearer, made

from api.accounts.life import part_id
from api.app import create_app
from api.settings import ApiSettings
from connectors.redis.keys import held_meter_key
from domain.facts import ControlTerms, ControlTermsSet, PolicySet, SiteSet
from domain.facts.accounts import AlarmTerms
from domain.ids import shard_of
from domain.units import HOUR_MS

OTHER = next(name for name in (f"B-{number}" for number in range(100)) if shard_of(name, 4) != shard_of("A-101", 4))
"""An account in another shard than A-101's."""


def order(**more):
    """The body of an order."""
    return {"id": new_id(), **more}


def opening(account: str = OTHER, **more):
    """The body of an opening."""
    return order(account=account, currency="CNY", place={"site": "Garden"}, **more)


def meter(number: str = "77", **more):
    """A meter as an opening says it."""
    return {"meter": number, "tariff": "flat", "opening_register": "5.000", **more}


def kept(ask, answer):
    """What the place that an answer names says."""
    return ask("GET", answer.headers["location"]).json()


def test_a_life(site, ask):
    """Prepared, installed, opened, read, paid for, replaced, passed on, taken down, closed: the money is where the orders say, to the end."""
    steps = {
        "prepare": ask("POST", "/accounts", json=opening(prepared=True, name="nobody")),
        "install": ask("POST", "/meters", json=order(account=OTHER, **meter())),
        "open": ask("POST", f"/accounts/{OTHER}/activations", json=order(name="Li")),
        "pay": ask("POST", f"/accounts/{OTHER}/recharges", json=money("50.00", channel="wechat")),
    }
    append_readings(site, (LATER + HOUR_MS, 15_000), meter=77, account=OTHER)
    wait_until_settled(site)
    new = {"new_meter": "78", "closing_register": "15.000", "opening_register": "1.000"}
    steps |= {
        "replace": ask("POST", "/meters/77/replacements", json=order(**new, note="burnt")),
        "pass on": ask("POST", f"/accounts/{OTHER}/transfers", json=order(name="Wang", settlement="carry")),
    }
    account = ask("GET", f"/accounts/{OTHER}").json()
    old = ask("GET", "/meters/77").json()
    steps |= {
        "remove": ask("POST", "/meters/78/removals", json=order(closing_register="1.000")),
        "close": ask(
            "POST", f"/accounts/{OTHER}/closures", json=order(settlement="refund", channel="wechat", cut=True)
        ),
        "too late": ask("POST", f"/accounts/{OTHER}/recharges", json=money("1.00")),
    }

    said = {name: answer.json() for name, answer in steps.items()}
    assert {name: answer.status_code for name, answer in steps.items()} == dict.fromkeys(steps, 201) | {"too late": 409}
    assert (said["install"]["meter"], said["install"]["account"]) == ("000000000077", OTHER)
    assert (said["replace"]["amount"], said["replace"]["balance"]) == ("0.00", "43.83")
    assert (account["name"], account["state"], account["balance"]) == ("Wang", "open", "43.83")
    assert [each["meter"] for each in account["meters"]] == ["000000000078"]
    assert old["register"] == "15.000"
    assert (said["remove"]["amount"], said["remove"]["balance"]) == ("0.00", "43.83")
    assert (said["close"]["amount"], said["close"]["balance"]) == ("43.83", "0.00")
    assert said["too late"]["refusal"] == "account_closed"
    assert ask("GET", f"/accounts/{OTHER}").json()["state"] == "closed"
    ends = [name for name in steps if name not in {"prepare", "too late"}]
    assert {name: kept(ask, steps[name]) for name in ends} == {name: said[name] for name in ends}


def test_an_order_again_has_its_answer_again(site, ask):
    """Every order of this life counts once, whatever became of the account since."""
    sent = [
        ("POST", "/accounts", opening()),
        ("POST", "/meters", order(account=OTHER, **meter())),
        ("PATCH", f"/accounts/{OTHER}", order(name="Li")),
        ("POST", "/meters/77/replacements", order(new_meter="78", closing_register="5.000", opening_register="0")),
        ("POST", "/meters/78/removals", order(closing_register="0")),
        ("POST", f"/accounts/{OTHER}/transfers", order(name="Wang", settlement="refund")),
        ("POST", f"/accounts/{OTHER}/closures", order(settlement="refund")),
        ("POST", f"/accounts/{OTHER}/activations", order()),
    ]

    first = [ask(method, path, json=body) for method, path, body in sent]
    again = [ask(method, path, json=body) for method, path, body in sent]

    assert [answer.status_code for answer in first] == [201] * len(sent)
    assert [answer.json() for answer in again] == [answer.json() for answer in first]


def whole(**more):
    """An opening with everything that belongs to it."""
    items = [
        {
            "item": "rent",
            "kind": "rent",
            "amount": "100",
            "period": "month",
            "starts": "2026-10-01",
            "zone": "Asia/Shanghai",
        }
    ]
    allowance = {"kind": "electricity", "amount": "10.000", "starts": "2026-09-21"}
    return (
        opening(
            meters=[meter(), meter("78")],
            items=items,
            allowance=allowance,
            recharge={"amount": "30.00", "channel": "bank"},
        )
        | more
    )


def test_one_request_opens_everything(site, ask):
    """一键开户: account, meters, fees, allowance and first recharge, each with an outcome of its own; the same again doubles nothing."""
    body = whole()

    opened, again = ask("POST", "/accounts", json=body), ask("POST", "/accounts", json=body)

    account = ask("GET", f"/accounts/{OTHER}").json()
    assert opened.status_code == 201, opened.text
    assert [(each["part"], each["accepted"]) for each in opened.json()["parts"]] == [
        ("meters/000000000077", True), ("meters/000000000078", True), ("items/rent", True), ("allowance", True), ("recharge", True),
    ]  # fmt: skip
    assert again.json() == opened.json()
    assert opened.json()["balance"] == account["balance"] == "30.00"
    assert len(account["meters"]) == 2
    assert [each["item"] for each in ask("GET", f"/accounts/{OTHER}/items").json()["items"]] == ["rent"]
    assert ask("GET", f"/accounts/{OTHER}/allowance").json()["amount"] == "10.000"


def test_an_opening_that_was_cut_short_is_completed(site, ask):
    """Killed after the first of its orders: the same opening goes on where it was."""
    body = whole()
    ask("POST", "/accounts", json={name: body[name] for name in ("id", "account", "currency", "place")})

    completed = ask("POST", "/accounts", json=body)

    assert (completed.status_code, completed.json()["balance"]) == (201, "30.00")
    assert len(ask("GET", f"/accounts/{OTHER}").json()["meters"]) == 2


def test_an_opening_that_is_refused_says_what_was_done(site, ask):
    """A first payment beyond the maximum: the rest is open and said, and under a new id the opening is completed without doubling anything."""
    body = whole(alarms={"max_balance": "20.00"})

    refused = ask("POST", "/accounts", json=body)
    mended = ask("POST", "/accounts", json=body | order(recharge={"amount": "20.00"}))

    assert (refused.status_code, refused.json()["refusal"], refused.json()["part"]) == (
        409,
        "above_max_balance",
        "recharge",
    )
    assert [each["part"] for each in refused.json()["done"]] == [
        "account", "meters/000000000077", "meters/000000000078", "items/rent", "allowance",
    ]  # fmt: skip
    assert (mended.status_code, mended.json()["balance"]) == (201, "20.00")
    assert len(ask("GET", f"/accounts/{OTHER}").json()["meters"]) == 2


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"meters": [meter(tariff="nobody-knows")]}, 404, "no tariff nobody-knows is published"),
        ({"meters": [meter(str(METER))]}, 409, "is in use"),
        (
            {"items": [{"item": "rent", "kind": "rent", "amount": "1", "period": "once", "starts": "2026-10-01"}]},
            422,
            "Say the zone",
        ),
    ],
)
def test_what_can_be_known_beforehand_is_refused_before_anything_is_done(site, ask, more, status, said):
    """A tariff that nobody has published, a meter that another account has, a fee by nobody's clock: the account is not opened."""
    answer = ask("POST", "/accounts", json=opening(**more))

    assert (answer.status_code, said in answer.json()["detail"]) == (status, True)
    assert ask("GET", f"/accounts/{OTHER}").status_code == 404


def test_a_fee_goes_by_its_site_s_clock(site, ask):
    """Where the site is known nobody states a zone."""
    for shard in range(site.shards):
        named = SiteSet(
            at=LATER, id=new_id(), site="Garden", title_zh="", title_en="", zone="Asia/Tokyo", currency="CNY"
        )
        site.append(shard, named)
    wait_until_settled(site)
    fee = {"item": "rent", "kind": "rent", "amount": "1", "period": "once", "starts": "2026-10-01"}

    ask("POST", "/accounts", json=opening(items=[fee]))

    assert ask("GET", f"/accounts/{OTHER}/items").json()["items"][0]["zone"] == "Asia/Tokyo"


def test_an_id_of_a_part_follows_from_the_order_s():
    """The same for ever, of the order's time, and another for each part."""
    whole_id = "01M3250V00WZTCM261MZ715FJJ"

    ids = [part_id(whole_id, part) for part in ("recharge", "allowance", "recharge")]

    assert ids == ["01M3250V00CDAREKG4T9NATTGD", "01M3250V004C5GTMKZ3QV9B6Z0", "01M3250V00CDAREKG4T9NATTGD"]


def test_one_meter_is_never_in_two_accounts(site, app, store_url):
    """Ten installations of one number at once, for accounts of two shards, by two API processes: one account has it."""
    other = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: LATER, wait_seconds=20))

    async def live(client):
        await client.post("/accounts", json=opening())
        async with client_of(other) as second:
            sent = [
                each.post("/meters", json=order(account=account, **meter()))
                for each in (client, second)
                for account in ("A-101", OTHER) * 3
            ]
            answers = await asyncio.gather(*sent)
            owners = [(await client.get(f"/accounts/{account}")).json()["meters"] for account in ("A-101", OTHER)]
        return answers, owners

    answers, owners = together(app, live)

    assert {answer.status_code for answer in answers} == {201, 409}
    assert sum("000000000077" in {each["meter"] for each in meters} for meters in owners) == 1
    assert site._at(0).exists(held_meter_key(77)) == 0


def test_a_meter_moves_to_an_account_of_another_shard(site, ask):
    """Taken down here and installed there with its register; what became of both orders is still to be asked for."""
    ask("POST", "/accounts", json=opening())
    early = ask("POST", "/meters", json=order(account=OTHER, **meter(str(METER))))
    removed = ask("POST", f"/meters/{METER}/removals", json=order(closing_register="1.000"))
    unread = ask("POST", "/meters", json=order(account=OTHER, meter=str(METER), tariff="flat"))

    moved = ask("POST", "/meters", json=order(account=OTHER, **meter(str(METER), opening_register="1.000")))

    assert (early.status_code, early.json()["refusal"]) == (409, "exists_with_different_content")
    assert (removed.status_code, unread.status_code, moved.status_code) == (201, 201, 409)
    assert ask("GET", f"/meters/{METER}").json()["account"] == OTHER
    assert kept(ask, removed) == removed.json()
    assert kept(ask, unread) == unread.json()


def test_a_number_is_held_until_its_order_is_decided(site, settling, store_url, ask):
    """While nobody settles, an installation is answered 202 and no other order takes its number; the same one again has its answer."""
    ask("POST", "/accounts", json=opening())
    settling.set()
    hasty = create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: LATER, wait_seconds=0.01))
    body = order(account=OTHER, **meter())

    async def live(client):
        first, again = [await client.post("/meters", json=body) for _ in range(2)]
        other = await client.post("/meters", json=order(account="A-101", **meter()))
        return first, again, other

    first, again, other = together(hasty, live)

    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 409)
    assert first.json()["location"] == f"/meters/000000000077/installations/{body['id']}"
    assert "held by another order" in other.json()["detail"]


def test_a_profile_says_what_is_known_of_a_meter(site, ask):
    """A built-in profile brings modulus, rated power and switch; what is said beside it counts; without one a meter is not switched."""
    ask("POST", "/accounts", json=opening())
    for body in (
        meter("81", profile="acrel-ddsy1352"), meter("82", profile="acrel-ddsy1352", ratio=40, switchable=False), meter("83"), meter("84", profile="own"),
    ):  # fmt: skip
        assert ask("POST", "/meters", json=order(account=OTHER, **body)).status_code == 201

    found = [ask("GET", f"/meters/{number}").json() for number in (81, 82, 83, 84)]

    assert [(each["profile"], each["switchable"], each["ratio"]) for each in found] == [
        ("acrel-ddsy1352", True, 1), ("acrel-ddsy1352", False, 40), ("", False, 1), ("own", False, 1),
    ]  # fmt: skip


def test_a_load_is_released_by_a_person(site, ask):
    """The answer says so, and can be asked for again; a meter without a switch has nothing to release."""
    terms = ControlTerms(zone="Asia/Shanghai", power_limit_w=1_000, restores=0)
    site.append(shard_of("A-101", site.shards), ControlTermsSet(at=LATER, id=new_id(), meter=METER, terms=terms))
    wait_until_settled(site)

    released = ask("POST", f"/meters/{METER}/load_releases", json=order(note="kettle gone"))

    assert (released.status_code, released.json()["kind"]) == (201, "load_released")
    assert kept(ask, released) == released.json()


def test_alarm_amounts_are_changed_whole_or_follow_a_policy(site, ask):
    """Amounts of its own, then a policy, then neither; what nobody said is as by default. The account shows which."""
    policy = AlarmTerms(low=9_000_000)
    for shard in range(site.shards):
        site.append(shard, PolicySet(at=LATER, id=new_id(), policy="shops", alarms=policy))
    wait_until_settled(site)
    seen = []

    for change in (
        {"alarms": {"low": "7.00"}},
        {"policy": "shops"},
        {"policy": ""},
        {"place": {"site": "Garden", "room": "9"}},
    ):
        assert ask("PATCH", "/accounts/A-102", json=order(**change)).status_code == 201
        account = ask("GET", "/accounts/A-102").json()
        seen.append((account["policy"], account["alarms"]["low"], account["place"]["room"]))

    both = ask("PATCH", "/accounts/A-102", json=order(policy="shops", alarms={}))
    assert seen == [(None, "7.00", "102"), ("shops", "9.00", "102"), (None, "9.00", "102"), (None, "9.00", "9")]
    assert (both.status_code, both.json()["refusal"]) == (422, "terms_invalid")


def test_nobody_opens_or_moves_accounts_beyond_their_reach(site, app):
    """Whoever looks after one site opens accounts there, and neither opens one elsewhere nor moves one out of sight; another's meters are not there."""

    async def live(client):
        headers = bearer(await made(client, "operator", sites=["Mall"]))
        own = opening() | {"place": {"site": "Mall"}}
        tries = [
            ("POST", "/accounts", own),
            ("POST", "/accounts", opening("C-1")),
            ("PATCH", f"/accounts/{OTHER}", order(place={"site": "Garden"})),
            ("POST", "/meters", order(account="A-101", **meter())),
            ("POST", f"/meters/{METER}/removals", order(closing_register="1")),
            ("POST", "/accounts/A-101/closures", order(settlement="refund")),
            ("GET", "/accounts/A-101/items", None),
            ("GET", "/accounts/A-101/allowance", None),
            ("PUT", "/accounts/A-101/allowance", order(kind="none", starts="2026-09-21")),
            ("POST", "/accounts/A-101/reversals", order(order=new_id())),
            ("POST", "/accounts/A-101/adjustments", order(amount="1", currency="CNY", note="x")),
        ]
        return [
            (await client.request(method, path, json=body, headers=headers)).status_code for method, path, body in tries
        ]

    assert together(app, live) == [201, 403, 403, 404, 404, 404, 404, 404, 404, 404, 404]


@pytest.mark.parametrize(
    ("path", "body", "status", "refusal"),
    [
        ("/accounts/A-999/closures", {"settlement": "refund"}, 404, "unknown_account"),
        ("/accounts/A-101/activations", {}, 409, "account_open"),
        ("/accounts/A-102/closures", {"settlement": "pay_up"}, 409, "balance_not_settled"),
        ("/accounts/A-102/closures", {"settlement": "write_off"}, 422, "note_missing"),
        ("/meters/79/removals", {"closing_register": "1"}, 404, "unknown_meter"),
        (f"/meters/{METER}/removals", {"closing_register": "0.5"}, 409, "register_not_believed"),
        (f"/meters/{METER}/removals", {"closing_register": "-1"}, 422, "terms_invalid"),
        ("/meters/202600000002/load_releases", {}, 409, "meter_has_no_switch"),
        ("/meters", {"account": "A-999", **meter()}, 404, "unknown_account"),
        ("/meters", {"account": "A-101", **meter(commodity="water")}, 422, "wrong_commodity"),
        ("/accounts", {"account": "A-101", "currency": "CNY"}, 409, "exists_with_different_content"),
        ("/accounts", {"account": "C-1", "currency": "CNY", "policy": "none such"}, 404, "unknown_policy"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(site, ask, path, body, status, refusal):
    """A refusal of the machine reaches whoever ordered, with its name."""
    answer = ask("POST", path, json=order(**body))

    assert (answer.status_code, answer.json().get("refusal")) == (status, refusal)
