"""What is said when the answer is no: problem details (RFC 9457), one shape for every error of this API.

An order that the machine refused carries the refusal's name in `refusal`; `STATUS` is the one table from names to HTTP
statuses. Of what a caller sent, only ids and amounts in wrong form are quoted back.
"""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from connectors.redis.errors import StoreError
from domain.effects import Outcome
from domain.words import Refusal

RETRY_AFTER_SECONDS = 2
SECURE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
"""What every answer says to browsers: no sniffing, caching, framing or referring."""

STATUS: dict[Refusal, HTTPStatus] = {
    Refusal.BAD_ID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.EXISTS_WITH_DIFFERENT_CONTENT: HTTPStatus.CONFLICT,
    Refusal.TOO_OLD: HTTPStatus.GONE,
    Refusal.ID_FROM_THE_FUTURE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.UNREADABLE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.UNKNOWN_ACCOUNT: HTTPStatus.NOT_FOUND,
    Refusal.UNKNOWN_METER: HTTPStatus.NOT_FOUND,
    Refusal.UNKNOWN_TARIFF: HTTPStatus.NOT_FOUND,
    Refusal.UNKNOWN_POLICY: HTTPStatus.NOT_FOUND,
    Refusal.UNKNOWN_ORDER: HTTPStatus.NOT_FOUND,
    Refusal.UNKNOWN_ITEM: HTTPStatus.NOT_FOUND,
    Refusal.UNKNOWN_CASE: HTTPStatus.NOT_FOUND,
    Refusal.WRONG_COMMODITY: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.WRONG_CURRENCY: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.TARIFF_INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.TERMS_INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.ALREADY_REVERSED: HTTPStatus.CONFLICT,
    Refusal.ACCOUNT_OPEN: HTTPStatus.CONFLICT,
    Refusal.ACCOUNT_CLOSED: HTTPStatus.CONFLICT,
    Refusal.METER_REMOVED: HTTPStatus.CONFLICT,
    Refusal.REGISTER_NOT_BELIEVED: HTTPStatus.CONFLICT,
    Refusal.METERS_NOT_READ: HTTPStatus.CONFLICT,
    Refusal.METER_HAS_NO_SWITCH: HTTPStatus.CONFLICT,
    Refusal.NOTE_MISSING: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.AMOUNT_IS_ZERO: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.AMOUNT_NOT_POSITIVE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.AMOUNT_TOO_LARGE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.ABOVE_MAX_BALANCE: HTTPStatus.CONFLICT,
    Refusal.INSUFFICIENT_BALANCE: HTTPStatus.CONFLICT,
    Refusal.BALANCE_NOT_SETTLED: HTTPStatus.CONFLICT,
    Refusal.ALREADY_EXPIRED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Refusal.DECISION_NOT_POSSIBLE: HTTPStatus.CONFLICT,
    Refusal.CORRECTION_TOO_LARGE: HTTPStatus.CONFLICT,
}
"""404: it is not there. 409: it contradicts what is. 410: it came too late to be told apart. 422: it cannot be right."""


class RefusedError(Exception):
    """An order or a question was refused, by name. `members`: what the problem says besides."""

    def __init__(self, refusal: Refusal, detail: str = "", **members: Any) -> None:
        self.refusal = refusal
        self.detail = detail
        self.members = members
        super().__init__(refusal)

    @classmethod
    def of(cls, outcome: Outcome) -> "RefusedError":
        """The refusal that an outcome states."""
        return cls(Refusal(outcome.refusal), outcome.detail)


class TooOftenError(Exception):
    """A caller or an address has come too often; it may come again after `seconds`."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(seconds)


def problem(status: int, detail: str = "", kind: str = "about:blank", **members: Any) -> JSONResponse:
    """A problem+json response. Its title is the status' own phrase, or the name of the refusal."""
    title = members.get("refusal", "").replace("_", " ") or HTTPStatus(status).phrase
    body = {"type": kind, "title": title, "status": status, "detail": detail, **members}
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def too_often(seconds: int) -> JSONResponse:
    """429, with when to come again."""
    response = problem(HTTPStatus.TOO_MANY_REQUESTS, f"Too many requests: come again in {seconds} s.")
    response.headers["Retry-After"] = str(seconds)
    return response


def answer_problems(app: FastAPI) -> None:
    """Make every error of the app a problem."""
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(TooOftenError, _too_often)
    app.add_exception_handler(StoreError, _store)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)
    kind = f"urn:meterline:refusal:{error.refusal}"
    return problem(STATUS[error.refusal], error.detail, kind, refusal=str(error.refusal), **error.members)


def _too_often(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TooOftenError)
    return too_often(error.seconds)


def _store(_request: Request, _error: Exception) -> JSONResponse:
    return problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The store does not answer. An order may or may not have been taken; repeat it with the same id.",
    )


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": ".".join(map(str, item["loc"])), "message": str(item["msg"]).removeprefix("Value error, ")}
        for item in error.errors()
    ]
    detail = f"{len(errors)} {'mistake' if len(errors) == 1 else 'mistakes'} in the request"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = "" if error.detail == HTTPStatus(error.status_code).phrase else error.detail
    response = problem(error.status_code, detail)
    response.headers.update(error.headers or {})
    return response


def _bug(_request: Request, _error: Exception) -> JSONResponse:
    """The outermost answer: nothing else adds headers to it."""
    response = problem(HTTPStatus.INTERNAL_SERVER_ERROR, "This is a bug. The server's log has its trace.")
    response.headers.update(SECURE_HEADERS)
    return response
