"""`meterline openapi`: the description of the API, and what has changed in it since another one."""

import json
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from api.app import create_app
from api.openapi.changes import changes
from api.settings import ApiSettings
from commands.endings import refused
from commands.openapi_changes import changes_file, changes_text

SinceOption = Annotated[
    Path | None,
    typer.Option(
        "--changes-since", help="An older description: list what has changed since, as Markdown.", dir_okay=False
    ),
]


def description() -> dict[str, Any]:
    """The OpenAPI file of this version."""
    return create_app(ApiSettings(redis_url="", token=secrets.token_urlsafe(32), clock=lambda: 0)).openapi()


WriteOption = Annotated[
    Path | None,
    typer.Option(
        "--write-to", help="A folder: write openapi.json and openapi-changes.md there instead.", file_okay=False
    ),
]


def openapi(since: SinceOption = None, docs: WriteOption = None) -> None:
    """Print the OpenAPI 3.1 description of the API, as docs/openapi.json has it."""
    described = description()
    if docs is not None:
        (docs / "openapi.json").write_text(file_text(described), encoding="utf-8")
        (docs / "openapi-changes.md").write_text(changes_file(described, docs / "openapi"), encoding="utf-8")
        return
    if since is None:
        typer.echo(file_text(described), nl=False)
        return
    try:
        before = json.loads(since.read_text(encoding="utf-8"))
        found = changes(before, described)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise refused(f"{since}: no OpenAPI description of this API: {error}") from None
    typer.echo(changes_text(found), nl=False)


def file_text(described: dict[str, Any]) -> str:
    """A description as it is committed."""
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"
