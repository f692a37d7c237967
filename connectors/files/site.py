"""The site file: which accounts, buses and meters a site has, as TOML that a person writes. Format: docs/site-file.md.

Promise: a file that loads can be collected from and billed. One that does not is refused as a whole, with every mistake at
once, each with its line, what was found and what is expected. The same file and `at` give the same facts with the same ids.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ulid import ULID

from connectors.files.site_checks import Findings, SiteTariff
from connectors.files.site_document import (
    AccountPart,
    BusPart,
    MainMeterPart,
    MeterPart,
    SiteDocument,
    SitePart,
    alarm_terms,
)
from connectors.files.site_terms import AllowancePart, ItemPart, day_number
from connectors.files.site_texts import thousandths
from connectors.modbus.profile import Profile
from connectors.modbus.wire import Wire
from domain.documents import Lines, Mistake, MistakesError, key_text, load, parse, read_document
from domain.facts import (
    AccountOpened,
    AlarmTerms,
    AllowanceSet,
    ChargeItemSet,
    ControlTerms,
    ControlTermsSet,
    MainMeterSet,
    MeterInstalled,
    MeterWatchSet,
    Place,
    PolicySet,
    SiteSet,
    WatchTerms,
)
from domain.ids import meter_number
from domain.units import money_micros
from domain.words import ItemKind, Period


@dataclass(frozen=True, slots=True)
class SiteAccount:
    """An account as it is to be opened. `policy`: whose amounts it follows; "": it has its own."""

    id: str
    name: str
    place: Place
    alarms: AlarmTerms
    policy: str = ""
    items: tuple[ItemPart, ...] = ()
    allowance: AllowancePart | None = None


@dataclass(frozen=True, slots=True)
class SiteMeter:
    """A meter on a bus. Its profile has the site's overrides applied."""

    number: int
    unit: int
    profile: Profile
    account: str
    tariff: str
    ct_ratio: int = 1
    pt_ratio: int = 1
    opening_register: int | None = None
    watch: WatchTerms | None = None
    control: ControlTerms | None = None


@dataclass(frozen=True, slots=True)
class SiteBus:
    """A bus, how often its meters are read, and the pause between requests if the site overrides the profiles'."""

    wire: Wire
    poll_seconds: float
    meters: tuple[SiteMeter, ...]
    gap_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A site file that has been believed."""

    name: str
    zone: str
    currency: str
    tariffs: tuple[SiteTariff, ...]
    accounts: tuple[SiteAccount, ...]
    buses: tuple[SiteBus, ...]
    policies: tuple[tuple[str, AlarmTerms], ...] = ()
    main_meters: tuple[MainMeterPart, ...] = ()

    @property
    def meters(self) -> tuple[SiteMeter, ...]:
        """The meters of all buses."""
        return tuple(meter for bus in self.buses for meter in bus.meters)


def load_site(path: Path, catalogue: Mapping[str, str] | None = None) -> Site:
    """The site in a file. `catalogue` has the tariff documents that need no file, by name.

    Raises MistakesError with every mistake, and OSError if the file itself cannot be read.
    """
    return parse_site(read_document(path), path.name, path.parent, catalogue or {})


def parse_site(text: str, name: str, folder: Path, catalogue: Mapping[str, str]) -> Site:
    """The site in a text whose relative paths begin in `folder`. Raises MistakesError with every mistake."""
    tables = parse(text, name)
    findings = Findings(tables, folder, catalogue)
    lines = Lines(text)
    mistakes = [Mistake(lines.of(path), key_text(path), found, expected) for path, found, expected in findings.all()]
    try:
        document = load(SiteDocument, text, name)
    except MistakesError as error:
        raise MistakesError(name, error.mistakes + mistakes) from None
    if mistakes:
        raise MistakesError(name, mistakes)
    return _site(document, findings)


def _site(document: SiteDocument, findings: Findings) -> Site:
    return Site(
        name=document.site.name,
        zone=document.site.zone,
        currency=document.site.currency,
        tariffs=tuple(findings.tariffs.values()),
        policies=tuple((part.name, alarm_terms(part.model_dump())) for part in document.policy),
        accounts=tuple(_account(part, document.site.name) for part in document.account),
        buses=tuple(_bus(part, findings.profiles, document.site) for part in document.bus),
        main_meters=tuple(document.main_meter),
    )


def _account(part: AccountPart, site: str) -> SiteAccount:
    place = Place(site=site, building=part.building, floor=part.floor, room=part.room)
    alarms = alarm_terms(part.model_dump())
    return SiteAccount(part.id, part.name, place, alarms, part.policy or "", tuple(part.item), part.allowance)


def _bus(part: BusPart, profiles: Mapping[str, Profile], site: SitePart) -> SiteBus:
    wire = Wire(
        name=part.name, kind=part.kind, host=part.host, port=part.port, device=part.device, baud=part.baud,
        parity=part.parity, timeout_ms=part.timeout_ms,
    )  # fmt: skip
    meters = tuple(_meter(meter, profiles, site, part.poll_seconds) for meter in part.meter)
    return SiteBus(wire, part.poll_seconds, meters, part.gap_ms)


def _meter(part: MeterPart, profiles: Mapping[str, Profile], site: SitePart, poll_seconds: float) -> SiteMeter:
    overrides = part.model_dump(include={"rated_per_hour", "modulus", "switchable"}, exclude_none=True)
    return SiteMeter(
        number=meter_number(part.number),
        unit=part.unit,
        profile=profiles[part.profile].model_copy(update=overrides),
        account=part.account,
        tariff=part.tariff,
        ct_ratio=part.ct_ratio,
        pt_ratio=part.pt_ratio,
        opening_register=None if part.opening_register is None else thousandths(part.opening_register),
        watch=part.watch(poll_seconds),
        control=part.control.terms(site.zone, site.holidays) if part.control else None,
    )


def _fact_id(at: int, *words: str) -> str:
    """A ULID of that time whose rest depends on nothing but `words`, so that loading a site twice is a repeat."""
    rest = hashlib.blake2b("\x1f".join(words).encode(), digest_size=10).digest()
    return str(ULID.from_bytes(at.to_bytes(6, "big") + rest))


def site_fact(site: Site, at: int) -> SiteSet:
    """The site itself as a fact of the time `at`, by its one name."""
    return SiteSet(
        at=at,
        id=_fact_id(at, site.name, "site"),
        site=site.name,
        title_zh=site.name,
        title_en=site.name,
        zone=site.zone,
        currency=site.currency,
    )


def policy_facts(site: Site, at: int) -> list[PolicySet]:
    """The policies as facts of the time `at`, for every shard."""
    return [
        PolicySet(at=at, id=_fact_id(at, site.name, "policy", name), policy=name, alarms=alarms)
        for name, alarms in site.policies
    ]


def account_facts(site: Site, at: int) -> list[AccountOpened]:
    """The accounts as facts of the time `at`."""
    return [
        AccountOpened(
            at=at,
            id=_fact_id(at, site.name, "account", account.id),
            account=account.id,
            currency=site.currency,
            name=account.name,
            place=account.place,
            alarms=account.alarms,
            policy=account.policy,
        )
        for account in site.accounts
    ]


def meter_facts(site: Site, at: int) -> list[MeterInstalled]:
    """The meters as facts of the time `at`."""
    return [
        MeterInstalled(
            at=at,
            id=_fact_id(at, site.name, "meter", str(meter.number)),
            meter=meter.number,
            account=meter.account,
            commodity=meter.profile.commodity_word,
            tariff=meter.tariff,
            profile=meter.profile.name,
            modulus=meter.profile.modulus,
            rated_per_hour=meter.profile.rated_per_hour,
            ratio=meter.ct_ratio * meter.pt_ratio,
            opening_register=meter.opening_register,
            switchable=meter.profile.switchable,
        )
        for meter in site.meters
    ]


def meter_term_facts(site: Site, at: int) -> list[tuple[str, MeterWatchSet | ControlTermsSet]]:
    """How the meters are watched, and controlled where the file says so, as facts of the time `at`, each with its account."""
    facts: list[tuple[str, MeterWatchSet | ControlTermsSet]] = []
    for meter in site.meters:
        number, name = meter.number, str(meter.number)
        if meter.watch:
            watch = MeterWatchSet(at=at, id=_fact_id(at, site.name, "watch", name), meter=number, terms=meter.watch)
            facts.append((meter.account, watch))
        if meter.control:
            name = _fact_id(at, site.name, "control", name)
            facts.append((meter.account, ControlTermsSet(at=at, id=name, meter=number, terms=meter.control)))
    return facts


def main_meter_facts(site: Site, at: int) -> list[tuple[str, MainMeterSet]]:
    """Which meters hang behind which, as facts of the time `at`, each with the main meter's account."""
    accounts = {meter.number: meter.account for meter in site.meters}
    return [
        (
            accounts[meter_number(main.meter)],
            MainMeterSet(
                at=at,
                id=_fact_id(at, site.name, "main_meter", main.meter),
                meter=meter_number(main.meter),
                subs=tuple(sorted(map(meter_number, main.subs))),
                loss_max_permille=main.loss_max_permille,
                loss_min=thousandths(main.loss_min),
            ),
        )
        for main in site.main_meters
    ]


def item_facts(site: Site, at: int) -> list[ChargeItemSet]:
    """The fees of accounts as facts of the time `at`. Saying one again that has ended would charge it again: see `commands/site_fees.py`."""
    return [
        ChargeItemSet(
            at=at,
            id=_fact_id(at, site.name, "item", account.id, item.item),
            account=account.id,
            item=item.item,
            title=item.title,
            kind=ItemKind(item.kind),
            amount_micros=money_micros(item.amount),
            area=thousandths(item.area) if item.area else 0,
            period=Period(item.period),
            starts=day_number(item.starts),
            ends=day_number(item.ends) if item.ends else -1,
            partial=item.partial,
            zone=site.zone,
        )
        for account in site.accounts
        for item in account.items
    ]


def allowance_facts(site: Site, at: int) -> list[AllowanceSet]:
    """What accounts have free, as facts of the time `at`. Saying it again would give the month anew: see `commands/site_fees.py`."""
    return [
        AllowanceSet(
            at=at,
            id=_fact_id(at, site.name, "allowance", account.id),
            account=account.id,
            kind=allowance.word,
            amount=allowance.micros_or_units,
            from_day=day_number(allowance.starts),
            partial=allowance.partial,
        )
        for account in site.accounts
        if (allowance := account.allowance)
    ]
