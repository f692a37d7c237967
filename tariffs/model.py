"""The tariff file as people write it: tables, keys, and what is expected of each. `docs/tariffs.md` explains it field by field.

Prices become nanos, times minutes and weekday sets weekday numbers while the file is validated, so what passes is ready
for use and what fails is reported where it stands, all of it at once.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from domain.documents import Part, Path
from domain.units import PRICE_MAX_NANOS, price_nanos
from tariffs.zones import zone

BANDS_MAX = 16
FLAT = "flat"
"""The one band of a version that has one price."""
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Slot = tuple[int, str]
"""(minute since local midnight, band)."""

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")

Found = tuple[Path, str, object]
"""A mistake inside a value: the path from the value down to it, what is expected there, and what was found."""


def _all_mistakes(found: list[Found]) -> None:
    """Raise every mistake at its own place. pydantic adds the path of the value in which they were found."""
    errors = [
        InitErrorDetails(
            type=PydanticCustomError("tariff", "{expected}", {"expected": expected}), loc=path, input=value
        )
        for path, expected, value in found
    ]
    if errors:
        raise ValidationError.from_exception_data("tariff", errors)


def _matching(fits: Callable[[str], object], expected: str) -> AfterValidator:
    def check(text: str) -> str:
        if not fits(text):
            raise ValueError(expected)
        return text

    return AfterValidator(check)


def _price(value: object) -> int:
    """Nanos of a decimal string."""
    try:
        nanos = price_nanos(value) if isinstance(value, str) else None
    except ValueError:
        nanos = None
    if nanos is None or abs(nanos) > PRICE_MAX_NANOS:
        raise ValueError(
            'a decimal number in quotes, with at most 9 decimals and less than a million, such as "0.5583"'
        )
    return nanos


def _slot(value: object) -> Slot | None:
    match value:
        case [str(time), str(band)] if clock := _TIME.fullmatch(time):
            return int(clock[1]) * 60 + int(clock[2]), band
    return None


def _slots(value: object, info: ValidationInfo) -> list[Slot]:
    """Slots of one day: from midnight on, each later than the one before, each with a band of this version's `prices`."""
    items: list[object] = value if isinstance(value, list) else []
    slots = [_slot(item) for item in items]
    if not slots or (slots[0] is not None and slots[0][0] != 0):
        raise ValueError('slots that begin with one at "00:00", so that the whole day has a band')
    bands = info.data.get("prices")
    found: list[Found] = []
    latest = -1
    for index, slot in enumerate(slots):
        if slot is None:
            found.append(((index,), 'a local start time and a band, such as ["08:00", "peak"]', items[index]))
            continue
        if slot[0] <= latest:
            found.append(((index,), "a start time later than that of the slot before it", items[index]))
        if bands and slot[1] not in bands:
            found.append(((index,), f"a band that has a price: {_listed(bands)}", slot[1]))
        latest = slot[0]
    _all_mistakes(found)
    return [slot for slot in slots if slot is not None]


def _start(value: object) -> date:
    """A local date, or an instant of whole minutes."""
    whole = not isinstance(value, datetime) or (value.tzinfo and not value.second and not value.microsecond)
    if isinstance(value, date) and whole:
        return value
    raise ValueError("a date such as 2025-01-01, or a time with offset such as 2025-01-01T00:30:00+08:00, no quotes")


def weekdays(names: str) -> Iterator[int]:
    """Weekday numbers, Monday is 0, of a set such as `mon-fri`, `sat,sun` or `fri-mon`. Raises ValueError for another."""
    for part in names.split(","):
        first, _, last = part.strip().partition("-")
        if first not in WEEKDAYS or (last or first) not in WEEKDAYS:
            raise ValueError(f"weekdays such as mon-fri or sat,sun, out of {', '.join(WEEKDAYS)}")
        begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        yield from (day % 7 for day in range(begin, begin + (end - begin) % 7 + 1))


def _week_mistakes(week: dict[str, str], profiles: list[str] | None) -> Iterator[Found]:
    """Unknown sets, unknown day profiles (unless these are broken themselves), weekdays twice and not at all."""
    seen: set[int] = set()
    for names, profile in week.items():
        try:
            days = list(weekdays(names))
        except ValueError as error:
            yield (names,), str(error), names
            continue
        if twice := [WEEKDAYS[day] for day in days if day in seen or days.count(day) > 1]:
            yield (names,), f"each weekday once, but {_listed(dict.fromkeys(twice))} is in the week twice", names
        if profiles is not None and profile not in profiles:
            yield (names,), f"a day profile of this version: {_listed(profiles)}", profile
        seen.update(days)
    if missing := [name for day, name in enumerate(WEEKDAYS) if day not in seen]:
        yield (), f"every weekday once; missing: {_listed(missing)}", week


def _listed(names: Any) -> str:
    return ", ".join(names) or "none"


Text = Annotated[str, _matching(str.strip, "some text")]
Price = Annotated[int, BeforeValidator(_price)]
Band = Annotated[
    str, _matching(lambda text: text.isidentifier() and len(text) <= 32, "a word of at most 32 letters, digits and _")
]
Slots = Annotated[list[Slot], BeforeValidator(_slots)]


class TitlePart(Part):
    """What people call the tariff, in both languages of the product."""

    zh: Text
    en: Text


class VersionPart(Part):
    """`[[version]]`: either one `price`, or `prices` by band with the days and the week in which they rule."""

    from_: Annotated[date | datetime, BeforeValidator(_start)] = Field(alias="from")
    price: Price | None = None
    prices: dict[Band, Price] | None = Field(default=None, validate_default=True)
    days: dict[str, Slots] = Field(default={}, validate_default=True)
    week: dict[str, str] = Field(default={}, validate_default=True)

    @field_validator("prices")
    @classmethod
    def _one_kind(cls, prices: dict[str, int] | None, info: ValidationInfo) -> dict[str, int] | None:
        if "price" in info.data and (info.data["price"] is None) == (not prices):
            raise ValueError("either one price, or prices by band, and not both")
        return prices

    @field_validator("days")
    @classmethod
    def _days_with_bands(cls, days: dict[str, list[Slot]], info: ValidationInfo) -> dict[str, list[Slot]]:
        if "prices" in info.data and bool(days) != bool(info.data["prices"]):
            raise ValueError("day profiles where there are prices by band, and none where there is one price")
        return days

    @field_validator("week")
    @classmethod
    def _whole_week(cls, week: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        profiles = info.data.get("days")
        if week or profiles:
            _all_mistakes(list(_week_mistakes(week, None if profiles is None else list(profiles))))
        return week


class TariffPart(Part):
    """A tariff file."""

    tariff: Annotated[str, _matching(_ID.fullmatch, "an id of at most 64 small letters, digits and -")]
    title: TitlePart
    commodity: Literal["electricity", "water"]
    currency: Annotated[str, _matching(re.compile("[A-Z]{3}").fullmatch, "a currency of 3 capital letters such as CNY")]
    zone: str
    source: Text
    version: list[VersionPart]

    @field_validator("version")
    @classmethod
    def _versions_of_few_bands(cls, versions: list[VersionPart]) -> list[VersionPart]:
        if not versions:
            raise ValueError("at least one [[version]]")
        if len({band for version in versions for band in version.prices or (FLAT,)}) > BANDS_MAX:
            raise ValueError(f"at most {BANDS_MAX} bands in all versions together")
        return versions

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        zone(name)
        return name
