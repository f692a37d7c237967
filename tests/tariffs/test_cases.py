"""Bills, prices, bands and limits that others computed, priced by us: 102 cases of utilities, libraries, articles, textbooks."""

from datetime import UTC, date, datetime
from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from case_documents import HOUR_MS, Case, Statement, at_ms, cases, made, plan, thousandths
from case_prices import BOUNDS, SESSIONS, published_price
from case_statements import GUANGZHOU_CLOCK, GUANGZHOU_TOU, PERSONS, TIER_ADDERS, statement
from case_years import bills_of, guangzhou_year

from domain.units import MINUTE_MS
from tariffs.bill import Bill, bills
from tariffs.levels import levels
from tariffs.quote import quote
from tariffs.rating import Counter, Tally, cost_of, moment_of
from tariffs.series import Series
from tariffs.tariff import Plan, Premises, Rounding, RoundingMode
from tariffs.timeline import compile_timeline

CASES = cases()
BY_ID = {case["id"]: case for case in CASES}
PICOS = 10**12
NANOS = 10**9
SEPTEMBER = date(2025, 9, 10)
SCALED = "MY-SYABAS-"
"""Bills whose limits scale by their days, which an interval alone does not know."""
CENT = Rounding(Fraction(1, 100), RoundingMode.HALF_UP)

pytestmark = pytest.mark.skipif(not CASES, reason="this clone has no shared tariff cases beside it")


def of_kind(*kinds: str) -> list[str]:
    """The ids of the cases of some kinds."""
    return [case["id"] for case in CASES if case["kind"] in kinds]


def hundredths(case: Case) -> int:
    """100 where the case counts in cents or pence and our tariff in whole units, else 1."""
    return 100 if "-" in (case["tariff"]["currency"] or "") else 1


def amount(found: list[Bill], name: str) -> Fraction:
    """What bills charge by a name of `Statement.lines`."""
    line, _, part = name.partition(":")
    if line == "bill":
        return found[int(part)].total
    lines = [each for bill in found for each in bill.lines if each.id == line]
    assert lines, f"no line {line}"
    if part:
        return sum((term.amount for each in lines for term in each.terms if term.band == part), Fraction(0))
    return sum((each.amount for each in lines), Fraction(0))


def check_lines(case: Case, stated: Statement, found: list[Bill]) -> None:
    """Every amount that the case states for a charge is on our bill."""
    for key, rule in (("charges", None), ("charges_rounded", CENT)):
        for name, expected in case["expected"].get(key, {}).items():
            ours = sum((amount(found, line) for line in stated.lines.get(name, (name,))), Fraction(0))
            ours = rule.of(ours) if rule else ours
            assert abs(ours * hundredths(case) - Fraction(expected)) <= Fraction(case.get("tolerance", "0")), name


@pytest.mark.parametrize("identity", of_kind("bill"))
def test_a_bill_comes_to_what_others_computed(identity: str) -> None:
    """Total and lines, to the last digit that the case states."""
    case = BY_ID[identity]
    stated = statement(case)

    found = made(case, stated)

    difference = sum(bill.total for bill in found) * hundredths(case) - Fraction(case["expected"]["total"])
    assert abs(difference) <= Fraction(case.get("tolerance", "0"))
    check_lines(case, stated, found)


@pytest.mark.parametrize("identity", [each for each in of_kind("bill") if not each.startswith(SCALED)])
def test_the_slow_calendar_charges_the_energy_of_a_bill(identity: str) -> None:
    """Hour by hour through its own counter, it comes to the bill's unrounded lines of energy."""
    case = BY_ID[identity]
    stated = statement(case)
    household, counter, picos = plan(case, stated), Counter(), 0

    for hour, quantity in stated.used:
        start = at_ms(stated.edges[0]) + hour * HOUR_MS
        charge = cost_of(household, start, start + HOUR_MS, thousandths(quantity), counter)
        picos += charge.correction_picos + sum(piece.usage * sum(piece.component_prices) for piece in charge.pieces)

    energy = [line.exact for bill in made(case, stated) for line in bill.lines if line.kind == "energy"]
    assert Fraction(picos, PICOS) == sum(energy, Fraction(0))


@pytest.mark.parametrize("identity", [*SESSIONS])
def test_a_session_comes_to_what_others_computed(identity: str) -> None:
    """With and without value added tax, with a start fee, a minimum, a maximum, and use in whole steps."""
    case, stated = BY_ID[identity], SESSIONS[identity]

    check_lines(case, stated, made(case, stated))


@pytest.mark.parametrize("identity", [*BOUNDS])
def test_limits_scale_to_the_days_of_the_bill(identity: str) -> None:
    """The last kWh of each tier is the published one."""
    case, stated = BY_ID[identity], BOUNDS[identity]

    (found,) = made(case, stated)

    below = {str(term.tier): term.quantity for term in found.lines[0].terms}
    for name, expected in case["expected"]["charges"].items():
        assert sum(below[tier] for tier in stated.lines[name]) == Fraction(expected)


def band_prices(household: Plan, day: date) -> dict[str, Fraction]:
    """What the first kWh costs in each band that a day has."""
    tariff = household[0].tariff
    hours = [at_ms(day) + hour * HOUR_MS for hour in range(24)]
    pieces = [cost_of(household, at, at + MINUTE_MS, 1).pieces[0] for at in hours]
    return {tariff.bands[piece.moment.band]: Fraction(piece.price, NANOS) for piece in pieces}


BUILT = [identity for identity in of_kind("unit_price") if identity.startswith("CN-HUBEI-PRICE-")]


@pytest.mark.parametrize("identity", ["CN-GZ-TOU-UNITPRICE", *BUILT])
def test_a_price_is_built_of_its_components(identity: str) -> None:
    """Ratios multiply what floats and nothing else, and the sum has the decimals that are printed."""
    case = BY_ID[identity]
    household = plan(case, Statement(published_price(case) if identity in BUILT else GUANGZHOU_TOU))

    found = band_prices(household, SEPTEMBER)

    assert found == {band: Fraction(price) for band, price in case["expected"]["charges"].items()}


@pytest.mark.parametrize("identity", ["CN-GZ-TOU-TIER2-MARGINAL"])
def test_the_next_unit_costs_its_tier_and_band(identity: str) -> None:
    """400 kWh into September at 10:00: the peak with the adder of tier two, what is left of it, and of a larger household's."""
    case = BY_ID[identity]
    ten = at_ms(SEPTEMBER) + 10 * HOUR_MS
    used = int(case["usage"][0]["month_to_date"]) * 1000
    flat = {"price": "0.58886875", **TIER_ADDERS}
    timed = {**GUANGZHOU_TOU, **TIER_ADDERS}
    large = {**timed, "tiers": {**TIER_ADDERS["tiers"], "persons": PERSONS}}

    def second_tier(version: dict, persons: int = 4):
        household = plan(case, Statement(version, premises=Premises(persons)))
        return next(term for term in quote(household, ten, 1_000_000_000, used).terms if term.tier == 2)

    assert {name: Fraction(value) for name, value in case["expected"]["charges"].items()} == {
        "tou_peak_tier2": second_tier(timed).price,
        "nontou_tier2": second_tier(flat).price,
        "remaining_tier2": second_tier(timed).quantity,
        "remaining_tier2_multi_person": second_tier(large, 5).quantity,
    }


def ladder(case: Case, blocks: list[dict], **tiers: str) -> Plan:
    """A household under blocks by the month."""
    limits, prices = [block["to"] for block in blocks[:-1]], [block["rate"] for block in blocks]
    return plan(case, Statement({"tiers": {"cycle": "month", "limits": limits, **tiers}, "price": prices}))


@pytest.mark.parametrize("identity", of_kind("tier_membership"))
def test_a_limit_is_the_last_unit_of_its_tier(identity: str) -> None:
    """The Wh that ends at 260 kWh is in tier one, and the one in which 260.0000001 kWh lies is in tier two."""
    case = BY_ID[identity]
    limits = [str(limit) for limit in case["expected"]["tiers"]]
    household = ladder(case, [{"to": limit, "rate": "1"} for limit in [*limits, None]])
    version, start = household[0].tariff.versions[0], at_ms(SEPTEMBER)
    period = moment_of(household, start).period

    for usage in case["usage"]:
        unit = ceil(Fraction(usage["q"]) * 1000)
        (piece,) = cost_of(household, start, start + 1, 1, Counter({period: Tally(unit - 1)})).pieces
        assert piece.tiers == (usage["tier"],)
        assert levels(version, version.seasons[0], Premises(), 30).level_of(unit) + 1 == usage["tier"]


@pytest.mark.parametrize("identity", of_kind("incremental"))
def test_each_step_books_what_the_total_costs_more(identity: str) -> None:
    """Through a wallet's counter and by daily bills: 15 units cost 150, the next one gives 70 back, nothing costs nothing."""
    case = BY_ID[identity]
    expected = case["expected"]
    household = ladder(case, expected["blocks"], mode=expected["mode"])
    cumulative = [int(step["cumulative"]) * 1000 for step in case["usage"]]
    steps = np.diff([0, *cumulative]).astype(np.int64)
    days = at_ms(SEPTEMBER) + np.arange(len(steps) + 1, dtype=np.int64) * 24 * HOUR_MS

    counter = Counter()
    booked = [
        cost_of(household, start, start + HOUR_MS, used, counter).cost_picos
        for start, used in zip(days[:-1].tolist(), steps.tolist(), strict=True)
    ]
    billed = [bill.total for bill in bills(household, Series(days, steps), days.tolist())]

    assert [Fraction(each, PICOS) for each in booked] == [Fraction(delta) for delta in expected["deltas"]]
    assert billed == [Fraction(delta) for delta in expected["deltas"]]


@pytest.mark.parametrize("identity", of_kind("purchase"))
def test_money_buys_what_the_blocks_say(identity: str) -> None:
    """The second purchase of a month, over the edge of the first block."""
    case = BY_ID[identity]
    usage, expected = case["usage"][0], case["expected"]
    rule = Rounding(Fraction(expected["round"]["step"]), RoundingMode(expected["round"]["mode"]))
    household = ladder(case, expected["blocks"])

    found = quote(
        household, at_ms(SEPTEMBER), int(usage["money"]) * 10**6, int(Fraction(usage["counter_before"]) * 1000)
    )

    assert rule.of(Fraction(found.usage or 0, 1000)) == Fraction(expected["kwh"])


def test_a_first_purchase_pays_the_standing_charge_and_its_tax() -> None:
    """Kenya's 500 shillings come to the 32.3 units that the receipt of the same case shows, printed to one decimal."""
    case = BY_ID["KE-KPLC-500-FIRST"]

    found = quote(plan(case, statement(case)), at_ms(SEPTEMBER), 500_000_000, with_standing=True)

    assert round(Fraction(found.usage or 0, 1000), 1) == Fraction(case["usage"][0]["qty"])


def profile(windows: list[dict], default: str, month: int) -> list[list[str]]:
    """The slots of a month's days: at each minute at which a window begins or ends, the first window that matches."""
    minutes = {0} | {minute for window in windows for minute in _span(window) if minute < 1440}
    slots: list[list[str]] = []
    for minute in sorted(minutes):
        matching = [w["p"] for w in windows if month in w.get("months", range(1, 13)) and minute in range(*_span(w))]
        slots.append([f"{minute // 60:02d}:{minute % 60:02d}", matching[0] if matching else default])
    return slots


def _span(window: dict) -> tuple[int, int]:
    first, last = (int(time[:2]) * 60 + int(time[3:]) for time in (window["from"], window["to"]))
    return first, last


def monthly(windows: list[dict], default: str) -> dict:
    """A season for each month but December, whose days are the version's own."""
    bands = dict.fromkeys(window["p"] for window in windows) | ({} if default == "None" else {default: None})
    days = {f"m{month}": profile(windows, default, month) for month in range(1, 13)}
    seasons = [{"name": f"m{month}", "months": [month], "week": {"mon-sun": f"m{month}"}} for month in range(1, 12)]
    return {
        "prices": {band: str(number + 1) for number, band in enumerate(bands)},
        "days": days,
        "week": {"mon-sun": "m12"},
        "season": seasons,
    }


@pytest.mark.parametrize("identity", of_kind("classification"))
def test_a_local_time_is_in_the_published_band(identity: str) -> None:
    """To the second at the edges of windows, by the slow calendar and by the compiled timeline."""
    case = BY_ID[identity]
    household = plan(case, Statement(monthly(case["expected"]["windows"], case["expected"]["default"])))
    tariff = household[0].tariff

    for usage in case["usage"]:
        at = datetime.fromisoformat(f"2025-{usage['month']:02d}-15T{usage['t']}+00:00")
        at = int(at.astimezone(UTC).timestamp()) * 1000
        segments = compile_timeline([household], at - at % HOUR_MS, at + 1).segments
        segment = segments[np.searchsorted(segments["start"], at, side="right") - 1]
        assert tariff.bands[moment_of(household, at).band] == usage["p"]
        assert tariff.bands[int(segment["band"])] == usage["p"]


@pytest.mark.parametrize("identity", of_kind("timeseries"))
def test_a_year_of_load_comes_to_what_sam_computed(identity: str) -> None:
    """Year and months, to the tolerance that the case states; its load is finer than a Wh."""
    case = BY_ID[identity]
    tolerance = float(case["tolerance"])

    months = [float(bill.total) for bill in bills_of(case)]

    assert months == pytest.approx([float(month) for month in case["expected"]["monthly"]], abs=tolerance)
    for key in ("published_total", "pysam_total"):
        assert sum(months) == pytest.approx(float(case["expected"][key]), abs=tolerance)


@pytest.mark.parametrize("identity", of_kind("oracle_tou_tier"))
def test_a_year_of_bands_and_tiers_comes_to_the_exact_year(identity: str) -> None:
    """Month for month to a millionth of a yuan: the load has 17 decimals, of which we count ten."""
    case = BY_ID[identity]
    tariff = case["tariff"]

    months = guangzhou_year(case, {**GUANGZHOU_CLOCK, "prices": tariff["rates"], "adders": tariff["tier_adders"]})

    expected = [Fraction(month) for month in case["expected"]["monthly_exact"]]
    assert max(abs(ours - theirs) for ours, theirs in zip(months, expected, strict=True)) < Fraction(1, 10**6)
    assert abs(sum(months) - Fraction(case["expected"]["annual_exact"])) < Fraction(1, 10**5)


@pytest.mark.parametrize("identity", of_kind("reference_only"))
def test_a_reference_comes_to_its_exact_total(identity: str) -> None:
    """The published assertion cannot be reproduced by its own tariff; the exact total of that tariff can, and is ours."""
    case = BY_ID[identity]

    (found,) = made(case, statement(case))

    assert round(found.total, 4) == Fraction(case["expected"]["exact_total"])
    assert abs(found.total - Fraction(case["expected"]["published_total"])) > Fraction("0.04")


def test_every_case_is_checked() -> None:
    """All 102 cases are among the parameters of the tests above, so none is passed over when cases are added."""
    tests = [each for name, each in globals().items() if name.startswith("test_") and hasattr(each, "pytestmark")]
    marks = [mark for test in tests for mark in test.pytestmark if mark.name == "parametrize"]

    covered = {identity for mark in marks if mark.args[0] == "identity" for identity in mark.args[1]}

    assert len(BY_ID) == 102
    assert covered == set(BY_ID)
