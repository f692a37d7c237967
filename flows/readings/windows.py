"""Windows: closed sums of energy and money per meter, by hour and band, and by local day.

A meter's readings are settled in the order of their times, so each meter has one open window and one open day. The
piece that passes the end of a window closes it; for a meter that has fallen silent a tick does, after a lateness. A
closed window is a usage row; a closed day is a posting. Should energy come later for an hour that a tick has closed, it
is a further row: rows of the same key add up.
"""

from domain.state import Rows
from domain.units import HOUR_MS, MINUTE_MS, PICOS_PER_MICRO
from domain.words import Ledger
from flows.readings.compiled import Ints, Row, allocating, compiled
from flows.readings.output import POSTING_ROWS, POSTINGS_OF_A_DAY, USAGE_ROWS, Output, next_row, output_within

LATENESS_MS = HOUR_MS
"""How long after its end an hour or day of a silent meter is closed by a tick."""

ALLOWANCES = int(Ledger.ALLOWANCES)
CUSTOMER = int(Ledger.CUSTOMER)
REVENUE_FIRST = int(Ledger.REVENUE_ELECTRICITY)


@compiled
def close_window(meter: Row, number: int, output: Output) -> None:
    """Write the open window as a usage row and empty it."""
    row = output.usage[next_row(output.used, USAGE_ROWS)]
    row.meter = number
    row.start = meter.window_start
    row.day = meter.day
    row.usage = meter.window_usage
    row.cost_micros = meter.window_cost
    row.cost_picos = meter.window_picos
    row.band = meter.window_band
    row.estimated = meter.window_estimated
    row.pad = 0
    meter.window_start = -1
    meter.window_usage = 0
    meter.window_cost = 0
    meter.window_picos = 0


@compiled
def month_of(day: int) -> int:
    """12 * year + month - 1 of a local day number since 1970-01-01 (Howard Hinnant's `civil_from_days`)."""
    shifted = day + 719_468
    era = shifted // 146_097
    day_of_era = shifted - era * 146_097
    year = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    # Their year begins in March.
    return 12 * (year + era * 400) + month + 2


@compiled
def add_to_month(meter: Row) -> None:
    """Count the open day, which closes, in its month, and in what a day uses."""
    month = month_of(meter.day)
    if meter.month != month:
        meter.month, meter.month_usage = month, 0
    meter.month_usage += meter.day_usage
    meter.daily_usage = meter.day_usage if meter.daily_usage == 0 else (3 * meter.daily_usage + meter.day_usage) // 4


@compiled
def post_day(meter: Row, term: Row, at: int, against: int, amount: int, output: Output, sequence: int) -> None:
    """Post an amount of the open day, if any: taken from the customer, or given where it is negative."""
    if amount == 0:
        return
    posted = next_row(output.used, POSTING_ROWS)
    row = output.postings[posted]
    row.sequence = sequence + posted + 1
    row.at = at
    row.account = term.account
    row.debit = CUSTOMER if amount > 0 else against
    row.credit = against if amount > 0 else CUSTOMER
    row.amount = abs(amount)
    row.meter = term.number
    row.day = meter.day
    row.pad, row.order_high, row.order_low, row.corrects = 0, 0, 0, 0


@compiled
def close_day(meter: Row, term: Row, at: int, output: Output, sequence: int) -> None:
    """Post the open day's whole micros, and what of them was free; rests of less than a micro go on to the next day."""
    post_day(meter, term, at, REVENUE_FIRST + term.commodity, meter.day_cost, output, sequence)
    post_day(meter, term, at, ALLOWANCES, -meter.day_free, output, sequence)
    add_to_month(meter)
    meter.day = -1
    meter.day_cost, meter.day_free = 0, 0
    meter.closed_usage += meter.day_usage
    meter.day_usage = 0


@compiled
def add_piece(meter: Row, segment: Row, band: int, usage: int, micros: int, picos: int, estimated: int) -> None:
    """Add one piece to the open window and day, opening them where none is."""
    if meter.window_start < 0:
        meter.window_start = segment.start // MINUTE_MS
        meter.window_band = band
        meter.window_estimated = 0
    meter.day = segment.day
    meter.window_usage += usage
    meter.day_usage += usage
    meter.window_estimated |= estimated
    meter.window_cost += micros
    meter.window_picos += picos
    if meter.window_picos >= PICOS_PER_MICRO:
        meter.window_picos -= PICOS_PER_MICRO
        meter.window_cost += 1
    meter.day_cost += micros
    meter.day_picos += picos
    if meter.day_picos >= PICOS_PER_MICRO:
        meter.day_picos -= PICOS_PER_MICRO
        meter.day_cost += 1


@allocating
def close_overdue(
    meters: Rows, terms: Rows, dirty: Ints, now: int, local_day: Ints, sequence: int
) -> tuple[Rows, Rows]:
    """Close what is overdue at `now`. `local_day[p]` is the day of plan p's zone at `now` less the lateness.

    Returns (usage rows, posting rows), both in the order of the meters.
    """
    output = output_within(POSTINGS_OF_A_DAY * len(meters))
    overdue_start = (now - HOUR_MS - LATENESS_MS) // MINUTE_MS
    for row in range(len(meters)):
        meter, term = meters[row], terms[row]
        day_is_over = meter.day >= 0 and meter.day < local_day[term.plan]
        if meter.window_start >= 0 and (day_is_over or meter.window_start <= overdue_start):
            close_window(meter, term.number, output)
            dirty[row] = 1
        if day_is_over:
            close_day(meter, term, now, output, sequence)
            dirty[row] = 1
    return output.usage[: output.used[USAGE_ROWS]], output.postings[: output.used[POSTING_ROWS]]
