import pytest
from api_site import DRY_METER, METER, new_id

from connectors.files.site_terms import window, window_text
from domain.facts import Window

POLICY = {"low": "30.00", "pretrip": "10.00", "arrears": "0.00", "reconnect": "5.00", "repeat_minutes": 60}
SITE = {"title_zh": "花园", "title_en": "Garden", "zone": "Asia/Shanghai", "currency": "CNY"}
CONTROL = {
    "zone": "Asia/Shanghai",
    "holidays": ["2026-10-01"],
    "no_trip": ["mon-fri,holiday 22:00-06:00"],
    "schedule": [{"when": "sat-sun 00:00-24:00", "supply": "off"}],
    "power_limit_w": 5000,
    "malignant_step_w": 2000,
    "tolerated": [[900, 1100]],
    "restores": 2,
    "restore_minutes": 10,
}
WATCH = {
    "offline_minutes": 120,
    "day_usage": "50.000",
    "month_usage": "900.000",
    "stuck_minutes": 30,
    "stuck_w": 500,
    "reverse_w": 20,
    "night_usage": "1.500",
    "night_from": "01:00",
    "night_until": "05:30",
    "repeat_minutes": 90,
    "repeat_max": 5,
}
MAIN = {"subs": [str(DRY_METER)], "loss_max_permille": 50, "loss_min": "2.000"}


@pytest.mark.parametrize(
    ("path", "body"), [("/policies/usual", POLICY), ("/sites/Garden/terms", SITE)], ids=["policy", "site"]
)
def test_what_holds_for_everybody_is_told_to_every_shard(ask, site, path, body):
    """201 with how many shards decided; read back at once, by the order too; the same order again is the same, with other content it is not."""
    order = {"id": new_id(), **body}

    first, again = (ask("PUT", path, json=order) for _ in range(2))
    read = ask("GET", path).json()
    first_field = next(iter(body))
    other = ask("PUT", path, json=order | {first_field: "99.00"})

    assert (first.status_code, first.json()) == (201, again.json())
    assert first.json()["decided"] == first.json()["shards"] == site.shards
    assert ask("GET", first.headers["location"]).json() == first.json()
    assert {name: read[name] for name in body} == body
    assert (other.status_code, other.json()["refusal"]) == (409, "exists_with_different_content")


def test_policies_are_listed_and_an_unknown_one_is_not_there(ask, site):
    """By name; what nobody set is 404, as is a site that nobody set."""
    ask("PUT", "/policies/usual", json={"id": new_id(), **POLICY})

    assert [each["policy"] for each in ask("GET", "/policies").json()] == ["usual"]
    assert [
        ask("GET", path).status_code for path in ("/policies/none", "/sites/Mall/terms", f"/settings/{new_id()}")
    ] == [404] * 3


def test_terms_that_contradict_themselves_are_refused(ask, site):
    """The machine says how, and every shard the same."""
    answer = ask("PUT", "/policies/usual", json={"id": new_id(), **POLICY, "pretrip": "99.00"})

    assert (answer.status_code, answer.json()["refusal"]) == (422, "terms_invalid")
    assert answer.json()["detail"] == "expected low >= pretrip >= arrears"


METER_TERMS = [("control_terms", CONTROL), ("watch", WATCH)]


@pytest.mark.parametrize(("what", "body"), METER_TERMS, ids=[what for what, _ in METER_TERMS])
def test_terms_of_a_meter_are_read_back_as_they_were_written(ask, site, what, body):
    """Set by order with the answer of every order, and read at once in the same words."""
    path = f"/meters/{METER}/{what}"
    before = ask("GET", path).json()

    answer = ask("PUT", path, json={"id": new_id(), **body})
    terms = ask("GET", path).json()["terms"]

    assert before["terms"] is None
    assert answer.status_code == 201
    assert ask("GET", answer.headers["location"]).json() == answer.json()
    assert {name: terms[name] for name in body} == body


def test_sub_meters_are_named_and_taken_away(ask, site):
    """A main meter has its sub-meters until it has none."""
    path = f"/main_meters/{METER}"
    named = ask("PUT", path, json={"id": new_id(), **MAIN})
    read = ask("GET", path).json()
    itself = ask("PUT", path, json={"id": new_id(), "subs": [str(METER)]})
    ask("PUT", path, json={"id": new_id(), "subs": []})

    assert (named.status_code, read) == (201, {"meter": str(METER), **MAIN})
    assert itself.json()["refusal"] == "terms_invalid"
    assert ask("GET", path).status_code == 404


def test_a_supply_is_protected_and_no_longer(ask, site):
    """保电: until a time or until revoked; a meter without a switch has nothing to protect."""
    path, order = f"/meters/{METER}/protections", {"protected": True, "operator": "li", "note": "ward"}
    answer = ask("POST", path, json={"id": new_id(), **order})
    during = ask("GET", f"/meters/{METER}/control_terms").json()["protection"]
    past = ask("POST", path, json={"id": new_id(), **order, "until": "2020-01-01T00:00:00Z"})
    dry = ask("POST", f"/meters/{DRY_METER}/protections", json={"id": new_id(), **order})
    ask("POST", path, json={"id": new_id(), **order, "protected": False})

    assert answer.status_code == 201
    assert during == {"until": None, "operator": "li", "note": "ward"}
    assert [each.json()["refusal"] for each in (past, dry)] == ["already_expired", "meter_has_no_switch"]
    assert ask("GET", f"/meters/{METER}/control_terms").json()["protection"] is None


def test_terms_belong_to_who_reaches_them(ask, site):
    """Another site's meter and site are not there; policies are for everybody, so who reaches everything sets them; a viewer sets nothing."""
    ask("PUT", "/sites/Garden/terms", json={"id": new_id(), **SITE})
    mall, garden = (
        ask("POST", "/tokens", json={"name": "a", "role": "operator", "sites": [site]}).json()["token"]
        for site in ("Mall", "Garden")
    )
    tenant = ask("POST", "/tokens", json={"name": "a", "role": "tenant", "accounts": ["A-102"]}).json()["token"]
    tried = {
        "meter": ask("PUT", f"/meters/{METER}/watch", token=mall, json={"id": new_id(), **WATCH}),
        "site": ask("PUT", "/sites/Garden/terms", token=mall, json={"id": new_id(), **SITE}),
        "policy": ask("PUT", "/policies/usual", token=garden, json={"id": new_id(), **POLICY}),
        "own site": ask("PUT", "/sites/Garden/terms", token=garden, json={"id": new_id(), **SITE}),
        "own meter": ask("PUT", f"/meters/{METER}/watch", token=garden, json={"id": new_id(), **WATCH}),
        "unknown sub": ask("PUT", f"/main_meters/{METER}", token=garden, json={"id": new_id(), "subs": ["5"]}),
        "tenant's site": ask("GET", "/sites/Garden/terms", token=tenant),
        "tenant's meter": ask("GET", f"/meters/{METER}/control_terms", token=tenant),
        "tenant sets": ask("PUT", "/sites/Garden/terms", token=tenant, json={"id": new_id(), **SITE}),
    }

    assert {what: answer.status_code for what, answer in tried.items()} == {
        "meter": 404, "site": 404, "policy": 403, "own site": 201, "own meter": 201, "unknown sub": 404,
        "tenant's site": 200, "tenant's meter": 404, "tenant sets": 403,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/policies/usual", {**POLICY, "repeat_minutes": 10**30}),
        ("PUT", "/policies/usual", {**POLICY, "low": "1e9"}),
        ("PUT", "/policies/usual", {**POLICY, "surprise": 1}),
        ("PUT", "/sites/Garden/terms", {**SITE, "zone": "Mars/Olympus"}),
        ("PUT", "/sites/Garden/terms", {**SITE, "title_en": "\ud800"}),
        ("PUT", f"/meters/{METER}/control_terms", {**CONTROL, "no_trip": ["sometimes"]}),
        ("PUT", f"/meters/{METER}/control_terms", {**CONTROL, "holidays": ["9999-12-31"]}),
        ("PUT", f"/meters/{METER}/control_terms", {**CONTROL, "holidays": [20_000]}),
        ("PUT", f"/meters/{METER}/control_terms", {**CONTROL, "power_limit_w": 2**70}),
        ("PUT", f"/meters/{METER}/watch", {**WATCH, "day_usage": "NaN"}),
        ("PUT", f"/meters/{METER}/watch", {**WATCH, "night_from": "24:00"}),
        ("PUT", f"/main_meters/{METER}", {"subs": ["0"]}),
        ("PUT", f"/main_meters/{METER}", {"subs": ["1", "1"]}),
        ("POST", f"/meters/{METER}/tariff_assignments", {"tariff": "flat", "from": "Infinity"}),
        ("POST", f"/meters/{METER}/tariff_assignments", {"tariff": "flat", "from": "9000-01-01T00:00:00Z"}),
        (
            "POST",
            f"/meters/{METER}/protections",
            {"protected": False, "until": "2027-01-01T00:00:00Z", "operator": "li"},
        ),
    ],
)
def test_what_cannot_be_is_422_and_no_accident(ask, site, method, path, body):
    """Unknown fields, huge numbers, odd text and times out of range are said to be wrong."""
    import json

    content = json.dumps({"id": new_id(), **body})

    assert ask(method, path, content=content, headers={"content-type": "application/json"}).status_code == 422


@pytest.mark.parametrize(
    "text",
    [
        "mon-fri,holiday 22:00-06:00",
        "sat-sun 00:00-24:00",
        "mon,wed,fri 08:30-09:00",
        "mon-sun,holiday 00:00-23:59",
        "holiday 01:00-02:00",
    ],
)
def test_a_window_is_written_as_it_is_read(text):
    """What callers read is what they may send again."""
    assert window_text(window(text)) == text


def test_every_set_of_days_has_a_text():
    """All 255 of them, whatever order they were written in."""
    for days in range(1, 256):
        made = Window(days=days, from_minute=60, until_minute=1440)
        assert window(window_text(made)) == made
