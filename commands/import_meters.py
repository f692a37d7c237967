"""An import at work: which meter a name is, accounts for meters that nobody knows, facts into the log, and the report."""

import csv
import hashlib
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ulid import ULID

from commands.stores import wait_until_folded
from connectors.files.readings import Chunk, ImportPlan, ImportProblem
from connectors.redis.store import Store
from domain.effects import Effects
from domain.facts import (
    AccountOpened,
    Column,
    Fact,
    MeterInstalled,
    ReadingBlock,
    ReadingRefused,
    TariffPublished,
    Ticked,
)
from domain.ids import meter_number, meter_text, shard_of
from domain.units import DAY_MS, PICOS_PER_MICRO, money_text
from domain.words import RATED_PER_HOUR, Commodity, Metering
from flows.settle import settle_once
from tariffs.loader import catalogue, load_tariff
from tariffs.tariff import Tariff

NAMED_FROM, NAMED_FROM_COUNT = 900_000_000_000, 99_999_999_999
"""Numbers for meters that have only a name in a file."""


@dataclass
class ImportReport:
    """What an import did. `in_file`, `priced` and `quarantined` in Wh or litres; for registers `in_file` is last minus first."""

    commodity: Commodity
    rows: int = 0
    readings: int = 0
    in_file: int = 0
    priced: int = 0
    quarantined: int = 0
    cost: str = ""
    seconds: float = 0.0
    negative_charges: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    negative_steps: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    refused_rows: list[ReadingRefused] = field(default_factory=list)


def named_meters(file: Path) -> dict[str, int]:
    """A CSV of `name,number`, with or without a heading. Raises ValueError with the line of a wrong number."""
    names: dict[str, int] = {}
    with file.open(encoding="utf-8-sig", newline="") as lines:
        for line, row in enumerate(csv.reader(lines), start=1):
            if len(row) < 2 or (line == 1 and not row[1].strip().isdigit()):
                continue
            try:
                names[row[0].strip()] = meter_number(row[1].strip())
            except ValueError as error:
                raise ValueError(f"{file.name} line {line}: {error}") from None
    return names


@dataclass(frozen=True, slots=True)
class KnownMeter:
    """A meter that the store has: its shard, the time of its last believed reading (-1: none), and the register there."""

    shard: int
    time: int = -1
    register: int = 0


def known_meters(store: Store) -> dict[int, KnownMeter]:
    """Every meter of the store by its number."""
    known = {}
    for shard in range(store.shards):
        stored = store.load(shard)
        for number, record in stored.records["meter_records"].items():
            if record.removed_at:
                continue
            row = stored.rows["meters"][record.row]
            known[number] = KnownMeter(shard, int(row["time"]), int(row["register"]))
    return known


class Importer:
    """Takes the chunks of a file into the log of a store, and reports what became of them."""

    def __init__(
        self, store: Store, plan: ImportPlan, names: dict[str, int], known: dict[int, KnownMeter], tariff: str | None
    ) -> None:
        self._store, self._plan, self._names, self._known = store, plan, names, known
        self._shards = {number: meter.shard for number, meter in known.items()}
        self._at = time.time_ns() // 1_000_000
        self._tariff = self._publish(tariff) if tariff else None
        self._before = self._totals()
        self._named: dict[int, str] = {}
        self._last: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._latest_ms = 0
        self.report = ImportReport(plan.commodity)

    def number_of(self, name: str) -> int:
        """The meter number of a name in the file; 0 for one that nobody knows, if none may be opened."""
        number = self._names.get(name) or _number(name)
        if number in self._shards:
            return number
        if self._tariff is None:
            return 0
        number = number or self._number_for(name)
        if number not in self._shards:
            self._open(number, name)
        return number

    def _number_for(self, name: str) -> int:
        """A number for a meter that has only a name: the same for the same name, so that a repeated import meets itself."""
        digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
        number = NAMED_FROM + int.from_bytes(digest, "big") % NAMED_FROM_COUNT
        if self._named.setdefault(number, name) != name:
            raise ImportProblem(
                f"meters {name!r} and {self._named[number]!r} would get one number: name them with --meters"
            )
        return number

    def check(self, chunks: list[Chunk]) -> None:
        """Before anything is appended: interval data must go on after what the store has. Raises ImportProblem."""
        if self._plan.kind != "interval":
            return
        begins: dict[int, int] = {}
        for chunk in chunks:
            meters, first = np.unique(chunk.block.meter, return_index=True)
            for meter, index in zip(meters.tolist(), first.tolist(), strict=True):
                begins.setdefault(meter, int(chunk.block.time[index]))
        overlapping = [meter for meter, begin in begins.items() if begin < self._known.get(meter, KnownMeter(0)).time]
        if overlapping:
            raise ImportProblem(
                f"{len(overlapping)} meters have later readings already, among them {meter_text(overlapping[0])}: was this file "
                "imported before? Import only intervals that follow; nothing was imported"
            )

    def take(self, chunk: Chunk) -> None:
        """Append a chunk: one block for each shard that has readings in it, and what was refused."""
        self.report.rows += chunk.rows
        self.report.in_file += chunk.usage_in_file
        self.report.refused.update(row.reason for row in chunk.refused)
        self.report.refused_rows += chunk.refused
        block = self._continued(chunk.block)
        shards = _mapped(block.meter, self._shards)
        facts: list[tuple[int, Fact]] = []
        for shard in np.unique(shards).tolist():
            mask = shards == shard
            facts.append((shard, ReadingBlock(block.meter[mask], block.time[mask], block.register[mask])))
        facts += [(self._shards.get(row.meter, 0), row) for row in chunk.refused]
        self._store.append_many(facts)
        if len(chunk.block):
            self._latest_ms = max(self._latest_ms, int(chunk.block.time.max()))

    def tick(self) -> None:
        """Tell a store that nobody runs just now what time it is, so that readings are judged by it.

        Its server is on this machine: there is no other clock that this one could differ from.
        """
        self._store.append_to_all(Ticked(at=self._at))

    def _continued(self, block: ReadingBlock) -> ReadingBlock:
        """Interval data count from 0 in a file: let them go on from the register that the store has."""
        if self._plan.kind != "interval":
            return block
        registers = {number: meter.register for number, meter in self._known.items()}
        return ReadingBlock(block.meter, block.time, block.register + _mapped(block.meter, registers, otherwise=0))

    def settle(self, *, is_own: bool, is_scratch: bool) -> ImportReport:
        """Fold all of it, or wait until the running settlement has, and report."""
        if is_own:
            settle_once(self._store, heard=self._hear)
        else:
            wait_until_folded(self._store)
        if is_scratch and self._latest_ms:
            # Nobody's clock runs in a throw-away store: let time pass until every hour and day of the file is closed.
            self._store.append_to_all(Ticked(at=self._latest_ms + 2 * DAY_MS))
            settle_once(self._store, heard=self._hear)
        self._report_totals()
        if self._plan.kind == "register":
            self.report.in_file = sum(last - self._first[meter] for meter, last in self._last.items())
        return self.report

    def _hear(self, facts: list[Fact], effects: list[Effects]) -> None:
        """Hold the file's own steps against the classes that the machine gave."""
        for fact, effect in zip(facts, effects, strict=True):
            if isinstance(fact, ReadingBlock) and effect.classes is not None:
                self._account_for_falls(fact, effect.classes)
            if effect.usage is not None:
                self.report.negative_charges += int((effect.usage["cost_micros"] < 0).sum())

    def _account_for_falls(self, block: ReadingBlock, classes: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
        before = np.empty_like(block.register)
        before[1:] = block.register[:-1]
        starts = np.flatnonzero(np.diff(block.meter, prepend=-1) != 0)
        ends = np.append(starts[1:], len(block)) - 1
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            meter = int(block.meter[start])
            before[start] = self._last.get(meter, int(block.register[start]))
            self._first.setdefault(meter, int(block.register[start]))
            self._last[meter] = int(block.register[end])
        falls = classes[block.register < before]
        self.report.negative_steps.update(Metering(int(kind)).name.lower() for kind in falls)

    def _report_totals(self) -> None:
        classes, usage, held, cost = (now - then for now, then in zip(self._totals(), self._before, strict=True))
        self.report.classes = Counter({kind.name.lower(): int(classes[kind]) for kind in Metering if classes[kind]})
        self.report.readings = int(classes.sum())
        self.report.priced = int(usage[self._plan.commodity])
        self.report.quarantined = int(held[0])
        self.report.cost = money_text(int(cost[0]) // PICOS_PER_MICRO)

    def _totals(self) -> tuple[Column, Column, Column, Column]:
        """Class counts, usage per commodity, usage held in quarantine, and the sum of all wallets in picos taken negatively."""
        classes, usage = np.zeros(len(Metering), np.int64), np.zeros(len(Commodity), np.int64)
        held, owed = 0, 0
        for shard in range(self._store.shards):
            stored = self._store.load(shard)
            classes += np.array(stored.header.classes)
            usage += np.array(stored.header.usage)
            held += sum(case.usage for case in stored.records["cases"].values())
            accounts = stored.rows["accounts"]
            owed -= int(accounts["balance"].sum()) * PICOS_PER_MICRO + int(accounts["balance_picos"].sum())
        return classes, usage, np.array([held]), np.array([owed], object)

    def _publish(self, tariff: str) -> Tariff:
        """Publish the tariff for accounts that this import opens. Raises ValueError, OSError."""
        document = catalogue().get(tariff) or Path(tariff).read_text(encoding="utf-8")
        loaded = load_tariff(document, tariff)
        if loaded.commodity != self._plan.commodity:
            raise ValueError(
                f"tariff {loaded.id} is for {loaded.commodity.name.lower()}, the file is {self._plan.commodity.name.lower()}"
            )
        self._store.append_to_all(TariffPublished(at=self._at, id=self._id(), tariff=loaded.id, document=document))
        return loaded

    def _open(self, number: int, name: str) -> None:
        assert self._tariff is not None
        account = f"import-{number:012d}"
        shard = self._shards[number] = shard_of(account, self._store.shards)
        opened = AccountOpened(at=self._at, id=self._id(), account=account, currency=self._tariff.currency, name=name)
        installed = MeterInstalled(
            at=self._at, id=self._id(), meter=number, account=account, commodity=self._plan.commodity, tariff=self._tariff.id,
            modulus=0, rated_per_hour=RATED_PER_HOUR[self._plan.commodity], switchable=False,
        )  # fmt: skip
        self._store.append_many([(shard, opened), (shard, installed)])

    def _id(self) -> str:
        return str(ULID.from_timestamp(self._at / 1000))


def _number(name: str) -> int:
    try:
        return meter_number(name)
    except ValueError:
        return 0


def _mapped(meters: Column, values: dict[int, int], otherwise: int | None = None) -> Column:
    """The value of each meter; `otherwise` for one that has none, which without it is a bug."""
    distinct, inverse = np.unique(meters, return_inverse=True)
    assert otherwise is not None or all(number in values for number in distinct.tolist())
    return np.array([values.get(number, otherwise) for number in distinct.tolist()], np.int64)[inverse]
