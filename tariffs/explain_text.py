"""An explanation in words, Chinese or English, as a clerk would read it out: the readings, the parts, the sum."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import groupby

from domain.units import NANOS_PER_UNIT, quantity_text
from tariffs.bill import UNITS, WHOLE
from tariffs.charges import Term, decimal_text
from tariffs.explain import Explanation, Part, Share
from tariffs.zones import zone

_PICOS_PER_UNIT = 10**12
_SEVERAL = 2

_WORDS = {
    "zh": {
        "readings": "{since} 至 {until}（{zone}）：表码 {first} → {last}{ratio}，用量 {usage} {unit}。",
        "ratio": "，倍率 {ratio}",
        "prices": "按“{title}”自 {version} 起的价格{tiers}：",
        "tiers": "，阶梯自 {period} 起累计",
        "part": "  {since}–{until}{before}，{term}",
        "before": "，此前已用 {before} {unit}",
        "price": "    单价 {price} = {shares}",
        "tier": "（第{tier}档）",
        "correction": "  累计用量改变了本期的价目，此前用量更正：{amount}",
        "total": "合计 {amount} {currency}。",
    },
    "en": {
        "readings": "{since} to {until} ({zone}): register {first} → {last}{ratio}, a use of {usage} {unit}.",
        "ratio": ", ratio {ratio}",
        "prices": "By “{title}”, prices from {version}{tiers}:",
        "tiers": ", tiers counted from {period}",
        "part": "  {since}–{until}{before}, {term}",
        "before": ", after {before} {unit}",
        "price": "    price {price} = {shares}",
        "tier": " (tier {tier})",
        "correction": "  The use so far changes the prices of the whole period; correction of what was used before: {amount}",
        "total": "Total {amount} {currency}.",
    },
}


def explanation_text(explanation: Explanation, language: str) -> list[str]:
    """The lines of an explanation in `zh` or `en`. Amounts are exact, so that they can be added up by hand."""
    words = _WORDS[language]
    lines = [_readings(explanation, words)]
    for heading, parts in groupby(explanation.parts, key=lambda part: prices_text(part, language)):
        lines.append(heading)
        for part in parts:
            lines += _part(part, UNITS[explanation.commodity], words, language)
    if explanation.correction_picos:
        lines.append(words["correction"].format(amount=picos_text(explanation.correction_picos)))
    lines.append(words["total"].format(amount=picos_text(explanation.cost_picos), currency=explanation.currency))
    return lines


def _readings(explanation: Explanation, words: dict[str, str]) -> str:
    first, last = explanation.first, explanation.last
    return words["readings"].format(
        since=clock_text(first.time_ms, explanation.zone),
        until=clock_text(last.time_ms, explanation.zone),
        zone=explanation.zone,
        first=quantity_text(first.register),
        last=quantity_text(last.register),
        ratio=words["ratio"].format(ratio=explanation.ratio) if explanation.ratio != 1 else "",
        usage=quantity_text(explanation.usage),
        unit=UNITS[explanation.commodity],
    )


def prices_text(part: Part, language: str) -> str:
    """Whose prices hold for a part, and since when tiers are counted."""
    words = _WORDS[language]
    tiers = words["tiers"].format(period=clock_text(part.period_from_ms, part.zone)) if part.tiered else ""
    title = part.title.get(language, part.tariff)
    return words["prices"].format(title=title, version=clock_text(part.version_from_ms, part.zone), tiers=tiers)


def _part(part: Part, unit: str, words: dict[str, str], language: str) -> Iterator[str]:
    """Its arithmetic, and what its price is made of where that is more than one thing."""
    tiers = {share.tier for share in part.shares if share.tier}
    term = Term(
        quantity=Fraction(part.usage, WHOLE),
        unit=unit,
        price=Fraction(part.price_nanos, NANOS_PER_UNIT),
        amount=Fraction(part.cost_picos, _PICOS_PER_UNIT),
        band=part.band,
        tier=tiers.pop() if len(tiers) == 1 else 0,
    )
    yield words["part"].format(
        since=clock_text(part.start_ms, part.zone),
        until=_until(part),
        before=words["before"].format(before=quantity_text(part.before), unit=unit) if part.tiered else "",
        term=term.text(language),
    )
    yield from price_text(part, language)


def price_text(part: Part, language: str) -> Iterator[str]:
    """What the price of a part is made of, where that is more than one thing."""
    if len(part.shares) < _SEVERAL:
        return
    words, one_tier = _WORDS[language], len({share.tier for share in part.shares if share.tier}) == 1
    shares = " + ".join(_share(share, words, language, shows_tier=not one_tier) for share in part.shares)
    price = decimal_text(Fraction(part.price_nanos, NANOS_PER_UNIT))
    yield words["price"].format(price=price, shares=shares)


def _share(share: Share, words: dict[str, str], language: str, *, shows_tier: bool) -> str:
    tier = words["tier"].format(tier=share.tier) if share.tier and shows_tier else ""
    return f"{share.title.get(language, share.id)}{tier} {decimal_text(Fraction(share.price_nanos, NANOS_PER_UNIT))}"


def _until(part: Part) -> str:
    """The end of a part; without its date where it is on the day of its begin."""
    since, until = clock_text(part.start_ms, part.zone), clock_text(part.end_ms, part.zone)
    return until.removeprefix(since.split(" ")[0] + " ")


def clock_text(at_ms: int, zone_name: str) -> str:
    """Date and time on the wall clock of a zone, with seconds where there are any."""
    at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(zone(zone_name))
    return at.strftime("%Y-%m-%d %H:%M:%S" if at.second else "%Y-%m-%d %H:%M")


def picos_text(picos: int) -> str:
    """An amount in picos, in full."""
    return decimal_text(Fraction(picos, _PICOS_PER_UNIT))
