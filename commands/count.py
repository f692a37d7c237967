"""`meterline count`: compare main meters with their sub-meters across all shards, until it is interrupted."""

import time
from pathlib import Path

from commands.endings import failed
from commands.shared import DATA_DEFAULT, DataOption, store_url
from connectors.redis.errors import StoreError
from connectors.redis.store import Store
from flows.count import Counting

PAUSE_SECONDS = 1.0


def count(data: DataOption = DATA_DEFAULT) -> None:
    """Count what was used behind main meters, each day, and tell the log. May be killed at any instant."""
    url = store_url(Path(data))
    try:
        counting = Counting(Store.open(url))
        while True:
            counting.count()
            time.sleep(PAUSE_SECONDS)
    except StoreError as error:
        raise failed(str(error)) from None
    except KeyboardInterrupt:
        return
