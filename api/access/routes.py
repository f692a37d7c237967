"""People, programs and what they attempted: signing in, who may come in, and the audit log."""

import asyncio
from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any

import argon2
import msgspec
from fastapi import APIRouter, Query, Request, Response
from starlette.exceptions import HTTPException

from api.access.models import (
    AuditPage,
    AuditRead,
    Me,
    PasswordChange,
    PersonChange,
    PersonRead,
    PersonWrite,
    SignIn,
    TokenMade,
    TokenRead,
    TokenWrite,
)
from api.doors.dependencies import AccessDoor, Auditor, Keeper, LimitsDoor, Reader, Settings
from api.doors.direct import Direct
from api.doors.gate import client_of, made_token
from api.doors.problems import TooOftenError
from connectors.redis.access import Access
from connectors.redis.formats import iso
from domain.access import Person, Reach, Role, Token
from domain.ids import entry_id, entry_text
from domain.units import DAY_MS, HOUR_MS

router = APIRouter(tags=["access"], route_class=Direct)
sessions = APIRouter(tags=["access"])

_hasher = argon2.PasswordHasher()
"""Argon2id with the library's parameters, which follow RFC 9106."""


@cache
def _nobody() -> str:
    """What a password is compared with where nobody has the login, so that an answer does not tell by its time."""
    return _hasher.hash("nobody has this password")


@sessions.post("/sessions", status_code=201)
async def sign_in(
    who: SignIn, request: Request, access: AccessDoor, limits: LimitsDoor, settings: Settings
) -> TokenMade:
    """A token for a person, for some hours. Wrong login and wrong password are answered alike."""
    if seconds := await limits.logins(who.login):
        raise TooOftenError(seconds)
    person = await access.person(who.login)
    if not await _is_password(who.password, person) or person is None or person.disabled:
        if seconds := await limits.denials(client_of(request.scope)):
            raise TooOftenError(seconds)
        raise HTTPException(HTTPStatus.UNAUTHORIZED, "Login or password are wrong.", {"WWW-Authenticate": "Bearer"})
    now = settings.wall()
    await _forget_sessions(access, lambda token: 0 < token.expires_at <= now)
    expires = now + int(settings.session_hours * HOUR_MS)
    token, text = made_token(
        "session", now, person.login, person.role, person.reach, expires_at=expires, person=person.login
    )
    await access.keep_token(token)
    return TokenMade(**_token_read(token, 0).model_dump(), token=text)


@router.delete("/sessions/current", status_code=204)
async def sign_out(caller: Reader, access: AccessDoor) -> Response:
    """Let the token that is shown be known no more."""
    if not caller.token:
        raise HTTPException(HTTPStatus.CONFLICT, "The secret that the API was started with cannot be signed out.")
    await access.drop_token(caller.token)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/me")
async def get_me(caller: Reader) -> Me:
    """Who asks, and what that caller may do."""
    return Me(name=caller.name, role=caller.role, scopes=sorted(caller.scopes), **_reach(caller.reach))


@router.put("/me/password", status_code=204)
async def change_password(change: PasswordChange, caller: Reader, access: AccessDoor, limits: LimitsDoor) -> Response:
    """Another password for oneself. Other sessions of this person end."""
    person = await access.person(caller.name)
    if seconds := await limits.logins(caller.name):
        raise TooOftenError(seconds)
    if person is None or not await _is_password(change.old, person):
        raise HTTPException(HTTPStatus.FORBIDDEN, "Only a person has a password, and the old one must be right.")
    await access.keep_person(msgspec.structs.replace(person, password=await _hashed(change.new)), new=False)
    await _end_sessions(access, person.login, but=caller.token)
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/people")
async def list_people(caller: Keeper, access: AccessDoor) -> list[PersonRead]:  # noqa: ARG001 - the door is what counts
    """Everybody who may sign in."""
    return [_person_read(person) for person in await access.people()]


@router.post("/people", status_code=201)
async def add_person(new: PersonWrite, caller: Keeper, access: AccessDoor, settings: Settings) -> PersonRead:
    """Let a person sign in from now on."""
    reach = _reach_of(new.role, Reach(sites=new.sites, accounts=new.accounts, everything=new.everything))
    person = Person(
        login=new.login, name=new.name, password=await _hashed(new.password), role=new.role, reach=reach,
        made_at=settings.wall(), made_by=caller.name,
    )  # fmt: skip
    if not await access.keep_person(person, new=True):
        raise HTTPException(
            HTTPStatus.CONFLICT, f"The login {new.login} is taken; PATCH /people/{new.login} changes it."
        )
    return _person_read(person)


@router.patch("/people/{login}")
async def change_person(
    login: str, change: PersonChange, caller: Keeper, access: AccessDoor, settings: Settings
) -> PersonRead:
    """Change a person; it holds from the next request on. With a new password, or disabled, all sessions end."""
    person = await access.person(login)
    if person is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no person {login}.")
    if login == caller.name and (change.disabled or change.role not in {None, person.role}):
        raise HTTPException(HTTPStatus.CONFLICT, "Nobody disables or demotes themselves: another admin does.")
    wanted = {name: value for name in Reach.__struct_fields__ if (value := getattr(change, name)) is not None}
    role = change.role or person.role
    is_anothers = login != caller.name and bool(change.model_fields_set - {"name"})
    changed = msgspec.structs.replace(
        person,
        name=change.name or person.name,
        role=role,
        reach=_reach_of(role, msgspec.structs.replace(person.reach, **wanted)),
        disabled=person.disabled if change.disabled is None else change.disabled,
        password=person.password if change.password is None else await _hashed(change.password),
        changed_at=settings.wall() if is_anothers else person.changed_at,
    )
    await access.keep_person(changed, new=False)
    if change.password or changed.disabled:
        await _end_sessions(access, login)
    return _person_read(changed)


@router.get("/tokens")
async def list_tokens(caller: Keeper, access: AccessDoor) -> list[TokenRead]:  # noqa: ARG001 - the door is what counts
    """Tokens of programs and sessions of people, without their secrets."""
    return [_token_read(token, used) for token, used in await access.tokens()]


@router.post("/tokens", status_code=201)
async def make_token(new: TokenWrite, caller: Keeper, access: AccessDoor, settings: Settings) -> TokenMade:
    """A token for a program. Its text is in this answer, and nowhere else ever."""
    now = settings.wall()
    reach = _reach_of(new.role, Reach(sites=new.sites, accounts=new.accounts, everything=new.everything))
    token, text = made_token(
        new.name, now, caller.name, new.role, reach, expires_at=now + new.days * DAY_MS if new.days else 0
    )
    await access.keep_token(token)
    return TokenMade(**_token_read(token, 0).model_dump(), token=text)


@router.delete("/tokens/{token}", status_code=204)
async def revoke_token(token: str, caller: Keeper, access: AccessDoor) -> Response:  # noqa: ARG001 - as above
    """Let a token be known no more, from the next request on."""
    if not await access.drop_token(token):
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such token.")
    return Response(status_code=HTTPStatus.NO_CONTENT)


@router.get("/audit")
async def list_audit(
    caller: Auditor,  # noqa: ARG001 - as above
    access: AccessDoor,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    cursor: Annotated[
        str | None, Query(pattern=r"^\d{1,16}-\d{1,9}$", description="`next` of the page before.")
    ] = None,
) -> AuditPage:
    """What was attempted and what was denied, newest first."""
    found = await access.events(entry_id(cursor) if cursor else None, limit)
    events = [
        AuditRead(
            id=entry_text(entry), at=iso(event.at), caller=event.caller or None, method=event.method, path=event.path,
            status=event.status, client=event.client, request=event.request, chain=chain.hex(),
        )
        for entry, event, chain in found
    ]  # fmt: skip
    return AuditPage(events=events, next=events[-1].id if len(events) == limit else None)


def _reach_of(role: Role, reach: Reach) -> Reach:
    if role == Role.TENANT and (reach.everything or reach.sites or not reach.accounts):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "A tenant reaches accounts by name, and nothing else.")
    if role == Role.ADMIN and not reach.everything:
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY, "An admin gives any reach to anybody, so it has everything."
        )
    if reach.everything == bool(reach.sites or reach.accounts):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "Name sites or accounts, or say everything; not both.")
    return reach


def _reach(reach: Reach) -> dict[str, Any]:
    return {"sites": list(reach.sites), "accounts": list(reach.accounts), "everything": reach.everything}


def _person_read(person: Person) -> PersonRead:
    return PersonRead(
        login=person.login, name=person.name, role=person.role, disabled=person.disabled, made_at=iso(person.made_at),
        made_by=person.made_by, **_reach(person.reach),
    )  # fmt: skip


def _token_read(token: Token, used: int) -> TokenRead:
    return TokenRead(
        id=token.id, name=token.name, role=token.role, person=token.person or None, made_at=iso(token.made_at),
        made_by=token.made_by, expires_at=iso(token.expires_at) if token.expires_at else None,
        last_used_at=iso(used) if used else None, **_reach(token.reach),
    )  # fmt: skip


async def _end_sessions(access: Access, login: str, but: str = "") -> None:
    await _forget_sessions(access, lambda token: token.person == login and token.id != but)


async def _forget_sessions(access: Access, ends: Callable[[Token], bool]) -> None:
    """Let some sessions be known no more. Tokens of programs stay listed when they have expired."""
    for token, _ in await access.tokens():
        if token.person and ends(token):
            await access.drop_token(token.id)


async def _hashed(password: str) -> str:
    """In a thread: it is slow by design."""
    return await asyncio.to_thread(_hasher.hash, password)


async def _is_password(password: str, person: Person | None) -> bool:
    try:
        return (
            await asyncio.to_thread(_hasher.verify, person.password if person else _nobody(), password)
            and person is not None
        )
    except argon2.exceptions.VerifyMismatchError:
        return False
