"""Routes that read, without the general machinery for dependencies and answers, which takes longer than what they do (docs/performance.md).

A parameter of such a route is of its path or query, validated as everywhere, or a door of `api.dependencies`: an async function of the
request. What a route returns is a response, or a value of its return type, which is written as it is: models are valid once
they are made. Declared in the OpenAPI file like all others.
"""

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.utils import request_params_to_args
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Direct(APIRoute):
    """A route for `APIRouter(route_class=Direct)`; one that takes a body or headers is handled as usual."""

    def get_route_handler(self) -> Handler:
        """The function that answers a request."""
        unusual = self.body_field or self.dependant.header_params or self.dependant.cookie_params
        if unusual or self.status_code == HTTPStatus.NO_CONTENT:
            return super().get_route_handler()
        of_path, of_query, endpoint = self.dependant.path_params, self.dependant.query_params, self.endpoint
        doors: list[tuple[str, Callable[[Request], Awaitable[Any]]]] = [
            (each.name, each.call) for each in self.dependant.dependencies if each.name and each.call
        ]
        written = _writer(endpoint, self.status_code or 200)
        assert all(inspect.iscoroutinefunction(each) for each in (endpoint, *(door for _, door in doors)))

        async def answered(request: Request) -> Response:
            values, errors = request_params_to_args(of_path, request.path_params)
            if of_query:
                more_values, more_errors = request_params_to_args(of_query, request.query_params)
                values |= more_values
                errors += more_errors
            for name, door in doors:
                values[name] = await door(request)
            if errors:
                raise RequestValidationError(errors)
            return unless_known(written(await endpoint(**values)), request)

        return answered


def _writer(endpoint: Callable[..., Any], status: int) -> Callable[[Any], Response]:
    """Makes a response of what a route returns."""
    kind = inspect.signature(endpoint).return_annotation
    if inspect.isclass(kind) and issubclass(kind, Response):
        return lambda found: found
    write = TypeAdapter(kind).serializer.to_json
    return lambda found: Response(write(found, by_alias=True), status, media_type="application/json")


def unless_known(response: Response, request: Request) -> Response:
    """An answer with the digest of its body as ETag; 304 without the body where the caller shows that it has it already."""
    if response.status_code != HTTPStatus.OK or not response.body:
        return response
    tag = f'"{hashlib.blake2b(response.body, digest_size=12).hexdigest()}"'
    shown = request.headers.get("if-none-match", "")
    if tag in (each.strip().removeprefix("W/") for each in shown.split(",")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return response
