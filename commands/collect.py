"""`meterline collect`: read and switch the meters of a site, until it is interrupted."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from commands.shared import DATA_DEFAULT, ClockOption, DataOption, clock_of, failed, refused, store_url
from connectors.clock import EventClock
from connectors.files.site import Site, load_site
from connectors.modbus.collector import collect as collect_site
from connectors.redis.errors import StoreError
from connectors.redis.live import LiveStore
from connectors.redis.uplink import RedisUplink
from domain.documents import MistakesError
from tariffs.loader import catalogue


def site_of(path: Path) -> Site:
    """The site in a file. Ends the command with every mistake in it."""
    try:
        return load_site(path, catalogue())
    except (MistakesError, OSError) as error:
        raise refused(str(error)) from None


def collect(
    site: Annotated[Path, typer.Argument(help="Site file (docs/site-file.md).")],
    data: DataOption = DATA_DEFAULT,
    clock: ClockOption = "",
) -> None:
    """Poll every meter of a site file over Modbus, and carry out commands ahead of polls. Ends well on Ctrl-C."""
    try:
        asyncio.run(_collect(site_of(site), store_url(data), clock_of(clock)))
    except StoreError as error:
        raise failed(str(error)) from None
    except KeyboardInterrupt:
        return


async def _collect(site: Site, url: str, clock: EventClock) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    store = await LiveStore.open(url)
    try:
        await collect_site(site, RedisUplink(store), clock)
    except asyncio.CancelledError:
        return
    finally:
        await store.close()
