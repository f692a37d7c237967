"""The OpenAPI 3.1 file: what follows from routes and models, with what all routes have in common said once.

Which errors a route may answer follows from what it has: a token to show, a path to something, a body, an order. `docs/openapi.json`
is this file as committed; `meterline openapi` writes it.
"""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from api.doors.gate import OPEN_PATHS
from api.meters.reading_models import ReadingsWrite
from domain.words import Refusal

ABOUT = """\
Prepaid electricity and water. Reads what the machine has decided, takes orders, and answers with what became of them.

Money is a decimal string beside its currency, energy and water are decimal strings in kWh and m³, times are ISO 8601 with a zone. Every
error is a problem (RFC 9457). An order has an `id` that its caller makes once per intent: repeat it as often as you like.

**What may change.** Routes, fields of answers, values of words, and optional parameters are added at any time: leave alone what you do
not know. What is to go is marked `deprecated` here and answered with the headers `Deprecation` and `Sunset` for at least
twelve months before it goes. `docs/openapi-changes.md` lists every change.
"""
WRITES = ("post", "put", "patch", "delete")
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_SAID: dict[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The body cannot be read.",
    HTTPStatus.UNAUTHORIZED: "No token, or one that is not known.",
    HTTPStatus.FORBIDDEN: "The caller's role does not have the scope.",
    HTTPStatus.NOT_FOUND: "It is not there, or not within the caller's reach.",
    HTTPStatus.CONFLICT: "It contradicts what is.",
    HTTPStatus.GONE: "The id is older than ids are kept.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "It cannot be right; `errors` lists all mistakes.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The store does not answer, or nothing could be written down.",
}
_MISTAKE = {
    "type": "object",
    "required": ["field", "message"],
    "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
}
PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "What is said when the answer is no (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "refusal": {
            "type": "string",
            "description": "By the machine.",
            "enum": [str(each) for each in Refusal if each],
        },
        "errors": {"type": "array", "items": _MISTAKE},
        "part": {"type": "string", "description": "Of an opening: the part that was refused."},
        "done": {"type": "array", "items": {"type": "object"}, "description": "What became of the parts before it."},
    },
    "examples": [
        {
            "type": "urn:meterline:refusal:insufficient_balance",
            "title": "insufficient balance",
            "status": 409,
            "detail": "",
            "refusal": "insufficient_balance",
        }
    ],
}


def name_of(route: APIRoute) -> str:
    """The `operationId` of a route: the name of its function."""
    return route.name


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI file of an app."""
    found = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=ABOUT, routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )  # fmt: skip
    parts = found.setdefault("components", {})
    parts["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "description": "`mlt_…`, or of a session."}
    }
    parts["schemas"] = {
        name: each
        for name, each in parts.get("schemas", {}).items()
        if name not in ("HTTPValidationError", "ValidationError")
    } | {"Problem": PROBLEM, **_written_by_hand()}
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return found


def _written_by_hand() -> dict[str, Any]:
    """Models of bodies that a route reads by itself."""
    _, found = models_json_schema([(ReadingsWrite, "validation")], ref_template="#/components/schemas/{model}")
    return dict(found["$defs"])


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Say who may come in, and which problems may be answered."""
    is_open = path in OPEN_PATHS
    operation["security"] = [] if is_open else [{"token": []}]
    responses = operation["responses"]
    responses.pop(str(HTTPStatus.UNPROCESSABLE_ENTITY.value), None)
    for status in _problems(path, method, operation, is_open=is_open):
        responses.setdefault(str(status.value), _problem(status))
    kept = responses.get("200", {})
    if method == "get" and not is_open and "application/json" in kept.get("content", {}):
        kept["headers"] = {"ETag": {"description": "Of the body; for `If-None-Match`.", "schema": {"type": "string"}}}
        responses["304"] = {"description": "The caller has it already."}
    operation["responses"] = dict(sorted(responses.items()))


def _problems(path: str, method: str, operation: dict[str, Any], *, is_open: bool) -> list[HTTPStatus]:
    found = [HTTPStatus.SERVICE_UNAVAILABLE]
    if not is_open or method in WRITES:
        found += [HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS]
    if not is_open:
        found.append(HTTPStatus.FORBIDDEN)
    if "{" in path or str(HTTPStatus.ACCEPTED.value) in operation["responses"]:
        found.append(HTTPStatus.NOT_FOUND)
    if "requestBody" in operation:
        found += [HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE]
    if operation.get("parameters") or "requestBody" in operation:
        found.append(HTTPStatus.UNPROCESSABLE_ENTITY)
    if method in WRITES:
        found += [HTTPStatus.CONFLICT, HTTPStatus.GONE]
    return found


def _problem(status: HTTPStatus) -> dict[str, Any]:
    comes_again = status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
    return {
        "description": _SAID[status],
        "content": {"application/problem+json": {"schema": _PROBLEM}},
        **({"headers": _RETRY} if comes_again else {}),
    }
