"""The secret that the API is started with, how much callers may carry, and what every answer says to browsers."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.doors.headers import header
from api.doors.problems import SECURE_HEADERS, problem

Header = tuple[bytes, bytes]

GZIP_FROM_BYTES = 4_096
"""What fits into few packets is not worth the work."""
SECRET_LENGTH_MIN = 32
SECRET_LETTERS_MIN = 10
PASSWORD_LENGTH_MIN, PASSWORD_LETTERS_MIN = 12, 6
_WELL_KNOWN = (
    "changeme",
    "change-me",
    "change_me",
    "secret",
    "password",
    "token",
    "example",
    "default",
    "0123456789",
    "abcdef",
)
_ADVICE = 'make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'


class WeakSecretError(ValueError):
    """A token that could be guessed; the message says what to do, and not what the token was."""


def check_secret(token: str) -> str:
    """The token, if nobody will guess it. Raises WeakSecretError."""
    if not token:
        raise WeakSecretError(f"no API token: set METERLINE_API_TOKEN; {_ADVICE}")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise WeakSecretError(f"the API token has characters that no header can carry; {_ADVICE}")
    if len(token) < SECRET_LENGTH_MIN:
        raise WeakSecretError(f"the API token has fewer than {SECRET_LENGTH_MIN} characters; {_ADVICE}")
    if any(word in token.lower() for word in _WELL_KNOWN):
        raise WeakSecretError(f"the API token contains a well-known word; {_ADVICE}")
    if len(set(token)) < SECRET_LETTERS_MIN:
        raise WeakSecretError(f"the API token has fewer than {SECRET_LETTERS_MIN} different characters; {_ADVICE}")
    return token


def check_password(password: str) -> str:
    """A password, if it is not easily guessed. Raises ValueError, without the password."""
    if len(password) < PASSWORD_LENGTH_MIN:
        raise ValueError(f"expected at least {PASSWORD_LENGTH_MIN} characters; a sentence is easy to remember")
    if any(word in password.lower() for word in _WELL_KNOWN) or len(set(password)) < PASSWORD_LETTERS_MIN:
        raise ValueError("contains a well-known word, or few different characters; a sentence is easy to remember")
    return password


class BodyLimit:
    """Refuses a body of more bytes than that, or than its path may have, whether its header says so or it turns out."""

    def __init__(self, app: ASGIApp, bytes_max: int, of_path: Mapping[str, int]) -> None:
        self._app = app
        self._bytes_max, self._of_path = bytes_max, of_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = header(scope, b"content-length") or "0"
        bytes_max = self._of_path.get(scope["path"], self._bytes_max)
        if not stated.isdigit() or int(stated) > bytes_max:
            await problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(bytes_max))(scope, receive, send)
        else:
            await self._app(scope, self._counted(receive, bytes_max), send)

    def _counted(self, receive: Receive, bytes_max: int) -> Receive:
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > bytes_max:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(bytes_max))
            return message

        return counted


def _too_large(bytes_max: int) -> str:
    return f"A body may have at most {bytes_max} bytes."


def secured(headers: Iterable[Header]) -> list[Header]:
    """Headers of an answer with those that forbid sniffing, caching, framing and referring, instead of any that a route may have given."""
    return [each for each in headers if each[0].lower() not in _SECURE] + _SECURED


_SECURED: list[Header] = [(name.lower().encode(), value.encode()) for name, value in SECURE_HEADERS.items()]
_SECURE = frozenset(name for name, _ in _SECURED)


class Compressed:
    """Compresses large answers for callers that take it; others pay nothing for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._compressing = GZipMiddleware(app, minimum_size=GZIP_FROM_BYTES, compresslevel=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        takes = scope["type"] == "http" and "gzip" in header(scope, b"accept-encoding")
        await (self._compressing if takes else self._app)(scope, receive, send)
