"""Rooms, meters, sites and alarms as callers read them: plain values for JSON, in the shape of the models of `api.rooms.models`.

They are made for every row of a list, so they are not built as models first: a test reads them back by their models.
"""

from typing import Any

import msgspec

from api.rooms.selection import is_online, online_of
from connectors.redis.directory import Listed
from connectors.redis.formats import date_text, iso
from domain.access import Acknowledgement
from domain.facts import Place
from domain.ids import meter_text
from domain.standing import Standing, standing_of_account
from domain.state import AccountRecord, MeterRecord, OpenCommand
from domain.supply_text import Standing as Supplied
from domain.supply_text import must_clear, why
from domain.units import money_text, quantity_text
from domain.words import SEVERITY, UNITS, AccountState, Commodity, Level, Reason, Status, Supply

Json = dict[str, Any]

_LEVELS, _SUPPLIES, _REASONS, _STATES = (
    {int(word): word.name.lower() for word in words} for words in (Level, Supply, Reason, AccountState)
)
COMMODITIES = {commodity: commodity.name.lower() for commodity in Commodity}


def account_summary(listed: Listed, record: AccountRecord) -> Json:
    """An account in a list. The balance is rounded down to a millionth."""
    row, accounts = record.row, listed.accounts
    return {
        "account": record.account,
        "name": record.name,
        "place": place_read(record.place),
        "balance": money_text(accounts["balance"][row]),
        "currency": record.currency,
        "level": _LEVELS[accounts["level"][row]],
        "tripped": bool(accounts["tripped"][row]),
    }


def room_read(listed: Listed, record: AccountRecord, now: int) -> msgspec.Raw:
    """A room in a list, packed. Of one state of a shard it is made once for each answer to which meters are online."""
    online = online_of(listed, record, now)
    kept = listed.answers.get((record.account, online))
    if kept is None:
        meters = [listed.records["meter_records"][number] for number in record.meters]
        read = _room(listed, record, meters, online) | {
            "meters": [_room_meter(listed, meter, is_on) for meter, is_on in zip(meters, online, strict=True)],
            "alarms": sorted({each.kind for each in standing_of(listed, record)}),
        }
        kept = listed.answers[record.account, online] = msgspec.Raw(msgspec.json.encode(read))
    return kept


def room_detail(listed: Listed, record: AccountRecord, alarms: list[Json], now: int) -> Json:
    """A room with the values of its meters. `alarms`: what stands, as read."""
    meters = [listed.records["meter_records"][number] for number in record.meters]
    return _room(listed, record, meters, online_of(listed, record, now)) | {
        "opened_at": iso(record.opened_at),
        "meters": [_live_meter(listed, record, meter, now) for meter in meters],
        "alarms": alarms,
    }


def standing_of(listed: Listed, record: AccountRecord) -> list[Standing]:
    """What stands of an account and its meters, in the order of ids."""
    level, alarmed_at = listed.accounts["level"][record.row], listed.accounts["alarmed_at"][record.row]
    found = standing_of_account(record, level, alarmed_at)
    for number in record.meters:
        found += listed.standing.get(number, ())
    return sorted(found, key=lambda each: each.id)


def place_read(place: Place) -> Json:
    """A place."""
    return {"site": place.site, "building": place.building, "floor": place.floor, "room": place.room}


def _room(listed: Listed, record: AccountRecord, meters: list[MeterRecord], online: tuple[bool, ...]) -> Json:
    times = listed.meters["time"]
    last = max((times[meter.row] for meter in meters), default=-1)
    return account_summary(listed, record) | {
        "state": _STATES[listed.accounts["state"][record.row]],
        "online": all(online) if online else None,
        "last_reading_at": iso(last) if last >= 0 else None,
        "day": _room_day(listed, meters),
    }


def _room_day(listed: Listed, meters: list[MeterRecord]) -> Json | None:
    days = listed.meters["day"]
    newest = max((days[meter.row] for meter in meters), default=-1)
    if newest < 0:
        return None
    used = {word: _use(listed, meters, commodity, newest) for commodity, word in COMMODITIES.items()}
    return {"date": date_text(newest)} | used


def _use(listed: Listed, meters: list[MeterRecord], commodity: Commodity, day: int) -> Json | None:
    """What meters of a commodity used on a day; None: there are none."""
    of = [meter.row for meter in meters if meter.commodity == commodity]
    if not of:
        return None
    columns = listed.meters
    rows = [row for row in of if columns["day"][row] == day]
    usage, cost = sum(columns["day_usage"][row] for row in rows), sum(columns["day_cost"][row] for row in rows)
    return {"usage": quantity_text(usage), "unit": UNITS[commodity], "cost": money_text(cost)}


def _room_meter(listed: Listed, meter: MeterRecord, online: bool) -> Json:  # noqa: FBT001 - a value to be shown
    time = listed.meters["time"][meter.row]
    return {
        "meter": meter_text(meter.meter),
        "commodity": COMMODITIES[meter.commodity],
        "online": online,
        "last_reading_at": iso(time) if time >= 0 else None,
        "supply": supply_read(listed, meter.row),
    }


def supply_read(listed: Listed, row: int) -> Json:
    """A supply: wanted, why, and seen."""
    meters = listed.meters
    return supply_words(meters["wanted"][row], meters["reason"][row]) | {"seen": _SUPPLIES[meters["seen"][row]]}


def supply_words(wanted: int, reason: int) -> Json:
    """A supply that is wanted, and why."""
    return {"wanted": _SUPPLIES[wanted], "reason": _REASONS[reason]}


def _values(listed: Listed, meter: MeterRecord, now: int) -> Json:
    """What a meter read last."""
    row, meters = meter.row, listed.meters
    time = meters["time"][row]
    return {
        "meter": meter_text(meter.meter),
        "commodity": COMMODITIES[meter.commodity],
        "unit": UNITS[meter.commodity],
        "online": is_online(meter, time, now),
        "last_reading_at": iso(time) if time >= 0 else None,
        "register": quantity_text(meters["register"][row]) if time >= 0 else None,
        "power_w": meters["power"][row] if meters["has_power"][row] else None,
        "supply": supply_read(listed, row),
        "day": _day(listed, meter),
    }


def _day(listed: Listed, meter: MeterRecord) -> Json | None:
    row, meters = meter.row, listed.meters
    if meters["day"][row] < 0:
        return None
    return {
        "date": date_text(meters["day"][row]),
        "usage": quantity_text(meters["day_usage"][row]),
        "unit": UNITS[meter.commodity],
        "cost": money_text(meters["day_cost"][row]),
    }


def _live_meter(listed: Listed, record: AccountRecord, meter: MeterRecord, now: int) -> Json:
    records, number = listed.records, meter.meter
    command = records["open_commands"].get(number)
    supplied = Supplied(
        listed.meters.rows[meter.row], record, listed.accounts.rows[record.row], records["forced"].get(number),
        records["controls"].get(number), command,
    )  # fmt: skip
    status = listed.meters["status"][meter.row]
    return _values(listed, meter, now) | {
        "status": [str(bit.name).lower() for bit in Status if status & bit],
        "reason": _text(why(supplied)),
        "must_clear": [_text(text) for text in must_clear(supplied)],
        "command": command_read(command) if command else None,
    }


def meter_summary(listed: Listed, record: AccountRecord, meter: MeterRecord, now: int) -> msgspec.Raw:
    """A meter in a list, packed. Kept as rooms are."""
    online = is_online(meter, listed.meters["time"][meter.row], now)
    kept = listed.answers.get((meter.meter, online))
    if kept is None:
        read = _values(listed, meter, now) | {
            "account": record.account,
            "name": record.name,
            "place": place_read(record.place),
            "alarms": sorted({each.kind for each in listed.standing.get(meter.meter, ())}),
        }
        kept = listed.answers[meter.meter, online] = msgspec.Raw(msgspec.json.encode(read))
    return kept


def command_read(command: OpenCommand) -> Json:
    """A command that has not been verified."""
    return supply_words(command.wanted, command.reason) | {
        "epoch": command.epoch,
        "stage": command.stage,
        "at": iso(command.at),
        "expires_at": iso(command.expires_at),
        "attempt": command.attempt,
        "retry_at": iso(command.retry_at) if command.retry_at else None,
        "detail": command.detail,
        "waits_for_button": command.waits_for_button,
    }


def standing_read(standing: Standing, record: AccountRecord | None, seen: Acknowledgement | None) -> Json:
    """An alarm that stands. `seen`: the last acknowledgement of what it is about; it holds until the alarm is said again."""
    return {
        "id": standing.id,
        "kind": standing.kind,
        "severity": SEVERITY[standing.kind],
        "account": record.account if record else None,
        "meter": meter_text(standing.meter) if standing.meter else None,
        "place": place_read(record.place) if record else None,
        "reason": standing.reason,
        "since": iso(standing.since) if standing.since else None,
        "acknowledgement": acknowledgement_read(seen, standing.said_at),
    }


def acknowledgement_read(seen: Acknowledgement | None, said_at: int) -> Json | None:
    """Who has seen what was said at `said_at`, ms UTC of event time; None: nobody yet."""
    if seen is None or seen.until < said_at:
        return None
    return {"by": seen.by, "at": iso(seen.at), "note": seen.note}


def _text(text: tuple[str, str]) -> Json:
    return {"zh": text[0], "en": text[1]}
