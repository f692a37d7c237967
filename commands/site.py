"""`meterline site`: tell a store what a site file says, once, and end."""

from pathlib import Path
from typing import Annotated

import typer

from commands.collect import site_of
from commands.endings import failed
from commands.shared import DATA_DEFAULT, ClockOption, DataOption, clock_of, store_url
from commands.site_opening import open_site
from commands.stores import wait_until_folded
from connectors.redis.errors import StoreError
from connectors.redis.store import Store


def site(
    site: Annotated[Path, typer.Argument(help="Site file (docs/site-file.md).")],
    data: DataOption = DATA_DEFAULT,
    shards: Annotated[
        int | None, typer.Option(min=1, max=99, help="Make the store if there is none yet, with so many; then fixed.")
    ] = None,
    clock: ClockOption = "",
) -> None:
    """Tell the store what a site file says: site, tariffs, accounts, fees, meters. `meterline up` does so at each start.

    May be told again at any time: what is known changes nothing. Waits until it is settled. Exit code 1 if something was refused.
    """
    loaded, url, event_clock = site_of(site), store_url(data), clock_of(clock)
    try:
        store = Store.open(url, shards)
        said = open_site(store, loaded, event_clock.now_ms(), lambda: wait_until_folded(store))
        store.close()
    except StoreError as error:
        raise failed(str(error)) from None
    typer.echo(f"site {loaded.name}: {len(loaded.accounts)} accounts, {len(loaded.meters)} meters are in the store")
    if said:
        raise failed("\n".join(said))
