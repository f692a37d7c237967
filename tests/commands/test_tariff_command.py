import json
import unicodedata
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from in_process import meterline

from commands.tariff.group import SUBCOMMANDS
from tariffs.amounts import exact_text
from tariffs.loader import catalogue

ROOT = Path(__file__).parents[2]
FLAT = """tariff = "own-flat"
title = { zh = "单一电价", en = "One price" }
commodity = "electricity"
currency = "CNY"
zone = "Asia/Shanghai"
source = "an example"

[[version]]
from = 2025-01-01
price = "0.50"
"""
FULL = """tariff = "own-full"
title = { zh = "阶梯峰谷电价", en = "Tiers, time of use, a summer" }
commodity = "electricity"
currency = "CNY"
zone = "Asia/Shanghai"
source = "an example"

[calendar]
holidays = "CN"

[[version]]
from = 2024-01-01
price = "0.55"

[[version]]
from = 2025-01-01
price = "0.6"
ratios = { peak = "1.7", flat = "1", valley = "0.38" }
adders = ["0", "0.05", "0.30"]

[version.tiers]
cycle = "year"
begin = "12-01"
limits = ["2160", "4200"]
persons = { above = 4, adds = ["1200", "1200"], each = false }

[[version.component]]
name = "network"
title = { zh = "输配电价", en = "Network" }
price = "0.1032"

[version.days]
all = [["00:00", "valley"], ["08:00", "flat"], ["14:00", "peak"], ["19:00", "flat"]]
rest = [["00:00", "valley"]]

[version.week]
"mon-fri" = "all"
"sat,sun" = "rest"
holiday = "rest"

[[version.season]]
name = "summer"
months = [7, 8]
price = "0.7"

[[version.charge]]
name = "service"
title = { zh = "服务费", en = "Service" }
amount = "1.20"
every = "day"

[[version.charge]]
name = "tax"
title = { zh = "增值税", en = "VAT" }
percent = "13"
of = ["energy", "network", "service"]

[version.round]
line = { step = "0.01" }
"""


def tariff(*arguments, columns="80"):
    """Run `meterline tariff` as its users do, piped; returns exit code, what it printed, and what it said."""
    done = meterline("tariff", *arguments, COLUMNS=columns, NO_COLOR="1")
    return done.returncode, done.stdout, done.stderr


def written(folder, name, text):
    """A file with this text."""
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def hourly(folder, days, wh=1000, month=1):
    """A usage file: so many Wh in each hour of some days from the first of a month of 2025."""
    lines = [f"2025-{month:02}-{1 + n // 24:02} {n % 24:02}:00,{wh / 1000:.3f}" for n in range(24 * days)]
    return written(folder, "usage.csv", "\n".join(["time,kwh", *lines]) + "\n")


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_sub_command_explains_itself_and_is_documented(name):
    """`--help` says more than the name, and every option of it stands in the document of the commands."""
    code, said, _ = tariff(name, "--help", columns="200")
    documented = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")

    options = {word.rstrip(",") for word in said.split() if word.startswith("--")} - {"--help"}
    assert code == 0
    assert f"`tariff {name}" in documented
    assert {option for option in options if f"{option}" not in documented} == set()


def test_check_tells_every_mistake_of_every_file(tmp_path):
    """Two bad files and a good one: each mistake with its line, what was found and expected; code 2."""
    good = written(tmp_path, "good.toml", FLAT)
    bad = written(tmp_path, "bad.toml", FLAT.replace('"CNY"', "7").replace('"0.50"', "0.5"))
    code, said, _ = tariff("check", good, bad, tmp_path / "nowhere.toml")

    assert code == 2
    assert f"{good}: own-flat has no mistakes" in said
    assert f"{bad}: line 4: currency: found 7; expected" in said
    assert f"{bad}: line 10: version[0].price: found 0.5; expected a decimal number in quotes" in said
    assert "nowhere.toml: file: found No such file or directory; expected a file that can be read" in said


def test_check_says_what_is_worth_knowing_of_a_good_file(tmp_path):
    """Notes, and why a wallet cannot be charged, are no mistakes: code 0, also as JSON."""
    file = written(tmp_path, "own.toml", FULL)
    code, said, _ = tariff("check", file)
    as_json, document, _ = tariff("check", file, "--json")

    assert code == as_json == 0
    assert "note: public holidays and make-up working days are decided until" in said
    assert "no wallet can be charged by it: charge service is known only when a bill is made" in said
    (found,) = json.loads(document)
    assert found["mistakes"] == []
    assert len(found["obstacles"]) == len(found["notes"]) == 1


def test_check_as_json_has_lines(tmp_path):
    """A program that shows mistakes in an editor gets lines as numbers."""
    code, document, _ = tariff("check", written(tmp_path, "bad.toml", FLAT.replace('"CNY"', "7")), "--json")

    assert code == 2
    assert json.loads(document)[0]["mistakes"][0]["line"] == 4


def test_list_is_the_catalogue():
    """Every tariff that we ship is listed with both titles, for people and programs."""
    code, said, _ = tariff("list")
    _, document, _ = tariff("list", "--json")

    assert code == 0
    assert [each["tariff"] for each in json.loads(document)] == list(catalogue())
    assert all(each["title"]["zh"][:8] in said and each["tariff"] in said for each in json.loads(document))


def width(line):
    """Cells that a line takes in a terminal, where a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


def test_show_draws_days_seasons_and_prices(tmp_path):
    """The drawing is read without colours: a mark for each band, hour by hour; each price and charge is in it."""
    code, said, _ = tariff("show", written(tmp_path, "own.toml", FULL), "--date", "2025-07-05")
    lines = [line.rstrip() for line in said.splitlines()]

    assert code == 0
    assert "阶梯峰谷电价" in lines
    assert "  → from 2025-01-01 00:00, shown here" in lines
    assert "2025-07-05 is a Saturday, in season summer: 00:00 valley" in lines
    assert "            ···· ···· ···· ···· ···· ···· AAAA AAAA ···· ···· ···· ····" in lines
    assert "Mon-Fri                 " + "▒" * 16 + "▓" * 12 + "█" * 10 + "▓" * 10 in lines
    assert "Sat, Sun, holidays      " + "▒" * 48 in lines
    assert any("up to 2160 kWh" in line and "1.1900" in line for line in lines)
    assert "  输配电价 · Network, its line rounded to the nearest 0.01" in lines
    assert "  服务费 · Service: 1.2 CNY a day; rounded to the nearest 0.01" in lines


def test_show_draws_the_version_of_the_date(tmp_path):
    """What held last year had one price and no seasons."""
    _, said, _ = tariff("show", written(tmp_path, "own.toml", FULL), "--date", "2024-07-05")

    assert "0.5500" in said
    assert "The year" not in said


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_drawing_of_the_catalogue_fits_eighty_columns(name):
    """Chinese characters are counted as the two cells that they take."""
    code, said, _ = tariff("show", name, "--date", "2026-07-15")

    assert code == 0
    assert max(map(width, said.splitlines())) <= 80


def test_price_says_each_line_with_its_arithmetic(tmp_path):
    """January has 18 days that are neither weekend nor holiday; each amount is shown with the sum that it comes from."""
    file, usage = written(tmp_path, "own.toml", FULL), hourly(tmp_path, 31)
    code, said, notes = tariff("price", file, "--usage", usage)

    assert code == 0
    assert "Tiers, time of use, a summer, 2025-01-01 to 2025-01-31, 744.000 kWh" in said
    assert "    peak, tier 1: 90 kWh × 1.02 = 91.8" in said
    assert "  Network: 76.78" in said
    assert "    31 × 1.2 = 37.2" in said
    assert "the tier period began on 2024-12-01, before the usage" in notes


def test_price_in_chinese(tmp_path):
    """The same bill in the other language."""
    _, said, _ = tariff("price", written(tmp_path, "own.toml", FULL), "--usage", hourly(tmp_path, 2), "--lang", "zh")

    assert "阶梯峰谷电价, 2025-01-01 至 2025-01-02" in said
    assert "  输配电价: 4.95" in said
    assert "  服务费: 2.4" in said


def test_price_as_json_adds_up_exactly(tmp_path):
    """Terms make lines, lines make bills and bills make the total, without rounding on the way but the tariff's."""
    file, usage = written(tmp_path, "own.toml", FULL), hourly(tmp_path, 28, 1377, month=2)
    _, document, _ = tariff("price", file, "--usage", usage, "--json", "--used", "2100", "--persons", "5")

    found = json.loads(document)
    assert sum(Fraction(bill["total"]) for bill in found["bills"]) == Fraction(found["total"])
    for bill in found["bills"]:
        assert sum(Fraction(line["amount"]) for line in bill["lines"]) + Fraction(bill["rounding"]) == Fraction(
            bill["total"]
        )
        for line in bill["lines"]:
            assert sum(Fraction(term["amount"]) for term in line["terms"]) == Fraction(line["exact"])
            assert all(Fraction(t["quantity"]) * Fraction(t["price"]) == Fraction(t["amount"]) for t in line["terms"])
    energy = found["bills"][0]["lines"][0]
    assert {term["tier"] for term in energy["terms"]} == {1}  # Five persons have 3360 kWh in the first tier.


@pytest.mark.parametrize(
    ("options", "first", "last", "usage"),
    [
        ((), "2025-01-01", "2025-01-03", "72.000"),
        (("--from", "2025-01-02"), "2025-01-02", "2025-01-03", "48.000"),
        (("--to", "2025-01-02"), "2025-01-01", "2025-01-02", "48.000"),
        (("--from", "2025-01-02", "--to", "2025-01-02"), "2025-01-02", "2025-01-02", "24.000"),
        (("--stamp", "end"), "2024-12-31", "2025-01-03", "72.000"),
    ],
)
def test_days_that_are_billed(tmp_path, options, first, last, usage):
    """All of the file unless days are asked; both of them are billed."""
    file = written(tmp_path, "flat.toml", FLAT)
    _, document, _ = tariff("price", file, "--usage", hourly(tmp_path, 3), "--json", *options)

    found = json.loads(document)
    assert (found["bills"][0]["first"], found["bills"][-1]["last"], found["usage"]) == (first, last, usage)
    assert Decimal(found["total"]) == Decimal(usage) / 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--from", "2024-12-31"), "found usage from 2025-01-01 00:00 to 2025-01-04 00:00; expected usage of all that is billed, from 2024-12-31 00:00"),
        (("--to", "2025-01-04"), "expected usage of all that is billed, from 2025-01-01 00:00 to 2025-01-05 00:00"),
        (("--from", "tomorrow"), "--from: found 'tomorrow'; expected a date such as 2025-01-31"),
        (("--from", "2025-01-03", "--to", "2025-01-02"), "--from 2025-01-03 is later than --to 2025-01-02"),
        (("--capacity", "much"), "--capacity: found 'much'; expected kW"),
        (("--used", "-1"), "--used: found '-1'; expected kWh or m³"),
        (("--usage", "nowhere.csv"), "--usage: found nowhere.csv, No such file or directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_priced_is_refused(tmp_path, options, expected):
    """Code 2, and what was found and expected."""
    file = written(tmp_path, "flat.toml", FLAT)
    code, _, said = tariff("price", file, "--usage", hourly(tmp_path, 3), *options)

    assert code == 2
    assert expected in said


def test_a_tariff_that_is_none_is_refused(tmp_path):
    """An unknown name is told what there is; a file with mistakes is told all of them."""
    unknown, _, said = tariff("show", "beijing")
    broken, _, mistakes = tariff(
        "show", written(tmp_path, "bad.toml", FLAT.replace('"CNY"', "7").replace('"0.50"', "0.5"))
    )

    assert unknown == broken == 2
    assert "found 'beijing', No such file or directory; expected a tariff file, or one of the catalogue" in said
    assert "beijing-residential" in said
    assert "line 4" in mistakes
    assert "line 10" in mistakes


def test_compare_shows_months_and_the_difference(tmp_path):
    """Both bills of a month, what the second costs more, and as a percentage of the first."""
    flat = written(tmp_path, "flat.toml", FLAT)
    dear = written(tmp_path, "dear.toml", FLAT.replace("own-flat", "dear-flat").replace("0.50", "0.60"))
    code, said, _ = tariff("compare", flat, dear, "--usage", hourly(tmp_path, 31))
    _, document, _ = tariff("compare", flat, dear, "--usage", hourly(tmp_path, 31), "--json")

    assert code == 0
    assert ["2025-01-01", "…", "2025-01-31", "744.000", "372.00", "446.40", "74.40", "20.00"] in [line.split() for line in said.splitlines()]  # fmt: skip
    found = json.loads(document)
    assert found["total"] == {"usage": "744.000", "a": "372", "b": "446.4", "difference": "74.4", "percent": "20"}
    assert [month["difference"] for month in found["months"]] == ["74.4"]


def test_compare_refuses_what_cannot_be_compared(tmp_path):
    """Yuan and pounds have no difference."""
    code, _, said = tariff(
        "compare", "economy-7-example", written(tmp_path, "flat.toml", FLAT), "--usage", hourly(tmp_path, 2)
    )

    assert code == 2
    assert "own-flat: found currency CNY; expected GBP, as economy-7-example has" in said


def test_an_example_that_does_not_come_out_is_a_mistake(tmp_path):
    """A file that states what a bill comes to is held to it, at the example's line."""
    example = (
        '\n[[example]]\nfrom = 2025-01-01\nuntil = 2025-02-01\nusage = "100"\ntotal = "50.01"\nsource = "by hand"\n'
    )
    code, said, _ = tariff("check", written(tmp_path, "wrong.toml", FLAT + example))
    right, _, _ = tariff("check", written(tmp_path, "right.toml", FLAT + example.replace("50.01", "50")))

    assert (code, right) == (2, 0)
    assert "wrong.toml: line 16: example[0].total: found 50.01; expected what the bill comes to, 50" in said


def test_quote_says_what_an_amount_buys(tmp_path):
    """Tier by tier at the prices of the instant, and what is left; the parts add up to the amount."""
    file = written(tmp_path, "own.toml", FULL.split("[[version.charge]]", maxsplit=1)[0])
    code, said, _ = tariff("quote", file, "100", "--at", "2025-03-03 12:00", "--used", "2100")
    _, document, _ = tariff("quote", file, "100", "--at", "2025-03-03T12:00:00+08:00", "--used", "2100", "--json")

    assert code == 0
    assert "100.00 CNY buys 136.749 kWh" in said
    assert "  flat, tier 1: 60 kWh × 0.7032 = 42.192" in said
    found = json.loads(document)
    assert found["usage"] == "136.749"
    assert sum(Fraction(term["amount"]) for term in found["terms"]) + Fraction(found["rest"]) == 100


@pytest.mark.parametrize(
    ("amount", "options", "expected"),
    [
        ("much", (), "amount 'much' is not a decimal number such as 12.50"),
        ("0.0000001", (), "has more than 6 decimals"),
        ("9999999999", (), "amount '9999999999' is not from 0 to 1000000000"),
        ("5", ("--at", "soon"), "--at: found 'soon'; expected a time such as"),
        ("5", ("--at", "1960-01-01"), "--at: found '1960-01-01'; expected a time after 1970"),
        ("5", ("--used", "x"), "--used: found 'x'; expected kWh or m³"),
    ],
)
def test_a_quote_that_cannot_be_made_is_refused(amount, options, expected):
    """Code 2, and what was found and expected."""
    code, _, said = tariff("quote", "demo-electricity", amount, *options)

    assert code == 2
    assert expected in said


def test_import_writes_a_file_that_can_be_priced(tmp_path):
    """A URDB record becomes a file that check and price accept; what is not in it is said. A file that exists stays."""
    record, made = ROOT / "tests" / "tariffs" / "urdb" / "florida-rs1.json", tmp_path / "florida.toml"
    code, _, said = tariff("import", record, "--zone", "America/New_York", "-o", made)
    again, _, refusal = tariff("import", record, "--zone", "America/New_York", "-o", made)
    priced, document, _ = tariff("price", made, "--usage", hourly(tmp_path, 31, 2000), "--json")

    assert code == priced == 0
    assert "note: the record ended on" in said
    assert again == 2
    assert "which exists; expected a file that does not" in refusal
    assert Fraction(json.loads(document)["total"]) == 1000 * Fraction("0.08721") + 488 * Fraction("0.10803") + Fraction(
        "7.57"
    )


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("{", ("--zone", "UTC"), "record.json: line 1: no JSON"),
        ("{}", ("--zone", "UTC"), "record.json: energyratestructure: found none"),
        (
            '{"energyratestructure": [[{"rate": 1}]]}',
            ("--zone", "Mars/Base"),
            "--zone: found 'Mars/Base'; expected an IANA time zone",
        ),
    ],
)
def test_import_refuses_with_reasons(tmp_path, text, options, expected):
    """No file is made of a record that has no price."""
    code, _, said = tariff("import", written(tmp_path, "record.json", text), *options)

    assert code == 2
    assert expected in said


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0", "0"), ("12", "12"), ("1/2", "0.5"), ("-1/8", "-0.125"), ("1/1000000000000000", "0.000000000000001"),
        ("3/25", "0.12"), ("1/3", "1/3"), ("-10/7", "-10/7"), ("100", "100"),
    ],
)  # fmt: skip
def test_numbers_for_programs_are_exact(value, text):
    """A decimal number in full, or a fraction where it has no end; never rounded."""
    assert exact_text(Fraction(value)) == text
