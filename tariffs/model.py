"""The tariff file as people write it: tables, keys, and what is expected of each. `docs/tariffs.md` explains it field by field.

Prices become nanos, times minutes and weekday sets weekday numbers while the file is validated, so what passes is ready
for use and what fails is reported where it stands, all of it at once.
"""

import re
from collections.abc import Collection, Iterator
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from domain.documents import Part, Path
from tariffs.composition import compose
from tariffs.public_days import is_known
from tariffs.tariff import Cycle, Every, Per
from tariffs.values import (
    WEEKDAYS,
    Band,
    Begin,
    Day,
    Days,
    Decimal,
    Found,
    Limits,
    Name,
    Positive,
    Prices,
    Quantity,
    RoundPart,
    Share,
    Slot,
    Slots,
    Start,
    Text,
    TitlePart,
    Usages,
    Week,
    YearlyRange,
    all_mistakes,
    listed,
    matching,
)
from tariffs.zones import zone

BANDS_MAX = 36
FLAT = "flat"
"""The one band of a version that has one price."""
ENERGY = "energy"
"""The component whose price stands at the top of a version."""
REGISTERS = ("sharp", "peak", "flat", "valley", "deep_valley")
"""The registers that a meter may keep for its own bands, in the order of `facts.ReadingBlock.bands`."""
HOLIDAY, WORKDAY = "holiday", "workday"
"""Keys of a week for public holidays and for make-up working days."""

COUNTRY = 'a country such as "CN", or a part of one such as "US-CA",'
_COUNTRY = re.compile(r"[A-Z]{2}(-[A-Za-z0-9]{1,6})?")
_STATE = re.compile(r"[A-Z]{2}")
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_UNITS = {"electricity": "kWh", "water": "m3"}


class PricedPart(Part):
    """What a price consists of. Everything in it may be given anew for a season."""

    price: Prices | None = None
    prices: dict[Band, Prices] | None = None
    adders: Prices | None = None

    @field_validator("prices")
    @classmethod
    def _one_kind(cls, prices: dict[str, object] | None, info: ValidationInfo) -> dict[str, object] | None:
        if prices is not None and (not prices or info.data.get("price") is not None):
            raise ValueError("either one price, or prices by band, and not both")
        return prices


class SchedulePart(Part):
    """`[[version.schedule]]`: prices for periods whose whole use is at most `up_to`; the last has none."""

    up_to: Quantity | None = None
    limits: Limits = Field(default=[])
    price: Prices | None = None
    prices: dict[Band, Prices] | None = None

    @model_validator(mode="after")
    def _priced(self) -> "SchedulePart":
        if (self.price is None) == (self.prices is None):
            raise ValueError("either one price, or prices by band, and not both")
        return self


class SeasonComponentPart(PricedPart):
    """`[[version.season.component]]`: what a season changes in a component."""

    name: Name
    limits: Limits | None = None


class ComponentPart(PricedPart):
    """`[[version.component]]`: a part of the price that a bill shows apart."""

    name: Name
    title: TitlePart
    floats: bool = False
    adders_float: bool = False
    factor: Positive | None = None
    limits: Limits | None = None
    schedule: list[SchedulePart] = Field(default=[])
    round: RoundPart | None = None
    usage_round: RoundPart | None = None

    @model_validator(mode="after")
    def _floats_by_one_price(self) -> "ComponentPart":
        if self.floats and self.prices is not None:
            raise ValueError("one price where a component floats: the ratios make its bands")
        return self


class PersonsPart(Part):
    """Higher limits for larger households: each person beyond `above` adds `adds`, or all of them together do so once."""

    above: Annotated[int, Field(ge=0, le=100)]
    adds: list[Quantity]
    each: bool = True


class DaysPart(Part):
    """Limits that are stated for `per` days and scaled to the days of the period."""

    per: Annotated[int, Field(ge=1, le=366)]
    factor_round: RoundPart | None = None
    unscaled: Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    limit_round: RoundPart | None = None


class TiersPart(Part):
    """`[version.tiers]`: how usage is counted for tiers."""

    cycle: Annotated[Cycle, Field(strict=False)]
    begin: Begin | None = None
    limits: Limits = Field(default=[])
    mode: Literal["graduated", "volume"] = "graduated"
    counter: Literal["carry", "restart"] = "carry"
    per: Annotated[Per, Field(strict=False)] = Per.ACCOUNT
    persons: PersonsPart | None = None
    days: DaysPart | None = None

    @model_validator(mode="after")
    def _fits(self) -> "TiersPart":
        all_mistakes(list(_tiers_mistakes(self)))
        return self


def _tiers_mistakes(part: TiersPart) -> Iterator[Found]:
    if part.begin is not None:
        has_month = part.begin[0] is not None
        match part.cycle:
            case Cycle.DAY:
                yield ("begin",), "no such key where tiers are counted by the day", part.begin[1]
            case Cycle.MONTH if has_month:
                yield ("begin",), 'a day of the month such as "15"', "{:02}-{:02}".format(*part.begin)
            case Cycle.TWO_MONTHS | Cycle.YEAR if not has_month:
                yield ("begin",), 'month-day such as "12-01"', str(part.begin[1])
    if part.persons is not None:
        if part.mode == "volume":
            yield ("persons",), "no such key where tiers are of mode volume", part.mode
        elif len(part.persons.adds) != len(part.limits):
            expected = f"as many as there are limits, {len(part.limits)}"
            yield ("persons", "adds"), expected, len(part.persons.adds)


class SeasonPart(PricedPart):
    """`[[version.season]]`: part of the year, and what is different in it."""

    name: Name
    months: Annotated[list[Annotated[int, Field(ge=1, le=12)]], Field(min_length=1)] | None = None
    dates: Annotated[list[YearlyRange], Field(min_length=1)] | None = None
    ratios: dict[Band, Share] | None = None
    limits: Limits | None = None
    component: list[SeasonComponentPart] = Field(default=[])
    days: dict[str, Slots] = Field(default={})
    week: Week | None = None

    @model_validator(mode="after")
    def _when(self) -> "SeasonPart":
        if (self.months is None) == (self.dates is None):
            raise ValueError('either months = [7, 8] or dates = ["06-16..09-30"], and not both')
        return self

    def ranges(self) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
        """Inclusive ranges of (month, day)."""
        return tuple(self.dates or (((month, 1), (month, 31)) for month in self.months or ()))


class BracketPart(Part):
    """An amount for bills whose whole use is at most `up_to`; the last bracket has none."""

    up_to: Quantity | None = None
    amount: Decimal


class ChargePart(Part):
    """`[[version.charge]]`: a line of a bill besides energy; exactly one of the keys that say what it charges."""

    name: Name
    title: TitlePart
    amount: Decimal | None = None
    brackets: list[BracketPart] | None = None
    percent: Decimal | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    demand: (
        Annotated[list[Decimal], BeforeValidator(lambda value: value if isinstance(value, list) else [value])] | None
    ) = None
    every: Annotated[Every, Field(strict=False)] | None = None
    per: Annotated[Per, Field(strict=False)] = Per.ACCOUNT
    of: list[str] = Field(default=[])
    exact: bool = False
    limits: Limits = Field(default=[])
    bands: list[str] = Field(default=[])
    minutes: Literal[5, 10, 15, 30, 60] = 15
    least_share: Share | None = None
    round: RoundPart | None = None

    @property
    def kind(self) -> str:
        """Which of the keys says what it charges."""
        return next(kind for kind in _CHARGE_KEYS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> "ChargePart":
        given = [kind for kind in _CHARGE_KEYS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(_CHARGE_KEYS)}")
        all_mistakes(list(_charge_mistakes(self, given[0])))
        return self


_CHARGE_KEYS = {
    "amount": {"every", "per"},
    "brackets": {"every", "per"},
    "percent": {"of", "exact"},
    "minimum": {"of", "every"},
    "maximum": {"of", "every"},
    "demand": {"limits", "bands", "minutes", "least_share"},
}
"""What a charge charges, and the further keys that go with it."""
_MONEY_MAX = 10**9
_CHARGE_BOUNDS = {"percent": (-100, 1000), "demand": (0, _MONEY_MAX)}
"""A percentage takes away all of a sum at most; a price of demand is no refund."""


def _charge_mistakes(part: ChargePart, kind: str) -> Iterator[Found]:
    for key in sorted(set().union(*_CHARGE_KEYS.values()) & part.model_fields_set - _CHARGE_KEYS[kind]):
        yield (key,), f"no such key where a charge has {kind}", getattr(part, key)
    low, high = _CHARGE_BOUNDS.get(kind, (-_MONEY_MAX, _MONEY_MAX))
    amounts: dict[Path, Any] = (
        {(kind,): getattr(part, kind)} if kind in {"amount", "percent", "minimum", "maximum"} else {}
    )
    amounts |= {("brackets", index, "amount"): each.amount for index, each in enumerate(part.brackets or ())}
    amounts |= {("demand", index): price for index, price in enumerate(part.demand or ())}
    for path, amount in amounts.items():
        if not low <= amount <= high:
            yield path, f"a number from {low} to {high}", str(amount)
    if "of" in _CHARGE_KEYS[kind] and not part.of:
        yield ("of",), "the names of the lines that it looks at", part.of
    if kind in {"amount", "brackets"} and part.every is None:
        yield ("every",), f"how often it falls due: {listed(Every)}", None
    if part.brackets is not None:
        tops = [bracket.up_to for bracket in part.brackets]
        rising = [top for top in tops[:-1] if top is not None]
        if not tops or tops[-1] is not None or len(rising) != len(tops) - 1 or rising != sorted(set(rising)):
            yield ("brackets",), "brackets with rising up_to, the last without one", tops
    if part.demand is not None and len(part.demand) != len(part.limits) + 1:
        yield ("demand",), f"a price for each of {len(part.limits) + 1} tiers of demand", len(part.demand)


class RoundsPart(Part):
    """`[version.round]`: of lines that say nothing themselves, and of the bill."""

    line: RoundPart | None = None
    bill: RoundPart | None = None


class VersionPart(PricedPart):
    """`[[version]]`: what the tariff is from a date on."""

    from_: Start = Field(alias="from")
    ratios: dict[Band, Share] | None = None
    adders_float: bool = False
    price_round: RoundPart | None = None
    factor: Positive | None = None
    tiers: TiersPart | None = None
    schedule: list[SchedulePart] = Field(default=[])
    component: list[ComponentPart] = Field(default=[])
    season: list[SeasonPart] = Field(default=[])
    charge: list[ChargePart] = Field(default=[])
    round: RoundsPart = RoundsPart()
    days: dict[str, Slots] = Field(default={})
    week: Week = Field(default={})

    @field_validator("week")
    @classmethod
    def _profiles_exist(cls, week: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if "days" in info.data:
            all_mistakes(list(_profile_mistakes(week, info.data["days"])))
        return week

    @model_validator(mode="after")
    def _holds_together(self) -> "VersionPart":
        found = [*_name_mistakes(self), *_band_mistakes(self), *_week_mistakes(self), *_season_mistakes(self)]
        if not found:
            # What prices come to is asked last: a band that is misspelt would be missed in every table.
            found = [mistake for season in (*self.season, None) for mistake in compose(self, season).mistakes]
        all_mistakes([*{(path, expected): (path, expected, value) for path, expected, value in found}.values()])
        return self

    def bands(self) -> tuple[str, ...]:
        """Every band that a price or a ratio of this version names, in order of appearance."""
        priced: list[PricedPart] = [self, *self.component, *self.season, *(c for s in self.season for c in s.component)]
        tables = [part.prices for part in priced]
        tables += [schedule.prices for schedule in self.schedule]
        tables += [schedule.prices for part in self.component for schedule in part.schedule]
        ratios = [self.ratios, *(season.ratios for season in self.season)]
        return tuple(dict.fromkeys(band for table in (*tables, *ratios) for band in table or ())) or (FLAT,)

    def profiles(self, season: SeasonPart | None) -> dict[str, list[Slot]]:
        """Day profiles that a season can use: its own and the version's."""
        named = {**self.days, **(season.days if season else {})}
        return named or {FLAT: [(0, self.bands()[0])]}

    def week_of(self, season: SeasonPart | None) -> dict[str, str]:
        """The week of a season, or the version's."""
        own = season.week if season and season.week is not None else self.week
        return own or ({"mon-sun": next(iter(self.profiles(season)))} if not self.days else {})


def _name_mistakes(version: VersionPart) -> Iterator[Found]:
    """Names of lines that come twice, and looks at lines that do not come earlier."""
    seen = {ENERGY} if version.price or version.prices or version.schedule else set()
    lines: list[tuple[Path, ComponentPart | ChargePart]] = [
        *((("component", index), part) for index, part in enumerate(version.component)),
        *((("charge", index), part) for index, part in enumerate(version.charge)),
    ]
    for path, line in lines:
        if line.name in seen:
            yield (*path, "name"), "a name that no other line of this version has", line.name
        of = line.of if isinstance(line, ChargePart) else []
        for place, name in enumerate(of):
            if name not in seen:
                yield (*path, "of", place), f"an earlier line of this version: {listed(sorted(seen))}", name
            elif name in of[:place]:
                yield (*path, "of", place), "each line once", name
        seen.add(line.name)
    components = {part.name for part in version.component}
    for index, season in enumerate(version.season):
        if season.name in {other.name for other in version.season[:index]}:
            yield ("season", index, "name"), "a name that no other season of this version has", season.name
        for place, part in enumerate(season.component):
            if part.name not in components:
                path = ("season", index, "component", place, "name")
                yield path, f"a component of this version: {listed(sorted(components))}", part.name


def _band_mistakes(version: VersionPart) -> Iterator[Found]:
    """Bands in day profiles and demand charges that have no price."""
    bands = version.bands()
    tables: list[tuple[Path, dict[str, list[Slot]]]] = [(("days",), version.days)]
    tables += [(("season", index, "days"), season.days) for index, season in enumerate(version.season)]
    for path, days in tables:
        for name, slots in days.items():
            for index, (_, band) in enumerate(slots):
                if band not in bands:
                    yield (*path, name, index), f"a band that has a price: {listed(bands)}", band
    if not version.days and len(bands) > 1:
        yield ("days",), "day profiles where there are prices by band, and none where there is one price", version.days
    if _is_flat_by_day(version):
        yield ("days",), "day profiles where there are prices by band, and none where there is one price", version.days
    for index, charge in enumerate(version.charge):
        for place, band in enumerate(charge.bands):
            if band not in bands:
                yield ("charge", index, "bands", place), f"a band of this version: {listed(bands)}", band


def _is_flat_by_day(version: VersionPart) -> bool:
    """Whether a version with one price has day profiles all the same, which say nothing."""
    bands = {band for slots in version.days.values() for _, band in slots}
    return bands == {FLAT} == set(version.bands()) and FLAT not in {**(version.prices or {}), **(version.ratios or {})}


def _week_mistakes(version: VersionPart) -> Iterator[Found]:
    """A version without a week although it has days, and weeks of seasons with unknown profiles."""
    if version.days and not version.week:
        yield ("week",), f"every weekday once; missing: {listed(WEEKDAYS)}", version.week
    for index, season in enumerate(version.season):
        for path, expected, found in _profile_mistakes(season.week or {}, {**version.days, **season.days}):
            yield ("season", index, "week", *path), expected, found


def _profile_mistakes(week: dict[str, str], profiles: Collection[str]) -> Iterator[Found]:
    for names, profile in week.items():
        if profile not in profiles:
            yield (names,), f"a day profile of this version: {listed(profiles)}", profile


def _season_mistakes(version: VersionPart) -> Iterator[Found]:
    """Seasons that bring what the rest of the year does not have, and prices that ratios would have to multiply twice."""
    is_priced = bool(version.price or version.prices or version.schedule)
    parts: list[tuple[Path, VersionPart | SeasonPart]] = [((), version)]
    parts += [(("season", index), season) for index, season in enumerate(version.season)]
    for path, part in parts:
        if part.prices is not None and part.ratios is not None:
            yield (
                (*path, "ratios"),
                "either prices by band, or one price with ratios, and not both",
                listed(part.ratios),
            )
    persons = version.tiers.persons if version.tiers else None
    for index, season in enumerate(version.season):
        if persons is not None and season.limits is not None and len(season.limits) != len(persons.adds):
            expected = f"as many limits as persons add to, {len(persons.adds)}"
            yield ("season", index, "limits"), expected, len(season.limits)
        if not is_priced and (season.price or season.prices):
            yield (
                ("season", index),
                "a price of the version itself too, for the days that no season covers",
                season.name,
            )


class CalendarPart(Part):
    """`[calendar]`: which days are not what their weekday says."""

    holidays: Annotated[str, matching(_COUNTRY.fullmatch, COUNTRY)] | None = None
    add: list[Day] = Field(default=[])
    remove: list[Day] = Field(default=[])
    workdays: list[Day] = Field(default=[])
    sets: dict[Name, list[Days]] = Field(default={})

    @field_validator("sets")
    @classmethod
    def _own_names(cls, sets: dict[str, list[list[date]]]) -> dict[str, list[list[date]]]:
        taken = {HOLIDAY, WORKDAY, *WEEKDAYS}
        all_mistakes([((name,), f"a name other than {listed(sorted(taken))}", name) for name in sets if name in taken])
        return sets


class SealedPart(Part):
    """`[sealed_calendar]`: the days that `[calendar] holidays` stood for when the tariff was published."""

    holidays: list[Day]
    workdays: list[Day] = Field(default=[])
    known_until: Day | None = None


class ExamplePart(Part):
    """`[[example]]`: what a bill comes to. `tariffs.examples` holds it against the bill that we compute; pricing never reads it."""

    from_: Day = Field(alias="from")
    until: Day
    usage: Usages
    used: Quantity | None = None
    persons: Annotated[int, Field(ge=1, le=100)] = 1
    capacity: Quantity | None = None
    total: Decimal
    source: Text

    @field_validator("until")
    @classmethod
    def _later(cls, until: date, info: ValidationInfo) -> date:
        if "from_" in info.data and not until > info.data["from_"]:
            raise ValueError(f"a date after from, {info.data['from_']}: it is the first day that is not billed")
        return until


class TariffPart(Part):
    """A tariff file."""

    tariff: Annotated[str, matching(_ID.fullmatch, "an id of at most 64 small letters, digits and -")]
    title: TitlePart
    country: Annotated[str, matching(_STATE.fullmatch, "a country of 2 capital letters such as CN")] | None = None
    commodity: Literal["electricity", "water"]
    unit: Literal["kWh", "m3"] | None = None
    currency: Annotated[str, matching(re.compile("[A-Z]{3}").fullmatch, "a currency of 3 capital letters such as CNY")]
    zone: str
    source: Text
    published: Day | None = None
    sealed_calendar: SealedPart | None = None
    calendar: CalendarPart | None = None
    usage_by: Literal["clock", "meter_bands"] = "clock"
    meter_bands: dict[str, Band] = Field(default={})
    version: list[VersionPart]
    example: list[ExamplePart] = Field(default=[])

    @field_validator("unit")
    @classmethod
    def _unit_of_commodity(cls, unit: str | None, info: ValidationInfo) -> str | None:
        expected = _UNITS.get(info.data.get("commodity", ""))
        if unit is not None and expected not in {None, unit}:
            raise ValueError(f"{expected}, in which this commodity is priced")
        return unit

    @field_validator("calendar")
    @classmethod
    def _known_country(cls, calendar: CalendarPart | None, info: ValidationInfo) -> CalendarPart | None:
        country = calendar.holidays if calendar else None
        if country is not None and info.data.get("sealed_calendar") is None and not is_known(country):
            all_mistakes([(("holidays",), f"{COUNTRY} whose holidays are known", country)])
        return calendar

    @field_validator("usage_by")
    @classmethod
    def _electricity_has_bands(cls, usage_by: str, info: ValidationInfo) -> str:
        if usage_by == "meter_bands" and info.data.get("commodity") == "water":
            raise ValueError('"clock" for water: its meters keep no registers by band')
        return usage_by

    @field_validator("meter_bands")
    @classmethod
    def _known_registers(cls, meter_bands: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        if info.data.get("usage_by") == "clock":
            raise ValueError('no such key without usage_by = "meter_bands"')
        expected = f"a register of a meter: {listed(REGISTERS)}"
        all_mistakes([((name,), expected, name) for name in meter_bands if name not in REGISTERS])
        return meter_bands

    @field_validator("version")
    @classmethod
    def _versions_of_few_bands(cls, versions: list[VersionPart], info: ValidationInfo) -> list[VersionPart]:
        if not versions:
            raise ValueError("at least one [[version]]")
        if len({band for version in versions for band in version.bands()}) > BANDS_MAX:
            raise ValueError(f"at most {BANDS_MAX} bands in all versions together")
        if "calendar" in info.data:
            all_mistakes(list(_kind_mistakes(versions, info.data["calendar"])))
        return versions

    @field_validator("example")
    @classmethod
    def _examples_of_bands(cls, examples: list[ExamplePart], info: ValidationInfo) -> list[ExamplePart]:
        bands = {band: None for version in info.data.get("version", ()) for band in version.bands()}
        all_mistakes(
            [
                ((index, "usage", band), f"a band of this tariff: {listed(bands)}", band)
                for index, example in enumerate(examples)
                for band in example.usage
                if bands and band not in {"", *bands}
            ]
        )
        return examples

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        zone(name)
        return name


def _kind_mistakes(versions: list[VersionPart], calendar: CalendarPart | None) -> Iterator[Found]:
    """Kinds of days in a week that the file's calendar does not know."""
    sets = calendar.sets if calendar else {}
    known = {*sets, *((HOLIDAY, WORKDAY) if calendar else ())}
    expected = f"weekdays such as mon-fri, or a kind of day that [calendar] knows: {listed(sorted(known))}"
    for index, version in enumerate(versions):
        weeks: list[tuple[Path, dict[str, str]]] = [((index, "week"), version.week)]
        weeks += [((index, "season", n, "week"), season.week or {}) for n, season in enumerate(version.season)]
        for path, week in weeks:
            for names in week:
                if names.isidentifier() and names not in {*WEEKDAYS, *known}:
                    yield (*path, names), expected, names
