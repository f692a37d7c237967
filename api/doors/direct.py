"""Routes that read, without the general machinery for dependencies and answers, which takes longer than what they do (docs/performance.md).

A parameter of such a route is of its path or query, validated as everywhere, or a door of `api.doors.dependencies`: an async function of the
request. What a route returns is a response, or a value of its return type, which is written as it is: models are valid once
they are made. Declared in the OpenAPI file like all others.
"""

import hashlib
import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from http import HTTPStatus
from typing import Any, get_args

from fastapi import Request, Response
from fastapi.dependencies.utils import request_params_to_args
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from api.doors.headers import header

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Direct(APIRoute):
    """A route for `APIRouter(route_class=Direct)`. One that takes more than its path, query and doors is handled as usual."""

    def get_route_handler(self) -> Handler:
        """The function that answers a request."""
        if self.is_plain:
            return self.directly()
        handle = super().get_route_handler()
        if self.methods != {"GET"}:
            return handle

        async def tagged(request: Request) -> Response:
            return unless_known(await handle(request), request)

        return tagged

    @property
    def is_plain(self) -> bool:
        """Whether it takes its path, query and doors only, and so can be answered directly."""
        needs, kind = self.dependant, _kind_of(self.endpoint)
        doors_are_plain = all(
            door.name and inspect.iscoroutinefunction(door.call) and door.request_param_name == "request"
            and not (door.dependencies or door.path_params or door.query_params or door.header_params)
            for door in needs.dependencies
        )  # fmt: skip
        takes_more = self.body_field or needs.header_params or needs.cookie_params or needs.request_param_name
        is_empty = self.status_code == HTTPStatus.NO_CONTENT
        returns_one_kind = not any(_is_response(each) for each in get_args(kind))
        return doors_are_plain and not takes_more and not is_empty and returns_one_kind

    def directly(self) -> Handler:
        """The function that answers a request of a plain route."""
        of_path, of_query, endpoint = self.dependant.path_params, self.dependant.query_params, self.endpoint
        doors: list[tuple[str, Callable[..., Any]]] = [
            (each.name, each.call) for each in self.dependant.dependencies if each.name and each.call
        ]
        written, reads = _writer(endpoint, self.status_code or HTTPStatus.OK), self.methods == {"GET"}

        async def answered(request: Request) -> Response:
            values, errors = _of_path(of_path, request.path_params)
            if of_query:
                more_values, more_errors = request_params_to_args(of_query, request.query_params)
                values |= more_values
                errors += more_errors
            for name, door in doors:
                values[name] = await door(request=request)
            if errors:
                raise RequestValidationError(errors)
            response = written(await endpoint(**values))
            return unless_known(response, request) if reads else response

        return answered


def _of_path(fields: Sequence[Any], texts: Mapping[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """Values by name, and what is wrong: as `request_params_to_args` does for what may stand anywhere and often, only sooner."""
    values: dict[str, Any] = {}
    errors: list[Any] = []
    for field in fields:
        values[field.name], wrong = field.validate(texts[field.alias], values, loc=("path", field.alias))
        errors += wrong
    return values, errors


def _writer(endpoint: Callable[..., Any], status: int) -> Callable[[Any], Response]:
    """Makes a response of what a route returns."""
    kind = _kind_of(endpoint)
    if _is_response(kind):
        return lambda found: found
    write = TypeAdapter(kind).serializer.to_json
    return lambda found: Response(write(found, by_alias=True), status, media_type="application/json")


def _kind_of(endpoint: Callable[..., Any]) -> Any:
    return inspect.signature(endpoint).return_annotation


def _is_response(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Response)


def unless_known(response: Response, request: Request) -> Response:
    """An answer with the digest of its body as ETag; 304 without the body where the caller shows that it has it already."""
    body = getattr(response, "body", b"")  # What is streamed has none.
    if response.status_code != HTTPStatus.OK or not body:
        return response
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    shown = header(request.scope, b"if-none-match")
    if shown and tag in (each.strip().removeprefix("W/") for each in shown.split(",")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
    response.raw_headers.append((b"etag", tag.encode()))
    return response
