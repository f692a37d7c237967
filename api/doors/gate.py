"""Who comes in: a token is made a caller here, once for every request, and what callers attempt is written down.

What is not on the list of open paths is closed, known or not. A caller may do what its role's scopes say (`needs` at each route)
to accounts within its reach (`api/doors/reach.py`). A person or token that is changed or taken away is so from the next request on: nothing is
remembered between two.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from http import HTTPStatus

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

from api.doors.headers import header
from api.doors.limits import Limits
from api.doors.problems import problem, too_often
from api.doors.security import secured
from api.settings import ApiSettings
from connectors.redis.access import Access
from connectors.redis.errors import StoreError
from domain.access import ROOT, AuditEvent, Caller, Reach, Role, Token
from domain.units import MINUTE_MS

OPEN_PATHS = ("/health/live", "/health/ready", "/metrics", "/sessions")
READINGS_PATH = "/readings"
PREFIX = "mlt_"
"""Of every token, so that scanners for leaked secrets know one."""
_ID_LENGTH = 26
"""Of a ULID."""
_SAFE = {"GET", "HEAD", "OPTIONS"}
_DENIED = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_log = structlog.get_logger("api")


def made_token(
    name: str, made_at: int, made_by: str, role: Role, reach: Reach, *, expires_at: int = 0, person: str = ""
) -> tuple[Token, str]:
    """A new token and its text, which is shown once and kept nowhere."""
    number, secret = str(ULID()), secrets.token_urlsafe(32)
    token = Token(
        id=number, secret=_digest(secret), name=name, role=role, reach=reach, made_at=made_at, made_by=made_by,
        expires_at=expires_at, person=person,
    )  # fmt: skip
    return token, f"{PREFIX}{number}.{secret}"


def _digest(secret: str) -> bytes:
    """Enough for a secret of 256 random bits; passwords have argon2."""
    return hashlib.sha256(secret.encode()).digest()


class Gate:
    """Lets in whoever shows a known token, and everybody to the open paths."""

    def __init__(self, app: ASGIApp, settings: ApiSettings, open_paths: Iterable[str]) -> None:
        self._app = app
        self._settings = settings
        self._root = settings.token.encode()
        self._open_paths = frozenset(open_paths)
        self._used: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401 or 429."""
        if scope["type"] != "http" or scope["path"] in self._open_paths:
            await self._app(scope, receive, send)
            return
        try:
            caller = await self._caller(scope)
            limits: Limits = scope["app"].state.limits
            if caller is None:
                denied: Response | None = await self._unknown(scope, limits)
            else:
                scope["state"]["caller"] = caller
                seconds = limits.requests(caller.name)
                denied = too_often(seconds) if seconds else None
        except StoreError:
            denied = problem(HTTPStatus.SERVICE_UNAVAILABLE, "The store does not answer, so nobody is let in.")
        await (denied or self._app)(scope, receive, send)

    async def _caller(self, scope: Scope) -> Caller | None:
        scheme, _, text = header(scope, b"authorization").partition(" ")
        if scheme.lower() != "bearer":
            return None
        if hmac.compare_digest(text.encode(), self._root):
            return ROOT
        number, _, secret = text.removeprefix(PREFIX).partition(".")
        if not text.startswith(PREFIX) or len(number) != _ID_LENGTH:
            return None
        access: Access = scope["app"].state.access
        token, now = await access.token(number), self._settings.wall()
        if token is None or not hmac.compare_digest(_digest(secret), token.secret):
            return None
        if 0 < token.expires_at <= now:
            return None
        await self._note_use(access, number, now)
        return await _bearer(access, token)

    async def _note_use(self, access: Access, number: str, now: int) -> None:
        """Keep the minute of the last use."""
        if now - self._used.get(number, 0) >= MINUTE_MS:
            self._used[number] = now
            await access.note_use(number, now)

    async def _unknown(self, scope: Scope, limits: Limits) -> Response:
        _log.warning("unauthenticated", method=scope["method"], path=scope["path"], client=client_of(scope))
        if seconds := await limits.denials(client_of(scope)):
            return too_often(seconds)
        response = problem(HTTPStatus.UNAUTHORIZED, "Send the header `Authorization: Bearer <token>`.")
        response.headers["WWW-Authenticate"] = "Bearer"
        return response


async def holds(request: Request, caller: Caller) -> bool:
    """Whether the token that a request came with is still good for what its caller may do; for answers that last. Raises StoreError."""
    if caller == ROOT:
        return True
    token = await request.app.state.access.token(caller.token)
    if token is None or 0 < token.expires_at <= request.app.state.settings.wall():
        return False
    return await _bearer(request.app.state.access, token) == caller


async def _bearer(access: Access, token: Token) -> Caller | None:
    """Whose token it is, as that person or program is now."""
    if not token.person:
        return Caller(
            name=f"token:{token.id}", role=token.role, reach=token.reach, token=token.id,
            since=token.made_at, made_by=token.made_by,
        )  # fmt: skip
    person = await access.person(token.person)
    if person is None or person.disabled:
        return None
    since = max(person.made_at, person.changed_at)
    return Caller(name=person.login, role=person.role, reach=person.reach, token=token.id, since=since)


async def caller_named(access: Access, name: str, now: int, *, by_root: bool) -> Caller | None:
    """Whoever asked for something a while ago, as that person or program is now (ms UTC of the wall); None: may not come in any more."""
    if by_root:
        return ROOT
    if name.startswith("token:"):
        token = await access.token(name.removeprefix("token:"))
        return await _bearer(access, token) if token and not 0 < token.expires_at <= now else None
    person = await access.person(name)
    return Caller(name=name, role=person.role, reach=person.reach) if person and not person.disabled else None


def client_of(scope: Scope) -> str:
    """The address that a request comes from: its peer's, or what a proxy on this machine says of it."""
    return str(scope["client"][0]) if scope.get("client") else ""


def _is_to_be_written(scope: Scope, status: int) -> bool:
    """Whether it was denied, or was to change something other than to bring readings, which the log itself tells of."""
    if scope["method"] in _SAFE or scope["path"] == READINGS_PATH:
        return status in _DENIED
    return status != HTTPStatus.TOO_MANY_REQUESTS


class Audited:
    """Writes down every attempt to change something and every denial, before it is answered.

    An answer that cannot be written down is not given: 503 instead. That somebody came too often (429) is only counted, so that nobody
    fills the log from outside. As every answer passes here, it gets the headers that all have, and its status is noted in the scope's state.
    """

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; write down."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope.setdefault("state", {})
        request, is_lost = secrets.token_hex(16), False

        async def sending(message: Message) -> None:
            nonlocal is_lost
            if is_lost:
                return
            if message["type"] == "http.response.start":
                status = scope["state"]["status"] = message["status"]
                message["headers"] = [*secured(message.get("headers", ())), (b"x-request-id", request.encode())]
                is_lost = _is_to_be_written(scope, status) and not await self._is_written(scope, status, request)
                if is_lost:
                    scope["state"]["status"] = HTTPStatus.SERVICE_UNAVAILABLE.value
                    detail = "The audit log cannot be written. An order may or may not have been taken; repeat it with the same id."
                    await problem(HTTPStatus.SERVICE_UNAVAILABLE, detail)(scope, receive, send)
                    return
            await send(message)

        await self._app(scope, receive, sending)

    async def _is_written(self, scope: Scope, status: int, request: str) -> bool:
        """Whether the audit log has it."""
        caller: Caller | None = scope["state"].get("caller")
        event = AuditEvent(
            at=self._settings.wall(), caller=caller.name if caller else "", method=scope["method"], path=scope["path"][:200],
            status=status, client=client_of(scope), request=request,
        )  # fmt: skip
        access: Access = scope["app"].state.access
        try:
            await access.record(event)
        except StoreError as error:
            _log.error("audit log", error=str(error))
            return bool(status == HTTPStatus.SERVICE_UNAVAILABLE)
        return True
