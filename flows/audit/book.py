"""What the audit knows of one shard: dictionaries of meters, accounts, money and answers."""

from collections import Counter
from dataclasses import dataclass, field

from domain.facts import AccountOpened, AlarmTerms, ChargeItemSet, MeterInstalled, RechargeOrdered, TariffAssigned
from domain.ids import LOG_START
from domain.units import MINUTE_MS, MONEY_MAX_MICROS, PICOS_PER_MICRO, USAGE_MAX
from domain.words import QUARANTINED, Commodity, Metering
from flows.audit.cases import Cases
from flows.audit.months import Allowance
from flows.audit.registers import Registers
from tariffs.rating import Charge
from tariffs.rating import Counter as TierCounter
from tariffs.tariff import Plan, Tariff


@dataclass(slots=True)
class Meter:
    """A meter as it was installed, and its last believed reading; `suspect`: the register that first jumped.

    `assigned`: by time. `plan`: what it is priced by. `counter`: the thresholds of the tier counter that it counts in.
    `registers`: its own for bands, from when on its plan first asked for them.
    """

    installed: MeterInstalled
    time: int | None
    register: int
    suspect: int | None = None
    assigned: dict[int, TariffAssigned] = field(default_factory=dict)
    plan: Plan = ()
    counter: tuple[int, ...] = ()
    registers: Registers | None = None


@dataclass(frozen=True, slots=True)
class Paid:
    """A part of what was used on a local day, Wh or litres: what it costs, and how much of it was free: Wh or litres, and picos."""

    day: int
    usage: int
    charge: Charge
    free_usage: int = 0
    free_picos: int = 0

    @property
    def picos(self) -> int:
        """What the wallet pays."""
        return self.charge.cost_picos - self.free_picos


@dataclass(frozen=True, slots=True)
class Charged:
    """Usage of a meter in [start_ms, end_ms), Wh or litres after ratio, with its parts.

    `before` and `register`: what the meter showed then, or, of a correction, what it should have shown; None: as it does.
    """

    start_ms: int
    end_ms: int
    before: int
    register: int | None
    usage: int
    paid: list[Paid]


def advance_of(meter: Meter, register: int) -> int:
    """What the register has counted since the baseline, past its wrap if it has one."""
    wrapped = register < meter.register
    return register - meter.register + (meter.installed.modulus if wrapped else 0)


def is_possible(meter: Meter, elapsed_ms: int, advance: int) -> bool:
    """At the rated power, over one minute more than has begun, and one unit more for its rounding."""
    rated, minutes = meter.installed.rated_per_hour, elapsed_ms // MINUTE_MS + 2
    return (advance - 1) * 60 <= rated * minutes and advance * meter.installed.ratio <= USAGE_MAX


class Book:
    """What one shard has come to, as the audit sees it."""

    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.position = LOG_START
        self.balances: dict[str, int] = {}
        self.rounded = 0
        self._free: Counter[tuple[str, str]] = Counter()
        self.priced: dict[int, int] = {}
        self.classes: Counter[Metering] = Counter()
        self.outcomes: dict[str, str] = {}
        self.answers: list[tuple[str, str]] = []
        self._now = 0
        self._ticked = 0
        self._pruned_day = 0
        self._accounts: dict[str, AccountOpened] = {}
        self._warned: dict[str, AlarmTerms] = {}
        self._policies: dict[str, AlarmTerms] = {}
        self._followed: dict[str, str] = {}
        self._prepared: set[str] = set()
        self._closed: set[str] = set()
        self._meters: dict[int, Meter] = {}
        self._removed: dict[int, MeterInstalled] = {}
        self._usage: Counter[Commodity] = Counter()
        self._tariffs: dict[str, Tariff] = {}
        self._sites: dict[str, str] = {}
        self._counters: dict[tuple[str, Commodity, tuple[int, ...]], TierCounter] = {}
        self._kept: dict[bytes, tuple[bytes, str]] = {}
        self._allowances: dict[str, Allowance] = {}
        self._free_before: dict[tuple[str, int], int] = {}
        self._cases = Cases()
        self._recharges: dict[bytes, RechargeOrdered] = {}
        self._pays_since: dict[str, int] = {}
        self._reversed: set[bytes] = set()
        self._items: dict[tuple[str, str], tuple[ChargeItemSet, int]] = {}
        self._charged_before: dict[tuple[str, str], int] = {}
        self._purchases: dict[int, int] = {}

    @property
    def _time(self) -> int:
        """What time it is at least: the last tick's, and what the server's clock has counted since, by the log's entries; 0 before the first."""
        return self._now + (self.position[0] - self._ticked if self._now and self._ticked else 0)

    @property
    def quarantined(self) -> dict[Metering, int]:
        """Readings that are neither charged nor forgotten, by class."""
        return {metering: count for metering, count in self.classes.items() if metering in QUARANTINED}

    def usage_of(self, commodity: Commodity) -> int:
        """Wh or litres priced of a commodity."""
        return self._usage[commodity]

    def refusal_kept(self, key: bytes) -> str | None:
        """The answer kept for an order's id; None: forgotten, or never seen."""
        return self._kept[key][1] if key in self._kept else None

    def _is_beyond(self, meter: Meter) -> bool:
        return abs(self.balances[meter.installed.account] // PICOS_PER_MICRO) > MONEY_MAX_MICROS
