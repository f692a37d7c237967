"""Records of OpenEI's URDB as tariff files: each must load, and bill as a plain walk through the record's own hours does."""

import json
import random
import re
from calendar import monthrange
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from domain.units import HOUR_MS
from tariffs.bill import bills
from tariffs.loader import load_tariff
from tariffs.periods import midnight_ms
from tariffs.series import Series
from tariffs.tariff import Premises, plan_of
from tariffs.urdb import ImportRefusedError, import_record, record_of
from tariffs.zones import zone

FOLDER = Path(__file__).parent / "urdb"
ZONE = "America/New_York"
YEAR = 2018
CAPACITY_KW = 3
HOURS = [[0] * 24 for _ in range(12)]
FLAT = {"label": "x", "name": "Flat", "energyratestructure": [[{"rate": 0.1}]]}


def imported(record, **options):
    """The file of a record, which is read as JSON first, as a user's is."""
    return import_record(record_of(json.dumps(record)), ZONE, **options)


def load_of_a_year(seed):
    """Hours of a local year: (local time, Wh), in whole quarters of a kWh-hour so that every quarter of an hour has a quarter."""
    begin, end = (midnight_ms(date(year, 1, 1), ZONE) for year in (YEAR, YEAR + 1))
    dice = random.Random(seed)
    starts = range(begin, end, HOUR_MS)
    local = [datetime.fromtimestamp(at // 1000, UTC).astimezone(zone(ZONE)) for at in starts]
    return begin, local, [4 * dice.randint(0, 900) for _ in starts]


def our_bills(text, begin, usage):
    """Twelve monthly bills."""
    times = begin + np.arange(len(usage) + 1, dtype=np.int64) * HOUR_MS
    edges = [midnight_ms(date(YEAR + month // 12, month % 12 + 1, 1), ZONE) for month in range(13)]
    plan = plan_of(load_tariff(text), Premises(capacity_w=CAPACITY_KW * 1000))
    return [bill.total for bill in bills(plan, Series(times, np.array(usage, np.int64)), edges)]


def amount(value):
    """A number of a record, exact as it is written."""
    return Fraction(str(value))


def tier_price(tier):
    """What a tier costs."""
    return amount(tier.get("rate", 0)) + amount(tier.get("adj", 0))


def stepped(tiers, floor, quantity, scale=1):
    """What a quantity beyond `floor` costs, tier by tier."""
    cost, low = Fraction(0), Fraction(0)
    for number, tier in enumerate(tiers):
        top = amount(tier["max"]) * scale if number < len(tiers) - 1 else floor + quantity
        cost += max(Fraction(0), min(top, floor + quantity) - max(low, floor)) * tier_price(tier)
        low = max(low, top)
    return cost


def plain_bill(record, month, hours):
    """A month by the record alone: (local time, kWh) hour by hour, then demand, then what is fixed."""
    days = monthrange(YEAR, month + 1)[1]
    unit = record["energyratestructure"][0][0].get("unit", "kWh")
    scale = (days if "daily" in unit else 1) * (CAPACITY_KW if "/kW" in unit else 1)
    fuel = amount((record.get("fueladjustmentsmonthly") or [0] * 12)[month])
    total, used = Fraction(0), Fraction(0)
    peaks = {}
    for at, kwh in hours:
        kind = "weekend" if at.weekday() >= 5 else "weekday"
        period = record[f"energy{kind}schedule"][month][at.hour]
        total += stepped(record["energyratestructure"][period], used, kwh, scale) + fuel * kwh
        used += kwh
        if "demandratestructure" in record:
            demand = record[f"demand{kind}schedule"][month][at.hour]
            peaks[demand] = max(peaks.get(demand, 0), kwh)
    total += sum(stepped(record["demandratestructure"][period], Fraction(0), peak) for period, peak in peaks.items())
    if "flatdemandstructure" in record:
        period = record["flatdemandmonths"][month]
        total += stepped(record["flatdemandstructure"][period], Fraction(0), max(kwh for _, kwh in hours))
    times = {"$/month": 1, "$/day": days, "$/year": Fraction(days, 365)}
    total += amount(record.get("fixedchargefirstmeter", 0)) * times[record.get("fixedchargeunits", "$/month")]
    total += amount(record.get("fixedmonthlycharge", 0))
    return max(total, amount(record.get("mincharge", 0)) * times[record.get("minchargeunits", "$/month")])


def plain_bills(record, local, usage):
    """All months."""
    hours = [(at, Fraction(wh, 1000)) for at, wh in zip(local, usage, strict=True)]
    return [plain_bill(record, month, [each for each in hours if each[0].month == month + 1]) for month in range(12)]


def random_schedule(dice, periods):
    """12 rows of 24 periods; neighbouring months are often alike."""
    rows = []
    for month in range(12):
        if month and dice.random() < 0.7:
            rows.append(rows[-1])
        else:
            edge = sorted(dice.sample(range(25), 2))
            first, second = dice.randrange(periods), dice.randrange(periods)
            rows.append([second if edge[0] <= hour < edge[1] else first for hour in range(24)])
    return rows


def random_tiers(dice, unit=None, most=1000):
    """Tiers of energy or demand."""
    tops = sorted(dice.sample(range(1, most), dice.choice([0, 0, 1, 2])))
    tiers = [
        {"rate": dice.randint(1, 40_000) / 100_000, "adj": dice.randint(-500, 2_000) / 100_000} for _ in (*tops, 0)
    ]
    for tier, top in zip(tiers, tops, strict=False):
        tier["max"] = top
    return [tier | ({"unit": unit} if unit else {}) for tier in tiers]


def random_record(seed):
    """A record of everything that a tariff file can state."""
    dice = random.Random(seed)
    unit = dice.choice(["kWh", "kWh", "kWh daily", "kWh/kW", "kWh/kW daily"])
    periods, most = dice.randint(1, 4), 40 if "daily" in unit else 1000
    record = {
        "label": f"seed{seed}",
        "utility": "Example",
        "name": f"Random {seed}",
        "startdate": 1_483_228_800,
        "energyratestructure": [random_tiers(dice, unit, most) for _ in range(periods)],
        "energyweekdayschedule": random_schedule(dice, periods),
        "energyweekendschedule": random_schedule(dice, periods),
    }
    if dice.random() < 0.5:
        record |= {
            "demandratestructure": [random_tiers(dice, most=4), [{"rate": 0}], random_tiers(dice, most=4)],
            "demandweekdayschedule": random_schedule(dice, 3),
            "demandweekendschedule": random_schedule(dice, 3),
        }
    if dice.random() < 0.5:
        count = dice.randint(1, 3)
        record["flatdemandstructure"] = [random_tiers(dice, most=4) for _ in range(count)]
        record["flatdemandmonths"] = [dice.randrange(count) for _ in range(12)]
    if dice.random() < 0.4:
        record["fueladjustmentsmonthly"] = [dice.choice([0, 0.0123, 0.02]) for _ in range(12)]
    if dice.random() < 0.6:
        record |= {"fixedchargefirstmeter": 12.34, "fixedchargeunits": dice.choice(["$/month", "$/day", "$/year"])}
    if dice.random() < 0.4:
        record |= {"mincharge": dice.choice([3.5, 200]), "minchargeunits": dice.choice(["$/month", "$/day"])}
    return record


@pytest.mark.parametrize("name", ["florida-rs1", "made-up-commercial"])
def test_a_record_is_billed_as_it_says(name):
    """Twelve months of a residential and a commercial record, to the last digit."""
    text = (FOLDER / f"{name}.json").read_text("utf-8")
    begin, local, usage = load_of_a_year(name)

    made = import_record(record_of(text), ZONE)

    assert our_bills(made.text, begin, usage) == plain_bills(json.loads(text), local, usage)


@pytest.mark.parametrize("seed", range(16))
def test_random_records_are_billed_as_they_say(seed):
    """Periods, tiers of every unit, demand by hour and by month, fuel, fixed and minimum charges in any combination."""
    record = random_record(seed)
    begin, local, usage = load_of_a_year(seed)

    made = imported(record)

    assert our_bills(made.text, begin, usage) == plain_bills(record, local, usage)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"energyratestructure": []}, "energyratestructure: found none; expected tiers for each period"),
        ({"energyratestructure": [[{"rate": 0.1}], [{"rate": 0.2}]]}, "energyweekdayschedule: found nothing; expected 12 rows of 24"),
        ({"energyweekdayschedule": [[0] * 23] * 12}, "energyweekdayschedule: found another shape"),
        ({"energyweekdayschedule": [*HOURS[:11], [0] * 23 + [1]]}, "energyweekdayschedule[11][23]: found 1; expected a period from 0 to 0"),
        ({"energyratestructure": [[{"max": 100, "rate": 0.1, "unit": "hp"}, {"rate": 0.2}]]}, "energyratestructure: tiers in several units; expected kWh"),
        ({"energyratestructure": [[{"max": 100, "rate": 0.1, "unit": "hp"}, {"rate": 0.2, "unit": "hp"}]]}, "energyratestructure: tiers in hp; expected kWh"),
        ({"energyratestructure": [[{"rate": 0.1}, {"rate": 0.2}]]}, "energyratestructure[0]: found tiers with max"),
        ({"energyratestructure": [[{"max": 9, "rate": 0.1}, {"max": 5, "rate": 0.1}, {"rate": 0.2}]]}, "energyratestructure[0]: found tiers with max ['9', '5', 'None']; expected rising ones"),
        ({"fueladjustmentsmonthly": [0.1]}, "fueladjustmentsmonthly: found 1 values; expected 12"),
        ({"fixedchargefirstmeter": 1, "fixedchargeunits": "$/hour"}, "fixedchargeunits: found '$/hour'; expected $/month, $/day, $/year"),
        ({"flatdemandstructure": [[{"rate": 1}]], "flatdemandunit": "hp"}, "demandrateunit: found 'hp'; expected kW"),
        ({"flatdemandstructure": [[{"rate": 1}]], "demandwindow": 7}, "demandwindow: found 7; expected one of [5, 10, 15, 30, 60] minutes"),
        ({"flatdemandstructure": [[{"rate": 1}, {"rate": 2}]]}, "flatdemandstructure[0]: a tier but the last has no max"),
        ({"flatdemandstructure": [[{"rate": 1}]], "flatdemandmonths": [0] * 11}, "flatdemandmonths: found"),
        ({"demandratestructure": [[{"rate": 1}]], "demandweekdayschedule": HOURS, "demandweekendschedule": HOURS[:3]}, "demandweekendschedule: found another shape"),
    ],
)  # fmt: skip
def test_a_record_whose_price_cannot_be_stated_is_refused(change, reason):
    """With the key, what was found and what is expected."""
    with pytest.raises(ImportRefusedError, match=re.escape(reason)):
        imported(FLAT | change)


def test_every_reason_is_told_at_once():
    """Whoever mends a record mends it once."""
    with pytest.raises(ImportRefusedError) as refusal:
        imported(FLAT | {"fueladjustmentsmonthly": [1], "fixedchargefirstmeter": 1, "fixedchargeunits": "?"})

    assert len(refusal.value.args) == 2


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({}, "the record has no startdate"),
        ({"enddate": 1_514_764_800}, "the record ended on 2018-01-01; a tariff file has no end"),
        ({"energyratestructure": [[{"rate": 0.1, "sell": 0.03}]]}, "sell rates"),
        ({"energyratestructure": [[{"rate": 0.12345678949}]]}, "the price 0.12345678949 has more than 9 decimals and is rounded to 0.123456789"),
        ({"energyratestructure": [[{"rate": 0.1, "max": 500}]]}, "energyratestructure[0]: use beyond its last max of 500"),
        ({"demandratchetpercentage": [0.5] * 12}, "demandratchetpercentage is not stated"),
        ({"annualmincharge": 100}, "annualmincharge is not stated"),
        ({"mincharge": 100, "minchargeunits": "$/year"}, "mincharge of 100 $/year: no single bill can know it"),
        ({"flatdemandstructure": [[{"rate": 1}]]}, "the record does not say of how many minutes"),
        ({"energyratestructure": [[{"max": 9, "rate": 0.1, "unit": "kWh/kW"}, {"rate": 0.2, "unit": "kWh/kW"}]]}, "per kW of contracted capacity"),
    ],
)  # fmt: skip
def test_what_a_file_cannot_state_is_noted(change, note):
    """In the notes and at the top of the file, and never dropped in silence."""
    made = imported(FLAT | change)

    assert any(note in each for each in made.notes)
    assert all(f"# - {each}" in made.text for each in made.notes)
    load_tariff(made.text)


@pytest.mark.parametrize(
    ("startdate", "begins"),
    [(1_514_764_800, date(2018, 1, 1)), (1_514_782_800, date(2018, 1, 1)), (1_530_417_600, date(2018, 7, 1))],
)
def test_a_record_begins_at_midnight_of_greenwich_or_of_its_place(startdate, begins):
    """Records write a date as midnight in UTC or where they are; both mean the local date."""
    tariff = load_tariff(imported(FLAT | {"startdate": startdate}).text)

    assert tariff.versions[0].from_ms == midnight_ms(begins, ZONE)


@pytest.mark.parametrize(
    ("utility", "name", "tariff"),
    [
        ("Example Power", "GS-1 (TOU)", "example-power-gs-1-tou"),
        ("", "", "urdb-record"),
        ("示例", "电价", "x"),
        ('Quote " and \\ back', "line\nbreak", "quote-and-back-line-break"),
        ("U" * 80, "long", "u" * 64),
    ],
)
def test_any_name_makes_a_file_that_loads(utility, name, tariff):
    """Ids are made of letters and digits; titles keep every character that can be printed."""
    made = imported(FLAT | {"utility": utility, "name": name})

    assert made.tariff == load_tariff(made.text).id == tariff


def test_an_id_and_a_currency_may_be_said():
    """They replace what is made of the name."""
    tariff = load_tariff(imported(FLAT, tariff="mine", currency="CAD").text)

    assert (tariff.id, tariff.currency) == ("mine", "CAD")


def test_labels_of_periods_become_bands():
    """Where a record names its periods, the bands have those names."""
    record = FLAT | {
        "energyratestructure": [[{"rate": 0.1}], [{"rate": 0.2}]],
        "energyweekdayschedule": [[0] * 12 + [1] * 12] * 12,
        "energyweekendschedule": HOURS,
        "energytoulabels": ["Off-Peak", "On-Peak"],
    }

    assert load_tariff(imported(record).text).bands == ("off_peak", "on_peak")


@pytest.mark.parametrize(
    ("text", "label", "expected"),
    [
        ('{"items": [{"label": "a"}, {"label": "b"}]}', "b", "b"),
        ('{"items": [{"label": "a"}]}', None, "a"),
        ('[{"label": "a"}]', "a", "a"),
        ('{"label": "a"}', None, "a"),
    ],
)
def test_the_record_that_is_asked_for(text, label, expected):
    """A file has one record, or several that OpenEI answers with."""
    assert record_of(text, label)["label"] == expected


@pytest.mark.parametrize(
    ("text", "label", "reason"),
    [
        ("{", None, "line 1: no JSON"),
        ("3", None, "expected a URDB record"),
        ("[1]", None, "expected a URDB record"),
        ('{"items": 3}', None, "expected a URDB record"),
        ('{"items": [{"label": "a", "name": "A"}, {"label": "b"}]}', None, "2 records; say which with --label: a (A), b (None)"),
        ('{"items": [{"label": "a"}]}', "c", "0 records; none has this label"),
        ('{"items": []}', None, "0 records"),
    ],
)  # fmt: skip
def test_a_text_without_one_record_is_refused(text, label, reason):
    """With the labels that there are."""
    with pytest.raises(ImportRefusedError, match=re.escape(reason)):
        record_of(text, label)


@pytest.mark.parametrize(
    "change",
    [
        {"energyratestructure": [[{"rate": "cheap"}]]},
        {"energyratestructure": [[3]]},
        {"energyratestructure": [[{"max": "much", "rate": 1}, {"rate": 2}]]},
        {"startdate": "soon"},
        {"energyweekdayschedule": 3},
        {"fixedchargefirstmeter": "x"},
        {"mincharge": []},
        {"fueladjustmentsmonthly": ["x"] * 12},
        {"fueladjustmentsmonthly": 3},
        {"flatdemandstructure": [[]]},
        {"flatdemandstructure": 3},
        {"demandratestructure": [[{"rate": "x"}]]},
        {"flatdemandstructure": [[{"rate": 1}]], "demandwindow": "x"},
        {"flatdemandstructure": [[{"rate": 1}]], "flatdemandmonths": 3},
        {"energytoulabels": 3},
    ],
)
def test_values_of_another_kind_are_refused(change):
    """A record from anywhere ends in a refusal, never in a traceback."""
    with pytest.raises(ImportRefusedError):
        imported(FLAT | change)
