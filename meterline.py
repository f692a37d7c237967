"""The command line and composition root of Meterline. Each command is a file in `commands/`; only the asked one is loaded."""

import os
import sys
from importlib import import_module

import structlog
import typer

from commands.endings import refused
from commands.logs import LogFormat, UnknownLogFormatError, asked_format, configure

COMMANDS = {
    "demo": "commands.demo",
    "up": "commands.up",
    "site": "commands.site",
    "collect": "commands.collect",
    "clock": "commands.clock",
    "settle": "commands.settle",
    "count": "commands.count",
    "archive": "commands.archive",
    "notify": "commands.notify",
    "serve": "commands.serve",
    "openapi": "commands.openapi",
    "asyncapi": "commands.asyncapi",
    "simulate": "commands.simulate",
    "import": "commands.import_",
    "accounts": "commands.accounts",
    "tariff": "commands.tariff.group",
    "backup": "commands.backup",
    "restore": "commands.restore",
    "verify": "commands.verify",
    "audit": "commands.audit",
    "monitoring": "commands.monitoring",
    "metrics": "commands.metrics",
    "replay": "commands.replay",
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
    """Run the command of `sys.argv`. A mistake of ours is logged with its traceback, and ends with code 1."""
    asked = [name for name in sys.argv[1:2] if name in COMMANDS]
    try:
        log = asked_format(os.environ)
    except UnknownLogFormatError as error:
        sys.exit(refused(str(error)).exit_code)
    configure(asked[0] if asked else "meterline", log, sys.stderr)
    try:
        app_of(asked or list(COMMANDS))()
    except Exception:
        if log != LogFormat.JSON:
            raise
        structlog.get_logger().exception("ended by a mistake of ours")
        sys.exit(1)


if __name__ == "__main__":
    main()
