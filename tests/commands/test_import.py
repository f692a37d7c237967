import json
from pathlib import Path

import pytest
from in_process import meterline

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"


def import_file(*arguments):
    """Run `meterline import` as its users do; returns exit code, figures if any, and what it said."""
    done = meterline("import", *arguments)
    lines = done.stdout.splitlines()
    return done.returncode, json.loads(lines[-1]) if lines else {}, done.stderr


def real(name):
    """A file of real data, or the test is skipped."""
    if not (DATA / name).is_file():
        pytest.skip(f"no {name}: this clone has no shared data beside it")
    return DATA / name


@pytest.mark.parametrize(
    ("name", "zone", "rows"),
    [("sgsc_50homes_30min.parquet", "UTC+10", 1_450_232), ("lcl_2013_50homes_30min.parquet", "UTC", 828_988)],
)
def test_every_watt_hour_of_a_real_file_is_priced_or_in_quarantine(name, zone, rows):
    """Fifty homes' half-hours, two years and one: what is priced and what is held back add up to the file, to the last Wh."""
    code, figures, _ = import_file(real(name), "--zone", zone, "--scratch", "--json")

    assert code == 0
    assert figures["rows"] == rows
    assert figures["wh_priced"] + figures["wh_quarantined"] == figures["wh_in_file"]
    assert figures["wh_priced"] > 0.999 * figures["wh_in_file"]
    assert figures["negative_charges"] == 0


def test_every_fall_of_a_real_water_register_is_accounted_for():
    """203 falls, an exchange and duplicates: none becomes a negative charge, and each has its class."""
    code, figures, _ = import_file(
        real("daiad_water_swm_trialA.csv.gz"), "--zone", "Europe/Madrid", "--scratch", "--json"
    )

    assert code == 0
    assert figures["negative_steps"] == 203
    assert figures["negative_steps_by_class"] == {"decrease": 199, "normal": 4}
    assert figures["negative_charges"] == 0
    assert sum(figures["classes"].values()) == figures["readings"] == figures["rows"]


def test_refused_rows_are_listed_by_line_and_reason(tmp_path):
    """A row that cannot be read is named with its line, its reason and its own words, and the rest is imported."""
    file = tmp_path / "readings.csv"
    file.write_text("meter;time;kwh\n101;2025-07-01 00:00;0.5\n101;2025-07-01 00:30;oops\n101;2025-07-01 01:00;0.25\n")

    code, figures, said = import_file(
        file, "--zone", "Asia/Shanghai", "--value", "kwh", "--interval-minutes", "30", "--scratch", "--json"
    )

    assert code == 0
    assert figures["wh_priced"] == 750
    assert figures["refused"] == {"unreadable_value": 1}
    assert "line 3: unreadable_value: 101;2025-07-01 00:30;oops" in said


def test_meters_that_nobody_knows_are_refused_unless_accounts_may_be_opened(tmp_path):
    """Without --tariff no account is invented; with it each meter gets one, and a second import finds them again."""
    data, first, second = tmp_path / "data", tmp_path / "july.csv", tmp_path / "august.csv"
    first.write_text("meter,time,register_kwh\n101,2025-07-01 00:00,10.0\n101,2025-07-02 00:00,14.5\n")
    second.write_text("meter,time,register_kwh\n101,2025-08-01 00:00,20.0\n101,2025-08-02 00:00,21.0\n")
    stated = ("--zone", "Asia/Shanghai", "--kind", "register", "--unit", "kWh", "--data", data, "--json")

    _, unknown, _ = import_file(first, *stated)
    _, opened, _ = import_file(first, *stated, "--tariff", "demo-electricity")
    _, later, _ = import_file(second, *stated)

    assert unknown["refused"] == {"unknown_meter": 2}
    assert opened["wh_priced"] == 4_500
    assert later["wh_priced"] == 6_500


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere.csv", "--scratch"], "nowhere.csv"),
        (["README.md", "--scratch"], "README.md"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_advice(arguments, expected):
    """Exit code 2 and a message that names the file; no traceback."""
    code, _, said = import_file(*arguments)

    assert code == 2
    assert expected in said
    assert "Traceback" not in said


def test_a_second_month_of_intervals_goes_on_from_the_first(tmp_path):
    """January, then February of the same meters by name: each is priced once, and January again is refused as a whole."""
    january, february = tmp_path / "january.csv", tmp_path / "february.csv"
    january.write_text(
        "meter,time,kwh\nA,2026-01-01 00:00,0.5\nA,2026-01-01 00:30,0.5\n1,2026-01-01 00:00,2.0\n1,2026-01-01 00:30,1.0\n"
    )
    february.write_text(
        "meter,time,kwh\nA,2026-02-01 00:00,0.25\nA,2026-02-01 00:30,0.5\n1,2026-02-01 00:00,1.5\n1,2026-02-01 00:30,1.5\n"
    )
    stated = (
        "--zone", "Asia/Shanghai", "--value", "kwh", "--kind", "interval", "--unit", "kWh", "--interval-minutes", "30",
        "--data", tmp_path / "data", "--json", "--tariff", "demo-electricity",
    )  # fmt: skip

    _, first, _ = import_file(january, *stated)
    _, second, _ = import_file(february, *stated)
    code, _, said = import_file(january, *stated)

    assert (first["wh_in_file"], first["wh_priced"]) == (4_000, 4_000)
    assert (second["wh_in_file"], second["wh_priced"]) == (3_750, 3_750)
    assert code == 2
    assert "2 meters have later readings already" in said


def test_the_option_that_a_guess_names_exists():
    """What import advises when it guesses day before month can be typed as it is said."""
    done = meterline("import", "--help")

    assert "--time-format" in done.stdout
    assert "--commodity" in done.stdout
