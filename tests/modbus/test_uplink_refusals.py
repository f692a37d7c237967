import asyncio

import msgspec
import numpy as np
import pytest
import typer

from commands import collect as command
from connectors.redis.errors import StoreMismatch, StoreRefused
from connectors.redis.formats import pack
from connectors.redis.keys import key
from connectors.redis.live import LiveStore
from connectors.redis.uplink import RedisUplink
from domain.facts import ReadingBlock
from domain.state import OpenCommand
from domain.words import Reason, Stage, Supply

BLOCK = ReadingBlock(np.array([101]), np.array([1_000]), np.array([5]), None, None, None)
SITE = """
[site]
name = "street"
zone = "Asia/Shanghai"
currency = "CNY"
[[tariff]]
file = "demo-electricity"
[[account]]
id = "A-101"
low = "1.00"
pretrip = "0.50"
reconnect = "0.20"
[[bus]]
name = "one"
kind = "tcp"
host = "127.0.0.1"
port = 502
timeout_ms = 200
poll_seconds = 0.1
  [[bus.meter]]
  number = "000000000101"
  unit = 1
  profile = "acrel-ddsy1352"
  account = "A-101"
  tariff = "demo-electricity"
"""


async def report(url):
    """Report a block of readings over a connection of its own."""
    live = await LiveStore.open(url)
    try:
        await RedisUplink(live).report_readings(BLOCK)
    finally:
        await live.close()


def test_a_server_that_refuses_is_a_log_out_of_reach(server, store):
    """A refused report stays with the collector, which says why; made again when it is permitted, it arrives once."""
    with pytest.raises(ConnectionError, match=r"(?i)permission"):
        asyncio.run(report(server.access.reader_url))
    asyncio.run(report(server.access.writer_url))

    assert sum(len(store.read(shard, (0, 0), 10)) for shard in range(store.shards)) == 1


def test_another_stores_log_is_not_waited_for():
    """A store that does not fit this release will not fit later either: it ends the collector."""

    class Misfit:
        """A store that was made by a later release."""

        shards = 1

        async def locate_meter(self, _meter):
            """Refuse to be read."""
            raise StoreMismatch("a later release")

    with pytest.raises(StoreMismatch):
        asyncio.run(RedisUplink(Misfit()).report_readings(BLOCK))


def test_store_errors_of_several_tasks_end_the_command_in_a_line(server, store, tmp_path, monkeypatch, capsys):
    """What the tasks of a collector could not do is said in one line with exit code 1, and not as a traceback."""
    assert store.shards
    site = tmp_path / "site.toml"
    site.write_text(SITE)
    monkeypatch.setenv("REDIS_URL", server.url)

    async def collect_site(_site, _uplink, _clock, _collected):
        nested = ExceptionGroup("of a bus", [StoreMismatch("a later release")])
        raise ExceptionGroup("of the collector", [StoreMismatch("a later release"), nested, StoreRefused("no")])

    monkeypatch.setattr(command, "collect_site", collect_site)
    with pytest.raises(typer.Exit) as ended:
        command.collect(site)

    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == "a later release; no\n"


def test_a_bug_beside_a_store_error_is_not_hidden(server, store, tmp_path, monkeypatch):
    """A group that holds anything else is raised whole."""
    assert store.shards
    site = tmp_path / "site.toml"
    site.write_text(SITE)
    monkeypatch.setenv("REDIS_URL", server.url)

    async def collect_site(_site, _uplink, _clock, _collected):
        raise ExceptionGroup("of the collector", [StoreMismatch("a later release"), AssertionError("a bug")])

    monkeypatch.setattr(command, "collect_site", collect_site)
    with pytest.raises(ExceptionGroup) as ended:
        command.collect(site)

    assert ended.value.subgroup(AssertionError)


def test_a_collector_that_starts_again_leaves_alone_what_waits_for_a_hand(server, store):
    """Of two open commands only the one that the meter has something to do about is delivered, and says what kind it is."""
    waiting = OpenCommand(
        meter=1, epoch=2, wanted=Supply.ON, reason=Reason.IN_CREDIT, stage=Stage.ACKNOWLEDGED, at=1, expires_at=2,
        attempt=1, button=True,
    )  # fmt: skip
    for each in (waiting, msgspec.structs.replace(waiting, meter=2, stage=Stage.SENT)):
        store._at(0).hset(key("open_commands", 0), str(each.meter), pack(each))

    async def first():
        live = await LiveStore.open(server.access.writer_url)
        delivered = RedisUplink(live).commands()
        try:
            return await anext(delivered)
        finally:
            await delivered.aclose()
            await live.close()

    delivered = asyncio.run(first())

    assert (delivered.meter, delivered.button) == (2, True)
