"""`meterline settle`: fold the log into balances, alarms and commands, until it is interrupted."""

from pathlib import Path
from typing import Annotated

import typer

from commands.dataflows import run
from commands.endings import failed, refused
from commands.logs import tell
from commands.metrics_door import MetricsOption, measured
from commands.shared import DATA_DEFAULT, DataOption, store_url
from connectors.metrics import Measures
from connectors.redis.errors import StoreError
from connectors.redis.store import Store
from domain.metrics import Process
from flows.machine import warm_up
from flows.readings.compiled import is_ready
from flows.settle import Part, build


def prepare_kernel() -> None:
    """Compile the kernel if this installation has not done so yet, and say what is being waited for."""
    if not is_ready():
        tell("compiling the kernel; this takes some seconds, once")
    warm_up()


def part_of(text: str) -> Part:
    """`2/4` as the second of four parts. Ends the command for what is none."""
    number, _, parts = text.partition("/")
    if not (number.isascii() and number.isdigit() and parts.isascii() and parts.isdigit()):
        raise refused(f"--part is such as 1/4, the first of four parts, not {text!r}")
    part = Part(int(number), int(parts))
    if not 1 <= part.number <= part.parts <= 99:
        raise refused(f"--part {text}: parts are numbered from 1, and there are at most 99")
    return part


def settle(
    data: DataOption = DATA_DEFAULT,
    part: Annotated[str, typer.Option(help="Settle a part of the shards only, such as 1/4; docs/scaling.md.")] = "1/1",
    metrics: MetricsOption = "",
) -> None:
    """Fold the log of every shard and commit, from where the last commit ended. May be killed at any instant.

    Several processes or hosts: one for each part.
    """
    share = part_of(part)
    url = store_url(Path(data))
    prepare_kernel()
    try:
        store = Store.open(url)
        store.close()
        if share.parts > store.shards:
            raise refused(f"--part {part}: the store has {store.shards} shards, so at most so many parts")
        measures = Measures(Process.SETTLE)
        with measured(measures.registry, metrics):
            run(build(lambda: Store.open(url), part=share, measures=measures), "settlement")
    except StoreError as error:
        raise failed(str(error)) from None
