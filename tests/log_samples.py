"""A small street's log, and everything that a store holds, for the suites that use a real store."""

import random
from collections.abc import Iterator

import numpy as np

from connectors.redis.store import connection_options
from domain.facts import (
    AccountOpened,
    AlarmTerms,
    CommandReported,
    Fact,
    MeterInstalled,
    ReadingBlock,
    ReadingRefused,
    RechargeOrdered,
    TariffPublished,
    Ticked,
)
from domain.ids import shard_of
from domain.words import Commodity, Stage

START = 1_735_689_600_000
MINUTE = 60_000
TARIFF = """\
tariff = "flat"
title = { zh = "单一", en = "flat" }
commodity = "electricity"
currency = "CNY"
zone = "Asia/Shanghai"
source = "made up for tests"

[[version]]
from = 2024-01-01
price = "0.6170"
"""
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def order_text(at: int, number: int) -> str:
    """A ULID made at a time, told apart by a number."""
    value, text = (at << 80) | number, ""
    for _ in range(26):
        value, digit = divmod(value, 32)
        text = CROCKFORD[digit] + text
    return text


def settings(shards: int, accounts_per_shard: int = 2) -> list[tuple[int, Fact]]:
    """A tariff for every shard, and accounts with a meter and some money each."""
    facts: list[tuple[int, Fact]] = [
        (shard, TariffPublished(at=START, id=order_text(START, 1), tariff="flat", document=TARIFF))
        for shard in range(shards)
    ]
    for meter, (shard, account) in enumerate(street(shards, accounts_per_shard), start=1):
        order = 1000 * meter
        facts += [
            (
                shard,
                AccountOpened(
                    at=START,
                    id=order_text(START, order),
                    account=account,
                    currency="CNY",
                    alarms=AlarmTerms(low=3_000_000, pretrip=1_000_000),
                ),
            ),
            (
                shard,
                MeterInstalled(
                    at=START,
                    id=order_text(START, order + 1),
                    meter=meter,
                    account=account,
                    commodity=Commodity.ELECTRICITY,
                    tariff="flat",
                    modulus=0,
                    rated_per_hour=1_000_000,
                    opening_register=0,
                ),
            ),
            (
                shard,
                RechargeOrdered(
                    at=START, id=order_text(START, order + 2), account=account, amount_micros=5_000_000, currency="CNY"
                ),
            ),
        ]
    return facts


def street(shards: int, accounts_per_shard: int) -> list[tuple[int, str]]:
    """(shard, account), as many in every shard."""
    found: dict[int, list[str]] = {shard: [] for shard in range(shards)}
    number = 0
    while any(len(accounts) < accounts_per_shard for accounts in found.values()):
        number += 1
        accounts = found[shard_of(f"A{number}", shards)]
        if len(accounts) < accounts_per_shard:
            accounts.append(f"A{number}")
    return [(shard, account) for shard, accounts in found.items() for account in accounts]


def days(shards: int, chance: random.Random, accounts_per_shard: int = 2) -> Iterator[tuple[int, Fact]]:
    """Without end: readings, recharges, refused input, reports and ticks of one shard or another, from a seeded chance."""
    owned = list(enumerate(street(shards, accounts_per_shard), start=1))
    registers = dict.fromkeys((meter for meter, _ in owned), 0)
    at = START
    number = 0
    while True:
        number += 1
        at += 20 * MINUTE
        shard = chance.randrange(shards)
        mine = [(meter, account) for meter, (home, account) in owned if home == shard]
        meter, account = chance.choice(mine)
        kind = chance.choices(["read", "tick", "recharge", "refused", "report"], [6, 3, 2, 1, 1])[0]
        if kind == "read":
            for each, _ in mine:
                registers[each] += chance.randrange(900)
            numbers = [*(each for each, _ in mine), 999]
            yield (
                shard,
                ReadingBlock(
                    np.array(numbers, np.int64),
                    np.full(len(numbers), at, np.int64),
                    np.array([*(registers[each] for each, _ in mine), 5], np.int64),
                ),
            )
        elif kind == "tick":
            yield shard, Ticked(at=at)
        elif kind == "recharge":
            order = order_text(at, number if number % 3 else 7)
            yield shard, RechargeOrdered(at=at, id=order, account=account, amount_micros=700_000, currency="CNY")
        elif kind == "refused":
            yield shard, ReadingRefused(at=at, source="f.csv", line=number, text="x", reason="number", meter=meter)
        else:
            yield shard, CommandReported(at=at, meter=meter, epoch=1, stage=Stage.ACKNOWLEDGED)


def everything(client) -> dict[bytes, object]:
    """All keys of a store with all that is in them."""
    read = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"stream": client.xrange,
    }
    return {key: read[client.type(key)](key) for key in sorted(client.scan_iter(count=1000))}


def of_the_log(found: dict[bytes, object]) -> dict[bytes, object]:
    """Of all keys those that the log determines, however it was cut into batches."""
    return {name: value for name, value in found.items() if not name.startswith(b"changed:")}


def options():
    """Options of a plain client."""
    return connection_options()
