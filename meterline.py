"""The command line and composition root of Meterline. Each command is a file in `commands/`; only the asked one is loaded."""

import sys
from importlib import import_module

import structlog
import typer

COMMANDS = {
    "demo": "commands.demo",
    "up": "commands.up",
    "collect": "commands.collect",
    "settle": "commands.settle",
    "count": "commands.count",
    "serve": "commands.serve",
    "simulate": "commands.simulate",
    "import": "commands.import_",
    "accounts": "commands.accounts",
    "tariff": "commands.tariff",
    "bench": "commands.bench",
}
_GROUPS = {"accounts", "tariff", "bench"}
"""Commands that have sub-commands."""
_HELP = """Prepaid electricity and water, as a stream: meters in, exact balances, alarms and switched relays out.

Begin with `meterline demo`: a street of simulated meters on prepaid credit. With meters of your own, write a site file
(docs/site-file.md) and run `meterline up SITE`. Exit codes: 0 done, 1 failed while running, 2 wrong input (the message says what
was expected)."""


def app_of(names: list[str]) -> typer.Typer:
    """The application with the named commands."""
    app = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    for name in names:
        module = import_module(COMMANDS[name])
        if name in _GROUPS:
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, module.__name__.rpartition(".")[2]))
    return app


def main() -> None:
    """Run the command of `sys.argv`."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asked = [name for name in sys.argv[1:2] if name in COMMANDS]
    app_of(asked or list(COMMANDS))()


if __name__ == "__main__":
    main()
