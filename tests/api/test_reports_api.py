"""Reports of a household's month, in every form, against figures that are added by hand."""

import csv
import io
import zipfile
from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest
from api_site import TOKEN, together
from figures_site import COUNTED, HALF_HOURS, LIGHT, ROOM, SHOP, TAP, TARIFFS, TILL, added, archive_up_to_now, at, ms
from hypothesis import given
from hypothesis import strategies as st
from log_samples import order_text

from api.app import create_app
from api.settings import ApiSettings
from connectors.archive.files import Archive
from domain.facts import AccountOpened, MeterInstalled, Place, ReadingBlock, TariffPublished
from domain.ids import shard_of
from domain.state import MeterRecord
from domain.units import money_micros, money_text
from domain.words import Commodity
from flows.settle import settle_once
from reports.files import Column, Language, csv_of, parquet_of, xlsx_of
from reports.monthly import change_percent
from reports.registers import register_before

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def month_of(household, account, month="2026-01"):
    """A room's month."""
    (room,) = household.ask("/reports/monthly", month=month, account=account)["items"]
    return room


def exact(bands):
    """What an answer says of bands, as exact numbers."""
    return {band["band"]: (round(Fraction(band["usage"]) * 1000), Fraction(band["cost"])) for band in bands}


def test_a_month_has_the_energy_of_its_room(household):
    """By commodity and band, exactly as it was counted and priced."""
    room = month_of(household, ROOM)

    assert [energy["commodity"] for energy in room["energy"]] == ["electricity", "water"]
    for energy, meter in zip(room["energy"], (LIGHT, TAP), strict=True):
        assert exact(energy["bands"]) == added(meter, "%Y-%m")["2026-01"]
    assert (room["open"], room["place"]["site"], room["name"]) == (False, "Garden", "王")


def test_a_month_s_money_goes_from_balance_to_balance(household):
    """What came and went between two balances is what was ordered; the next month begins where this one ends."""
    january, february = (month_of(household, ROOM, month)["money"] for month in ("2026-01", "2026-02"))

    ordered = ("received", "refunded", "reversed", "adjusted", "free", "fees", "written_off")
    assert [january[name] for name in ordered] == ["280.00", "10.00", "30.00", "0.500001", "0.00", "20.00", "0.00"]
    assert [february[name] for name in ordered] == ["40.00", "0.00", "0.00", "0.00", "0.00", "100.00", "0.00"]
    for money in (january, february):
        micros = {name: money_micros(value) for name, value in money.items()}
        came = sum(micros[name] for name in ("opening_balance", "received", "adjusted", "free"))
        went = sum(micros[name] for name in ("refunded", "reversed", "electricity", "water", "fees", "written_off"))
        assert came - went == micros["closing_balance"]
    assert (january["opening_balance"], january["closing_balance"]) == ("0.00", february["opening_balance"])
    for word, meter in (("electricity", LIGHT), ("water", TAP)):
        cost = sum(cost for _, cost in added(meter, "%Y-%m")["2026-01"].values())
        assert 0 <= cost - Fraction(january[word]) < Fraction(1, 10**6)


def test_the_closing_balance_and_what_is_open_are_the_wallet(household):
    """The balance at the end of the month that is not over, less what the ledger does not have yet, is the account's."""
    for account in (ROOM, SHOP):
        room, wallet = month_of(household, account, "2026-02"), household.ask(f"/accounts/{account}")
        state = household.store.load(shard_of(account, household.store.shards))
        row = state.records["account_records"][account].row
        meters = state.rows["meters"][state.rows["meter_terms"]["account"] == row]
        open_micros = int(meters["day_cost"].sum()) - int(meters["day_free"].sum())

        difference = money_micros(room["money"]["closing_balance"]) - open_micros - money_micros(wallet["balance"])
        assert 0 <= difference <= len(meters)  # Of each meter less than a micro, which goes on to its next day.
        assert room["open"]


def dial(meter, *edge):
    """What a meter showed at a local midnight, or showed last."""
    counted = sum(usage for when, usage in zip(HALF_HOURS, COUNTED[meter], strict=True) if when < at(*edge))
    return f"{Decimal(counted) / 1000:.3f}"


def test_registers_are_what_the_dials_showed_at_midnight(household):
    """期初, 期末: as read at the edges of the month; where a person has corrected since, not known rather than nearly right."""
    known = {
        (account, month): {
            each["meter"]: (each["opening"], each["closing"])
            for each in month_of(household, account, month)["registers"]
        }
        for account in (ROOM, SHOP)
        for month in ("2026-01", "2026-02")
    }

    first, second, last = (1, 0, 1), (1, 0, 2), (28, 0, 2)
    assert known[ROOM, "2026-01"] == {
        str(LIGHT): (None, dial(LIGHT, *second)),
        str(TAP): (dial(TAP, *first), dial(TAP, *second)),
    }
    assert known[ROOM, "2026-02"] == {str(meter): (dial(meter, *second), dial(meter, *last)) for meter in (LIGHT, TAP)}
    assert known[SHOP, "2026-01"] == {str(TILL): ("0.000", dial(TILL, *second))}


def test_a_month_is_compared_with_the_one_before(household):
    """环比: what the month before had used, and by how much this one has more."""
    energy = month_of(household, SHOP, "2026-02")["energy"][0]

    before, now = (sum(usage for usage, _ in added(TILL, "%Y-%m")[month].values()) for month in ("2026-01", "2026-02"))
    percent = round(Fraction(10_000 * (now - before), before))
    assert energy["mom"]["usage"] == f"{Decimal(before) / 1000:.3f}"
    assert energy["mom"]["percent"] == f"{Decimal(percent) / 100:.2f}"
    assert energy["yoy"] == {"usage": None, "percent": None}


def test_a_month_is_compared_with_that_of_the_year_before(store, store_url, tmp_path):
    """同比: 310 kWh in a January, 300 in a December, 341 in the next January, whatever of it is archived."""
    edges = [
        at(1).replace(year=2025),
        at(1, month=2).replace(year=2025),
        at(1, month=12).replace(year=2025),
        at(1),
        at(1, month=2),
    ]
    begin, shard = ms(edges[0]), shard_of("Y-1", store.shards)
    for each in range(store.shards):
        store.append(
            each, TariffPublished(at=begin, id=order_text(begin, 1), tariff="light", document=TARIFFS["light"])
        )
    opened = AccountOpened(at=begin, id=order_text(begin, 2), account="Y-1", currency="CNY", place=Place(site="Garden"))
    store.append(shard, opened)
    installed = MeterInstalled(
        at=begin, id=order_text(begin, 3), meter=7, account="Y-1", commodity=Commodity.ELECTRICITY, tariff="light",
        modulus=0, rated_per_hour=15_000, opening_register=0,
    )  # fmt: skip
    store.append(shard, installed)
    for time, register in zip(edges[1:], np.cumsum([310_000, 900_000, 300_000, 341_000]).tolist(), strict=True):
        store.append(shard, ReadingBlock(*(np.array([value], np.int64) for value in (7, ms(time), register))))
        settle_once(store)
        if time.month == 12:
            archive_up_to_now(store_url, Archive.at(tmp_path / "archive"))
    settings = ApiSettings(
        redis_url=store_url, token=TOKEN, clock=lambda: ms(edges[-1]), archive=str(tmp_path / "archive")
    )

    answer = together(create_app(settings), lambda client: client.get("/reports/monthly?month=2026-01"))

    (energy,) = answer.json()["items"][0]["energy"]
    assert (energy["usage"], energy["estimated"]) == ("341.000", True)
    assert energy["mom"] == {"usage": "300.000", "percent": "13.67"}
    assert energy["yoy"] == {"usage": "310.000", "percent": "10.00"}


@pytest.mark.parametrize(
    ("now", "before", "percent"),
    [
        (110, 100, 1_000),
        (2, 3, -3_333),
        (1, 8, -8_750),
        (100, 0, None),
        (5, -5, None),
        (0, 7, -10_000),
        (20_001, 20_000, 1),
    ],
)
def test_a_comparison_is_rounded_once(now, before, percent):
    """Hundredths of a per cent, half away from zero; with nothing, nothing is compared."""
    assert change_percent(now, before) == percent


@pytest.mark.parametrize(
    ("register", "usage", "ratio", "modulus", "before"),
    [
        (500, 200, 1, 0, 300),
        (500, 500, 1, 1_000, 0),
        (100, 300, 1, 1_000, 800),  # It has wrapped since.
        (100, 300, 1, 0, None),
        (500, 6_000, 40, 0, 350),
        (500, 6_001, 40, 0, 349),  # Between two readings: of parts of a unit the whole ones.
    ],
)
def test_a_register_is_the_last_one_less_what_was_used(register, usage, ratio, modulus, before):
    """Usage is after ratio, registers before it, and a meter may wrap once."""
    record = MeterRecord(
        row=0, meter=1, account="A", commodity=Commodity.ELECTRICITY, tariff="light", profile="", modulus=modulus,
        rated_per_hour=1, ratio=ratio, switchable=False, installed_at=0,
    )  # fmt: skip

    assert register_before(record, register, usage) == before


@pytest.mark.parametrize("by", ["day", "month", "year"])
def test_the_energy_report_is_every_period_of_every_room(household, by):
    """Each room, commodity and period has a row, with what was counted in it."""
    items = household.ask("/reports/energy", by=by, from_="2026-01-01")["items"]

    forms = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
    expected = {
        (account, commodity, period): bands
        for account, commodity, meter in (
            (ROOM, "electricity", LIGHT),
            (ROOM, "water", TAP),
            (SHOP, "electricity", TILL),
        )
        for period, bands in added(meter, forms[by]).items()
    }
    assert {(each["account"], each["commodity"], each["period"]): exact(each["bands"]) for each in items} == expected
    assert len(items) == len(expected)


def test_pages_of_rooms_are_the_whole(household):
    """Page by page every room comes once."""
    first = household.ask("/reports/monthly", month="2026-01", limit="1")
    second = household.ask("/reports/monthly", month="2026-01", limit="1", cursor=first["next"])

    assert sorted(page["items"][0]["account"] for page in (first, second)) == [ROOM, SHOP]
    assert second["next"] is None


@pytest.mark.parametrize(("lang", "headings"), [("zh", ["月份", "户号", "户名"]), ("en", ["Month", "Account", "Name"])])
def test_a_month_as_csv(household, lang, headings):
    """A file that Excel opens in Chinese: a byte order mark, headings in a language, and the same amounts as in JSON."""
    answer = household.answer("/reports/monthly", month="2026-01", format="csv", lang=lang)

    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="monthly-2026-01.csv"'
    heading, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert heading[:3] == headings
    room = month_of(household, ROOM)
    row = next(row for row in rows if row[1] == ROOM)
    assert row[2] == "王"
    assert room["money"]["closing_balance"] in row
    assert room["energy"][0]["cost"] in row
    assert "?" in row  # The opening register of the meter that was corrected later.
    assert len({len(each) for each in (heading, *rows)}) == 1


def test_a_month_as_excel_and_parquet(household):
    """A workbook and a Parquet file have the rooms and amounts of the JSON."""
    accepted = together(
        household.app,
        lambda client: client.get(
            "/reports/monthly", params={"month": "2026-01"}, headers={"Accept": f"{XLSX}, text/html;q=0.1"}
        ),
    )
    parquet = household.answer("/reports/monthly", month="2026-01", format="parquet")

    sheet, table = pl.read_excel(io.BytesIO(accepted.content)), pl.read_parquet(io.BytesIO(parquet.content))
    room = month_of(household, ROOM)
    assert sorted(sheet["Account"]) == sorted(table["account"]) == [ROOM, SHOP]
    row = table.filter(pl.col("account") == ROOM).row(0, named=True)
    assert row["closing_balance"] == Decimal(room["money"]["closing_balance"])
    assert row["electricity_cost"] == Decimal(room["energy"][0]["cost"])
    assert row["electricity_peak_usage"] == Decimal(
        next(band["usage"] for band in room["energy"][0]["bands"] if band["band"] == "peak")
    )
    assert table.schema["received"] == pl.Decimal(38, 6)
    assert table["water_usage"].null_count() == 1


def test_energy_as_files(household):
    """The energy report has its own file in each form, with a row for each of its items."""
    items = household.ask("/reports/energy", from_="2026-01-01", until="2026-01-31", by="day", limit="500")["items"]

    for form in ("csv", "xlsx", "parquet"):
        answer = household.answer(
            "/reports/energy", from_="2026-01-01", until="2026-01-31", by="day", format=form, lang="zh"
        )
        assert answer.status_code == 200
        assert f'filename="energy-2026-01-01_2026-01-31.{form}"' in answer.headers["content-disposition"]
        if form == "parquet":
            assert len(pl.read_parquet(io.BytesIO(answer.content))) == len(items)


COLUMNS = [Column("name", "户名", "Name"), Column("amount", "金额", "Amount", 6)]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1"])
def test_no_text_becomes_a_formula(name):
    """What a tenant calls itself is never computed by who opens the report."""
    rows = [{"name": name, "amount": "-1.50"}]

    cells = list(csv.reader(io.StringIO(b"".join(csv_of(COLUMNS, rows, Language.EN)).decode("utf-8-sig"), newline="")))[
        1
    ]
    sheet = zipfile.ZipFile(io.BytesIO(xlsx_of(COLUMNS, rows, Language.EN))).read("xl/worksheets/sheet1.xml")
    assert cells == [f"'{name}", "-1.50"]
    assert b"<f>" not in sheet


@given(st.integers(-(10**18), 10**18))
def test_no_amount_loses_a_digit(micros):
    """In Excel an amount is a number where a double keeps it, else a text; in Parquet a decimal: always all of it."""
    rows = [{"name": None, "amount": money_text(micros)}]

    (cell,) = pl.read_excel(io.BytesIO(xlsx_of(COLUMNS, rows, Language.EN)))["Amount"].cast(pl.String)
    (kept,) = pl.read_parquet(io.BytesIO(parquet_of(COLUMNS, rows)))["amount"]
    shown = Decimal(cell)
    assert shown.quantize(Decimal("0.000001")) == kept == Decimal(micros).scaleb(-6)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("monthly", {}),
        ("monthly", {"month": "2026-13"}),
        ("monthly", {"month": "0000-01"}),
        ("monthly", {"month": "２０２６-01"}),
        ("monthly", {"month": "2026-01", "format": "pdf"}),
        ("monthly", {"month": "2026-01", "cursor": "x"}),
        ("monthly", {"month": "2026-01", "account": "\0"}),
        ("monthly", {"month": "2026-01", "lang": "fr"}),
        ("energy", {"by": "hour"}),
        ("energy", {"from_": "2020-01-01"}),
        ("energy", {"from_": "2026-01-01T00:00:00Z"}),
    ],
)
def test_a_report_that_cannot_be_made_is_the_caller_s_mistake(household, path, query):
    """Months and forms that are none are answered 422."""
    assert household.answer(f"/reports/{path}", **query).status_code == 422


def test_months_without_anything_are_empty(household):
    """A month before there was any reading, or one to come, has balances and no usage."""
    before, after = (month_of(household, ROOM, month) for month in ("1971-01", "9899-12"))

    assert before["money"]["closing_balance"] == "0.00"
    assert [energy["usage"] for energy in before["energy"]] == ["0.000", "0.000"]
    assert after["money"]["opening_balance"] == after["money"]["closing_balance"] != "0.00"
