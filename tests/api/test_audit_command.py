"""The audit log leaves the machine line by line, and what was changed in it shows."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.redis.access import Access
from connectors.redis.live import LiveStore
from domain.access import AuditEvent
from meterline import app_of

ROOT = Path(__file__).parents[2]


def attempts(url, *paths):
    """Events as the API writes them."""

    async def write():
        live = await LiveStore.open(url)
        access = Access(live)
        for path in paths:
            await access.record(
                AuditEvent(
                    at=1_767_225_600_000, caller="li", method="POST", path=path, status=201, client="::1", request="R"
                )
            )
        await live.close()

    asyncio.run(write())


@pytest.fixture
def audit(store, store_url, monkeypatch):
    """The command, in this process."""
    monkeypatch.setenv("REDIS_URL", store_url)
    return lambda *words: CliRunner().invoke(app_of(["audit"]), ["audit", *(str(word) for word in words)])


def lines(done):
    """What was printed."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_event_is_a_line_with_its_place_in_the_chain(audit, store_url):
    """A shipper gets who, what, when and from where, as `GET /audit` shows it."""
    attempts(store_url, "/accounts/A-101/recharges", "/people/王")

    first, second = lines(audit())

    assert first | {"id": "", "chain": ""} == {
        "id": "", "at": "2026-01-01T00:00:00.000Z", "caller": "li", "method": "POST", "path": "/accounts/A-101/recharges",
        "status": 201, "client": "::1", "request": "R", "chain": "",
    }  # fmt: skip
    assert (second["path"], len(second["chain"])) == ("/people/王", 64)
    assert second["id"] > first["id"]


def test_it_goes_on_where_it_ended(audit, store_url, tmp_path):
    """What was shipped is not shipped again, and what came since is."""
    kept = tmp_path / "shipped.json"
    attempts(store_url, "/a", "/b")
    assert [each["path"] for each in lines(audit("--position", kept))] == ["/a", "/b"]
    attempts(store_url, "/c")

    assert [each["path"] for each in lines(audit("--position", kept))] == ["/c"]
    assert lines(audit("--position", kept)) == []


@pytest.mark.parametrize("broken", ["changed", "taken away", "last taken away"])
def test_what_was_changed_or_taken_away_shows(audit, store, store_url, tmp_path, broken):
    """An event that was shipped cannot be unsaid by whoever has the server: the next one does not follow from what was shipped."""
    kept = tmp_path / "shipped.json"
    attempts(store_url, "/a", "/b")
    if broken == "last taken away":
        audit("--position", kept)
    client = store._nodes.of("audit:{access}")
    (first, _), (last, fields) = client.xrange("audit:{access}")
    if broken == "last taken away":
        client.xdel("audit:{access}", last)
        client.set("audit_head:{access}", client.xrange("audit:{access}")[0][1][b"c"])
    else:
        client.xdel("audit:{access}", first)
    if broken == "changed":
        client.delete("audit:{access}")
        client.xadd("audit:{access}", fields | {b"b": fields[b"b"].replace(b"/b", b"/x")}, id=last)
    attempts(store_url, "/c")

    done = audit("--position", kept)

    assert done.exit_code == 1
    assert "does not follow from" in done.output


def test_a_file_that_keeps_no_position_is_refused(audit, store_url, tmp_path):
    """Beginning anew is a person's decision: the shipper would get all of it again."""
    kept = tmp_path / "shipped.json"
    kept.write_text("yesterday")

    done = audit("--position", kept)

    assert done.exit_code == 2
    assert "name another file, or remove it to begin anew" in done.output


def test_it_follows_until_it_is_ended(store, store_url):
    """Events come out as they happen."""
    command = [sys.executable, "-m", "meterline", "audit", "--follow"]
    following = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, env={"REDIS_URL": store_url}, text=True)
    try:
        for path in ("/a", "/b"):
            attempts(store_url, path)
            assert json.loads(following.stdout.readline())["path"] == path
    finally:
        following.terminate()
        following.wait(10)
        following.stdout.close()
