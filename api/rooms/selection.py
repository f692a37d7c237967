"""Which accounts and meters a caller asks for: the ranges of a directory that its reach and filters leave, and what must hold of each.

Ranges are found in the order of places, so that whoever reaches a site, or asks for one, looks through that site only; a caller whose reach are some
accounts looks at these. Every filter is held against each account again: ranges only spare work.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np

from connectors.redis.directory import Directory, Entry, Listed, PlaceKey, by_key, natural
from domain.access import Reach
from domain.ids import meter_text
from domain.state import AccountRecord, MeterRecord
from domain.units import HOUR_MS, money_micros
from domain.words import AccountState, Commodity, Level, Supply

OFFLINE_MS = HOUR_MS
"""A meter that nobody watches is online for so long after its last believed reading."""

Test = Callable[[Entry], bool]
MeterTest = Callable[[Listed, MeterRecord], bool]


def is_online(record: MeterRecord, time: int, now: int) -> bool:
    """Whether a meter's last believed reading (ms UTC, -1: none) is no older than its watch allows, or than an hour."""
    allowed = (record.watch.offline_ms if record.watch else 0) or OFFLINE_MS
    return time >= 0 and now - time <= allowed


def online_of(listed: Listed, record: AccountRecord, now: int) -> tuple[bool, ...]:
    """Whether each meter of an account is online."""
    meters, times = listed.records["meter_records"], listed.meters["time"]
    return tuple([is_online(meters[number], times[meters[number].row], now) for number in record.meters])


_PLACE_TESTS: dict[str, Callable[[Any], Test]] = {
    "site": lambda name: lambda entry: entry.record.place.site == name,
    "building": lambda name: lambda entry: entry.record.place.building == name,
    "floor": lambda name: lambda entry: entry.record.place.floor == name,
    "account": lambda name: lambda entry: entry.record.account == name,
}
"""What must hold of an account where a filter of this name is given."""
_ROW_TESTS: dict[str, Callable[[Any, Any], Any]] = {
    "state": lambda rows, word: rows["state"] == AccountState[word.upper()],
    "level": lambda rows, word: rows["level"] == Level[word.upper()],
    "low_balance": lambda rows, wanted: (rows["level"] > Level.NONE) == wanted,
    "balance_below": lambda rows, amount: rows["balance"] < money_micros(amount),
}
"""As above, of all rows of accounts at once."""
_METER_TESTS: dict[str, Callable[[Any], MeterTest]] = {
    "commodity": lambda word: lambda _, meter: meter.commodity == Commodity[word.upper()],
    "supply_wanted": lambda word: lambda listed, meter: listed.meters["wanted"][meter.row] == Supply[word.upper()],
    "supply_seen": lambda word: lambda listed, meter: listed.meters["seen"][meter.row] == Supply[word.upper()],
}
"""As above, of a meter."""


def _given(tests: dict[str, Any], asked: Any) -> dict[str, Any]:
    return {name: value for name in tests if (value := getattr(asked, name, None)) is not None}


def place_tests_of(reach: Reach, asked: Any) -> list[Test]:
    """What must hold of an account to be reached and to lie where is asked for. `asked`: has some of the filters; None: not given."""
    reached: list[Test] = [] if reach.everything else [lambda entry: reach.has(entry.record)]
    return reached + [_PLACE_TESTS[name](value) for name, value in _given(_PLACE_TESTS, asked).items()]


def tests_of(shards: list[Listed], reach: Reach, asked: Any, now: int) -> list[Test]:
    """What must hold of an account to be reached and among those asked for. `shards`: all of them."""
    tests = place_tests_of(reach, asked)
    if rows := _given(_ROW_TESTS, asked):
        tests.append(_of_rows([_mask(listed, rows) for listed in shards]))
    if asked.text is not None:
        part = asked.text.casefold()
        tests.append(lambda entry: part in entry.text)
    meters = {name: value for name, value in _given(_METER_TESTS, asked).items() if name != "commodity"}
    tests += [_of_any_meter(shards, _METER_TESTS[name](value)) for name, value in meters.items()]
    if asked.online is not None:
        tests.append(_of_online(shards, asked.online, now))
    return tests


def _mask(listed: Listed, given: dict[str, Any]) -> list[bool]:
    """For each account of a shard whether all hold that its row must."""
    holds = [_ROW_TESTS[name](listed.accounts.rows, value) for name, value in given.items()]
    found: list[bool] = np.logical_and.reduce(holds).tolist()
    return found


def _of_rows(masks: list[list[bool]]) -> Test:
    return lambda entry: masks[entry.shard][entry.row]


def _of_any_meter(shards: list[Listed], test: MeterTest) -> Test:
    def holds(entry: Entry) -> bool:
        listed = shards[entry.shard]
        meters = listed.records["meter_records"]
        return any(test(listed, meters[number]) for number in entry.record.meters)

    return holds


def _of_online(shards: list[Listed], wanted: bool, now: int) -> Test:  # noqa: FBT001 - what was asked for
    return lambda entry: bool(entry.record.meters) and all(online_of(shards[entry.shard], entry.record, now)) is wanted


def meter_tests_of(asked: Any, now: int) -> list[MeterTest]:
    """What must hold of a meter itself."""
    tests: list[MeterTest] = [_METER_TESTS[name](value) for name, value in _given(_METER_TESTS, asked).items()]
    if asked.online is not None:
        tests.append(lambda listed, meter: is_online(meter, listed.meters["time"][meter.row], now) is asked.online)
    if asked.text is not None:
        part = asked.text.casefold()
        tests.append(lambda listed, meter: part in _meter_text(listed, meter))
    return tests


def _meter_text(listed: Listed, meter: MeterRecord) -> str:
    account = listed.records["account_records"][meter.account]
    return f"{meter_text(meter.meter)}\n{account.account}\n{account.name}\n{account.place.room}".casefold()


def entries_of(
    directory: Directory, reach: Reach, tests: Iterable[Test], asked: Any = None, begin: PlaceKey | None = None
) -> Iterator[Entry]:
    """Accounts of which all tests hold, in the order of their places, from `begin` on. `asked`: may say site, building and floor."""
    places = directory.places
    first, end = _range(places, tuple(getattr(asked, name, None) for name in ("site", "building", "floor")))
    first = max(first, bisect_left(places, begin, key=by_key)) if begin else first
    ranges = (range(max(low, first), min(high, end)) for low, high in _reached(directory, reach))
    found: Iterator[Entry] = map(places.__getitem__, chain.from_iterable(ranges))
    for test in tests:
        found = filter(test, found)
    return found


def after(cursor: tuple[str, ...]) -> PlaceKey:
    """The first place behind one that a cursor names."""
    site, building, floor, room, account, *_ = cursor
    return site, building, floor, room, account + "\0"


def _range(places: list[Entry], prefix: tuple[str | None, ...]) -> tuple[int, int]:
    """Where accounts begin and end that lie at a place, as far as it is said from its site on."""
    said: tuple[str, ...] = ()
    for part in prefix:
        if part is None:
            break
        said += (natural(part),)
    if not said:
        return 0, len(places)
    behind = (*said[:-1], said[-1] + "\0")
    return bisect_left(places, said, key=by_key), bisect_left(places, behind, key=by_key)


def _reached(directory: Directory, reach: Reach) -> list[tuple[int, int]]:
    """The ranges of places that a reach has, in their order, each account once."""
    places = directory.places
    if reach.everything:
        return [(0, len(places))]
    keys = [entry.key for account in reach.accounts if (entry := directory.entries.get(account))]
    single = [bisect_left(places, key, key=by_key) for key in keys]
    ranges: list[tuple[int, int]] = []
    for low, high in sorted([*(_range(places, (site,)) for site in reach.sites), *((at, at + 1) for at in single)]):
        begin = max(low, ranges[-1][1]) if ranges else low
        if begin < high:
            ranges.append((begin, high))
    return ranges


def account_of_meter(directory: Directory, reach: Reach, asked: Any, meter: int) -> AccountRecord | None:
    """The account of a meter, if the caller reaches it and it is as asked for by `site`, `account` and `meter`; as of the last look."""
    if asked.meter is not None and int(asked.meter) != meter:
        return None
    located = directory.found(meter)
    found = directory.of(located[1].account) if located else None
    if found is None or not reach.has(found[1]):
        return None
    record = found[1]
    return record if asked.site in {None, record.place.site} and asked.account in {None, record.account} else None
