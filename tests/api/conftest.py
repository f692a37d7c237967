"""The small site on a real server with a real settlement."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from api_site import LATER, TOKEN, append_site, client_of, wait_until_settled
from fastapi import FastAPI

from api.app import create_app
from api.settings import ApiSettings
from connectors.redis.store import Store


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
