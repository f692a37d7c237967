"""`meterline collect`: read and switch the meters of a site, until it is interrupted."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from commands.endings import failed, refused
from commands.metrics_door import MetricsOption, measured
from commands.shared import DATA_DEFAULT, ClockOption, DataOption, clock_of, store_url
from connectors.clock import EventClock
from connectors.files.site import Site, load_site
from connectors.metrics import registry_of
from connectors.modbus.collector import Collected
from connectors.modbus.collector import collect as collect_site
from connectors.modbus.measured import families
from connectors.redis.errors import StoreError
from connectors.redis.live import LiveStore
from connectors.redis.uplink import RedisUplink
from domain.documents import Lines, Mistake, MistakesError, key_text, parse, read_document
from tariffs.loader import catalogue, load_tariff

AGAIN_SECONDS = 1.0


def site_of(path: Path) -> Site:
    """The site in a file, its tariffs valid and in its currency. Ends the command with every mistake in it."""
    try:
        site = load_site(path, catalogue())
        _check_tariffs(site, path)
    except (MistakesError, OSError) as error:
        raise refused(str(error)) from None
    return site


def _check_tariffs(site: Site, path: Path) -> None:
    """Raises MistakesError for tariffs that would bill nobody: unreadable ones, and those in other money than the site's."""
    text = read_document(path)
    lines, rows = Lines(text), parse(text, path.name).get("tariff", [])
    mistakes = []
    for index, (row, tariff) in enumerate(zip(rows, site.tariffs, strict=True)):
        key = ("tariff", index, "file")
        try:
            currency = load_tariff(tariff.document, row["file"]).currency
        except MistakesError as error:
            found = f"{row['file']!r} with mistakes: {error}"
            mistakes.append(Mistake(lines.of(key), key_text(key), found, "a tariff without mistakes"))
            continue
        if currency != site.currency:
            found = f"{row['file']!r} in {currency}"
            mistakes.append(Mistake(lines.of(key), key_text(key), found, f"a tariff in {site.currency}, as the site"))
    if mistakes:
        raise MistakesError(path.name, mistakes)


def collect(
    site: Annotated[Path, typer.Argument(help="Site file (docs/site-file.md).")],
    data: DataOption = DATA_DEFAULT,
    clock: ClockOption = "",
    metrics: MetricsOption = "",
) -> None:
    """Poll every meter of a site file over Modbus, and carry out commands ahead of polls. Ends well on Ctrl-C."""
    collected = Collected()
    try:
        with measured(registry_of(lambda: families(collected)), metrics):
            asyncio.run(_collect(site_of(site), store_url(data), clock_of(clock), collected))
    except StoreError as error:
        raise failed(str(error)) from None
    except ExceptionGroup as group:
        store_errors, others = group.split(StoreError)
        if store_errors is None or others is not None:
            raise
        raise failed("; ".join(dict.fromkeys(_messages(store_errors)))) from None
    except KeyboardInterrupt:
        return


def _messages(group: ExceptionGroup[Exception]) -> Iterator[str]:
    for error in group.exceptions:
        if isinstance(error, ExceptionGroup):
            yield from _messages(error)
        else:
            yield str(error)


def _end(task: "asyncio.Task[None]") -> None:
    """Cancel, again and again until it has ended: a library may lose a cancellation that comes while a connection breaks."""
    if not task.done():
        task.cancel()
        asyncio.get_running_loop().call_later(AGAIN_SECONDS, _end, task)


async def _collect(site: Site, url: str, clock: EventClock, collected: Collected) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _end, task)
    store = await LiveStore.open(url)
    try:
        await collect_site(site, RedisUplink(store), clock, collected)
    except asyncio.CancelledError:
        return
    finally:
        await store.close()
