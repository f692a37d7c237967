"""Time tables of Chinese provinces for industry and commerce, stated in our model: seasons, day profiles, holidays, components.

A table gives windows by month, some over midnight, and overlays for some months or some kinds of days. What a table says in
words alone (ratios, which components follow them, which days an overlay is for) is stated here by region.
"""

import json
from calendar import monthcalendar
from collections.abc import Iterator
from datetime import date
from typing import Any

from case_documents import FOLDER, Part, component, title

from tariffs.loader import load_tariff
from tariffs.tariff import Plan, plan_of

Table = dict[str, Any]
YEAR = 2025
MONTHS = range(1, 13)
HALF_HOURS = 48
WEDNESDAY, SATURDAY, TUESDAY = 2, 5, 1
BANDS = ("sharp", "peak", "flat", "valley", "deep_valley")

EVENTS = {
    "Guangdong": "hot_day",
    "Sichuan": "hot_day",
    "Jiangxi": "festival",
    "Zhejiang": "festival",
    "Shanghai two-part": "holiday",
}
"""The days that an overlay with a condition is for: sets that the operator names, or the public holidays."""
REST_MONTHS = (2, 3, 4, 5, 6, 9, 10, 11)
"""Shanghai's months in which weekends are as holidays are, but for make-up working days."""

AGENT_PRICE = "0.38447"
COMPONENTS = {
    "line_loss": "0.013643",
    "system_operation": "0.082273",
    "network": "0.0884",
    "capacity_compensation": "0.0705",
    "pumped_storage": "0.0102",
    "coal_capacity": "0.0213",
    "fund": "0.0452",
}
"""Prices as an example, most of them Hubei's of January 2026."""
FLOATING = {
    "Guangdong": {*COMPONENTS} - {"fund"},
    "Hainan": {"network"},
    "Shandong 2025": {"capacity_compensation", "line_loss", "pumped_storage", "coal_capacity"},
    "Hubei": {"line_loss"},
    "Gansu": {"line_loss"},
}
"""Components that the ratios multiply besides the agent price; elsewhere none does, or the table does not say."""
PRICE_ROUND = {"Guangdong": {"step": "0.0001", "mode": "half_up"}}


def ratios(*numbers: str) -> dict[str, str]:
    """Of flat, in the order of BANDS; "" for a band that is not used."""
    return {band: number for band, number in zip(BANDS, numbers, strict=True) if number}


EXAMPLE = ratios("2", "1.5", "1", "0.5", "0.25")
"""Where a table has no ratios."""
RATIOS = {
    "Beijing": ratios("1.92", "1.6", "1", "0.4", ""),
    "Fujian": ratios("1.8", "1.58", "1", "0.37", ""),
    "Guangdong": ratios("2.125", "1.7", "1", "0.38", ""),
    "Guizhou": ratios("", "1.6", "1", "0.4", ""),
    "Hainan": ratios("2.04", "1.7", "1", "0.4", ""),
    "Heilongjiang": ratios("", "1.5", "1", "0.5", ""),
    "Jilin": ratios("", "1.55", "1", "0.45", ""),
    "Jiangsu": ratios("", "1.8", "1", "0.35", ""),
    "Jiangxi": ratios("1.8", "1.6", "1", "0.4", "0.3"),
    "Shaanxi": ratios("1.9", "1.7", "1", "0.3", ""),
    "Shanghai two-part": ratios("", "1.6", "1", "0.5", "0.2"),
    "Shanghai single-part": ratios("", "1.17", "", "0.55", ""),
    "Qinghai": ratios("", "1.63", "1", "0.35", ""),
    "Inner Mongolia West": ratios("", "1.68", "1", "0.48", ""),
    "Shandong 2025": ratios("2", "1.7", "1", "0.3", "0.1"),
    "Yunnan": ratios("", "1.5", "1", "0.5", ""),
    "Sichuan": ratios("1.92", "1.6", "1", "0.4", ""),
    "Hubei": ratios("2.0", "1.49", "1", "0.45", ""),
    "Shanxi": ratios("1.92", "1.6", "1", "0.45", ""),
}
SEASON_RATIOS = {
    "Shanghai two-part": ((1, 7, 8, 9, 12), ratios("2.25", "1.8", "1", "0.4", "0.2")),
    "Shanghai single-part": ((1, 7, 8, 9, 12), ratios("", "1.2", "", "0.55", "")),
    "Inner Mongolia West": ((6, 7, 8), ratios("1.848", "1.54", "1", "0.44", "0.352")),
}


def tables() -> list[Table]:
    """All tables, or none where this clone has no shared folder beside it."""
    file = FOLDER / "cn_industrial_tou_2025.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def ratios_in(region: str, month: int) -> dict[str, str]:
    """The ratios of a month."""
    months, seasonal = SEASON_RATIOS.get(region, ((), {}))
    return seasonal if month in months else RATIOS.get(region, EXAMPLE)


def nth(month: int, weekday: int, number: int) -> date:
    """The first, second … such weekday of a month of the year."""
    days = [week[weekday] for week in monthcalendar(YEAR, month) if week[weekday]]
    return date(YEAR, month, days[number - 1])


def named_day(month: int) -> date:
    """The day of a month that is a hot day, a festival or a holiday here, so that there is one in every month."""
    return nth(month, TUESDAY, 2)


def made_up_day(month: int) -> date:
    """A Saturday that is worked."""
    return nth(month, SATURDAY, 2)


def plan(table: Table) -> Plan:
    """The tariff of a region, assigned."""
    return plan_of(load_tariff(json.dumps(document(table)), table["region"]))


def document(table: Table) -> Part:
    """Months that are alike are a season; those of December are the version's own."""
    region = table["region"]
    groups: dict[str, list[int]] = {}
    for month in MONTHS:
        rows = [_row(table, month, is_event=is_event) for is_event in (False, True)]
        groups.setdefault(json.dumps([rows, ratios_in(region, month), _week(region, month, "")]), []).append(month)
    days: Part = {}
    seasons = []
    for key, months in groups.items():
        (plain, event), in_force, _ = json.loads(key)
        name = f"m{months[0]}"
        days |= {name: _slots(plain), f"{name}_event": _slots(event)}
        seasons.append({"name": name, "months": months, "ratios": in_force, "week": _week(region, months[0], name)})
    own = seasons.pop()
    version = {
        "from": f"{YEAR}-01-01",
        "price": AGENT_PRICE,
        "ratios": own["ratios"],
        "component": [
            component(name, price, floats=name in FLOATING.get(region, ())) for name, price in COMPONENTS.items()
        ],
        "days": days,
        "week": own["week"],
        "season": seasons,
    }
    version |= {"price_round": PRICE_ROUND[region]} if region in PRICE_ROUND else {}
    return {
        "tariff": "table",
        "title": title(region),
        "commodity": "electricity",
        "currency": "CNY",
        "zone": "Asia/Shanghai",
        "source": table["doc"],
        "calendar": _calendar(region),
        "version": [version],
    }


def _calendar(region: str) -> Part:
    named, worked = ([str(day(month)) for month in MONTHS] for day in (named_day, made_up_day))
    event = EVENTS.get(region)
    if event == "holiday":
        return {"holidays": "CN", "add": named, "workdays": worked}
    return {"sets": {event: named}} if event else {}


def _week(region: str, month: int, name: str) -> dict[str, str]:
    event = EVENTS.get(region)
    if event is None:
        return {"mon-sun": name}
    if event == "holiday" and month in REST_MONTHS:
        return {"mon-fri": name, "sat,sun": f"{name}_event", "holiday": f"{name}_event", "workday": name}
    return {"mon-sun": name, event: f"{name}_event"}


def _row(table: Table, month: int, *, is_event: bool) -> list[str]:
    """The band of each half hour: the base's windows over its rest, then the overlays over them."""
    (base,) = [each for each in table["base"] if month in each["months"]]
    row = [""] * HALF_HOURS
    for band, windows in base["periods"].items():
        if windows == ["REST"]:
            row = [band] * HALF_HOURS
    for band, windows in base["periods"].items():
        for place in _places(window for window in windows if window != "REST"):
            row[place] = band
    for overlay in table.get("overlay", ()):
        always = month in overlay["months"] if "months" in overlay else "when" not in overlay
        if always or (is_event and "when" in overlay):
            for place in _places(overlay["windows"]):
                row[place] = overlay["period"]
    assert all(row), table["region"]
    return row


def _places(windows: Any) -> Iterator[int]:
    for window in windows:
        begin, end = (int(time[:2]) * 2 + int(time[3:]) // 30 for time in window.split("-"))
        yield from (place % HALF_HOURS for place in range(begin, end if end > begin else end + HALF_HOURS))


def _slots(row: list[str]) -> list[list[str]]:
    return [
        [f"{place // 2:02d}:{place % 2 * 30:02d}", band]
        for place, band in enumerate(row)
        if place == 0 or row[place - 1] != band
    ]
