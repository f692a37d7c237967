"""Single values of a tariff file: decimals in quotes, dates, times of day, weekday sets; each with the words for its mistakes."""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from domain.documents import Part, Path
from domain.units import NANOS_PER_UNIT, PRICE_MAX_NANOS, price_nanos
from tariffs.tariff import Rounding, RoundingMode

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Slot = tuple[int, str]
"""(minute since local midnight, band)."""

Found = tuple[Path, str, object]
"""A mistake inside a value: the path from the value down to it, what is expected there, and what was found."""

_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_DECIMAL = re.compile(r"[+-]?\d{1,15}(\.\d{1,12})?")
_MONTH_DAY = re.compile(r"(\d\d)-(\d\d)")
_THOUSANDTHS = 1000
_QUANTITY_MAX = 10**15


def all_mistakes(found: list[Found]) -> None:
    """Raise every mistake at its own place. pydantic adds the path of the value in which they were found."""
    errors = [
        InitErrorDetails(
            type=PydanticCustomError("tariff", "{expected}", {"expected": expected}), loc=path, input=value
        )
        for path, expected, value in found
    ]
    if errors:
        raise ValidationError.from_exception_data("tariff", errors)


def listed(names: Any) -> str:
    """Names as a reader is told them."""
    return ", ".join(names) or "none"


def matching(fits: Callable[[str], object], expected: str) -> AfterValidator:
    """A validator of text that says `expected` where it does not fit."""

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


def _prices(value: object) -> tuple[int, ...]:
    """One price, or a list of them by tier."""
    if not isinstance(value, list):
        return (_price(value),)
    found: list[Found] = []
    prices = []
    for index, item in enumerate(value):
        try:
            prices.append(_price(item))
        except ValueError as error:
            found.append(((index,), str(error), item))
    all_mistakes(found)
    if not prices:
        raise ValueError("a price for each tier")
    return tuple(prices)


def _decimal(value: object) -> Fraction:
    if not isinstance(value, str) or not _DECIMAL.fullmatch(value):
        raise ValueError('a decimal number in quotes, with at most 12 decimals, such as "1.49"')
    return Fraction(value)


def _not_negative(value: Fraction) -> Fraction:
    if value < 0:
        raise ValueError('a decimal number in quotes that is not negative, such as "0.5"')
    return value


def _positive(value: Fraction) -> Fraction:
    if value <= 0:
        raise ValueError('a decimal number in quotes above zero, such as "0.01"')
    return value


def _thousandths(value: object) -> int:
    exact = _decimal(value) * _THOUSANDTHS if isinstance(value, str) and _DECIMAL.fullmatch(value) else None
    if exact is None or exact.denominator != 1 or not 0 < exact <= _QUANTITY_MAX:
        raise ValueError('a number above zero in quotes, with at most 3 decimals, such as "260"')
    return int(exact)


def _usages(value: object) -> dict[str, int]:
    """Thousandths by band; of a single quantity, under no band's name."""
    if not isinstance(value, dict):
        return {"": _thousandths(value)}
    found: list[Found] = []
    usages = {}
    for band, item in value.items():
        try:
            usages[str(band)] = _thousandths(item)
        except ValueError as error:
            found.append(((band,), str(error), item))
    all_mistakes(found)
    return usages


def _rising(values: list[int]) -> list[int]:
    all_mistakes(
        [
            ((index,), "a limit higher than the one before it", value / _THOUSANDTHS)
            for index, value in enumerate(values)
            if index and value <= values[index - 1]
        ]
    )
    return values


def _day(value: object) -> date:
    """A date, or its ISO text, which is all that JSON has."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) else _refuse_day()
    except ValueError:
        return _refuse_day()


def _refuse_day() -> date:
    raise ValueError("a date such as 2025-01-01")


def _start(value: object) -> date:
    """A local date, or an instant of whole minutes; or the ISO text of one, which is all that JSON has."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value)
        except ValueError:
            value = None
    whole = not isinstance(value, datetime) or (value.tzinfo and not value.second and not value.microsecond)
    if isinstance(value, date) and whole:
        return value
    raise ValueError("a date such as 2025-01-01, or a time with offset such as 2025-01-01T00:30:00+08:00")


def _slot(value: object) -> Slot | None:
    match value:
        case [str(time), str(band)] if clock := _TIME.fullmatch(time):
            return int(clock[1]) * 60 + int(clock[2]), band
    return None


def _slots(value: object) -> list[Slot]:
    """Slots of one day: from midnight on, each later than the one before."""
    items: list[object] = value if isinstance(value, list) else []
    slots = [_slot(item) for item in items]
    if not slots or (slots[0] is not None and slots[0][0] != 0):
        raise ValueError('slots that begin with one at "00:00", so that the whole day has a band')
    found: list[Found] = []
    latest = -1
    for index, slot in enumerate(slots):
        if slot is None:
            found.append(((index,), 'a local start time and a band, such as ["08:00", "peak"]', items[index]))
            continue
        if slot[0] <= latest:
            found.append(((index,), "a start time later than that of the slot before it", items[index]))
        latest = slot[0]
    all_mistakes(found)
    return [slot for slot in slots if slot is not None]


def weekdays(names: str) -> Iterator[int]:
    """Weekday numbers, Monday is 0, of a set such as `mon-fri`, `sat,sun` or `fri-mon`. Raises ValueError for another."""
    for part in names.split(","):
        first, _, last = part.strip().partition("-")
        if first not in WEEKDAYS or (last or first) not in WEEKDAYS:
            raise ValueError(f"weekdays such as mon-fri or sat,sun, out of {', '.join(WEEKDAYS)}")
        begin, end = WEEKDAYS.index(first), WEEKDAYS.index(last or first)
        yield from (day % 7 for day in range(begin, begin + (end - begin) % 7 + 1))


def _week(week: dict[str, str]) -> dict[str, str]:
    """Every weekday once; other keys may be kinds of days, which the whole file knows."""
    found: list[Found] = []
    seen: set[int] = set()
    for names in week:
        if names.isidentifier() and names not in WEEKDAYS:
            continue
        try:
            days = list(weekdays(names))
        except ValueError as error:
            found.append(((names,), str(error), names))
            continue
        if twice := [WEEKDAYS[day] for day in days if day in seen or days.count(day) > 1]:
            expected = f"each weekday once, but {listed(dict.fromkeys(twice))} is in the week twice"
            found.append(((names,), expected, names))
        seen.update(days)
    if missing := [name for day, name in enumerate(WEEKDAYS) if day not in seen]:
        found.append(((), f"every weekday once; missing: {listed(missing)}", week))
    all_mistakes(found)
    return week


def _month_day(text: str) -> tuple[int, int]:
    found = _MONTH_DAY.fullmatch(text.strip())
    if found is None:
        raise ValueError
    date(2024, int(found[1]), int(found[2]))  # A leap year: every day that a year can have.
    return int(found[1]), int(found[2])


def _yearly_range(value: object) -> tuple[tuple[int, int], tuple[int, int]]:
    first, _, last = str(value).partition("..")
    try:
        return _month_day(first), _month_day(last or first)
    except ValueError:
        raise ValueError('days of a year from .. to as month-day, such as "06-16..09-30"') from None


def _begin(value: object) -> tuple[int | None, int]:
    """(month, day) of "12-01", or (None, day) of "15", the day of a month."""
    text = value if isinstance(value, str) else ""
    month: int | None = None
    try:
        if "-" in text:
            month, day = _month_day(text)
        else:
            day = int(text)
    except ValueError:
        day = 0
    if not 1 <= day <= 28:  # Every month has a 28th.
        raise ValueError('month-day such as "12-01", or a day of the month such as "15"; the day at most 28')
    return month, day


def _day_range(value: object) -> list[date]:
    """The days of "2026-02-15..2026-02-23", or one date."""
    first, _, last = value.partition("..") if isinstance(value, str) else (value, "", "")
    try:
        begin, end = _day(first), _day(last or first)
    except ValueError:
        begin, end = date.max, date.min
    if not 0 <= (end - begin).days <= 366:  # A year is the longest set that makes sense.
        raise ValueError('a date such as 2026-02-17, or dates from .. to such as "2026-02-15..2026-02-23"')
    return [date.fromordinal(number) for number in range(begin.toordinal(), end.toordinal() + 1)]


def nanos_text(nanos: Fraction) -> str:
    """A price in full, for a person who must see why it is too fine: `0.1234567891`."""
    places = 18
    digits = int(abs(nanos) * 10**places / NANOS_PER_UNIT)
    text = f"{digits // 10**places}.{digits % 10**places:0{places}}".rstrip("0")
    return f"-{text}" if nanos < 0 else text


Text = Annotated[str, matching(str.strip, "some text")]
Price = Annotated[int, BeforeValidator(_price)]
Prices = Annotated[tuple[int, ...], BeforeValidator(_prices)]
Decimal = Annotated[Fraction, BeforeValidator(_decimal)]
Share = Annotated[Fraction, BeforeValidator(_decimal), AfterValidator(_not_negative)]
Positive = Annotated[Fraction, BeforeValidator(_decimal), AfterValidator(_positive)]
Quantity = Annotated[int, BeforeValidator(_thousandths)]
"""kWh or m³ in the file; Wh or litres here."""
Limits = Annotated[list[Quantity], AfterValidator(_rising)]
Usages = Annotated[dict[str, int], BeforeValidator(_usages)]
"""kWh or m³ by band in the file, or one quantity, which is under ""; Wh or litres here."""
Day = Annotated[date, BeforeValidator(_day)]
Days = Annotated[list[date], BeforeValidator(_day_range)]
Start = Annotated[date | datetime, BeforeValidator(_start)]
Slots = Annotated[list[Slot], BeforeValidator(_slots)]
Week = Annotated[dict[str, str], AfterValidator(_week)]
YearlyRange = Annotated[tuple[tuple[int, int], tuple[int, int]], BeforeValidator(_yearly_range)]
Begin = Annotated[tuple[int | None, int], BeforeValidator(_begin)]
Band = Annotated[
    str, matching(lambda text: text.isidentifier() and len(text) <= 32, "a word of at most 32 letters, digits and _")
]
Name = Annotated[
    str, matching(lambda text: text.isidentifier() and len(text) <= 32, "a name of at most 32 letters, digits and _")
]


class TitlePart(Part):
    """What people call something, in both languages of the product."""

    zh: Text
    en: Text

    def by_language(self) -> dict[str, str]:
        """Text by language."""
        return {"zh": self.zh, "en": self.en}


class RoundPart(Part):
    """To a whole number of `step`, in a stated mode."""

    step: Positive
    mode: Annotated[RoundingMode, Field(strict=False)] = RoundingMode.HALF_UP

    def rule(self) -> Rounding:
        """As a value."""
        return Rounding(self.step, self.mode)


def rule_of(part: RoundPart | None) -> Rounding | None:
    """The rounding that a part states, if it states one."""
    return None if part is None else part.rule()
