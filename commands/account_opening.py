"""Opening many accounts from a table: the plan, held against the table itself and the store before anything is appended.

Ids follow from what a row says, so the same table again completes what was cut short and doubles nothing. A first recharge has an id
of its account and date alone: another amount under the same date is a contradiction and never a second payment.
"""

import datetime as dt
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from ulid import ULID

from connectors.files.accounts import Row
from connectors.files.site_document import alarm_terms
from connectors.modbus.profile import Profile, UnknownProfileError, load_profile
from connectors.redis.store import Store
from domain.documents import Mistake, MistakesError
from domain.facts import AccountOpened, Fact, MeterInstalled, Place, RechargeOrdered, TariffPublished
from domain.ids import meter_text, order_id, shard_of
from domain.state import AccountRecord, KeptOutcome, MeterRecord
from domain.units import DAY_MS, ORDER_MAX_MICROS, money_text
from domain.words import RATED_PER_HOUR
from flows.orders.accounts import opening_digest, terms_mistake
from flows.orders.meters import is_same_meter, meter_mistake
from tariffs.loader import catalogue, load_tariff
from tariffs.tariff import Tariff

RECHARGED_BACK_DAYS = 60
"""How old the date of a first recharge may be: its id is kept for 90 days."""

_OF_THE_ACCOUNT = (
    "name", "site", "building", "floor", "room", "low", "pretrip", "arrears", "hysteresis", "reconnect", "max_balance",
    "overdraft", "prepared", "recharge", "channel", "date",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Known:
    """What a store has, of all shards."""

    shards: int
    accounts: dict[str, AccountRecord]
    meters: dict[int, MeterRecord]
    outcomes: dict[bytes, KeptOutcome]
    tariffs: dict[str, str]

    @classmethod
    def of(cls, store: Store) -> "Known":
        """Read every shard once. Of a meter that went elsewhere, the record of where it is."""
        known = cls(store.shards, {}, {}, {}, {})
        for shard in range(store.shards):
            records = store.load(shard).records
            known.accounts.update(records["account_records"])
            known.outcomes.update(records["kept_outcomes"])
            known.tariffs.update({name: each.document for name, each in records["tariff_records"].items()})
            for number, meter in records["meter_records"].items():
                if number not in known.meters or not meter.removed_at:
                    known.meters[number] = meter
        return known


@dataclass(slots=True)
class Opening:
    """What a table asks for, as facts by shard in the order in which they must be folded, each with its row."""

    facts: list[tuple[int, int, Any]] = field(default_factory=list)
    accounts: int = 0
    meters: int = 0
    recharged: int = 0


def plan_opening(name: str, rows: list[Row], known: Known, now: int, folder: Path) -> Opening:
    """The facts of a table. Raises MistakesError with every row that contradicts another one, the store, or what can be."""
    return _Planner(name, rows, known, now, folder).plan()


class _Planner:
    def __init__(self, name: str, rows: list[Row], known: Known, now: int, folder: Path) -> None:
        self._name, self._rows, self._known, self._now, self._folder = name, rows, known, now, folder
        self._documents = {**catalogue(), **known.tariffs}
        self._tariffs: dict[str, Tariff] = {}
        self._mistakes: list[Mistake] = []
        self._meters: dict[int, int] = {}

    def plan(self) -> Opening:
        firsts: dict[str, Row] = {}
        for row in self._rows:
            first = firsts.setdefault(row.cells["account"], row)
            self._mistakes += self._differences(first, row)
        opening = Opening(accounts=len(firsts), meters=len(self._rows))
        for row in firsts.values():
            self._open(row, opening)
        for row in self._rows:
            self._install(row, opening)
        for row in firsts.values():
            self._recharge(row, opening)
        if self._mistakes:
            raise MistakesError(self._name, self._mistakes)
        new = [tariff for tariff in self._tariffs if tariff not in self._known.tariffs]
        opening.facts[:0] = [fact for tariff in sorted(new) for fact in self._publications(tariff)]
        return opening

    def _wrong(self, row: Row, key: str, found: str, expected: str) -> None:
        self._mistakes.append(Mistake(row.number, key, found, expected))

    def _differences(self, first: Row, row: Row) -> Iterator[Mistake]:
        for key in _OF_THE_ACCOUNT:
            there, here = first.cells.get(key), row.cells.get(key)
            if here is not None and here != there:
                yield Mistake(
                    row.number, key, repr(here), f"the same as in row {first.number}, where the account is first"
                )

    def _tariff(self, row: Row) -> Tariff | None:
        name = row.cells["tariff"]
        if name not in self._tariffs:
            if name not in self._documents:
                self._wrong(row, "tariff", repr(name), "a tariff that is published, or one of the catalogue")
                return None
            self._tariffs[name] = load_tariff(self._documents[name], name)
        return self._tariffs[name]

    def _publications(self, tariff: str) -> Iterator[tuple[int, int, Fact]]:
        for shard in range(self._known.shards):
            words = "tariff", tariff, self._documents[tariff]
            fact = TariffPublished(at=self._now, id=self._id(*words), tariff=tariff, document=self._documents[tariff])
            yield 0, shard, fact

    def _open(self, row: Row, opening: Opening) -> None:
        cells, tariff = row.cells, self._tariff(row)
        terms = alarm_terms(cells)
        if mistake := terms_mistake(terms):
            self._wrong(row, "amounts", "amounts out of order", mistake)
        place = Place(**{key: cells.get(key, "") for key in ("site", "building", "floor", "room")})
        fact = AccountOpened(
            at=self._now, id="", account=cells["account"], currency=tariff.currency if tariff else "",
            name=cells.get("name", ""), place=place, alarms=terms, prepared=cells.get("prepared", False),
        )  # fmt: skip
        before = self._known.accounts.get(fact.account)
        if tariff and before and before.opening != opening_digest(fact):
            self._wrong(
                row, "account", f"{fact.account!r}, which was opened otherwise", "an account that is new or the same"
            )
        self._add(row, fact.account, fact, opening)

    def _install(self, row: Row, opening: Opening) -> None:
        cells, tariff = row.cells, self._tariff(row)
        profile = self._profile(row)
        if tariff is None or profile is False:
            return
        kept: dict[str, Any] = {"modulus": 0, "rated_per_hour": RATED_PER_HOUR[tariff.commodity], "switchable": False}
        if isinstance(profile, Profile):
            kept = {key: getattr(profile, key) for key in kept}
        fact = MeterInstalled(
            at=self._now, id="", meter=cells["meter"], account=cells["account"], commodity=tariff.commodity, tariff=tariff.id,
            profile=cells.get("profile", ""), ratio=cells.get("ratio", 1), opening_register=cells.get("opening_register"), **kept,
        )  # fmt: skip
        self._check_meter(row, fact, tariff, profile if isinstance(profile, Profile) else None)
        self._add(row, fact.account, fact, opening)

    def _profile(self, row: Row) -> Profile | bool | None:
        """The profile that a row names; None: it names none; False: there is no such profile."""
        name = row.cells.get("profile")
        if name is None:
            return None
        try:
            return load_profile(name, self._folder)
        except (UnknownProfileError, MistakesError) as error:
            self._wrong(row, "profile", repr(name), str(error))
            return False

    def _check_meter(self, row: Row, fact: MeterInstalled, tariff: Tariff, profile: Profile | None) -> None:
        said = row.cells.get("commodity", tariff.commodity)
        measured = profile.commodity_word if profile else said
        if {said, measured} != {tariff.commodity}:
            self._wrong(
                row,
                "tariff",
                f"{tariff.id!r}, for {tariff.commodity.name.lower()}",
                "a tariff for what the meter measures",
            )
        if mistake := meter_mistake(fact):
            self._wrong(row, "meter", meter_text(fact.meter), mistake)
        if (earlier := self._meters.setdefault(fact.meter, row.number)) != row.number:
            self._wrong(row, "meter", f"{meter_text(fact.meter)}, as in row {earlier}", "each meter once")
        before = self._known.meters.get(fact.meter)
        if before and not before.removed_at and not is_same_meter(before, fact):
            found = f"{meter_text(fact.meter)}, which account {before.account!r} has otherwise"
            self._wrong(row, "meter", found, "a meter that is new or the same")
        if before and before.removed_at and fact.opening_register is None:
            self._wrong(row, "opening_register", "nothing", "the register of a meter that was removed before")

    def _recharge(self, row: Row, opening: Opening) -> None:
        amount, on, tariff = row.cells.get("recharge"), row.cells.get("date"), self._tariff(row)
        if amount is None or tariff is None:
            return
        today = dt.datetime.fromtimestamp(self._now / 1000, dt.UTC).date()
        if not 0 < amount <= min(ORDER_MAX_MICROS, alarm_terms(row.cells).max_balance):
            self._wrong(row, "recharge", money_text(amount), "an amount above 0, at most the account's max_balance")
        if on is None or not dt.timedelta(-1) <= today - on <= dt.timedelta(RECHARGED_BACK_DAYS):
            found, expected = str(on or "nothing"), f"the day of the payment, at most {RECHARGED_BACK_DAYS} days ago"
            self._wrong(row, "date", found, f"{expected}: it tells this payment from another")
            return
        account = row.cells["account"]
        fact = RechargeOrdered(
            at=self._now, id=self._id("first recharge", account, on=on), account=account, amount_micros=amount,
            currency=tariff.currency, channel=row.cells.get("channel", ""), note="first recharge",
        )  # fmt: skip
        kept = self._known.outcomes.get(order_id(fact.id))
        if kept and (kept.outcome.amount_micros, kept.channel) != (amount, fact.channel):
            found = f"{money_text(amount)}, where {money_text(kept.outcome.amount_micros)} was paid on {on} before"
            self._wrong(row, "recharge", found, "the same payment as before")
        opening.recharged += amount
        opening.facts.append((row.number, shard_of(account, self._known.shards), fact))

    def _add(self, row: Row, account: str, fact: AccountOpened | MeterInstalled, opening: Opening) -> None:
        content = msgspec.json.encode(msgspec.structs.replace(fact, at=0)).decode()
        named = msgspec.structs.replace(fact, id=self._id(fact.KIND, content))
        opening.facts.append((row.number, shard_of(account, self._known.shards), named))

    def _id(self, *words: str, on: dt.date | None = None) -> str:
        """A ULID of that day, or of today, whose rest depends on nothing but `words`."""
        day = (on - dt.date(1970, 1, 1)).days if on else self._now // DAY_MS
        rest = hashlib.blake2b("\x1f".join(words).encode(), digest_size=10).digest()
        return str(ULID.from_bytes((day * DAY_MS).to_bytes(6, "big") + rest))
