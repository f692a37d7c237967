"""Headers of a request as a server hands them over, without a map of all of them for each look."""

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str:
    """The value of a header by its name in small letters, as servers write them; "": there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value).decode("latin-1")
    return ""
