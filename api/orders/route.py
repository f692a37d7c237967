"""Orders by header: `Idempotency-Key` says an order's id instead of the `id` in its body. For every route of orders, here and nowhere else.

The key is the id itself, a ULID or a UUIDv7, and any other text is refused. The machine forgets ids after 90 days, and tells one that it has forgotten
from one that it has never seen by the time in it; a text without a time would count again on the 91st day.
"""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, get_args

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, RootModel
from starlette.exceptions import HTTPException

from api.doors.direct import Direct
from domain.ids import order_id

HEADER = "Idempotency-Key"
_PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "The order's id instead of `id` in the body: a ULID or a UUIDv7. Where both are there they must agree.",
    "schema": {"type": "string"},
}


class _Named(Request):
    """A request whose body has the id that its header says."""

    key = ""

    async def json(self) -> Any:
        """The body. An id of its own that cannot be read stays, for its mistake to be told."""
        body = await super().json()
        if not isinstance(body, dict):
            return body
        if "id" in body and _bits(body["id"]) not in {None, _bits(self.key)}:
            raise HTTPException(
                HTTPStatus.UNPROCESSABLE_ENTITY, f"The header {HEADER} and the body have different ids."
            )
        return {"id": self.key, **body}


def _bits(text: Any) -> bytes | None:
    try:
        return order_id(text) if isinstance(text, str) else None
    except ValueError:
        return None


class OrderRoute(Direct):
    """A route whose orders may be named by the header; one that takes none is direct."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        super().__init__(path, endpoint, **more)
        if self.takes_orders:
            self.openapi_extra = {**(self.openapi_extra or {}), "parameters": [_PARAMETER]}

    @property
    def takes_orders(self) -> bool:
        """Whether its body is an order: it has an id of its caller."""
        return self.body_field is not None and is_order(self.body_field.field_info.annotation)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As without us, where no header is sent."""
        handle = super().get_route_handler()

        async def named(request: Request) -> Response:
            key = request.headers.get(HEADER)
            if key is None or not self.takes_orders:
                return await handle(request)
            renamed = _Named(request.scope, request.receive)
            renamed.key = _checked(key.strip('"'))
            return await handle(renamed)

        return named


def is_order(body: Any) -> bool:
    """Whether a kind of body, or each kind that it may be of, has an id."""
    if not (isinstance(body, type) and issubclass(body, BaseModel)):
        return False
    if issubclass(body, RootModel):
        return all(map(is_order, get_args(body.model_fields["root"].annotation)))
    return "id" in body.model_fields


def _checked(key: str) -> str:
    try:
        order_id(key)
    except ValueError as error:
        mistake = {"type": "value_error", "loc": ("header", HEADER), "msg": str(error), "input": None}
        raise RequestValidationError([mistake]) from None
    return key
