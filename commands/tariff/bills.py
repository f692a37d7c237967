"""Monthly bills of a usage file: what `meterline tariff price` and `compare` have in common."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer

from commands.endings import refused
from commands.tariff.times import local_text
from commands.tariff.usage import UsageProblem, read_usage
from tariffs.bill import Bill, assumptions, bills, month_edges
from tariffs.periods import midnight_ms
from tariffs.series import Series
from tariffs.spans import local_date
from tariffs.tariff import Plan, Premises, Tariff, plan_of


class Stamp(StrEnum):
    """Where the times of a usage file stand in their intervals."""

    START = "start"
    END = "end"


UsageOption = Annotated[Path, typer.Option(help="CSV with a column of times and one of use or of register readings.")]
FromOption = Annotated[str | None, typer.Option("--from", help="First billed day; else the file's.", metavar="DATE")]
ToOption = Annotated[str | None, typer.Option("--to", help="Last billed day; else the file's.", metavar="DATE")]
StampOption = Annotated[Stamp, typer.Option(help="Times stand at the start or the end of what was used.")]
RoundOption = Annotated[bool, typer.Option("--round", help="Round finer values to whole Wh or litres; the sum stays.")]


@dataclass(frozen=True, slots=True)
class Asked:
    """What to bill: a file of usage, the first and the last day if they are said, and whose usage it is."""

    usage: Path
    first: str | None
    last: str | None
    premises: Premises
    used: int
    stamp: Stamp
    rounds: bool


@dataclass(frozen=True, slots=True)
class Billed:
    """Bills, month by month, and what a reader of them should know."""

    tariff: Tariff
    bills: tuple[Bill, ...]
    notes: tuple[str, ...]

    @property
    def total(self) -> Fraction:
        """Of all bills, in units of currency."""
        return sum((bill.total for bill in self.bills), Fraction(0))

    @property
    def usage(self) -> int:
        """Of all bills, in Wh or litres."""
        return sum(bill.usage for bill in self.bills)


def billed(tariff: Tariff, asked: Asked) -> Billed:
    """Monthly bills from the first day to the last. Ends the command with what is wrong with the usage."""
    plan = plan_of(tariff, asked.premises)
    try:
        series = read_usage(asked.usage, tariff.commodity, tariff.zone, stamp=asked.stamp, rounds=asked.rounds)
        edges = _edges(plan, series, _day(asked.first, "--from"), _day(asked.last, "--to"))
        made = tuple(bills(plan, series, edges, asked.used))
    except OSError as error:
        raise refused(f"--usage: found {asked.usage}, {error.strerror or error}; expected a CSV file") from None
    except (UsageProblem, ValueError) as error:
        raise refused(str(error)) from None
    return Billed(tariff, made, tuple(assumptions(plan, series, asked.used)))


def _day(text: str | None, option: str) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{option}: found {text!r}; expected a date such as 2025-01-31") from None


def _edges(plan: Plan, series: Series, first: date | None, last: date | None) -> list[int]:
    """Instants between which to bill: asked days as a whole, else from where the usage begins and to where it ends."""
    zone_name, begin, end = plan[0].tariff.zone, int(series.times[0]), int(series.times[-1])
    from_day, to_day = first or local_date(plan[0], begin), last or local_date(plan[0], end - 1)
    if to_day < from_day:
        raise ValueError(f"--from {from_day} is later than --to {to_day}; expected days in their order")
    edges = [midnight_ms(day, zone_name) for day in month_edges(from_day, to_day)]
    edges[0] = edges[0] if first else begin
    edges[-1] = edges[-1] if last else end
    if edges[0] < begin or edges[-1] > end:
        had, asked = (
            f"{local_text(since, zone_name)} to {local_text(until, zone_name)}"
            for since, until in ((begin, end), (edges[0], edges[-1]))
        )
        raise ValueError(f"found usage from {had}; expected usage of all that is billed, from {asked}")
    return edges
