"""Columns of reports as files: their names, in Chinese and English."""

from collections.abc import Iterable

from domain.words import UNITS, Commodity
from reports.files import Column

COMMODITIES = {Commodity.ELECTRICITY: ("电", "electricity"), Commodity.WATER: ("水", "water")}
BANDS_ZH = {"sharp": "尖", "peak": "峰", "flat": "平", "valley": "谷", "deep_valley": "深谷"}
ROOM = (
    Column("account", "户号", "Account"),
    Column("name", "户名", "Name"),
    Column("site", "项目", "Site"),
    Column("building", "楼栋", "Building"),
    Column("floor", "楼层", "Floor"),
    Column("room", "房间", "Room"),
)
MONEY = (
    Column("opening_balance", "期初余额", "Opening balance", 6),
    Column("received", "充值", "Received", 6),
    Column("refunded", "退费", "Refunded", 6),
    Column("reversed", "冲正", "Reversed", 6),
    Column("adjusted", "调整", "Adjusted", 6),
    Column("electricity", "电费", "Electricity charged", 6),
    Column("water", "水费", "Water charged", 6),
    Column("free", "补助", "Free of it", 6),
    Column("fees", "其他费用", "Fees", 6),
    Column("written_off", "核销", "Written off", 6),
    Column("closing_balance", "期末余额", "Closing balance", 6),
)
MARKS = (Column("estimated", "含估算", "Estimated"), Column("open", "未结", "Open"))


def monthly(bands: Iterable[tuple[Commodity, str]]) -> list[Column]:
    """Of the month of rooms. `bands`: those that any of them has."""
    bands = sorted(set(bands))
    energy = [
        column
        for commodity in Commodity
        for column in _energy(commodity, [band for of, band in bands if of == commodity])
    ]
    return [Column("month", "月份", "Month"), *ROOM, *energy, Column("currency", "币种", "Currency"), *MONEY, *MARKS]


def _energy(commodity: Commodity, bands: list[str]) -> list[Column]:
    (zh, word), unit = COMMODITIES[commodity], UNITS[commodity]
    title = word.capitalize()
    return [
        Column(f"{word}_meters", f"{zh}表号", f"{title} meters"),
        Column(f"{word}_opening", f"{zh}表期初示数 ({unit})", f"{title} opening register ({unit})"),
        Column(f"{word}_closing", f"{zh}表期末示数 ({unit})", f"{title} closing register ({unit})"),
        Column(f"{word}_usage", f"用{zh}量 ({unit})", f"{title} ({unit})", 3),
        Column(f"{word}_cost", f"{zh}量金额", f"{title} cost", 12),
        *(column for band in bands for column in _band(word, zh, title, unit, band)),
        Column(f"{word}_month_before", f"上月用{zh}量 ({unit})", f"{title} of the month before ({unit})", 3),
        Column(f"{word}_mom", f"用{zh}环比 (%)", f"{title} on the month before (%)", 2),
        Column(f"{word}_year_before", f"去年同月用{zh}量 ({unit})", f"{title} of the year before ({unit})", 3),
        Column(f"{word}_yoy", f"用{zh}同比 (%)", f"{title} on the year before (%)", 2),
    ]


def _band(word: str, zh: str, title: str, unit: str, band: str) -> tuple[Column, Column]:
    name = BANDS_ZH.get(band, band)
    return (
        Column(f"{word}_{band}_usage", f"{name}{zh}量 ({unit})", f"{title} {band} ({unit})", 3),
        Column(f"{word}_{band}_cost", f"{name}{zh}金额", f"{title} {band} cost", 12),
    )


def energy(bands: Iterable[str]) -> list[Column]:
    """Of energy by day, month or year. `bands`: those that any row has."""
    by_band = [column for band in sorted(set(bands)) for column in _band_of_any(band)]
    return [
        Column("period", "日期", "Period"),
        *ROOM,
        Column("commodity", "类别", "Commodity"),
        Column("unit", "单位", "Unit"),
        Column("usage", "用量", "Usage", 3),
        Column("cost", "金额", "Cost", 12),
        Column("currency", "币种", "Currency"),
        *by_band,
        *MARKS,
    ]


def _band_of_any(band: str) -> tuple[Column, Column]:
    name = BANDS_ZH.get(band, band)
    return (
        Column(f"{band}_usage", f"{name}用量", f"{band.capitalize()} usage", 3),
        Column(f"{band}_cost", f"{name}金额", f"{band.capitalize()} cost", 12),
    )
