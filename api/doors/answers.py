"""Answers that are written without a model in between: a test reads each of them back by the model that its route declares."""

from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import Response


def answer(value: Any, status: int = HTTPStatus.OK) -> Response:
    """Plain values, or packed pieces (`msgspec.Raw`), as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")
