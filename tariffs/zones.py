"""Time zones, always from the pinned `tzdata` package and never from the machine.

A machine whose zone files are older than its neighbour's would price the same readings differently, and a replay on
another day would not give the same money.
"""

from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo


@cache
def zone(name: str) -> ZoneInfo:
    """The IANA time zone of this name. Raises ValueError for any other name."""
    if name not in _names():
        raise ValueError("an IANA time zone such as Asia/Shanghai")
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


@cache
def _names() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="utf-8").split())
