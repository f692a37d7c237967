"""Alarms as they happen, over a real connection."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import httpx
import pytest
from api_site import LATER, TOKEN, listening, money

from api.alarms import events
from api.app import create_app
from api.settings import ApiSettings

BEAT = 0.3


@pytest.fixture
def address(site, store_url) -> Iterator[str]:
    """The API of the small site, with streams that beat often."""
    settings = ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: LATER, wait_seconds=20, beat_seconds=BEAT)
    with listening(create_app(settings)) as address:
        yield address


def call(address: str, method: str, path: str, token: str = TOKEN, **more: Any) -> httpx.Response:
    """One request."""
    return httpx.request(method, address + path, headers={"Authorization": f"Bearer {token}"}, timeout=30, **more)


@contextmanager
def hearing(
    address: str, token: str = TOKEN, last: str = "", path: str = "/alarms/events"
) -> Iterator[Iterator[dict[str, str]]]:
    """The events of a stream, each as its fields; a comment is a field without a name."""
    headers = {"Authorization": f"Bearer {token}"} | ({"Last-Event-ID": last} if last else {})
    with httpx.stream("GET", address + path, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield parsed(answer.iter_lines())


def parsed(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    """Events of a stream as its specification has them."""
    event: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name.rstrip(":")] = value
        else:
            yield event
            event = {}


def arrivals(heard: Iterator[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """The notices of money that arrived, each once and with the id of its event."""
    seen = set()
    for event in heard:
        if event.get("event") == "alarm":
            alarm = json.loads(event["data"])
            assert alarm["id"] == event["id"]
            if alarm["kind"] == "money_arrived" and alarm["id"] not in seen:
                yield alarm
            seen.add(alarm["id"])


def alarms(heard: Iterator[dict[str, str]], count: int) -> list[dict[str, Any]]:
    """The next of them."""
    return list(islice(arrivals(heard), count))


def recharge(address: str, amount: str, account: str = "A-101") -> None:
    """Money arrives, of which the tenant is told."""
    assert call(address, "POST", f"/accounts/{account}/recharges", json=money(amount)).status_code == 201


def test_an_alarm_is_heard_when_it_happens(address):
    """A page that listens shows what `GET /alarms` would, without asking."""
    with hearing(address) as heard:
        assert next(heard)["retry"] == "2000"
        recharge(address, "50.00")

        (alarm,) = alarms(heard, 1)

    assert (alarm["kind"], alarm["amount"]) == ("money_arrived", "50.00")
    shown = [{**alarm, "acknowledgement": None}]
    assert [each for each in call(address, "GET", "/alarms").json()["items"] if each["id"] == alarm["id"]] == shown


def test_what_was_missed_is_heard_again(address):
    """A browser that was away says what it heard last; nothing since is left out."""
    with hearing(address) as heard:
        next(heard)
        recharge(address, "1.00")
        (first,) = alarms(heard, 1)
    for amount in ("2.00", "3.00"):
        recharge(address, amount)

    with hearing(address, last=first["id"]) as heard:
        found = arrivals(heard)
        amounts = [next(found)["amount"] for _ in range(3)]
        recharge(address, "4.00")
        amounts.append(next(found)["amount"])

    assert amounts == ["1.00", "2.00", "3.00", "4.00"]


def test_nobody_hears_of_others(address):
    """A tenant's stream has the alarms of its own accounts only."""
    made = {"name": "tenant", "role": "tenant", "accounts": ["A-102"], "days": 1}
    token = call(address, "POST", "/tokens", json=made).json()["token"]
    with hearing(address, token) as heard:
        next(heard)
        recharge(address, "1.00", "A-101")
        recharge(address, "2.00", "A-102")

        assert [alarm["account"] for alarm in alarms(heard, 1)] == ["A-102"]


def test_a_stream_ends_with_its_token(address):
    """Whoever's token is taken away hears no more, also on a connection that is open."""
    made = {"name": "screen", "role": "viewer", "everything": True, "days": 1}
    token = call(address, "POST", "/tokens", json=made).json()
    with hearing(address, token["token"]) as heard:
        next(heard)
        assert next(heard)[""] == "still here"
        assert call(address, "DELETE", f"/tokens/{token['id']}").status_code == 204

        assert all("event" not in event for event in heard)


def test_who_does_not_keep_up_is_let_go_and_comes_again(address, monkeypatch):
    """A listener that reads nothing costs a bounded number of events, and has missed none when it comes again."""
    recharge(address, "1.00")
    before = call(address, "GET", "/alarms").json()["items"][0]["id"]
    monkeypatch.setattr(events, "WAITING_MAX", 1)
    with hearing(address) as heard:
        next(heard)
        for amount in range(2, 30):
            recharge(address, f"{amount}.00")
        assert len(list(arrivals(heard))) < 28  # The stream has ended.
    with hearing(address, last=before) as heard:
        found = alarms(heard, 29)

    assert {alarm["amount"] for alarm in found} == {f"{amount}.00" for amount in range(1, 30)}


def test_too_many_streams_are_refused(address):
    """One caller cannot take all that there is."""
    with hearing(address) as heard:
        next(heard)
        made = [httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30) for _ in range(20)]
        answers = [client.send(client.build_request("GET", f"{address}/alarms/events"), stream=True) for client in made]

        assert [answer.status_code for answer in answers] == [200] * 19 + [429]
        for answer, client in zip(answers, made, strict=True):
            answer.close()
            client.close()


def test_an_id_that_is_none_is_refused(address):
    """A made-up id is answered like every other mistake."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Last-Event-ID": "yesterday"}

    assert httpx.get(f"{address}/alarms/events", headers=headers, timeout=30).status_code == 422


def rooms(heard: Iterator[dict[str, str]], count: int) -> list[tuple[str, dict[str, Any]]]:
    """The next events of rooms: their kind, and what they say."""
    told = ((event["event"], json.loads(event["data"])) for event in heard if "event" in event)
    return list(islice(told, count))


def test_a_wall_of_rooms_shows_what_changes(address):
    """Every room comes first, then each that is otherwise; one that no longer fits is taken from the wall."""
    recharge(address, "5.00", "A-101")
    with hearing(address, path="/rooms/events?balance_below=10.00") as heard:
        first = rooms(heard, 2)
        recharge(address, "1.00", "A-101")
        changed = rooms(heard, 1)
        recharge(address, "50.00", "A-102")
        gone = rooms(heard, 1)

    assert {room["account"]: room for _, room in first}.keys() == {"A-101", "A-102"}
    assert [(kind, room["account"], room["balance"]) for kind, room in changed] == [("room", "A-101", "6.00")]
    assert changed[0][1] == next(
        room for room in call(address, "GET", "/rooms").json()["items"] if room["account"] == "A-101"
    )
    assert gone == [("gone", {"account": "A-102"})]


def test_a_wall_shows_nobody_elses_rooms_and_goes_dark_with_its_token(address):
    """A tenant's stream is of its own room, and ends when its token is taken away."""
    made = {"name": "tenant", "role": "tenant", "accounts": ["A-102"], "days": 1}
    token = call(address, "POST", "/tokens", json=made).json()
    with hearing(address, token["token"], path="/rooms/events") as heard:
        ((_, room),) = rooms(heard, 1)
        recharge(address, "1.00", "A-101")
        assert call(address, "DELETE", f"/tokens/{token['id']}").status_code == 204

        assert (room["account"], rooms(heard, 1)) == ("A-102", [])


def test_walls_are_limited(address):
    """One caller cannot let the API look through its rooms without end."""
    clients = [httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30) for _ in range(6)]
    answers = [client.send(client.build_request("GET", f"{address}/rooms/events"), stream=True) for client in clients]

    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    for answer, client in zip(answers, clients, strict=True):
        answer.close()
        client.close()
