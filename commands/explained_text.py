"""An explanation of charges for people, in Chinese or English, and as figures for programs."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from rich.console import Console
from rich.table import Table

from commands.explaining import Explanation, day_text
from commands.tariff.price import Language
from connectors.redis.formats import iso
from domain.ids import meter_text
from domain.units import NANOS_PER_UNIT, PICOS_PER_MICRO, money_text, quantity_text
from domain.words import UNITS
from flows.audit.book import Paid
from flows.audit.explained import Day, Explained, Posted
from tariffs.charges import band_text, decimal_text
from tariffs.explain import Part, parts_in
from tariffs.explain_text import clock_text, picos_text, price_text, prices_text

_WIDE = 400
"""Columns of a table that is never cut: lines of a file or a pipe may be as long."""

_WORDS: dict[Language, dict[str, str]] = {
    Language.EN: {
        "head": "{account}, meter {meter}, {day} ({zone}), {unit}",
        "reading": "reading", "register": "register", "hour": "spread over", "usage": "{unit}", "before": "used before",
        "band": "band", "tier": "tier", "price": "price", "cost": "cost", "free": "of it free",
        "earlier": "earlier use of the period, at other prices now",
        "removal": "closing register", "replacement": "closing register", "decision": "decision {order}", "correction": "correction {order}",
        "total": "Cost of the day", "carried": "Carried on from before", "rests": "Corrections, beyond their own postings",
        "rounded": "Rounded when the tenancy ended", "posted": "Posted", "number": "posting {number}, {at}",
        "open": "Not posted yet", "carried_on": "Carried on", "free_total": "Of it free",
        "correct": "Correction of {since}–{until} by {usage} {unit}, order {order}", "correction_cost": "Cost", "rest": "Goes on with the meter's days",
        "nothing": "{account} was charged for no usage then.",
        "agrees": "Worked out a second time, every amount is as in the ledger.",
        "differs": "IT CANNOT BE REPRODUCED: {what}",
    },
    Language.ZH: {
        "head": "{account}，表 {meter}，{day}（{zone}），{unit}",
        "reading": "抄表", "register": "表码", "hour": "分摊时段", "usage": "{unit}", "before": "此前已用",
        "band": "时段", "tier": "档", "price": "单价", "cost": "费用", "free": "其中免费",
        "earlier": "本期此前用量按现行价目更正",
        "removal": "拆表止码", "replacement": "换表止码", "decision": "裁定 {order}", "correction": "更正 {order}",
        "total": "当日费用", "carried": "此前结转", "rests": "更正的尾数",
        "rounded": "结清时舍去", "posted": "入账", "number": "凭证 {number}，{at}",
        "open": "尚未入账", "carried_on": "结转", "free_total": "其中免费",
        "correct": "更正 {since}–{until} 用量 {usage} {unit}，单号 {order}", "correction_cost": "费用", "rest": "并入该表结转",
        "nothing": "{account} 在此期间没有用量费用。",
        "agrees": "已独立重算，各项金额与账本完全一致。",
        "differs": "无法重算：{what}",
    },
}  # fmt: skip
_COLUMNS = ("reading", "register", "hour", "usage", "before", "band", "tier", "price", "cost", "free")
_LEFT = {"reading", "register", "hour", "band"}


def show_explanation(found: Explanation, language: Language) -> None:
    """Print each meter and day as a table of its parts, what its prices are made of, and its sums down to the postings."""
    words, console = _WORDS[language], Console(width=_WIDE, highlight=False, markup=False)
    for day in found.days:
        _show_day(found, day, language, console)
    for correction in found.corrections:
        _show_correction(correction, language, console)
    if not found.days and not found.corrections:
        console.print(words["nothing"].format(account=found.account))
    for note in found.notes:
        console.print(note)
    for what in found.wrong:
        console.print(words["differs"].format(what=what))
    if not found.wrong:
        console.print(words["agrees"])


def _show_day(found: Explanation, day: Day, language: Language, console: Console) -> None:
    words = _WORDS[language]
    unit = UNITS[day.commodity]
    head = {"account": found.account, "meter": meter_text(day.meter), "day": day_text(day.day), "zone": day.zone}
    console.print(words["head"].format(**head, unit=unit))
    parts = [(each, paid) for each in day.charges for paid in each.charged.paid if paid.day == day.day]
    _show_parts(parts, day.day, language, console)
    for name, amount in _sums(day).items():
        console.print(f"  {words[name]}: {picos_text(amount)}")
    for posted in day.posted:
        console.print(f"  {_posted_text(posted, found.currency, day.zone, words)}")
    rest = words["open" if day.is_open else "carried_on"]
    free = f" ({words['free_total']}: {picos_text(day.carried_on.free)})" if day.carried_on.free else ""
    console.print(f"  {rest}: {picos_text(day.carried_on.cost)}{free}\n")


def _sums(day: Day) -> dict[str, int]:
    """Picos of the day that are not nothing, but for its cost."""
    sums = {
        "total": day.cost_picos,
        "free_total": day.free_picos,
        "carried": day.carried.cost - day.carried.free,
        "rests": day.rests,
        "rounded": day.rounded.cost - day.rounded.free,
    }
    return {name: amount for name, amount in sums.items() if amount or name == "total"}


def _posted_text(posted: Posted, currency: str, zone: str, words: dict[str, str]) -> str:
    number = words["number"].format(number=posted.sequence, at=clock_text(posted.at, zone))
    what = words["free_total"] if posted.is_free else words["posted"]
    return f"{what}: {money_text(posted.micros)} {currency} ({number})"


def _show_parts(parts: list[tuple[Explained, Paid]], day: int, language: Language, console: Console) -> None:
    """A row for each part with one price; what a reading or an order is stands in its first. Columns of nothing are left out."""
    words, rows = _WORDS[language], list[tuple[str, ...]]()
    unit = UNITS[parts[0][0].commodity] if parts else ""
    prices: dict[str, None] = {}
    before: Explained | None = None
    for explained, paid in parts:
        named = ("", "") if explained is before else _named(explained, day, words)
        before = explained
        for row in _rows(explained, paid, day, language):
            rows.append((*named, *row))
            named = ("", "")
        for part in parts_in(explained.plan, paid.charge.pieces):
            prices |= dict.fromkeys([prices_text(part, language), *price_text(part, language)])
    shown = [place for place in range(len(_COLUMNS)) if any(row[place] for row in rows)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in (_COLUMNS[place] for place in shown):
        table.add_column(words[name].format(unit=unit), justify="left" if name in _LEFT else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(row[place] for place in shown))
    console.print(table)
    for line in prices:
        console.print(f"  {line}")


def _named(explained: Explained, day: int, words: dict[str, str]) -> tuple[str, str]:
    """Which reading or order it was, and the registers."""
    charged, zone = explained.charged, explained.plan[0].tariff.zone
    why = words[explained.why].format(order=explained.order) if explained.why != "reading" else ""
    ratio = f" × {explained.ratio}" if explained.ratio != 1 else ""
    is_silent = charged.register is None
    register = "" if is_silent else f"{quantity_text(charged.before)} → {quantity_text(charged.register or 0)}{ratio}"
    return f"{_span(charged.start_ms, charged.end_ms, zone, day)} {why}".strip(), register


def _rows(explained: Explained, paid: Paid, day: int, language: Language) -> Iterator[tuple[str, ...]]:
    """The parts of a part of a charge that have one price each."""
    free = paid.free_picos
    for part in parts_in(explained.plan, paid.charge.pieces):
        tiers = {share.tier for share in part.shares if share.tier}
        yield (
            _span(part.start_ms, part.end_ms, part.zone, day),
            quantity_text(part.usage),
            quantity_text(part.before) if part.tiered else "",
            band_text(part.band, language),
            "/".join(map(str, sorted(tiers))),
            decimal_text(Fraction(part.price_nanos, NANOS_PER_UNIT)),
            picos_text(part.cost_picos),
            picos_text(free) if free else "",
        )
        free = 0
    if paid.charge.correction_picos:
        yield (_WORDS[language]["earlier"], "", "", "", "", "", picos_text(paid.charge.correction_picos), "")


def _show_correction(correction: Explained, language: Language, console: Console) -> None:
    words, charged, zone = _WORDS[language], correction.charged, correction.plan[0].tariff.zone
    since, until = clock_text(charged.start_ms, zone), clock_text(charged.end_ms, zone)
    usage, unit = quantity_text(charged.usage), UNITS[correction.commodity]
    console.print(words["correct"].format(since=since, until=until, usage=usage, unit=unit, order=correction.order))
    _show_parts([(correction, paid) for paid in charged.paid], charged.paid[0].day, language, console)
    posted = correction.posted
    console.print(f"  {words['correction_cost']}: {picos_text(correction.cost_picos)}")
    if posted:
        currency = correction.plan[0].tariff.currency
        console.print(f"  {_posted_text(posted, currency, zone, words)}")
    rest = correction.cost_picos - (posted.micros * PICOS_PER_MICRO if posted else 0)
    console.print(f"  {words['rest']}: {picos_text(rest)}\n")


def _span(start_ms: int, end_ms: int, zone: str, day: int) -> str:
    """`23:00–24:00`; the date stands with what is on another day."""
    return f"{_clock(start_ms, zone, day)}–{_clock(end_ms, zone, day)}"


def _clock(at_ms: int, zone: str, day: int) -> str:
    date, _, clock = clock_text(at_ms, zone).partition(" ")
    if date == day_text(day):
        return clock
    return "24:00" if (date, clock) == (day_text(day + 1), "00:00") else f"{date[5:]} {clock}"


def explanation_figures(found: Explanation) -> dict[str, Any]:
    """The same as figures: amounts and quantities are texts, times ISO in UTC."""
    return {
        "account": found.account,
        "currency": found.currency,
        "days": [_day_figures(day) for day in found.days],
        "corrections": [_correction_figures(each) for each in found.corrections],
        "reproduced": not found.wrong,
        "differences": found.wrong,
        "notes": found.notes,
    }


def _day_figures(day: Day) -> dict[str, Any]:
    charges = [
        _charge_figures(each, [paid for paid in each.charged.paid if paid.day == day.day]) for each in day.charges
    ]
    return {
        "meter": meter_text(day.meter),
        "day": day_text(day.day),
        "zone": day.zone,
        "unit": UNITS[day.commodity],
        "charges": charges,
        "cost": picos_text(day.cost_picos),
        "free": picos_text(day.free_picos),
        "carried": picos_text(day.carried.cost),
        "carried_free": picos_text(day.carried.free),
        "corrections_rest": picos_text(day.rests),
        "rounded": picos_text(day.rounded.cost),
        "rounded_free": picos_text(day.rounded.free),
        "posted": [_posted_figures(each) for each in day.posted],
        "is_open": day.is_open,
        "carried_on": picos_text(day.carried_on.cost),
        "carried_on_free": picos_text(day.carried_on.free),
    }


def _correction_figures(correction: Explained) -> dict[str, Any]:
    return {
        "meter": meter_text(correction.meter),
        "unit": UNITS[correction.commodity],
        "charge": _charge_figures(correction, correction.charged.paid),
        "cost": picos_text(correction.cost_picos),
        "posted": _posted_figures(correction.posted) if correction.posted else None,
    }


def _posted_figures(posted: Posted) -> dict[str, Any]:
    return {
        "posting": posted.sequence,
        "at": iso(posted.at),
        "amount": money_text(posted.micros),
        "is_free": posted.is_free,
    }


def _charge_figures(explained: Explained, parts: list[Paid]) -> dict[str, Any]:
    charged = explained.charged
    return {
        "why": explained.why,
        "order": explained.order,
        "from": {"time": iso(charged.start_ms), "register": quantity_text(charged.before)},
        "until": {
            "time": iso(charged.end_ms),
            "register": None if charged.register is None else quantity_text(charged.register),
        },
        "ratio": explained.ratio,
        "usage": quantity_text(charged.usage),
        "parts": [_part_figures(part) for paid in parts for part in parts_in(explained.plan, paid.charge.pieces)],
        "correction": picos_text(sum(paid.charge.correction_picos for paid in parts)),
        "free_usage": quantity_text(sum(paid.free_usage for paid in parts)),
        "free": picos_text(sum(paid.free_picos for paid in parts)),
    }


def _part_figures(part: Part) -> dict[str, Any]:
    return {
        "from": iso(part.start_ms),
        "until": iso(part.end_ms),
        "tariff": part.tariff,
        "version_from": iso(part.version_from_ms),
        "period_from": iso(part.period_from_ms),
        "season": part.season,
        "band": part.band,
        "used_before": quantity_text(part.before) if part.tiered else None,
        "usage": quantity_text(part.usage),
        "price": decimal_text(Fraction(part.price_nanos, NANOS_PER_UNIT)),
        "shares": [
            {"id": each.id, "tier": each.tier, "price": decimal_text(Fraction(each.price_nanos, NANOS_PER_UNIT))}
            for each in part.shares
        ],
        "cost": picos_text(part.cost_picos),
    }
