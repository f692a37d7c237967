"""What the demo shows: one look at all shards, as a table for people or a line for programs."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from zoneinfo import ZoneInfo

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from connectors.redis.formats import alarm_message
from connectors.redis.live import LiveStore, ShardView
from connectors.redis.live_streams import newest_alarms
from domain.state import AccountRecord
from domain.units import money_text
from domain.words import QUARANTINED, Commodity, Level, Supply

COLUMNS_MAX, COLUMN_WIDTH = 4, 25
LINE_SECONDS = 5.0
_LEVEL_STYLE = {
    Level.NONE: "green",
    Level.LOW: "yellow",
    Level.PRETRIP: "dark_orange",
    Level.ARREARS: "red",
    Level.LIMIT: "red",
}
_SUPPLY_SIGN = {Supply.ON: "●", Supply.OFF: "○", Supply.UNKNOWN: "·"}


@dataclass(frozen=True, slots=True)
class RoomLook:
    """A room as it is now."""

    record: AccountRecord
    balance: int
    level: Level
    tripped: bool
    supplies: tuple[Supply, ...]
    changing: bool


@dataclass(frozen=True, slots=True)
class Look:
    """The whole street as it is now."""

    at_ms: int
    rooms: list[RoomLook]
    readings: int
    quarantined: int
    postings: int
    usage: tuple[int, ...]
    alarms: list[tuple[str, str]]
    open_commands: int

    @property
    def cut(self) -> set[str]:
        """Accounts whose supply is cut, and seen to be."""
        return {room.record.account for room in self.rooms if room.tripped and Supply.OFF in room.supplies}


class Display:
    """Shows looks at the street: a live table on a terminal, else a line every few seconds."""

    def __init__(self, zone: str, api: str) -> None:
        self._zone, self._api = zone, api
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._said = 0.0

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the last look where it is."""
        if self._live:
            self._live.stop()

    def show(self, now: Look) -> None:
        """Show the street as it is now."""
        if self._live:
            self._live.update(screen(now, self._zone, self._api, self._console.width), refresh=True)
        elif time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            print(headline(now, self._zone, self._api), flush=True)  # noqa: T201 - for programs that read lines


def look(url: str, at_ms: int) -> Look:
    """Read everything once."""
    return asyncio.run(_look(url, at_ms))


async def _look(url: str, at_ms: int) -> Look:
    store = await LiveStore.open(url)
    try:
        shards = [await store.shard(shard) for shard in range(store.shards)]
        alarms = await newest_alarms(store, 8)
        records = {account: record for shard in shards for account, record in shard.account_records.items()}
    finally:
        await store.close()
    classes = Counter[int]()
    for shard in shards:
        classes.update(dict(enumerate(shard.header.classes)))
    texts = [alarm_message(alarm, records.get(alarm.account)).text for alarm in alarms]
    return Look(
        at_ms=at_ms,
        rooms=sorted((room for shard in shards for room in _rooms(shard)), key=lambda room: room.record.account),
        readings=sum(classes.values()),
        quarantined=sum(count for kind, count in classes.items() if kind in QUARANTINED),
        postings=sum(shard.header.posting_sequence for shard in shards),
        usage=tuple(sum(shard.header.usage[commodity] for shard in shards) for commodity in Commodity),
        alarms=[(text.zh, text.en) for text in texts],
        open_commands=sum(len(shard.commands) for shard in shards),
    )


def _rooms(shard: ShardView) -> list[RoomLook]:
    rooms = []
    for record in shard.account_records.values():
        row = shard.accounts[record.row]
        meters = [shard.meters[shard.meter_records[number].row] for number in record.meters]
        rooms.append(
            RoomLook(
                record=record,
                balance=int(row["balance"]),
                level=Level(int(row["level"])),
                tripped=bool(row["tripped"]),
                supplies=tuple(Supply(int(meter["seen"])) for meter in meters),
                changing=any(number in shard.commands for number in record.meters),
            )
        )
    return rooms


def headline(now: Look, zone: str, api: str) -> str:
    """One line: time, rooms, money, readings."""
    stamp = datetime.fromtimestamp(now.at_ms // 1000, UTC).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
    cut = len(now.cut)
    energy, water = now.usage
    return (
        f"{stamp}  {len(now.rooms)} rooms, {cut} cut off  {now.readings} readings  {energy / 1000:.1f} kWh  {water / 1000:.2f} m³  "
        f"{now.quarantined} in quarantine  {now.postings} postings  API {api}"
    )


def screen(now: Look, zone: str, api: str, width: int = 120) -> Group:
    """The live table: every room with its balance and supply, and the newest alarms."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = max(1, min(COLUMNS_MAX, width // COLUMN_WIDTH))
    for _ in range(columns):
        table.add_column("room", no_wrap=True)
        table.add_column("balance", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
    lines = -(-len(now.rooms) // columns)
    for line in range(lines):
        rooms = now.rooms[line::lines]
        table.add_row(*(cell for room in rooms for cell in _cells(room)))
    alarms = Text("\n".join(f"{zh}  ·  {en}" for zh, en in now.alarms) or "none yet", overflow="ellipsis", no_wrap=True)
    legend = "● on  ○ off  · not seen  → being switched; first electricity, then water    yellow: low  orange: soon cut  red: in arrears    Ctrl-C ends"
    return Group(
        Text(headline(now, zone, api), style="bold"),
        table,
        Panel(alarms, title="alarms 告警", title_align="left"),
        Text(legend, style="dim"),
    )


def _cells(room: RoomLook) -> tuple[Text, Text, Text]:
    style = _LEVEL_STYLE[room.level]
    signs = "".join(_SUPPLY_SIGN[supply] for supply in room.supplies)
    balance = f"{money_text(room.balance // 10_000 * 10_000)}"
    return Text(room.record.account), Text(balance, style), Text(signs + ("→" if room.changing else ""), style)
