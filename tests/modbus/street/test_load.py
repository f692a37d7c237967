from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.modbus.street.load import (
    AMOUNT_PER_UNIT,
    ConstantLoad,
    HouseholdLoad,
    ReplayedLoad,
    WaterLoad,
    load_file,
)
from domain.units import DAY_MS, HOUR_MS, MINUTE_MS

START_MS = 1_750_000_000_000
CHINA_MS = 8 * HOUR_MS

LOADS = {
    "constant": ConstantLoad(1_000),
    "household": HouseholdLoad(7, "room 101", CHINA_MS),
    "water": WaterLoad(7, "room 101", CHINA_MS),
    "replayed": ReplayedLoad([0, 7 * MINUTE_MS, 40 * MINUTE_MS], [5, 1, 33], 7 * MINUTE_MS),
}


def test_one_kilowatt_for_an_hour_is_one_kilowatt_hour():
    """The unit of amounts is what the module says it is."""
    assert ConstantLoad(1_000).amount_between(0, HOUR_MS) == 1_000 * AMOUNT_PER_UNIT


@pytest.mark.parametrize("name", LOADS)
@settings(max_examples=40)
@given(cuts=st.lists(st.integers(0, 3 * DAY_MS), min_size=2, max_size=12))
def test_reading_more_often_never_changes_the_amount(name, cuts):
    """The parts of an interval add up to the whole, to the last watt-millisecond, wherever it is cut."""
    load, times = LOADS[name], [START_MS + cut for cut in sorted(cuts)]

    parts = [load.amount_between(start, end) for start, end in pairwise(times)]

    assert min(parts) >= 0
    assert sum(parts) == load.amount_between(times[0], times[-1])


@pytest.mark.parametrize("kind", [HouseholdLoad, WaterLoad])
def test_the_same_seed_gives_the_same_street(kind):
    """Two processes that know seed and room agree on every day; another seed or room is another household."""
    days = [kind(1, "101").amount_between(day * DAY_MS, (day + 1) * DAY_MS) for day in range(4)]

    assert [kind(1, "101").amount_between(day * DAY_MS, (day + 1) * DAY_MS) for day in range(4)] == days
    assert kind(2, "101").amount_between(0, DAY_MS) != days[0]
    assert kind(1, "102").amount_between(0, DAY_MS) != days[0]
    assert len(set(days)) == 4


def test_a_household_stays_what_it_was_in_every_release():
    """The numbers of one room are pinned: a street that changes with a library would break replayed demonstrations."""
    load = HouseholdLoad(1, "101", CHINA_MS)

    assert (load.base_w, load.fridge_w, load.kettle_w) == (68, 110, 2_033)
    assert load.amount_between(START_MS, START_MS + DAY_MS) == 22_598_960_000


def test_households_use_what_households_use():
    """Fifty flats take 2 to 25 kWh a day each, more at eight in the evening than at four in the morning."""
    flats = [HouseholdLoad(3, str(room), CHINA_MS) for room in range(50)]
    midnight_ms = START_MS - (START_MS + CHINA_MS) % DAY_MS

    days = [flat.amount_between(midnight_ms, midnight_ms + DAY_MS) // AMOUNT_PER_UNIT for flat in flats]
    night, evening = (
        sum(flat.amount_between(midnight_ms + hour * HOUR_MS, midnight_ms + (hour + 1) * HOUR_MS) for flat in flats)
        for hour in (4, 19)
    )

    assert all(2_000 < wh < 25_000 for wh in days)
    assert evening > 3 * night
    assert max(flat.rate_at(midnight_ms + minute * MINUTE_MS) for flat in flats for minute in range(1_440)) < 10_000


def test_water_flows_by_day_and_not_by_night():
    """Fifty flats take 30 to 900 litres a day; at four in the morning only a dripping tap runs."""
    flats = [WaterLoad(3, str(room), CHINA_MS) for room in range(50)]
    midnight_ms = START_MS - (START_MS + CHINA_MS) % DAY_MS

    days = [flat.amount_between(midnight_ms, midnight_ms + DAY_MS) // AMOUNT_PER_UNIT for flat in flats]

    assert all(30 < litres < 900 for litres in days)
    assert all(flat.rate_at(midnight_ms + 4 * HOUR_MS) == flat.drip for flat in flats)
    assert any(flat.drip for flat in flats)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_real_interval_data_is_replayed_over_its_span_for_ever(tmp_path, suffix):
    """The amount of each interval is its kWh, gaps consume nothing, and the next round begins at the same time of day."""
    first = datetime(2013, 1, 1)  # noqa: DTZ001 - the published data has local times without a zone
    times = [first + timedelta(minutes=30 * slot) for slot in (0, 1, 4)]
    frame = pl.DataFrame({"customer_id": [9] * 3, "reading_datetime": times, "general_supply_kwh": [0.5, 0.141, 2.0]})
    path = tmp_path / f"homes.{suffix}"
    frame.write_csv(path) if suffix == "csv" else frame.write_parquet(path)

    homes = load_file(path)
    load = homes.load(0)

    start_ms = 1_356_998_400_000  # 2013-01-01T00:00Z
    assert load.amount_between(start_ms, start_ms + 30 * MINUTE_MS) == 500 * AMOUNT_PER_UNIT
    assert load.rate_at(start_ms) == 1_000
    assert load.amount_between(start_ms + HOUR_MS, start_ms + 2 * HOUR_MS) == 0
    assert load.amount_between(start_ms, start_ms + DAY_MS) == 2_641 * AMOUNT_PER_UNIT
    assert load.amount_between(start_ms + 9 * DAY_MS, start_ms + 10 * DAY_MS) == 2_641 * AMOUNT_PER_UNIT
    assert homes.load(1, CHINA_MS).amount_between(start_ms - CHINA_MS, start_ms - CHINA_MS + HOUR_MS) == 641 * HOUR_MS


def test_a_time_that_occurs_twice_loses_no_energy(tmp_path):
    """The spring-forward defect of the published data labels two different intervals alike: both are consumed."""
    path = tmp_path / "homes.csv"
    path.write_text(
        "customer_id,reading_datetime,general_supply_kwh\n"
        "1,2012-10-07 00:30:00,0.1\n1,2012-10-07 01:00:00,0.2\n1,2012-10-07 01:00:00,0.4\n"
    )

    load = load_file(path).load(0)

    assert load.amount_between(0, DAY_MS) == 700 * AMOUNT_PER_UNIT


def test_a_file_without_energy_is_refused_by_name(tmp_path):
    """A wrong file says which columns it has and which were expected."""
    path = tmp_path / "weather.csv"
    path.write_text("place,degrees\nhere,21\n")

    with pytest.raises(ValueError, match="place, degrees; expected one named customer_id"):
        load_file(path)


@pytest.mark.parametrize("text", ["", "meter,time,kwh\n1,noon,much\n"])
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path, text):
    """An empty file, or words where numbers belong, end with the file's name and no traceback of a library."""
    path = tmp_path / "homes.csv"
    path.write_text(text)

    with pytest.raises(ValueError, match=r"homes\.csv"):
        load_file(path)
