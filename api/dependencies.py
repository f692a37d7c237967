"""What routes are given: the store and the settings of their app."""

from typing import Annotated

from fastapi import Depends, Request

from api.settings import ApiSettings
from connectors.redis.live import LiveStore


def _store(request: Request) -> LiveStore:
    store: LiveStore = request.app.state.store
    return store


def _settings(request: Request) -> ApiSettings:
    settings: ApiSettings = request.app.state.settings
    return settings


StoreDoor = Annotated[LiveStore, Depends(_store)]
Settings = Annotated[ApiSettings, Depends(_settings)]
