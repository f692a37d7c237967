"""`meterline settle`: fold the log into balances, alarms and commands, until it is interrupted."""

from pathlib import Path

import typer

from commands.dataflows import run
from commands.endings import failed
from commands.shared import DATA_DEFAULT, DataOption, store_url
from connectors.redis.errors import StoreError
from connectors.redis.store import Store
from flows.machine import warm_up
from flows.readings.compiled import is_ready
from flows.settle import build


def prepare_kernel() -> None:
    """Compile the kernel if this installation has not done so yet, and say what is being waited for."""
    if not is_ready():
        typer.echo("compiling the kernel; this takes some seconds, once", err=True)
    warm_up()


def settle(data: DataOption = DATA_DEFAULT) -> None:
    """Fold the log of every shard and commit, from where the last commit ended. May be killed at any instant.

    Several processes or hosts: `python -m bytewax.run flows.settle:flow -i 0 -a HOST0:PORT;HOST1:PORT` on each (docs/architecture.md).
    """
    url = store_url(Path(data))
    prepare_kernel()
    try:
        Store.open(url).close()
        run(build(lambda: Store.open(url)), "settlement")
    except StoreError as error:
        raise failed(str(error)) from None
