"""Why it is this much: the charge between two readings, taken apart until a clerk can check it with a pocket calculator.

It is worked out by `rating.cost_of`, slowly and by the calendar, and not by the loop that charged the wallet. Its parts, and
the correction where a tariff prices the whole use of a period, add up to the charge exactly, to 1e-12 of the currency's unit.
`tariffs/explain_text.py` has the words.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from domain.units import MINUTE_MS
from domain.words import Commodity
from tariffs.rating import Counter, Moment, Piece, cost_of
from tariffs.tariff import Percentage, Plan, Title, Version


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter showed at a time, ms UTC: Wh or litres, before ratio."""

    time_ms: int
    register: int


@dataclass(frozen=True, slots=True)
class Share:
    """What one component adds to a price, in nanos per kWh or m³. `tier` from 1; 0: it has none.

    The percentages of a version, VAT and the like, are one share, because they are rounded to nanos together.
    """

    id: str
    title: Title
    tier: int
    price_nanos: int


@dataclass(frozen=True, slots=True)
class Part:
    """Usage at one price: `usage` Wh or litres in [start_ms, end_ms), after `before` of them in the tier period.

    Two parts that a tier limit divides overlap by the piece, at most an hour, in which the limit was reached.
    `sum(share.price_nanos for share in shares) == price_nanos`; `usage * price_nanos == cost_picos`.
    """

    start_ms: int
    end_ms: int
    tariff: str
    title: Title
    zone: str
    version_from_ms: int
    period_from_ms: int
    season: str
    band: str
    tiered: bool
    before: int
    usage: int
    shares: tuple[Share, ...]
    price_nanos: int
    cost_picos: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """A charge with all that it is made of; msgspec writes it as JSON as it is.

    `zone`: whose clock the readings are told by. `usage` is the difference of the readings times `ratio`, Wh or litres. `correction_picos`: what the whole use of the period
    gives or takes for earlier usage. `sum(part.cost_picos for part in parts) + correction_picos == cost_picos`.
    """

    commodity: Commodity
    currency: str
    zone: str
    first: Reading
    last: Reading
    ratio: int
    usage: int
    parts: tuple[Part, ...]
    correction_picos: int
    cost_picos: int


def explain(
    plan: Plan, first: Reading, last: Reading, counter: Counter | None = None, *, ratio: int = 1, modulus: int = 0
) -> Explanation:
    """The charge between two readings of a meter. `counter`: what its tier periods had used before; it goes on.

    `ratio` and `modulus` (0: the register does not wrap) are the meter's. Raises ValueError, in words, where the second reading
    is not the later one, or shows less and cannot have wrapped.
    """
    usage = _usage(first, last, ratio, modulus)
    charge = cost_of(plan, first.time_ms, last.time_ms, usage, counter)
    return Explanation(
        commodity=plan[0].tariff.commodity,
        currency=plan[0].tariff.currency,
        zone=plan[0].tariff.zone,
        first=first,
        last=last,
        ratio=ratio,
        usage=usage,
        parts=tuple(parts_in(plan, charge.pieces)),
        correction_picos=charge.correction_picos,
        cost_picos=charge.cost_picos,
    )


def _usage(first: Reading, last: Reading, ratio: int, modulus: int) -> int:
    if last.time_ms <= first.time_ms:
        raise ValueError(f"found a second reading at {last.time_ms} ms; expected one after {first.time_ms} ms")
    advance = last.register - first.register
    if advance < 0:
        advance += modulus
    if advance < 0:
        raise ValueError(
            f"found a register that falls from {first.register} to {last.register}; expected one that does not,"
            " or the modulus at which it wraps"
        )
    return advance * ratio


def parts_in(plan: Plan, pieces: list[Piece]) -> Iterator[Part]:
    """Pieces of a charge by this plan; those that follow one another at one price are put together."""
    for _, group in groupby(_chained(pieces), key=lambda each: each[0]):
        same = [piece for _, piece in group]
        begin = same[0]
        stage = plan[begin.moment.stage]
        version = stage.tariff.versions[begin.moment.version]
        yield Part(
            start_ms=begin.start_ms,
            end_ms=same[-1].end_ms,
            tariff=stage.tariff.id,
            title=stage.tariff.title,
            zone=stage.tariff.zone,
            version_from_ms=version.from_ms,
            period_from_ms=begin.moment.period * MINUTE_MS,
            season=version.seasons[begin.moment.season].name,
            band=stage.tariff.bands[begin.moment.band],
            tiered=version.tiers is not None,
            before=begin.before,
            usage=sum(piece.usage for piece in same),
            shares=_shares(version, begin),
            price_nanos=begin.price,
            cost_picos=sum(piece.cost_picos for piece in same),
        )


def _chained(pieces: list[Piece]) -> Iterator[tuple[int, Piece]]:
    """Each piece with the number of the part that it belongs to."""
    number, before = 0, None
    for piece in pieces:
        if before is not None and not _goes_on(before, piece):
            number += 1
        yield number, piece
        before = piece


def _goes_on(before: Piece, piece: Piece) -> bool:
    return piece.start_ms == before.end_ms and _ruled_by(before) == _ruled_by(piece)


def _ruled_by(piece: Piece) -> tuple[Moment, tuple[int, ...], tuple[int, ...], int]:
    """All that makes a price, apart from the day."""
    return replace(piece.moment, day=0), piece.tiers, piece.component_prices, piece.price


def _shares(version: Version, piece: Piece) -> tuple[Share, ...]:
    rates = version.seasons[piece.moment.season].rates
    shares = tuple(
        Share(component.id, component.title, tier if any(schedule.limits for schedule in schedules) else 0, price)
        for component, schedules, tier, price in zip(
            version.components, rates, piece.tiers, piece.component_prices, strict=True
        )
    )
    percentages = [charge for charge in version.charges if isinstance(charge, Percentage)]
    if not percentages:
        return shares
    title = {
        language: joint.join(charge.title.get(language, charge.id) for charge in percentages)
        for language, joint in (("zh", "、"), ("en", ", "))
    }
    return (*shares, Share("percentages", title, 0, piece.price - sum(piece.component_prices)))
