"""Outlooks: when an account's money will have run down and its supply will be cut, as far as can be foreseen."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from api.models import OutlookRead
from connectors.redis.formats import iso
from connectors.redis.live import AccountView
from domain.state import Assignment, Control, MeterRecord
from domain.units import DAY_MS, money_text
from domain.words import Commodity
from tariffs.forecast import Outlook, runs_down_at
from tariffs.hours import end_of_holding
from tariffs.loader import load_tariff
from tariffs.tariff import Plan, Premises, Stage, Tariff

_parsed = lru_cache(maxsize=256)(load_tariff)


def outlook_read(
    view: AccountView,
    meters: list[tuple[MeterRecord, Any]],
    counted: Mapping[Commodity, Mapping[int, int]],
    controls: list[Control],
    documents: Mapping[str, str],
    now_ms: int,
) -> OutlookRead:
    """The outlook of an account. `documents`: tariffs by id."""
    alarms = view.record.alarms
    spendable = int(view.row["balance"]) - (alarms.arrears - alarms.overdraft)
    outlooks = [
        Outlook(plan_of(record.assignments, documents), daily_usage(row), counted.get(record.commodity, {}))
        for record, row in meters
    ]
    down = runs_down_at(outlooks, spendable, now_ms)
    return OutlookRead(
        account=view.record.account,
        currency=view.record.currency,
        spendable=money_text(spendable),
        runs_down_at=None if down is None else iso(down),
        trips_at=None if down is None else _trips_at(down, controls, [record for record, _ in meters]),
        days_left=None if down is None else (down - now_ms) // DAY_MS,
    )


def daily_usage(row: Any) -> int:
    """Wh or litres of a day; of a meter that has not closed one yet, what its first day has so far."""
    return int(row["daily_usage"]) or int(row["day_usage"])


def plan_of(assignments: Sequence[Assignment], documents: Mapping[str, str]) -> Plan:
    """The plan of a meter that is assigned so. `documents`: tariffs by id."""

    def tariff(name: str) -> Tariff:
        return _parsed(documents[name], name)

    return tuple(
        Stage(each.starts_at, tariff(each.tariff), Premises(each.persons, each.capacity_w), each.restart)
        for each in assignments
    )


def _trips_at(down: int, controls: list[Control], meters: list[MeterRecord]) -> str | None:
    """When the first meter that has a switch is cut: at once where no window puts that off."""
    terms = {control.meter: control.terms for control in controls}
    switched = [terms.get(record.meter) for record in meters if record.switchable]
    ends = [down if each is None else end_of_holding(each, down) for each in switched]
    cut = min((end for end in ends if end), default=0)
    return iso(cut) if cut else None
