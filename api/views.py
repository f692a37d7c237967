"""State rows as callers read them: numbers become decimal text, words and times."""

from functools import lru_cache
from typing import Any, Literal, NamedTuple

from api.models import (
    CaseRead,
    CommandRead,
    ComparisonRead,
    DayRead,
    MainMeterRead,
    MeterRead,
    PostingRead,
    PurchasesRead,
    SupplyRead,
    TextRead,
    WindowRead,
    order_text,
)
from api.rooms.selection import is_online
from connectors.redis.formats import date_text, iso
from connectors.redis.live import AccountView, MeterView
from domain.facts import AlarmTerms
from domain.ids import meter_text
from domain.state import (
    ACCOUNT,
    METER,
    Comparison,
    MainMeter,
    MeterRecord,
    OpenCommand,
    PurchaseCount,
    QuarantineCase,
    picked,
)
from domain.supply_text import Standing, Text, must_clear, why
from domain.units import MINUTE_MS, money_text, quantity_text
from domain.words import AccountState, Commodity, Ledger, Level, Reason, Status, Supply
from tariffs.loader import load_tariff


def account_read(view: AccountView, meters: list[tuple[MeterRecord, Any]]) -> dict[str, Any]:
    """An account with its meters, as plain values in the shape of `models.AccountRead`: many ask for it often."""
    record, shown = view.record, [_Shown(record, *_of_meter(row)) for record, row in meters]
    balance, level, tripped, state = _of_account(view.row)
    return {
        "account": record.account,
        "name": record.name,
        "place": record.place,
        "balance": money_text(balance),
        "currency": record.currency,
        "level": _LEVELS[level],
        "tripped": bool(tripped),
        "opened_at": iso(record.opened_at),
        "state": _STATES[state],
        "policy": record.policy or None,
        "alarms": _amounts(record.alarms),
        "meters": [_account_meter(each) for each in shown],
        "day": _account_day(shown),
    }


class _Shown(NamedTuple):
    """A meter, and what of its row an account shows."""

    record: MeterRecord
    day_usage: int
    day_cost: int
    day: int
    wanted: int
    reason: int
    seen: int


_of_account = picked(ACCOUNT, "balance", "level", "tripped", "state")
_of_meter = picked(METER, *_Shown._fields[1:])
_LEVELS, _STATES, _SUPPLIES, _REASONS = (
    {int(word): word.name.lower() for word in words} for words in (Level, AccountState, Supply, Reason)
)


@lru_cache(maxsize=256)
def _amounts(terms: AlarmTerms) -> dict[str, Any]:
    """By which amounts an account is judged; most have the same."""
    names = ("low", "pretrip", "arrears", "hysteresis", "reconnect", "max_balance", "overdraft")
    alarms = {name: money_text(getattr(terms, name)) for name in names}
    return {**alarms, "repeat_minutes": terms.repeat_ms // MINUTE_MS, "repeat_max": terms.repeat_max}


def _account_meter(meter: _Shown) -> dict[str, Any]:
    return {
        "meter": meter_text(meter.record.meter),
        "commodity": _commodity(meter.record),
        "supply": {
            "wanted": _SUPPLIES[meter.wanted],
            "reason": _REASONS[meter.reason],
            "seen": _SUPPLIES[meter.seen],
        },
        "day": _account_meter_day(meter),
    }


def _account_meter_day(meter: _Shown) -> dict[str, str] | None:
    if meter.day < 0:
        return None
    usage, cost = quantity_text(meter.day_usage), money_text(meter.day_cost)
    return {"date": date_text(meter.day), "usage": usage, "unit": _unit(meter.record), "cost": cost}


def _account_day(meters: list[_Shown]) -> dict[str, str | None] | None:
    newest = max((meter.day for meter in meters), default=-1)
    if newest < 0:
        return None
    return {
        "date": date_text(newest),
        "electricity_kwh": _usage_of(meters, Commodity.ELECTRICITY, newest),
        "water_m3": _usage_of(meters, Commodity.WATER, newest),
        "cost": money_text(sum(meter.day_cost for meter in meters if meter.day == newest)),
    }


def _usage_of(meters: list[_Shown], commodity: Commodity, day: int) -> str | None:
    usages = [meter.day_usage * (meter.day == day) for meter in meters if meter.record.commodity == commodity]
    return quantity_text(sum(usages)) if usages else None


def meter_read(view: MeterView, tariff_document: str | None, now: int) -> MeterRead:
    """A meter with everything that is open about it."""
    record, row = view.record, view.row
    standing = Standing(row, view.account.record, view.account.row, view.forced, view.control, view.command)
    was_read = row["time"] >= 0
    return MeterRead(
        meter=meter_text(record.meter),
        account=record.account,
        commodity=_commodity(record),
        unit=_unit(record),
        tariff=record.tariff,
        profile=record.profile,
        ratio=record.ratio,
        switchable=record.switchable,
        installed_at=iso(record.installed_at),
        online=is_online(record, int(row["time"]), now),
        last_reading_at=iso(int(row["time"])) if was_read else None,
        register=quantity_text(int(row["register"])) if was_read else None,
        power_w=int(row["power"]),
        status=[str(bit.name).lower() for bit in Status if int(row["status"]) & bit],
        supply=_supply(row),
        reason=_text(why(standing)),
        must_clear=[_text(text) for text in must_clear(standing)],
        window=_window(row, tariff_document),
        day=_day(record, row),
        command=_command(view.command) if view.command else None,
        quarantine=[_case(case) for case in view.cases],
        main_meter=_main_meter(view.main) if view.main else None,
        purchases=_purchases(view.purchases) if view.purchases else None,
    )


def _main_meter(main: MainMeter) -> MainMeterRead:
    return MainMeterRead(
        subs=[meter_text(number) for number in main.subs],
        last=_comparison(main.last) if main.last else None,
        waits_for=[meter_text(number) for number in main.waits_for],
    )


def _comparison(last: Comparison) -> ComparisonRead:
    return ComparisonRead(
        begins=iso(last.begins),
        ends=iso(last.ends),
        used=quantity_text(last.used),
        counted=quantity_text(last.counted),
        lost=quantity_text(last.used - last.counted),
    )


def _purchases(purchases: PurchaseCount) -> PurchasesRead:
    return PurchasesRead(counted=purchases.counted, accepted=purchases.accepted)


def posting_read(row: Any) -> PostingRead:
    """One row of the ledger."""
    order = (int(row["order_high"]) << 64) | int(row["order_low"])
    return PostingRead(
        sequence=int(row["sequence"]),
        at=iso(int(row["at"])),
        debit=Ledger(int(row["debit"])).name.lower(),
        credit=Ledger(int(row["credit"])).name.lower(),
        amount=money_text(int(row["amount"])),
        order=order_text(order.to_bytes(16, "big")) if order else None,
        day=date_text(int(row["day"])) if row["day"] >= 0 else None,
        meter=meter_text(int(row["meter"])) if row["meter"] else None,
        corrects=int(row["corrects"]) or None,
    )


def commodity_word(commodity: Commodity) -> Literal["electricity", "water"]:
    """The word of a commodity."""
    return "electricity" if commodity == Commodity.ELECTRICITY else "water"


def unit_word(commodity: Commodity) -> Literal["kWh", "m³"]:
    """What a thousand Wh or litres are called."""
    return "kWh" if commodity == Commodity.ELECTRICITY else "m³"


def _commodity(record: MeterRecord) -> Literal["electricity", "water"]:
    return commodity_word(record.commodity)


def _unit(record: MeterRecord) -> Literal["kWh", "m³"]:
    return unit_word(record.commodity)


def _supply(row: Any) -> SupplyRead:
    return SupplyRead.model_validate(
        {
            "wanted": Supply(int(row["wanted"])).name.lower(),
            "reason": Reason(int(row["reason"])).name.lower(),
            "seen": Supply(int(row["seen"])).name.lower(),
        }
    )


def _text(text: Text) -> TextRead:
    return TextRead(zh=text[0], en=text[1])


def _day(record: MeterRecord, row: Any) -> DayRead | None:
    if row["day"] < 0:
        return None
    return DayRead(
        date=date_text(int(row["day"])),
        usage=quantity_text(int(row["day_usage"])),
        unit=_unit(record),
        cost=money_text(int(row["day_cost"])),
    )


def _window(row: Any, tariff_document: str | None) -> WindowRead | None:
    if row["window_start"] < 0:
        return None
    bands = _bands(tariff_document) if tariff_document else ()
    band = int(row["window_band"])
    return WindowRead(
        start=iso(int(row["window_start"]) * MINUTE_MS),
        band=bands[band] if band < len(bands) else str(band),
        usage=quantity_text(int(row["window_usage"])),
        cost=money_text(int(row["window_cost"])),
        estimated=bool(row["window_estimated"]),
    )


@lru_cache(maxsize=64)
def _bands(document: str) -> tuple[str, ...]:
    return load_tariff(document).bands


def _command(command: OpenCommand) -> CommandRead:
    words = {"wanted": command.wanted.name.lower(), "reason": command.reason.name.lower()}
    return CommandRead.model_validate(
        words
        | {
            "epoch": command.epoch,
            "stage": command.stage,
            "at": iso(command.at),
            "expires_at": iso(command.expires_at),
            "attempt": command.attempt,
            "retry_at": iso(command.retry_at) if command.retry_at else None,
            "detail": command.detail,
            "waits_for_button": command.waits_for_button,
        }
    )


def _case(case: QuarantineCase) -> CaseRead:
    return CaseRead(
        reason=case.reason,
        since=iso(case.since),
        last=iso(case.last),
        count=case.count,
        baseline=quantity_text(case.baseline) if case.baseline >= 0 else None,
        register=quantity_text(case.register) if case.register >= 0 else None,
        usage=quantity_text(case.usage),
    )
