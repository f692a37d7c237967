"""What no single key of a site file can show: names that nothing answers to, and things that are there twice."""

import datetime as dt
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.files.site_document import AmountsPart, alarm_terms
from connectors.files.site_texts import is_quantity, thousandths
from connectors.modbus.profile import Profile, UnknownProfileError, load_profile
from domain.documents import MistakesError, read_document
from domain.documents import Path as KeyPath
from domain.facts import AlarmTerms
from domain.units import ORDER_MAX_MICROS, money_micros, quantity_text

RATIO_MAX = 1_000_000
AREA_MAX = 10**9
"""Thousandths of a m²."""


@dataclass(frozen=True, slots=True)
class SiteTariff:
    """A tariff that the site uses: its id and its document's text, which is validated where tariffs are."""

    id: str
    document: str
    commodity: str


Finding = tuple[KeyPath, str, str]
Row = tuple[KeyPath, dict[str, Any]]


def _rows(table: Mapping[str, Any], key: str, path: KeyPath = ()) -> list[Row]:
    """The tables of an array, as far as they are tables: what is not is the model's to report."""
    rows = table.get(key)
    found = rows if isinstance(rows, list) else []
    return [((*path, key, index), row) for index, row in enumerate(found) if isinstance(row, dict)]


class Findings:
    """What no single key can show: names that nothing answers to, and things that are there twice.

    Works on the raw tables, so that it also speaks when the model finds mistakes of its own.
    """

    def __init__(self, tables: dict[str, Any], folder: Path, catalogue: Mapping[str, str]) -> None:
        self.policies = _rows(tables, "policy")
        self.accounts = _rows(tables, "account")
        self.buses = _rows(tables, "bus")
        self.meters = [row for path, bus in self.buses for row in _rows(bus, "meter", path)]
        self.tariff_rows = _rows(tables, "tariff")
        self.main_meters = _rows(tables, "main_meter")
        self._folder, self._catalogue = folder, catalogue
        self.tariffs: dict[str, SiteTariff] = {}
        self.profiles: dict[str, Profile] = {}

    def all(self) -> list[Finding]:
        """Everything found; fills `tariffs` and `profiles` on the way."""
        return [
            *self._tariffs(),
            *self._profiles(),
            *self._repeats(),
            *self._amounts(),
            *self._policies(),
            *self._fees(),
            *self._buses(),
            *self._rounds(),
            *self._links(),
            *self._main_meters(),
        ]

    def _tariffs(self) -> Iterator[Finding]:
        for path, row in self.tariff_rows:
            if not isinstance(file := row.get("file"), str):
                continue
            try:
                text = self._tariff_text(file)
            except MistakesError as error:
                yield (*path, "file"), f"{file!r} with mistakes: {error}", "a tariff document without mistakes"
                continue
            if text is None:
                names = ", ".join(self._catalogue) or "none"
                yield (*path, "file"), repr(file), f"a file beside the site file, or a tariff of the catalogue: {names}"
                continue
            tariff = _tariff(text)
            if tariff is None:
                yield (*path, "file"), repr(file), "a tariff document: TOML with a key `tariff`, its name"
            elif tariff.id in self.tariffs:
                yield (*path, "file"), f"{file!r}, again tariff {tariff.id!r}", "each tariff once"
            else:
                self.tariffs[tariff.id] = tariff

    def _tariff_text(self, file: str) -> str | None:
        if (found := self._folder / file).is_file():
            return read_document(found)
        return self._catalogue.get(file)

    def _profiles(self) -> Iterator[Finding]:
        for path, row in self.meters:
            name = row.get("profile")
            if not isinstance(name, str) or not name:
                continue
            if name in self.profiles:
                continue
            try:
                self.profiles[name] = load_profile(name, self._folder)
            except UnknownProfileError as error:
                yield (*path, "profile"), repr(name), str(error)
            except MistakesError as error:
                yield (*path, "profile"), f"{name!r} with mistakes: {error}", "a profile without mistakes"

    def _repeats(self) -> Iterator[Finding]:
        yield from _repeated(self.policies, "name", "each policy once")
        yield from _repeated(self.accounts, "id", "each account once")
        yield from _repeated(self.buses, "name", "each bus name once")
        yield from _repeated(self.meters, "number", "each meter number once")
        for path, bus in self.buses:
            yield from _repeated(_rows(bus, "meter", path), "unit", "each unit once on a bus")

    def _amounts(self) -> Iterator[Finding]:
        for path, row in self.policies + self.accounts:
            try:
                terms = alarm_terms(row)
            except (TypeError, ValueError, AttributeError):
                continue
            yield from ((path, found, expected) for found, expected in _disorders(terms))

    def _policies(self) -> Iterator[Finding]:
        known = [row["name"] for _, row in self.policies if isinstance(row.get("name"), str)]
        for path, row in self.accounts:
            name = row.get("policy")
            if isinstance(name, str) and name not in known:
                yield (*path, "policy"), repr(name), f"a policy of this file: {', '.join(known) or 'none'}"
            if own := [key for key in AmountsPart.model_fields if "policy" in row and key in row]:
                yield (*path, own[0]), "an amount beside a policy", "a policy, or amounts of its own"

    def _buses(self) -> Iterator[Finding]:
        places: Counter[str] = Counter()
        for path, bus in self.buses:
            kind = bus.get("kind")
            needed, idle = ("device", "host") if kind == "serial" else ("host", "device")
            if not bus.get(needed):
                yield path, f"no {needed}", f"{needed}, because kind = {kind!r}"
            if idle in bus:
                yield (*path, idle), repr(bus[idle]), f"no {idle}, because kind = {kind!r}"
            place = str(bus.get("device") if kind == "serial" else f"{bus.get('host')}:{bus.get('port', 502)}")
            places[place] += 1
            if places[place] == 2 and kind != "tcp":
                yield path, f"a second bus at {place}", "one bus for one line: two masters collide on it"

    def _rounds(self) -> Iterator[Finding]:
        for bus_path, bus in self.buses:
            poll = bus.get("poll_seconds", 60)
            for path, row in _rows(bus, "meter", bus_path):
                minutes = row.get("offline_minutes")
                if isinstance(minutes, int) and isinstance(poll, int | float) and 0 < minutes * 60 <= poll:
                    yield (
                        (*path, "offline_minutes"),
                        str(minutes),
                        f"more than a round of its bus, {poll} s; 0: not watched",
                    )

    def _fees(self) -> Iterator[Finding]:
        for path, account in self.accounts:
            items = _rows(account, "item", path)
            yield from _repeated(items, "item", "each item of an account once")
            for place, row in items:
                starts, ends = row.get("starts"), row.get("ends")
                if isinstance(starts, dt.date) and isinstance(ends, dt.date) and ends < starts:
                    yield (*place, "ends"), str(ends), "a day not before starts"
                amount, area = row.get("amount"), row.get("area")
                if is_quantity(area) and is_quantity(amount) and not _is_fee(amount, area):
                    yield (*place, "area"), repr(area), "1000000 m² at most, and amount x area up to 10^9"
            allowance = account.get("allowance")
            if isinstance(allowance, dict) and allowance.get("kind") in {"electricity", "water"}:
                amount = allowance.get("amount")
                if isinstance(amount, str) and not is_quantity(amount):
                    yield (*path, "allowance", "amount"), repr(amount), "kWh or m³ as text, of at most 3 decimals"

    def _links(self) -> Iterator[Finding]:
        known = {row.get("id") for _, row in self.accounts if isinstance(row.get("id"), str)}
        for path, row in self.meters:
            account, name = row.get("account"), row.get("tariff")
            if isinstance(account, str) and account not in known:
                yield (*path, "account"), repr(account), "the id of an [[account]]"
            tariff = self.tariffs.get(name) if isinstance(name, str) else None
            if isinstance(name, str) and tariff is None:
                yield (*path, "tariff"), repr(name), f"a tariff of this file: {', '.join(self.tariffs) or 'none'}"
            profile = self.profiles.get(row["profile"]) if isinstance(row.get("profile"), str) else None
            if profile is not None:
                yield from _misfits(path, row, profile, tariff)

    def _main_meters(self) -> Iterator[Finding]:
        """A main meter and its sub-meters are meters of this file, and measure the same."""
        profiles = {row["number"]: row.get("profile") for _, row in self.meters if isinstance(row.get("number"), str)}
        yield from _repeated(self.main_meters, "meter", "each main meter once")
        for path, row in self.main_meters:
            meter, subs = row.get("meter"), row.get("subs")
            listed = [each for each in subs if isinstance(each, str)] if isinstance(subs, list) else []
            if meter in listed or len(set(listed)) < len(listed):
                yield (*path, "subs"), repr(subs), "each sub-meter once, and none that is the main meter itself"
            numbers = [("meter", meter)] * isinstance(meter, str) + [("subs", each) for each in listed]
            for place, number in numbers:
                if number not in profiles:
                    yield (*path, place), repr(number), "the number of a [[bus.meter]]"
            measured = {
                self.profiles[name].commodity
                for _, number in numbers
                if (name := profiles.get(number)) in self.profiles and isinstance(name, str)
            }
            if len(measured) > 1:
                yield (*path, "subs"), "electricity and water", "meters that measure the same as their main meter"


def _disorders(terms: AlarmTerms) -> Iterator[tuple[str, str]]:
    if not terms.low >= terms.pretrip >= terms.arrears:
        yield "alarm amounts out of order", "low at least pretrip, and pretrip at least arrears"
    if terms.reconnect < terms.arrears:
        yield "reconnect below arrears", "reconnect at least arrears"
    if terms.hysteresis < 0:
        yield "a negative hysteresis", "hysteresis from 0"
    if terms.overdraft < 0:
        yield "a negative overdraft", "overdraft from 0"


def _is_fee(amount: str, area: str) -> bool:
    square = thousandths(area)
    return 0 < square <= AREA_MAX and money_micros(amount) * square <= 1000 * ORDER_MAX_MICROS


def _misfits(path: KeyPath, row: dict[str, Any], profile: Profile, tariff: SiteTariff | None) -> Iterator[Finding]:
    if tariff is not None and tariff.commodity != profile.commodity:
        yield (*path, "tariff"), f"{tariff.id!r} for {tariff.commodity}", f"a tariff for {profile.commodity}"
    if row.get("switchable") is True and profile.switch is None:
        yield (*path, "switchable"), "true", f"false, because profile {profile.name} has no [switch]"
    if "control" in row and not row.get("switchable", profile.switchable):
        yield (*path, "control"), "terms of control", "none, because this meter is not switched"
    night = row.get("night_from", "02:00")
    if night == row.get("night_until", "04:00"):
        yield (*path, "night_from" if "night_from" in row else "night_until"), repr(night), "a night of some minutes"
    ct, pt, opening = row.get("ct_ratio", 1), row.get("pt_ratio", 1), row.get("opening_register", "")
    if isinstance(ct, int) and isinstance(pt, int) and ct * pt > RATIO_MAX:
        yield (*path, "ct_ratio"), f"{ct} x {pt}", f"ct_ratio x pt_ratio up to {RATIO_MAX}"
    modulus = row.get("modulus", profile.modulus)
    if is_quantity(opening) and isinstance(modulus, int) and 0 < modulus <= thousandths(opening):
        yield (
            (*path, "opening_register"),
            repr(opening),
            f"less than {quantity_text(modulus)}, where the register wraps",
        )


def _repeated(rows: list[Row], key: str, expected: str) -> Iterator[Finding]:
    seen: set[object] = set()
    for path, row in rows:
        value = row.get(key)
        if not isinstance(value, str | int):
            continue
        if value in seen:
            yield (*path, key), f"{value!r} again", expected
        seen.add(value)


def _tariff(text: str) -> SiteTariff | None:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None
    name = tables.get("tariff")
    return SiteTariff(name, text, str(tables.get("commodity"))) if isinstance(name, str) else None
