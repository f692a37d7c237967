"""Files of readings become facts: guesses said, sums conserved, bad rows kept with their line."""

import gzip
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.files.amounts import amounts
from connectors.files.readings import (
    Chunk,
    ImportOptions,
    ImportProblem,
    RowRefusal,
    load_options,
    plan_import,
    read_chunks,
)
from domain.documents import MistakesError
from domain.words import Commodity

DATA = Path(__file__).parents[2].parent / "shared" / "data"
HALF_HOUR_MS = 1_800_000

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"real metering data is absent: {DATA}")


def numbered() -> Callable[[str], int]:
    """Meter numbers 1, 2, 3 … in the order in which a file names its meters."""
    known: dict[str, int] = {}
    return lambda text: known.setdefault(text, len(known) + 1)


def imported(path: Path, *, rows: int = 12_500, **options: object) -> list[Chunk]:
    """All chunks of a file."""
    return list(read_chunks(plan_import(path, ImportOptions.model_validate(options)), numbered(), rows))


def readings(chunks: list[Chunk]) -> list[tuple[int, str, int]]:
    """(meter, UTC time, register) of every reading."""
    columns = [zip(chunk.block.meter, chunk.block.time, chunk.block.register, strict=True) for chunk in chunks]
    return [(int(meter), utc(int(time)), int(register)) for rows in columns for meter, time, register in rows]


def refusals(chunks: list[Chunk]) -> list[tuple[int, str, int]]:
    """(line, reason, usage) of every refused row."""
    return [(fact.line, fact.reason, fact.usage) for chunk in chunks for fact in chunk.refused]


def utc(ms: int) -> str:
    """Day of month and time."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%d %H:%M")


def register_differences(chunks: list[Chunk]) -> int:
    """What a machine would price: each meter's last register less its first, no step down."""
    total = 0
    last: dict[int, int] = {}
    for chunk in chunks:
        for meter, register in zip(chunk.block.meter.tolist(), chunk.block.register.tolist(), strict=True):
            step = register - last.get(meter, register)
            assert step >= 0
            total += step
            last[meter] = register
    return total


def written(folder: Path, text: str, name: str = "usage.csv") -> Path:
    """A file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


INTERVALS = """meter,time,kwh
a,2024-01-01 00:00,0.100
a,2024-01-01 00:30,0.200
a,2024-01-01 02:00,0.300
b,2024-01-01 00:00,0.400
"""


def test_intervals_become_registers_priced_in_their_own_time(tmp_path):
    """A meter opens at 0, and after a gap the register stands still until the next interval begins."""
    chunks = imported(written(tmp_path, INTERVALS), zone="UTC")

    assert readings(chunks) == [
        (1, "01 00:00", 0),
        (1, "01 00:30", 100),
        (1, "01 01:00", 300),
        (1, "01 02:00", 300),
        (1, "01 02:30", 600),
        (2, "01 00:00", 0),
        (2, "01 00:30", 400),
    ]
    assert [(chunk.rows, chunk.usage_in_file, chunk.first_line, chunk.last_line) for chunk in chunks] == [
        (4, 1000, 2, 5)
    ]


def test_an_end_stamp_is_the_reading_time(tmp_path):
    """With `stamp = end` the row's own time closes its interval."""
    chunks = imported(written(tmp_path, INTERVALS), zone="UTC", stamp="end")

    assert readings(chunks)[:2] == [(1, "31 23:30", 0), (1, "01 00:00", 100)]


def test_every_guess_is_said(tmp_path):
    """Nothing is decided in silence: without options there is a sentence for each decision."""
    plan = plan_import(written(tmp_path, INTERVALS), ImportOptions())

    assert list(plan.said) == [
        "separator ','",
        "time = column 2 'time'",
        "time format '%Y-%m-%d %H:%M'",
        "value = column 3 'kwh'",
        "meter = column 1 'meter'",
        "kind interval: by the column's name, for too few rows tell",
        "unit kWh: by the column's name",
        "interval 30 min: 50.0 % of steps",
        "stamp start ASSUMED: a row's time is the begin of its interval; say --stamp end if it is the end",
        "zone UTC ASSUMED: local times are taken for UTC; say --zone, such as Europe/London or UTC+10",
    ]


def test_options_silence_guesses(tmp_path):
    """What the operator says is not guessed, and wins."""
    options = ImportOptions(
        separator=",",
        meter="meter",
        time="time",
        value="kwh",
        kind="register",
        unit="Wh",
        zone="UTC+1",
        time_format="%F %R",
    )
    plan = plan_import(written(tmp_path, INTERVALS), options)

    assert plan.said == ()
    assert readings(list(read_chunks(plan, numbered())))[0] == (1, "31 23:00", 0)


REPEATED = """meter,time,kwh
a,2024-01-01 00:00,0.100
a,2024-01-01 00:30,0.200
a,2024-01-01 00:30,0.250
a,2024-01-01 01:00,0.400
"""


def test_a_repeated_stamp_waits_in_quarantine(tmp_path):
    """The second row of a stamp is neither doubled nor dropped."""
    chunks = imported(written(tmp_path, REPEATED), zone="UTC")

    (fact,) = chunks[0].refused
    assert (fact.line, fact.reason, fact.usage, fact.meter) == (4, "repeated_stamp", 250, 1)
    assert (fact.text, fact.source, utc(fact.at)) == ("a,2024-01-01 00:30,0.250", "usage.csv", "01 01:00")
    assert readings(chunks)[-1] == (1, "01 01:30", 700)
    assert (chunks[0].rows, chunks[0].usage_in_file) == (4, 950)


def test_a_repeated_stamp_can_be_added(tmp_path):
    """With `repeats = add` the register advances by both rows inside the same interval."""
    chunks = imported(written(tmp_path, REPEATED), zone="UTC", repeats="add")

    assert readings(chunks) == [(1, "01 00:00", 0), (1, "01 00:30", 100), (1, "01 01:00", 550), (1, "01 01:30", 950)]
    assert (chunks[0].rows, chunks[0].usage_in_file, chunks[0].refused) == (4, 950, [])


def test_rows_out_of_order_are_sorted_and_said(tmp_path):
    """Interval rows may come in any order; the register still runs with time."""
    text = "meter,time,kwh\na,2024-01-01 00:30,0.2\na,2024-01-01 00:00,0.1\na,2024-01-01 01:00,0.3\n"
    chunks = imported(written(tmp_path, text), zone="UTC", kind="interval")

    assert readings(chunks) == [(1, "01 00:00", 0), (1, "01 00:30", 100), (1, "01 01:00", 300), (1, "01 01:30", 600)]
    assert chunks[0].said == ("1 rows came before an earlier one of their meter: rows are sorted by meter and time",)


def test_the_order_column_says_which_row_came_first(tmp_path):
    """Of two rows with one stamp, the one that `order` puts second is refused."""
    text = "meter,time,kwh,key\na,2024-01-01 00:00,0.2,10\na,2024-01-01 00:00,0.1,9\na,2024-01-01 00:30,0.3,11\n"
    chunks = imported(written(tmp_path, text), zone="UTC", kind="interval", order="key", interval_minutes=30)

    assert refusals(chunks) == [(2, "repeated_stamp", 200)]


BAD = """meter,time,kwh
a,2024-01-01 00:00,0.100

a,2024-01-01 00:30,0.200,9
,2024-01-01 01:00,0.300
a,noon,0.400
a,2024-03-31 01:30,0.500
a,2024-01-01 02:00,n/a
a,2024-01-01 02:30,-0.600
a,2024-01-01 03:00,9000001
z,2024-01-01 03:00,0.700
a,2024-01-01 03:30
a,2024-01-01 00:30,0.200
"""


def test_each_bad_row_is_refused_with_its_line_and_its_usage(tmp_path):
    """A row that cannot be read or believed has a named reason, its physical line, and the Wh that it states."""
    options = {"zone": "Europe/London", "kind": "interval", "interval_minutes": 30, "time_format": "%F %R"}
    plan = plan_import(written(tmp_path, BAD), ImportOptions.model_validate(options))
    chunks = list(read_chunks(plan, lambda text: 0 if text == "z" else 7))

    assert refusals(chunks) == [
        (4, "wrong_field_count", 200),
        (5, "empty_meter", 300),
        (6, "unreadable_time", 400),
        (7, "nonexistent_local_time", 500),
        (8, "unreadable_value", 0),
        (9, "negative_usage", 0),
        (10, "usage_too_large", 9_000_001_000),
        (11, "unknown_meter", 700),
        (12, "wrong_field_count", 0),
    ]
    assert readings(chunks) == [(7, "01 00:00", 0), (7, "01 00:30", 100), (7, "01 01:00", 300)]
    assert chunks[0].rows == 11
    assert sum(usage for _, _, usage in refusals(chunks)) + 300 == chunks[0].usage_in_file


def test_the_documentation_names_every_reason_and_option():
    """docs/import.md tells of each way to be refused and of each option."""
    text = (Path(__file__).parents[2] / "docs" / "import.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`([a-z_]+)`", text))

    assert set(RowRefusal) | set(ImportOptions.model_fields) <= told


REGISTERS = """register_l;serial;read_at
100;a;31.12.2023 23:00:00
2e+02;a;31.12.2023 23:59:59
150;a;01.01.2024 01:00:00
150;a;01.01.2024 01:00:00
90;a;31.12.2023 22:00:00
90.6;a;13.01.2024 22:00:00
"""


def test_registers_keep_the_order_of_the_file(tmp_path):
    """Late, repeated and falling registers are the machine's to judge, so they pass as they are."""
    chunks = imported(written(tmp_path, REGISTERS), zone="UTC", kind="register")

    assert readings(chunks) == [
        (1, "31 23:00", 100),
        (1, "31 23:59", 200),
        (1, "01 01:00", 150),
        (1, "01 01:00", 150),
        (1, "31 22:00", 90),
        (1, "13 22:00", 91),
    ]
    assert (chunks[0].usage_in_file, chunks[0].refused) == (0, [])


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        (
            ["00:30", "01:10", "01:40", "01:05", "01:50", "02:10"],
            ["23:30", "00:10", "00:40", "01:05", "01:50", "02:10"],
        ),
        (["01:20", "01:20", "01:30", "02:20"], ["00:20", "01:20", "01:30", "02:20"]),
        (["01:20", "02:20"], ["00:20", "02:20"]),
    ],
)
def test_the_repeated_hour_of_autumn_is_resolved_by_order(tmp_path, local, expected):
    """A step back, or the same stamp again, begins the hour's second pass."""
    rows = "".join(f"a,2023-10-29 {clock},{register}\n" for register, clock in enumerate(local))
    chunks = imported(written(tmp_path, "meter,time,register_wh\n" + rows), zone="Europe/London", kind="register")

    assert [time[3:] for _, time, _ in readings(chunks)] == expected


@pytest.mark.parametrize("clocks", [["01:00", "01:30", "01:00", "01:30"], ["01:00", "01:00", "01:30", "01:30"]])
def test_intervals_of_the_repeated_hour_are_four_different_ones(tmp_path, clocks):
    """Half-hours of both passes are kept apart, whether the file has them as they came or sorted."""
    rows = "".join(f"a,2023-10-29 {clock},0.{number}\n" for number, clock in enumerate(clocks, start=1))
    chunks = imported(
        written(tmp_path, "meter,time,kwh\n" + rows), zone="Europe/London", kind="interval", interval_minutes=30
    )

    assert [time for _, time, _ in readings(chunks)] == ["29 00:00", "29 00:30", "29 01:00", "29 01:30", "29 02:00"]
    assert readings(chunks)[-1][2] == 1000
    assert refusals(chunks) == []


@pytest.mark.parametrize(
    ("stamps", "time_format", "first"),
    [
        (["2024-01-02T03:04:05Z", "2024-01-02T04:04:05Z"], "%Y-%m-%dT%H:%M:%S%#z", "02 03:04"),
        (["2024-01-02 03:04:05+02:00", "2024-01-02 04:04:05+02:00"], "%Y-%m-%d %H:%M:%S%#z", "02 01:04"),
        (["02/01/2024 03:04", "02/01/2024 04:04"], "%d/%m/%Y %H:%M", "02 02:04"),
        (["2024年01月02日 03:04", "2024年01月02日 04:04"], "%Y年%m月%d日 %H:%M", "02 02:04"),
        (["02JAN24:03:04:05", "02JAN24:04:04:05"], "%d%b%y:%H:%M:%S", "02 02:04"),
        (["20240102", "20240103"], "%Y%m%d", "01 23:00"),
        (["1704164645", "1704168245"], "epoch_s", "02 03:04"),
        (["1704164645000", "1704168245000"], "epoch_ms", "02 03:04"),
    ],
)
def test_time_formats_are_guessed(tmp_path, stamps, time_format, first):
    """The usual ways to write a time are read; one that states its instant ignores the zone."""
    rows = "".join(f"m-{number};{stamp};{number}.5\n" for number, stamp in enumerate(stamps))
    plan = plan_import(
        written(tmp_path, "meter;time;register_kwh\n" + rows), ImportOptions(zone="UTC+1", kind="register")
    )

    assert plan.time_format == time_format
    assert readings(list(read_chunks(plan, numbered())))[0] == (1, first, 500)


def test_chinese_columns_and_encoding_are_understood(tmp_path):
    """A file as Excel saves it in China: GB 18030, Chinese names."""
    path = tmp_path / "抄表.csv"
    path.write_bytes("表号,抄表时间,示数(kWh)\n1001,2024-01-01 00:00,12.5\n".encode("gb18030"))
    plan = plan_import(path, ImportOptions(zone="Asia/Shanghai"))

    assert (plan.meter, plan.time, plan.value, plan.kind) == ("表号", "抄表时间", "示数(kWh)", "register")
    assert readings(list(read_chunks(plan, int))) == [(1001, "31 16:00", 12_500)]


def test_quotes_decimal_commas_and_gzip_are_read(tmp_path):
    """Quoted fields may hold separators and line ends; the line is still the file's own."""
    path = tmp_path / "usage.csv.gz"
    text = '"meter";"time";"kwh"\r\n"a;1";"2024-01-01 00:00";"0,5"\r\n"a\n2";"2024-01-01 00:00";"x"\r\n'
    path.write_bytes(gzip.compress(text.encode()))
    chunks = imported(path, zone="UTC", kind="interval", interval_minutes=30, value="kwh")

    assert readings(chunks) == [(1, "01 00:00", 0), (1, "01 00:30", 500)]
    assert refusals(chunks) == [(3, "unreadable_value", 0)]


def test_a_file_without_header_gets_numbered_columns(tmp_path):
    """A first line with numbers in it is a row."""
    path = written(tmp_path, "a,2024-01-01 00:00,0.5\na,2024-01-01 00:30,0.25\n")
    chunks = imported(path, zone="UTC", kind="interval", meter="column 1")

    assert readings(chunks)[-1] == (1, "01 01:00", 750)


@pytest.mark.parametrize(
    ("text", "decimals", "expected"),
    [("0.2195", 3, 220), ("0.2194999", 3, 219), ("2e+05", 0, 200_000), (".5", 3, 500), ("-1.0005", 3, -1001)]
    + [(bad, 3, None) for bad in ("", "nan", "inf", "1,5", "1_0", "0x1", "1e400", "9999999999999999", "１")],
)
def test_text_amounts_are_exact(text, decimals, expected):
    """Decimals are read digit by digit, half away from zero, and nothing else is a number."""
    assert amounts(pl.Series([text]), decimals).to_list() == [expected]


@given(st.integers(0, 10**9), st.integers(0, 3))
def test_float_amounts_are_the_decimals_that_were_meant(thousandths, zeros):
    """A float column of decimals gives the same integers as its text."""
    value = thousandths * 10**zeros

    assert amounts(pl.Series([value / 1000]), 3).to_list() == [value]


STAMPS = st.integers(0, 12).map(lambda slot: f"2024-01-01 {slot // 2:02d}:{slot % 2 * 30:02d}")
KWH = st.one_of(st.integers(0, 9_999).map(lambda wh: f"{wh / 1000:.3f}"), st.sampled_from(["", "x", "-1", "1e-1"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(
    rows=st.lists(st.tuples(st.sampled_from("abc"), STAMPS, KWH), min_size=1, max_size=40),
    size=st.integers(1, 9),
    repeats=st.sampled_from(["quarantine", "add"]),
)
def test_no_watt_hour_is_lost_or_made(tmp_path, rows, size, repeats):
    """Register differences and refused usage add up to the file's usage; each row is in one chunk; times only grow."""
    text = "meter,time,kwh\n" + "".join(f"{','.join(row)}\n" for row in rows)
    options = {"zone": "UTC", "kind": "interval", "interval_minutes": 30, "repeats": repeats, "separator": ","}
    options |= {"value": "kwh", "time_format": "%F %R", "meter": "meter"}
    chunks = imported(written(tmp_path, text), rows=size, **options)
    stated = sum(round(float(kwh) * 1000) for _, _, kwh in rows if kwh not in {"", "x", "-1"})

    assert stated == sum(chunk.usage_in_file for chunk in chunks)
    assert stated == register_differences(chunks) + sum(usage for _, _, usage in refusals(chunks))
    assert len(rows) == sum(chunk.rows for chunk in chunks)
    assert all(len(chunk.block) + len(chunk.refused) <= size for chunk in chunks)
    for meter in (1, 2, 3):
        times = [int(at) for chunk in chunks for at in chunk.block.time[chunk.block.meter == meter]]
        assert times == sorted(set(times))


@pytest.mark.parametrize(
    ("text", "options", "problem"),
    [
        ("", {}, "the file is empty"),
        ("meter,time,kwh\n", {}, "a header and no rows"),
        ("kwh\n1\n", {}, "name one with --separator"),
        ("meter,kwh\na,1\n", {}, "no column looks like a time: name one with --time COLUMN; columns are: meter, kwh"),
        ("meter,time\na,2024-01-01\n", {}, "name one with --value COLUMN"),
        ("time,kwh\n2024-01-01,1\n", {}, "name one with --meter COLUMN"),
        (INTERVALS, {"meter": "metre"}, "--meter: no column 'metre'; columns are: meter, time, kwh"),
        (
            "meter,time,kwh\na,noon,1\n",
            {"time": "time"},
            "such as 'noon', are of no known format: name it with --time-format",
        ),
        (
            INTERVALS,
            {"time_format": "%d.%m.%Y"},
            "'%d.%m.%Y' reads no time of column 'time', such as '2024-01-01 00:00'",
        ),
        (INTERVALS, {"time_format": "%H %q"}, "reads no time"),
        ("meter,time,kwh\na,2024-01-01,1\n", {}, "say --interval-minutes"),
        (INTERVALS, {"commodity": "water"}, "--unit kWh does not measure water"),
    ],
)
def test_a_file_that_cannot_be_imported_says_what_to_do(tmp_path, text, options, problem):
    """An error names the option that would help."""
    with pytest.raises(ImportProblem, match=problem.replace("(", r"\(")):
        plan_import(written(tmp_path, text), ImportOptions.model_validate({"zone": "UTC"} | options))


def test_a_missing_file_is_a_problem(tmp_path):
    """No file, no traceback."""
    with pytest.raises(ImportProblem, match="no such file"):
        plan_import(tmp_path / "none.csv", ImportOptions())


def test_mistakes_in_options_have_lines(tmp_path):
    """The options file is checked whole, each mistake with its line."""
    path = written(tmp_path, 'zone = "Europe/Nowhere"\nkind = "sometimes"\nmetre = "a"\n', "options.toml")

    with pytest.raises(MistakesError) as caught:
        load_options(path)
    assert [(mistake.line, mistake.key) for mistake in caught.value.mistakes] == [
        (1, "zone"),
        (2, "kind"),
        (3, "metre"),
    ]


def test_options_load(tmp_path):
    """A small file of options."""
    path = written(tmp_path, 'zone = "UTC+10"\nunit = "kWh"\ninterval_minutes = 30\n', "options.toml")

    assert load_options(path) == ImportOptions(zone="UTC+10", unit="kWh", interval_minutes=30)


@needs_data
def test_the_london_file_is_understood():
    """Low Carbon London: 50 homes, half-hours of kWh, guessed with no option but the zone."""
    plan = plan_import(DATA / "lcl_2013_50homes_30min.parquet", ImportOptions(zone="UTC"))
    chunks = list(read_chunks(plan, numbered()))

    assert (plan.meter, plan.time, plan.value) == ("lclid", "tstp", "kwh")
    assert (plan.kind, plan.unit, plan.interval_ms, plan.commodity) == (
        "interval",
        "kWh",
        HALF_HOUR_MS,
        Commodity.ELECTRICITY,
    )
    assert sum(chunk.rows for chunk in chunks) == 828_988
    assert register_differences(chunks) == sum(chunk.usage_in_file for chunk in chunks) == 180_957_537
    assert refusals(chunks) == []


@needs_data
@pytest.mark.parametrize("zone", ["UTC+10", "Australia/Sydney"])
def test_the_sydney_file_keeps_its_repeated_half_hours(zone):
    """Smart Grid Smart City: the 184 stamps that spring repeats are refused with their energy, not dropped."""
    plan = plan_import(DATA / "sgsc_50homes_30min.parquet", ImportOptions(zone=zone))
    chunks = list(read_chunks(plan, numbered()))
    refused = refusals(chunks)

    assert (plan.meter, plan.time, plan.value) == ("customer_id", "reading_datetime", "general_supply_kwh")
    assert (plan.kind, plan.unit, plan.interval_ms) == ("interval", "kWh", HALF_HOUR_MS)
    assert Counter(reason for _, reason, _ in refused) == {"repeated_stamp": 184}
    assert sum(chunk.rows for chunk in chunks) == 1_450_232
    assert sum(chunk.usage_in_file for chunk in chunks) == 308_385_375
    assert register_differences(chunks) + sum(usage for _, _, usage in refused) == 308_385_375


@needs_data
def test_the_alicante_file_is_understood():
    """DAIAD: litres of 92 water meters in Spanish local time, defects and all, one reading a row."""
    plan = plan_import(DATA / "daiad_water_swm_trialA.csv.gz", ImportOptions(zone="Europe/Madrid"))
    chunks = list(read_chunks(plan, numbered()))
    columns = {"meter": "meter", "time": "time", "register": "register"}
    rows = pl.concat([pl.DataFrame({name: getattr(chunk.block, name) for name in columns}) for chunk in chunks])
    steps = rows.select(pl.col("register", "time").diff().over("meter"))

    assert (plan.layout.separator, plan.meter, plan.time, plan.value) == (";", "user key", "datetime", "meter reading")
    assert (plan.kind, plan.unit, plan.commodity) == ("register", "l", Commodity.WATER)
    assert (len(rows), refusals(chunks)) == (674_019, [])
    assert int((steps["register"] < 0).sum()) == 203
    assert int((steps["time"] < 0).sum()) == 0  # All nine steps back of its clocks are the autumn hour's second pass.
    assert len(rows.filter(pl.col("register").is_in([200_000, 400_000, 600_000]))) >= 4


def test_parquet_instants_and_decimals_are_exact(tmp_path):
    """A Parquet file's own times and decimals need no zone and no rounding; a row's words are its values."""
    path = tmp_path / "usage.parquet"
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    columns = {
        "nmi": [7, 7, None],
        "read_at": pl.Series([begin] * 3)
        .dt.offset_by(pl.Series(["0m", "30m", "1h"]))
        .dt.convert_time_zone("Asia/Tokyo"),
        "kwh": pl.Series(["0.2195", "0.1000", "0.3000"]).str.to_decimal(scale=4),
    }
    pl.DataFrame(columns).write_parquet(path)
    plan = plan_import(path, ImportOptions(kind="interval"))
    chunks = list(read_chunks(plan, numbered()))

    assert not any("zone" in sentence for sentence in plan.said)
    assert readings(chunks) == [(1, "01 00:00", 0), (1, "01 00:30", 220), (1, "01 01:00", 320)]
    assert [(fact.line, fact.reason, fact.text[:1]) for fact in chunks[0].refused] == [(3, "empty_meter", ";")]


@pytest.mark.parametrize("name", ["broken.parquet", "broken.csv.gz"])
def test_a_broken_file_is_a_problem(tmp_path, name):
    """A file that is not what its name says is refused in words."""
    with pytest.raises(ImportProblem, match="cannot be read"):
        plan_import(written(tmp_path, "PAR1 or not", name), ImportOptions())
