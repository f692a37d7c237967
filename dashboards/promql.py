"""Pieces of PromQL that many panels share.

`serve` reads the state of the business from the store, so several of them tell the same: each series counts once, whichever tells it. What other processes
count is their own, and adds up.
"""

import re

EACH = "instance, child, pod"
"""By what the same series of several `serve` differ."""
SITE = 'site=~"$site"'
RANGE = "$__range"
"""The time that is shown."""
RATE = "$__rate_interval"
"""As short as the scrape interval allows."""
NONE = "max(meterline_store_up == 1) * 0"
"""0 while the state can be read, and nothing while it cannot: an empty list is good, one that nobody can read is not."""


def series(name: str, *where: str) -> str:
    """The series of a metric that all conditions hold for."""
    return f"meterline_{name}{{{','.join(where)}}}" if where else f"meterline_{name}"


def total(by: str, expression: str) -> str:
    """The sum, of all or by some labels."""
    return f"sum by ({by}) ({expression})" if by else f"sum({expression})"


def state(name: str, *where: str, by: str = "") -> str:
    """The sum of a gauge of the state."""
    return total(by, f"max without ({EACH}) ({series(name, *where)})")


def grown(name: str, *where: str, by: str = "", window: str = "1h") -> str:
    """By how much a counter of the state has grown."""
    return total(by, f"max without ({EACH}) (increase({series(name, *where)}[{window}]))")


def less(one: str, other: str) -> str:
    """The difference of two sums by the same labels. A series that only one of them has counts in full."""
    return f"({one} or {other} * 0) - ({other} or {one} * 0)"


def rate(name: str, *where: str, by: str = "") -> str:
    """How much a counter of processes grows in a second."""
    return total(by, f"rate({series(name, *where)}[{RATE}])")


def quantile(share: float, histogram: str) -> str:
    """The value that so large a share of what processes measured is below; estimated from buckets."""
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', by='le')})"


def mean(histogram: str) -> str:
    """The mean of what processes measured."""
    return f"{rate(f'{histogram}_sum')} / {rate(f'{histogram}_count')}"


def or_none(expression: str) -> str:
    """0 where there is nothing to count."""
    return f"{expression} or {NONE}"


def filled(expression: str, scrape: float, shown: float, hour: float = 3600) -> str:
    """An expression as Grafana asks it, for every site: `scrape` and `shown` are the seconds between scrapes and of the time that is shown.

    `hour`: seconds instead of the hour that panels sum up; a demo has not run for an hour.
    """
    names = {"$site": ".*", RANGE: f"{shown:.0f}s", RATE: f"{4 * scrape:.0f}s", "[1h]": f"[{hour:.0f}s]"}
    return re.sub("|".join(map(re.escape, names)), lambda found: names[found[0]], expression)
