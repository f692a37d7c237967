import re
from datetime import datetime

import pytest

from commands.tariff.times import instant, local_text
from commands.tariff.usage import UsageProblem, read_usage
from domain.units import HOUR_MS, MINUTE_MS
from domain.words import Commodity

LONDON, SHANGHAI = "Europe/London", "Asia/Shanghai"


def read(tmp_path, text, zone=SHANGHAI, commodity=Commodity.ELECTRICITY, stamp="start", *, rounds=False):
    """The series of a file with this text."""
    file = tmp_path / "usage.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return read_usage(file, commodity, zone, stamp=stamp, rounds=rounds)


def seen(series):
    """Times as ISO texts in UTC, and usage."""
    return [local_text(at, "UTC")[5:] for at in series.times.tolist()], series.usage.tolist()


def rows(*lines, header="time,kwh"):
    """A CSV text."""
    return "\n".join([header, *lines]) + "\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("2025-01-31 23:30", "2025-02-01 00:00"),
        ("2025-01-31T23:30:00", "2025-02-01T00:00:00"),
        ("2025-01-31T23:30:00.000", "2025-02-01T00:00:00.000"),
        ("2025/01/31 23:30", "2025/02/01 00:00"),
        (" 2025-01-31  23:30 ", "2025-02-01 00:00"),
        ("2025-01-31T23:30:00+08:00", "2025-02-01T00:00:00+08:00"),
        ("2025-01-31 23:30+0800", "2025-02-01 00:00+0800"),
        ("2025-01-31T15:30:00Z", "2025-01-31T16:00:00Z"),
        ("2025-01-31T10:30:00-05:00", "2025-01-31T11:00:00-05:00"),
        ("2025-01-31T15:30:00Z", "2025-02-01T00:00:00+08:00"),
    ],
)
def test_times_are_read_as_people_write_them(tmp_path, first, second):
    """With an offset or local to the tariff's zone, with T or a space, with dashes or strokes: the same instants."""
    series = read(tmp_path, rows(f"{first},0.5", f"{second},0.25"))

    assert seen(series) == (["01-31 15:30", "01-31 16:00", "01-31 16:30"], [500, 250])


def test_an_hour_that_clocks_repeat_is_told_apart_by_the_order_of_lines(tmp_path):
    """On the day when summer time ends, 01:00 and 01:30 come twice: first in summer time, then in winter time."""
    clock = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    series = read(tmp_path, rows(*(f"2025-10-26 {at},1" for at in clock)), LONDON)

    assert seen(series)[0] == [f"10-25 23:{30}", *(f"10-26 {at}" for at in ("00:00", "00:30", "01:00", "01:30", "02:00", "02:30"))]  # fmt: skip


def test_a_series_may_begin_in_a_repeated_hour(tmp_path):
    """Where the clock goes back only after the first line, that line is in summer time."""
    series = read(tmp_path, rows("2025-10-26 01:30,1", "2025-10-26 01:00,1", "2025-10-26 01:30,1"), LONDON)

    assert seen(series)[0][:3] == ["10-26 00:30", "10-26 01:00", "10-26 01:30"]


def test_hours_that_clocks_skip_are_no_gap(tmp_path):
    """On the day when summer time begins, 00:30 is followed by 02:00."""
    series = read(tmp_path, rows("2025-03-30 00:00,1", "2025-03-30 00:30,2", "2025-03-30 02:00,3"), LONDON)

    assert seen(series) == (["03-30 00:00", "03-30 00:30", "03-30 01:00", "03-30 01:30"], [1000, 2000, 3000])


def test_days_and_months_are_as_long_as_the_calendar_says(tmp_path):
    """Lines of a day or a month are no gaps although days have 23 to 25 hours and months 28 to 31 days."""
    days = read(tmp_path, rows("2025-03-29,1", "2025-03-30,1", "2025-03-31,1"), LONDON)
    months = read(tmp_path, rows("2025-01-01,1", "2025-02-01,1", "2025-03-01,1", "2025-04-01,1"), LONDON)

    assert [end - begin for begin, end in zip(days.times, days.times[1:], strict=False)] == [24 * HOUR_MS, 23 * HOUR_MS, 24 * HOUR_MS]  # fmt: skip
    assert seen(months)[0] == ["01-01 00:00", "02-01 00:00", "03-01 00:00", "03-31 23:00", "04-30 23:00"]


def test_registers_and_intervals_of_one_use_are_one_series(tmp_path):
    """What lies between readings of a register is the use that intervals state, stamped at their start or their end."""
    register = read(tmp_path, rows("2025-01-01 00:00,10.0", "2025-01-01 01:00,10.5", "2025-01-01 02:00,10.75", header="time,register"))  # fmt: skip
    starts = read(tmp_path, rows("2025-01-01 00:00,0.5", "2025-01-01 01:00,0.25"))
    ends = read(tmp_path, rows("2025-01-01 01:00,0.5", "2025-01-01 02:00,0.25"), stamp="end")

    assert seen(register) == seen(starts) == seen(ends)
    assert seen(register)[1] == [500, 250]


@pytest.mark.parametrize(
    ("header", "value", "commodity", "usage"),
    [
        ("timestamp,kWh", "1.25", Commodity.ELECTRICITY, 1250),
        ("datetime,Wh", "1250", Commodity.ELECTRICITY, 1250),
        ("Time,usage", "1.250000", Commodity.ELECTRICITY, 1250),
        ("time,m³", "1.25", Commodity.WATER, 1250),
        ("time,m3", "1.25", Commodity.WATER, 1250),
        ("time,l", "1250", Commodity.WATER, 1250),
        ("时间,用量", "1.25", Commodity.WATER, 1250),
        ("时间,电量", "1.25", Commodity.ELECTRICITY, 1250),
        ("日期,水量", "1.25", Commodity.WATER, 1250),
        ("time,note,usage", "x,1.25", Commodity.WATER, 1250),
    ],
)
def test_columns_say_their_unit(tmp_path, header, value, commodity, usage):
    """English and Chinese headings of the units that meters have; further columns are not looked at."""
    text = rows(f"2025-01-01 00:00,{value}", f"2025-01-01 01:00,{value}", header=header)

    assert read(tmp_path, text, commodity=commodity).usage.tolist() == [usage, usage]


@pytest.mark.parametrize("header", ["时间,示数", "time,reading", "time,读数", "time,register"])
def test_registers_have_headings_of_both_languages(tmp_path, header):
    """A column of readings is known by its name."""
    text = rows("2025-01-01 00:00,1.5", "2025-01-01 01:00,2", header=header)

    assert read(tmp_path, text).usage.tolist() == [500]


def test_files_of_windows_programs_are_read(tmp_path):
    """A byte order mark, carriage returns, quotes and empty lines at the end change nothing."""
    text = b'\xef\xbb\xbf\xe6\x97\xb6\xe9\x97\xb4,kwh\r\n"2025-01-01 00:00","0.5"\r\n2025-01-01 01:00,0.25\r\n\r\n,\r\n'

    assert read(tmp_path, text).usage.tolist() == [500, 250]


def test_numbers_are_exact(tmp_path):
    """0.1 + 0.2 Wh by Wh, without a float between."""
    series = read(tmp_path, rows(*(f"2025-01-01 {hour:02}:00,{value}" for hour, value in enumerate(["0.1", "0.2", "0.3", "+4", "5."]))))  # fmt: skip

    assert series.usage.tolist() == [100, 200, 300, 4000, 5000]


def test_rounding_keeps_the_sum(tmp_path):
    """--round rounds the total so far: thousand thirds of a Wh are 333 Wh, not none."""
    third = "0.0003333333333333333"
    hours = [f"2025-01-{1 + n // 24:02} {n % 24:02}:00,{third}" for n in range(720)]
    series = read(tmp_path, rows(*hours), rounds=True)

    assert series.usage.sum() == 240
    assert set(series.usage.tolist()) == {0, 1}


@pytest.mark.parametrize(
    ("value", "usage"),
    [("1e-05", 0), ("0.30000000000000004", 300), ("1.9995", 2000), ("2.5E0", 2500), ("0.25", 250)],
)
def test_numbers_that_programs_write_are_rounded_when_asked(tmp_path, value, usage):
    """Floats in their own notation, and too many decimals."""
    series = read(tmp_path, rows(f"2025-01-01 00:00,{value}", "2025-01-01 01:00,0"), rounds=True)

    assert series.usage.tolist() == [usage, 0]


def test_a_rounded_register_is_rounded_reading_by_reading(tmp_path):
    """Its total is the rounded last reading less the rounded first."""
    text = rows("2025-01-01 00:00,1.0004", "2025-01-01 01:00,1.0016", "2025-01-01 02:00,2.0005", header="time,register")

    assert read(tmp_path, text, rounds=True).usage.tolist() == [2, 999]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "line 1: found nothing; expected a header"),
        ("time,kwh\n", "line 2: found no lines; expected a line for each interval"),
        ("when,kwh\n1,2\n", "line 1: found the columns when, kwh; expected a column time"),
        ("time,amount\n1,2\n", "line 1: found the columns time, amount; expected a column time and one of usage, kwh"),
        ("time,kwh,register\n1,2,3\n", "line 1: found the columns time, kwh, register"),
        ("time,m3\n2025-01-01,2\n", "line 1: found the column m3; expected use of electricity"),
        (rows("2025-01-01 00:00,1"), "line 2: found one line; expected two lines or more"),
        (rows("2025-01-01 00:00,1", header="time,register"), "line 2: found one reading; expected two readings"),
        (rows("2025-01-01 00:00,1", "yesterday,1"), "line 3: found 'yesterday'; expected a time such as"),
        (rows("2025-01-01 00:00,1", ",1"), "line 3: found ''; expected a time such as"),
        (rows("2025-02-30,1", "2025-03-01,1"), "line 2: found '2025-02-30'; expected a time"),
        (rows("2025-01-01 00:00,1", "2025-01-01 24:00,1"), "line 3: found '2025-01-01 24:00'"),
        (rows("2025-01-01T00:00Z,1", "2025-01-01T01:00,1"), "line 3: found 2025-01-01T01:00 without offset; expected offsets in all"),
        (rows("2025-01-01 00:00,1", "2025-01-01 00:00,2"), "line 3: found 2025-01-01 00:00 twice; expected each time once"),
        (rows("2025-01-01 01:00,1", "2025-01-01 00:00,2"), "line 3: found 2025-01-01 00:00 after 2025-01-01 01:00; expected times in order"),
        (rows("2025-01-01 00:00,1", "2025-01-01 01:00,1", "2025-01-01 02:00,1", "2025-01-01 05:00,1"), "line 5: found a gap of 2 hours before it"),
        (rows("2025-01-01,1", "2025-01-02,1", "2025-01-03,1", "2025-01-05,1"), "line 5: found a gap of 1 days before it"),
        (rows("2025-01-01,1", "2025-02-01,1", "2025-03-01,1", "2025-05-01,1"), "line 5: found a gap of 1 months before it"),
        (rows("2025-01-01 00:00,1", "2025-01-01 01:00,-0.5"), "line 3: found usage of -0.500; expected usage that is not negative"),
        (rows("2025-01-01 00:00,1", "2025-01-01 01:00,2000001"), "line 3: found use of 2000001.000; expected at most 1000000.000"),
        (rows("2025-01-01 00:00,5", "2025-01-01 01:00,4.5", header="time,register"), "line 3: found the register fell by 0.500; expected a register that rises"),
        (rows("2025-01-01 00:00,1", "2025-01-01 01:00,oops"), "line 3: found 'oops'; expected a decimal number"),
        (rows("2025-01-01 00:00,1", "2025-01-01 01:00,"), "line 3: found ''; expected a decimal number"),
        (rows("2025-01-01 00:00,1", "2025-01-01 01:00,nan"), "line 3: found 'nan'; expected a decimal number"),
        (rows("2025-01-01 00:00,1", "2025-01-01 01:00,1e3"), "line 3: found '1e3'; expected a decimal number such as 0.250, or --round"),
        (rows("2025-01-01 00:00,1", "2025-01-01 01:00,0.0001"), "line 3: found 0.0001; expected at most 3 decimals"),
        (rows("2025-01-01 00:00,1", "2025-01-01 01:00,0.5", header="time,wh"), "line 3: found 0.5; expected at most 0 decimals in this unit"),
        (rows("2025-01-01 00:00,1", "", "2025-01-01 01:00,oops"), "line 4: found 'oops'"),
        ('time,note,kwh\n2025-01-01 00:00,"two\nlines",1\n2025-01-01 01:00,,oops\n', "line 4: found 'oops'"),
        (rows("2025-01-01 00:00,1", "2025-01-01 01:00,1,2"), "line 3: found 3 values"),
    ],
)  # fmt: skip
def test_what_is_not_sure_is_refused_at_its_line(tmp_path, text, expected):
    """Every mistake says the line of the file, what was found and what to do."""
    with pytest.raises(UsageProblem, match=re.escape(f"usage.csv: {expected}")):
        read(tmp_path, text)


@pytest.mark.parametrize("value", ["oops", "nan", "inf", "-inf", "1e300", ""])
def test_rounding_makes_no_number_of_what_is_none(tmp_path, value):
    """--round is for numbers: others are still refused at their line, without a traceback."""
    with pytest.raises(UsageProblem, match=r"usage\.csv: line 3: found"):
        read(tmp_path, rows("2025-01-01 00:00,1", f"2025-01-01 01:00,{value}"), rounds=True)


def test_a_time_that_clocks_skip_is_refused(tmp_path):
    """01:30 did not exist on that day: whoever writes it means another zone."""
    text = rows("2025-03-30 00:30,1", "2025-03-30 01:30,1")

    with pytest.raises(UsageProblem, match=r"line 3: found 2025-03-30 01:30, which the clocks of Europe/London skip"):
        read(tmp_path, text, LONDON)


def test_a_repeated_hour_that_is_there_once_is_a_gap(tmp_path):
    """Half an hour of winter time is missing where the clock was read only once."""
    clock = ["00:00", "00:30", "01:00", "01:30", "02:00", "02:30"]

    with pytest.raises(UsageProblem, match=r"line 6: found a gap of 1 hours before it"):
        read(tmp_path, rows(*(f"2025-10-26 {at},1" for at in clock)), LONDON)


def test_there_must_be_a_file(tmp_path):
    """A missing file is an error of the system, not of polars."""
    with pytest.raises(FileNotFoundError):
        read_usage(tmp_path / "none.csv", Commodity.WATER, LONDON, stamp="start", rounds=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-31", "2025-01-30T16:00Z"),
        ("2025-01-31 23:30", "2025-01-31T15:30Z"),
        ("2025-01-31T23:30:00+09:00", "2025-01-31T14:30Z"),
        ("2025-01-31T23:30:00Z", "2025-01-31T23:30Z"),
    ],
)
def test_one_time_is_read_as_those_of_a_file(text, expected):
    """What an option says: a date is its local midnight, a time is local unless it has an offset."""
    assert instant(text, SHANGHAI) == int(datetime.fromisoformat(expected).timestamp()) * 1000


@pytest.mark.parametrize("text", ["", "yesterday", "2025-13-01", "2025-01-31 25:00"])
def test_a_text_that_is_no_time_is_refused(text):
    """It says what was found."""
    with pytest.raises(ValueError, match=re.escape(f"found {text!r}; expected a time such as")):
        instant(text, SHANGHAI)


def test_clocks_of_every_kind_are_read_back(tmp_path):
    """A year of half-hours, written as local clock times, is read as the instants that it was written from."""
    for zone in ("Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "America/Havana", "Pacific/Apia", LONDON):  # fmt: skip
        begin = int(datetime.fromisoformat("2010-12-31T12:00Z").timestamp()) * 1000
        times = [begin + n * 30 * MINUTE_MS for n in range(366 * 48)]
        series = read(tmp_path, rows(*(f"{local_text(at, zone)},1" for at in times)), zone)

        assert series.times.tolist()[:-1] == times
