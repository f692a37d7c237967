"""The small site on a real server with a real settlement."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from api_site import LATER, TOKEN, append_site, client_of, wait_until_settled
from fastapi import FastAPI
from figures_site import Household, append, archive_up_to_now, facts

from api.app import create_app
from api.settings import ApiSettings
from connectors.archive.files import Archive
from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from flows.settle import settle_once


@pytest.fixture
def site(store: Store, settling):
    """A settled site, and a settlement that goes on."""
    append_site(store)
    wait_until_settled(store)
    return store


@pytest.fixture
def app(store: Store, store_url: str) -> FastAPI:
    """An app on the store, which stands still in event time."""
    return create_app(ApiSettings(redis_url=store_url, token=TOKEN, clock=lambda: LATER, wait_seconds=20))


@pytest.fixture
def ask(app: FastAPI) -> Callable[..., httpx.Response]:
    """One request in its own event loop."""

    def ask(method: str, path: str, token: str = TOKEN, **more: Any) -> httpx.Response:
        async def one() -> httpx.Response:
            async with client_of(app, token) as client:
                return await client.request(method, path, **more)

        return asyncio.run(one())

    return ask


@pytest.fixture(scope="session", params=["live", "part", "archived"])
def household(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Household]:
    """A household's month on a real server: all of it there; the first half archived and trimmed; all of it archived."""
    folder = tmp_path_factory.mktemp(request.param)
    server = EmbeddedServer.start(folder / "data")
    store = Store.open(server.url, 4)
    place, given = folder / "archive", facts()
    half = len(given) // 2 if request.param == "part" else 0
    append(store, given[:half])
    settle_once(store)
    if half:
        archive_up_to_now(server.url, Archive.at(place))
    append(store, given[half:])
    settle_once(store)
    if request.param == "archived":
        archive_up_to_now(server.url, Archive.at(place))
    yield Household(store, server.url, None if request.param == "live" else place)
    store.close()
    server.stop()
