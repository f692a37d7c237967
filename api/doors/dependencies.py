"""What routes are given: the store and the settings of their app, and who asks."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.exceptions import HTTPException

from api.doors.apart import Apart
from api.doors.limits import Limits
from api.doors.problems import TooOftenError
from api.settings import ApiSettings
from connectors.redis.access import Access
from connectors.redis.batches import Batches
from connectors.redis.directory import Directory
from connectors.redis.everyone import Everyone
from connectors.redis.live import LiveStore
from domain.access import Caller, Scope

ORDERS = frozenset({Scope.RECHARGE, Scope.REFUND, Scope.CONTROL, Scope.DECIDE, Scope.MANAGE})
"""Scopes of doors behind which money or supply moves: counted by the hour."""


def kept(name: str) -> Any:
    """A dependency that gives what the app keeps under a name, from its beginning to its end (`api.app`)."""

    async def found(request: Request) -> Any:
        return getattr(request.app.state, name)

    return Depends(found)


def check_scope(caller: Caller, scope: Scope) -> None:
    """That a caller's role has a scope. Raises HTTPException."""
    if scope not in caller.scopes:
        raise HTTPException(403, f"This needs the scope {scope}, which the role {caller.role} does not have.")


def needs(scope: Scope) -> Any:
    """A dependency that gives the caller, if its role has a scope. Every route behind the gate has one; it is marked with `scope`."""

    async def door(request: Request) -> Caller:
        caller: Caller = request.state.caller
        check_scope(caller, scope)
        limits: Limits = request.app.state.limits
        if scope in ORDERS and (seconds := await limits.orders(caller.name)):
            raise TooOftenError(seconds)
        return caller

    door.scope = scope  # type: ignore[attr-defined]  # a mark, read by a test of all routes
    return Depends(door)


@dataclass(frozen=True, slots=True)
class Desk:
    """What an order passes over: the store, what waits for a second person, and the settings."""

    store: LiveStore
    access: Access
    settings: ApiSettings


async def _desk(request: Request) -> Desk:
    kept = request.app.state
    return Desk(kept.store, kept.access, kept.settings)


DeskDoor = Annotated[Desk, Depends(_desk)]
StoreDoor = Annotated[LiveStore, kept("store")]
DirectoryDoor = Annotated[Directory, kept("directory")]
Settings = Annotated[ApiSettings, kept("settings")]
AccessDoor = Annotated[Access, kept("access")]
LimitsDoor = Annotated[Limits, kept("limits")]
ApartDoor = Annotated[Apart, kept("apart")]
EveryoneDoor = Annotated[Everyone, kept("everyone")]
BatchesDoor = Annotated[Batches, kept("batches")]
Reader = Annotated[Caller, needs(Scope.READ)]
Recharger = Annotated[Caller, needs(Scope.RECHARGE)]
Refunder = Annotated[Caller, needs(Scope.REFUND)]
Switcher = Annotated[Caller, needs(Scope.CONTROL)]
Decider = Annotated[Caller, needs(Scope.DECIDE)]
Manager = Annotated[Caller, needs(Scope.MANAGE)]
Approver = Annotated[Caller, needs(Scope.APPROVE)]
Keeper = Annotated[Caller, needs(Scope.ACCESS)]
Auditor = Annotated[Caller, needs(Scope.AUDIT)]
Pusher = Annotated[Caller, needs(Scope.INGEST)]
