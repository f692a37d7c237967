"""An order's id in the header: one way for every order, whoever wrote its route."""

import uuid

import pytest
from api_site import METER, money, new_id
from fastapi.routing import APIRoute
from test_access_api import routes
from ulid import ULID

from api.models import order_text
from api.orders.route import HEADER, OrderRoute


def takes_ids(app, route: APIRoute) -> bool:
    """Whether the OpenAPI file says that a body of the route has an id, in whichever of its kinds."""
    schemas = app.openapi()["components"]["schemas"]
    waiting = [
        content["schema"]
        for method in route.methods
        for content in app.openapi()["paths"][route.path][method.lower()]
        .get("requestBody", {"content": {}})["content"]
        .values()
    ]
    while waiting:
        schema = waiting.pop()
        schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        if "id" in schema.get("properties", {}):
            return True
        waiting += schema.get("oneOf", []) + schema.get("anyOf", [])
    return False


def test_every_order_may_be_named_by_the_header(app):
    """A route that is added with an id in its body takes the header too, and says so."""
    orders = [route for route in routes(app) if route.path in app.openapi()["paths"] and takes_ids(app, route)]

    assert {"/batches", "/accounts/{account}/recharges", "/tariffs"} <= {route.path for route in orders}
    assert [route.path for route in orders if not isinstance(route, OrderRoute)] == []
    described = app.openapi()["paths"]
    for route in orders:
        for method in route.methods:
            names = [each["name"] for each in described[route.path][method.lower()]["parameters"]]
            assert names.count(HEADER) == 1, route.path
    schemas = app.openapi()["components"]["schemas"]
    assert "id" not in schemas["MoneyOrder"]["required"] + schemas["RechargeBatch"]["required"]


@pytest.mark.parametrize("quoted", ["{}", '"{}"'])
def test_the_header_is_the_id(site, ask, quoted):
    """The same order by header and by body is one order, and its id is what was sent."""
    body = money("50.00")
    name = body.pop("id")

    first = ask("POST", "/accounts/A-101/recharges", json=body, headers={HEADER: quoted.format(name)})
    again = ask("POST", "/accounts/A-101/recharges", json=body | {"id": name})
    both = ask("POST", "/accounts/A-101/recharges", json=body | {"id": name}, headers={HEADER: name.lower()})

    assert [answer.status_code for answer in (first, again, both)] == [201] * 3
    assert first.json() == again.json() == both.json()
    assert (first.json()["id"], first.json()["balance"]) == (name, "50.00")


def test_a_uuid_by_header_and_its_ulid_by_body_agree(site, ask):
    """The 128 bits are the id, in either place."""
    body = money("50.00")
    bits = (
        (int.from_bytes(ULID.from_str(body["id"]).bytes, "big") & ~(0xF << 76) & ~(0x3 << 62)) | (7 << 76) | (2 << 62)
    )
    as_uuid = uuid.UUID(int=bits)

    answer = ask(
        "POST",
        "/accounts/A-101/recharges",
        json=body | {"id": order_text(as_uuid.bytes)},
        headers={HEADER: str(as_uuid)},
    )

    assert (answer.status_code, answer.json()["id"]) == (201, order_text(as_uuid.bytes))


def test_two_ids_are_refused(site, ask):
    """Nobody knows which of them is meant, so nothing is done."""
    answer = ask("POST", "/accounts/A-101/recharges", json=money("50.00"), headers={HEADER: new_id()})

    assert (answer.status_code, "different ids" in answer.json()["detail"]) == (422, True)
    assert ask("GET", "/accounts/A-101").json()["balance"] == "0.00"


@pytest.mark.parametrize("key", ["once", "", str(uuid.UUID(int=4 << 76 | 2 << 62)), "x" * 5_000])
def test_a_key_without_a_time_is_refused(site, ask, key):
    """A text would count again when it is forgotten: the answer says what is expected, in the field of the header."""
    body = money("50.00")
    del body["id"]

    answer = ask("POST", "/accounts/A-101/recharges", json=body, headers={HEADER: key})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, f"header.{HEADER}")
    assert "expected a ULID" in answer.json()["errors"][0]["message"]


def test_an_order_without_any_id_is_told_so(site, ask):
    """Neither header nor body: 422, with the field."""
    answer = ask("POST", "/accounts/A-101/recharges", json={"amount": "1", "currency": "CNY"})

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body.id")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"text"'])
def test_a_body_that_is_none_stays_none(site, ask, content):
    """The header makes no order of what is none."""
    headers = {HEADER: new_id(), "Content-Type": "application/json"}

    answer = ask("POST", "/accounts/A-101/recharges", content=content, headers=headers)

    assert answer.status_code in {400, 422}


def test_minutes_count_from_the_time_in_the_header(site, ask):
    """What an order derives from its id it derives from the header's."""
    body = {"wanted": "off", "minutes": 300, "operator": "li"}
    name = new_id()

    sent = [ask("POST", f"/meters/{METER}/commands", json=body, headers={HEADER: name}) for _ in range(2)]

    assert [answer.status_code for answer in sent] == [201, 201]
    assert sent[0].json() == sent[1].json()


def test_what_is_no_order_is_left_alone(site, ask):
    """A client that sends the header with everything is not refused elsewhere."""
    body = {"name": "app", "role": "viewer", "everything": True}

    assert ask("POST", "/tokens", json=body, headers={HEADER: "anything"}).status_code == 201


def test_a_batch_may_be_named_by_the_header(site, ask):
    """The same batch by header and by body is one batch."""
    terms = {"amount": "1.00", "currency": "CNY", "channel": "cash"}
    body = {"operation": "recharge", "terms": terms, "targets": {"accounts": ["A-101"]}, "note": "once"}
    name = new_id()

    first = ask("POST", "/batches", json=body, headers={HEADER: name})
    again = ask("POST", "/batches", json=body | {"id": name})
    nameless = ask("POST", "/batches", json=body)

    assert (first.status_code, again.status_code, nameless.status_code) == (202, 202, 422)
    assert first.json()["id"] == again.json()["id"] == name
