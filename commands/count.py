"""`meterline count`: compare main meters with their sub-meters across all shards, until it is interrupted."""

import time
from pathlib import Path

from commands.endings import failed
from commands.metrics_door import MetricsOption, measured
from commands.shared import DATA_DEFAULT, DataOption, store_url
from connectors.metrics import Measures
from connectors.redis.errors import StoreError
from connectors.redis.store import Store
from domain.metrics import Process
from flows.count import Counting

PAUSE_SECONDS = 1.0


def count(data: DataOption = DATA_DEFAULT, metrics: MetricsOption = "") -> None:
    """Count what was used behind main meters, each day, and tell the log. May be killed at any instant."""
    url, measures = store_url(Path(data)), Measures(Process.COUNT)
    try:
        counting = Counting(Store.open(url))
        with measured(measures.registry, metrics):
            while True:
                with measures["count_round_seconds"].time():
                    counting.count()
                measures["count_rounds_total"].inc()
                time.sleep(PAUSE_SECONDS)
    except StoreError as error:
        raise failed(str(error)) from None
    except KeyboardInterrupt:
        return
