"""What routes are given: the store and the settings of their app, and who asks."""

from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from api.limits import Limits
from api.problems import TooOftenError
from api.settings import ApiSettings
from connectors.redis.access import Access
from connectors.redis.live import LiveStore
from domain.access import Caller, Scope

ORDERS = frozenset({Scope.RECHARGE, Scope.REFUND, Scope.CONTROL, Scope.DECIDE})
"""Scopes of doors behind which money or supply moves: counted by the hour."""


def _store(request: Request) -> LiveStore:
    store: LiveStore = request.app.state.store
    return store


def _settings(request: Request) -> ApiSettings:
    settings: ApiSettings = request.app.state.settings
    return settings


def _access(request: Request) -> Access:
    access: Access = request.app.state.access
    return access


def _limits(request: Request) -> Limits:
    limits: Limits = request.app.state.limits
    return limits


def needs(scope: Scope) -> Any:
    """A dependency that gives the caller, if its role has a scope. Every route behind the gate has one; it is marked with `scope`."""

    async def door(request: Request) -> Caller:
        caller: Caller = request.state.caller
        if scope not in caller.scopes:
            raise HTTPException(403, f"This needs the scope {scope}, which the role {caller.role} does not have.")
        if scope in ORDERS and (seconds := await _limits(request).orders(caller.name)):
            raise TooOftenError(seconds)
        return caller

    door.scope = scope  # type: ignore[attr-defined]  # a mark, read by a test of all routes
    return Depends(door)


StoreDoor = Annotated[LiveStore, Depends(_store)]
Settings = Annotated[ApiSettings, Depends(_settings)]
AccessDoor = Annotated[Access, Depends(_access)]
LimitsDoor = Annotated[Limits, Depends(_limits)]
Reader = Annotated[Caller, needs(Scope.READ)]
Recharger = Annotated[Caller, needs(Scope.RECHARGE)]
Refunder = Annotated[Caller, needs(Scope.REFUND)]
Switcher = Annotated[Caller, needs(Scope.CONTROL)]
Decider = Annotated[Caller, needs(Scope.DECIDE)]
Approver = Annotated[Caller, needs(Scope.APPROVE)]
Keeper = Annotated[Caller, needs(Scope.ACCESS)]
Auditor = Annotated[Caller, needs(Scope.AUDIT)]
