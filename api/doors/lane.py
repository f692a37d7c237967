"""A lane for reads: routes that take their path, query and doors only (`api.doors.direct`) are answered without the general router and its stacks.

The library's router tries one route after another and makes room for what a route might need; that takes longer than most answers
(docs/performance.md). Here a route is found by the first part of its path and by how many it has, among those that are alike, in their order. What is not a plain
read goes on to the library, and so does whatever this lane does not know: it may be left away, and only speed goes with it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.doors.direct import Direct, Handler


class Lane:
    """Answers `GET` of plain routes; passes on everything else."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route], answers: Mapping[type[Exception], Any]) -> None:
        """`routes`: all of the app, in its order. `answers`: its exception handlers."""
        self._app = app
        self._answers = {kind: answer for kind, answer in answers.items() if kind is not Exception}  # A bug goes on up.
        self._routes: dict[tuple[str, int], list[tuple[Route, Handler | None]]] = {}
        for route in routes:
            if "GET" in (route.methods or ()):
                plain = route.directly() if isinstance(route, Direct) and route.is_plain else None
                self._routes.setdefault(_kind(route.path), []).append((route, plain))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        found = self._found(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        route, handle, matched = found
        scope.update(matched, route=route)
        request = Request(scope, receive, send)
        response = await self._answered(handle, request)
        await response(scope, receive, send)

    def _found(self, scope: Scope) -> tuple[Route, Handler, Scope] | None:
        for route, handle in self._routes.get(_kind(scope["path"]), ()):
            match, child = Route.matches(route, scope)
            if match == Match.FULL:
                return (route, handle, child) if handle else None
        return None

    async def _answered(self, handle: Handler, request: Request) -> Response:
        try:
            return await handle(request)
        except Exception as error:
            answer = next((self._answers[kind] for kind in type(error).__mro__ if kind in self._answers), None)
            if answer is None:
                raise
            response: Response = answer(request, error)
            return response


def _kind(path: str) -> tuple[str, int]:
    """The first part of a path, and how many it has: no parameter of ours takes more than one."""
    return path[1:].partition("/")[0], path.count("/")
