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
from connectors.files.site_document import AccountPart, BusPart, MeterPart, SiteDocument, alarm_terms, thousandths
from connectors.modbus.profile import Profile
from connectors.modbus.wire import Wire
from domain.documents import Lines, Mistake, MistakesError, key_text, load, parse, read_document
from domain.facts import AccountOpened, AlarmTerms, MeterInstalled, Place, PolicySet, SiteSet
from domain.ids import meter_number


@dataclass(frozen=True, slots=True)
class SiteAccount:
    """An account as it is to be opened. `policy`: whose amounts it follows; "": it has its own."""

    id: str
    name: str
    place: Place
    alarms: AlarmTerms
    policy: str = ""


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
    policies: tuple[tuple[str, AlarmTerms], ...]
    buses: tuple[SiteBus, ...]

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
        buses=tuple(_bus(part, findings.profiles) for part in document.bus),
    )


def _account(part: AccountPart, site: str) -> SiteAccount:
    place = Place(site=site, building=part.building, floor=part.floor, room=part.room)
    return SiteAccount(part.id, part.name, place, alarm_terms(part.model_dump()), part.policy or "")


def _bus(part: BusPart, profiles: Mapping[str, Profile]) -> SiteBus:
    wire = Wire(
        name=part.name, kind=part.kind, host=part.host, port=part.port, device=part.device, baud=part.baud,
        parity=part.parity, timeout_ms=part.timeout_ms,
    )  # fmt: skip
    return SiteBus(wire, part.poll_seconds, tuple(_meter(meter, profiles) for meter in part.meter), part.gap_ms)


def _meter(part: MeterPart, profiles: Mapping[str, Profile]) -> SiteMeter:
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
