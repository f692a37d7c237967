"""`meterline tariff …`: look at tariffs, check them, and price with them. Only the sub-command that is asked is loaded."""

import sys
from importlib import import_module

import typer

SUBCOMMANDS = ("check", "show", "list", "price", "compare", "quote", "import")
_PLACES = {"list": "list_", "import": "import_"}
"""Sub-commands whose names mean something else in Python: their modules and functions."""

_HELP = """Look at tariffs, check them, and price with them; nothing of it needs a server or a site.

A tariff is a file (docs/tariffs.md), or one of the catalogue by its id: `meterline tariff list`."""


def app_of(names: tuple[str, ...]) -> typer.Typer:
    """The group with the named sub-commands."""
    app = typer.Typer(help=_HELP, no_args_is_help=True)
    app.callback()(lambda: None)
    for name in names:
        place = _PLACES.get(name, name)
        app.command(name)(getattr(import_module(f"commands.tariff.{place}"), place))
    return app


app = app_of(tuple(name for name in sys.argv[2:3] if name in SUBCOMMANDS) or SUBCOMMANDS)
