"""What the API's tests are about: a small site, and a client that speaks to the app without a socket."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI
from ulid import ULID

from connectors.redis.store import Store
from domain.facts import AccountOpened, AlarmTerms, MeterInstalled, Place, ReadingBlock, TariffPublished
from domain.ids import shard_of
from domain.words import Commodity

TOKEN = "tQ8mW2xN5vK7pL1rY4zB9cH3jD6fG0sA"
NOW = 1_790_000_000_000  # 2026-09-21T14:13:20Z
LATER = NOW + 7_200_000
"""What the app's clock says."""
METER, DRY_METER = 202_600_000_001, 202_600_000_002

TARIFF = """
tariff = "flat"
title = { zh = "单一", en = "flat" }
commodity = "electricity"
currency = "CNY"
zone = "Asia/Shanghai"
source = "made for tests"

[[version]]
from = 2020-01-01
price = "0.6170"
"""


def new_id() -> str:
    """A fresh order id of now."""
    return str(ULID.from_timestamp(NOW / 1000))


def money(amount: str = "50.00", order: str | None = None, **more: Any) -> dict[str, Any]:
    """The body of a recharge or refund."""
    return {"id": order or new_id(), "amount": amount, "currency": "CNY", **more}


def append_site(store: Store) -> None:
    """Accounts A-101 and A-102, and a meter with and one without a switch on the first."""
    for shard in range(store.shards):
        store.append(shard, TariffPublished(at=NOW, id=new_id(), tariff="flat", document=TARIFF))
    for account in ("A-101", "A-102"):
        place = Place(site="Garden", building="1", floor="1", room=account[2:])
        opened = AccountOpened(
            at=NOW, id=new_id(), account=account, currency="CNY", place=place, alarms=AlarmTerms(max_balance=10**9)
        )
        store.append(shard_of(account, store.shards), opened)
    for meter, switchable in ((METER, True), (DRY_METER, False)):
        installed = MeterInstalled(
            at=NOW, id=new_id(), meter=meter, account="A-101", commodity=Commodity.ELECTRICITY, tariff="flat",
            modulus=10**9, rated_per_hour=15_000, opening_register=1_000, switchable=switchable,
        )  # fmt: skip
        store.append(shard_of("A-101", store.shards), installed)


def append_readings(store: Store, *readings: tuple[int, int], meter: int = METER, account: str = "A-101") -> None:
    """Readings of one meter of an account: (time, register)."""
    times, registers = (np.array(column, np.int64) for column in zip(*readings, strict=True))
    store.append(shard_of(account, store.shards), ReadingBlock(np.full(len(times), meter, np.int64), times, registers))


def wait_until_settled(store: Store) -> None:
    """Poll until nothing waits."""
    deadline = time.monotonic() + 60
    while any(store.position(shard) < store.last(shard) for shard in range(store.shards)):
        assert time.monotonic() < deadline, "not settled in time"
        time.sleep(0.005)


@asynccontextmanager
async def client_of(app: FastAPI, token: str = TOKEN):
    """A client of a started app."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://meterline", headers=headers) as client,
    ):
        yield client


def together(app: FastAPI, work: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
    """Some work with one client."""

    async def run() -> Any:
        async with client_of(app) as client:
            return await work(client)

    return asyncio.run(run())


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The address at which an app listens, in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    yield f"http://{host}:{port}"
    server.should_exit = True
    thread.join()
