"""Accounts opened from a table: what it says happens whole and once, and what it gets wrong is all said before anything happens."""

import csv
import datetime as dt
import json
import zipfile
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from in_process import meterline

from connectors.redis.server import EmbeddedServer
from connectors.redis.store import Store
from domain.units import money_text
from domain.words import AccountState

ROOT = Path(__file__).parents[2]
TODAY = dt.datetime.now(dt.UTC).date().isoformat()
ENGLISH = ["account", "name", "room", "meter", "tariff", "opening_register", "ratio", "low", "recharge", "date"]
CHINESE = ["户号", "户名", "房间", "表号", "电价方案", "期初示数", "倍率", "余额不足", "首次充值", "开户日期"]
ROWS = [
    ["room-101", "王", "101", "000000000101", "beijing-residential", "12.5", "1", "30.00", "50.00", TODAY],
    ["room-101", "", "", "000000000102", "beijing-residential", "0", "40", "", "", ""],
    ["room-102", "李", "102", "000000000201", "beijing-residential", "", "", "", "", ""],
]
SCHEMAS = "http://schemas.openxmlformats.org"


def table(path, *lines, encoding="utf-8"):
    """A CSV file of these lines."""
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows(lines)
    return path


def workbook(path, *lines):
    """The smallest Excel workbook with these lines; numbers are cells of numbers, as people type them."""
    rows = "".join(f"<row>{''.join(cell(value) for value in line)}</row>" for line in lines)
    office = f"{SCHEMAS}/officeDocument/2006/relationships"
    main, kinds = f"{SCHEMAS}/spreadsheetml/2006/main", "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{SCHEMAS}/package/2006/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" ContentType='
        f'"{kinds}.sheet.main+xml"/><Override PartName="/xl/sheet1.xml" ContentType="{kinds}.worksheet+xml"/></Types>',
        "_rels/.rels": related("officeDocument", "xl/workbook.xml"),
        "xl/_rels/workbook.xml.rels": related("worksheet", "sheet1.xml"),
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="1" sheetId="1" r:id="r1"/>'
        "</sheets></workbook>",
        "xl/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w") as file:
        for name, text in parts.items():
            file.writestr(name, text)
    return path


def related(kind, target):
    """A file of one relation."""
    relation = f'<Relationship Id="r1" Type="{SCHEMAS}/officeDocument/2006/relationships/{kind}" Target="{target}"/>'
    return f'<Relationships xmlns="{SCHEMAS}/package/2006/relationships">{relation}</Relationships>'


def cell(value):
    """A cell of a number or of text."""
    if isinstance(value, int | float):
        return f"<c><v>{value}</v></c>"
    return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'


def opens(data, file, *options):
    """Run the command as its users do; returns exit code, figures if any, and what it said."""
    done = meterline("accounts", "open", file, "--data", data, "--json", *options)
    lines = done.stdout.splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else {}, done.stderr


def held(data):
    """Balance of each account of a store, and all its account and meter records."""
    server = EmbeddedServer.start(data)
    try:
        store = Store.open(server.url)
        shards = [store.load(shard) for shard in range(store.shards)]
        store.close()
    finally:
        server.stop()
    accounts = {name: record for shard in shards for name, record in shard.records["account_records"].items()}
    meters = {number: record for shard in shards for number, record in shard.records["meter_records"].items()}
    balances = {
        name: money_text(int(shard.rows["accounts"][record.row]["balance"]))
        for shard in shards
        for name, record in shard.records["account_records"].items()
    }
    states = {
        name: AccountState(int(shard.rows["accounts"][record.row]["state"]))
        for shard in shards
        for name, record in shard.records["account_records"].items()
    }
    return balances, states, accounts, meters


def test_a_table_opens_what_it_says_and_once(tmp_path):
    """Two accounts, three meters, one payment; the same table again, in Chinese and as a bank's old CSV, changes nothing."""
    data = tmp_path / "data"

    first = opens(data, table(tmp_path / "a.csv", ENGLISH, *ROWS))
    again = opens(data, table(tmp_path / "b.csv", CHINESE, *ROWS, encoding="gb18030"))

    balances, _, accounts, meters = held(data)
    assert first[:2] == (0, {"accounts": 2, "meters": 3, "recharged": "50.00", "refused": 0, "dry_run": False})
    assert again[:2] == first[:2]
    assert balances == {"room-101": "50.00", "room-102": "0.00"}
    assert (accounts["room-101"].name, accounts["room-101"].alarms.low) == ("王", 30_000_000)
    assert accounts["room-101"].meters == (101, 102)
    assert (meters[101].opening_register, meters[102].ratio, meters[201].opening_register) == (12_500, 40, None)


def test_a_workbook_is_read_as_people_type_it(tmp_path):
    """Numbers typed as numbers, empty rows between, a date, yes in Chinese."""
    data, headings = tmp_path / "data", ["户号", "表号", "电价方案", "期初示数", "预先设置"]
    file = workbook(
        tmp_path / "a.xlsx",
        headings,
        ["A1", 123456789012, "beijing-residential", 1234.56, "是"],
        [],
        ["A2", 17, "beijing-residential-water", 5, ""],
    )

    code, figures, said = opens(data, file)

    _, states, _, meters = held(data)
    assert (code, figures["meters"]) == (0, 2), said
    assert states == {"A1": AccountState.PREPARED, "A2": AccountState.OPEN}
    assert (meters[123456789012].opening_register, meters[17].opening_register) == (1_234_560, 5_000)


def test_a_dry_run_leaves_nothing(tmp_path):
    """It says what would be done; there is no store afterwards where there was none."""
    data = tmp_path / "data"

    code, figures, _ = opens(data, table(tmp_path / "a.csv", ENGLISH, *ROWS), "--dry-run")

    assert (code, figures["accounts"], figures["dry_run"]) == (0, 2, True)
    assert not data.exists()


@pytest.mark.parametrize(
    ("headings", "rows", "mistakes"),
    [
        (
            ["account", "meter", "colour"],
            [],
            ["line 1: colour: found an unknown heading", "line 1: tariff: found no such heading"],
        ),
        (
            ["account", "meter", "tariff", "recharge"],
            [["-", "17x", "t", "1"], ["a", "", "t", "1,5"]],
            [
                "line 2: account: found '-'",
                "line 2: meter: found '17x'",
                "line 3: recharge: found '1,5'",
                "line 3: meter: found nothing",
            ],
        ),
        (
            ["account", "name", "meter", "tariff", "recharge", "commodity", "ratio", "low"],
            [
                ["a", "王", "1", "none-such", "", "", "", ""],
                ["b", "李", "2", "beijing-residential", "5", "水", "", ""],
                ["b", "赵", "2", "beijing-residential", "5", "电", "0", "-9"],
            ],
            [
                "line 2: tariff: found 'none-such'",
                "line 3: tariff: found 'beijing-residential', for electricity",
                "line 3: date: found nothing",
                "line 4: name: found '赵'; expected the same as in row 3",
                "line 4: low: found '-9'; expected the same as in row 3",
                "line 4: meter: found 000000000002, as in row 3",
                "expected 1 <= ratio <= 10^6",
            ],
        ),
    ],
)
def test_every_mistake_is_said_and_nothing_is_done(tmp_path, headings, rows, mistakes):
    """One run lists all that is wrong with its rows, and opens none of it."""
    code, _, said = opens(tmp_path / "data", table(tmp_path / "a.csv", headings, *rows), "--dry-run")

    assert code == 2
    assert [mistake for mistake in mistakes if mistake not in said] == []


def test_a_store_that_says_otherwise_is_not_overruled(tmp_path):
    """Another name for an account, another account for a meter, another amount for a payment: all said, nothing done."""
    data = tmp_path / "data"
    opens(data, table(tmp_path / "a.csv", ENGLISH, *ROWS))
    other = [
        ["room-101", "赵", *ROWS[0][2:8], "60.00", TODAY],
        ["room-103", "", "", "000000000201", "beijing-residential", "", "", "", "", ""],
    ]

    code, _, said = opens(data, table(tmp_path / "b.csv", ENGLISH, *other))

    balances = held(data)[0]
    assert code == 2
    assert "line 2: account: found 'room-101', which was opened otherwise" in said
    assert "line 2: recharge: found 60.00, where 50.00 was paid" in said
    assert "line 3: meter: found 000000000201, which account 'room-102' has otherwise" in said
    assert balances == {"room-101": "50.00", "room-102": "0.00"}


@pytest.mark.parametrize(("name", "content"), [("a.xlsx", b"no workbook"), ("a.csv", b""), ("a.csv", b"\xff\xff\x00")])
def test_what_is_no_table_is_refused(tmp_path, name, content):
    """A file that is something else is told apart from one with mistakes."""
    file = tmp_path / name
    file.write_bytes(content)

    code, _, said = opens(tmp_path / "data", file, "--dry-run")

    assert code == 2
    assert said.startswith(f"{name}: line 1: ")
