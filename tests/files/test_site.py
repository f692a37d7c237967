import re
from pathlib import Path

import pytest

from connectors.files.site import (
    account_facts,
    allowance_facts,
    item_facts,
    load_site,
    main_meter_facts,
    meter_facts,
    meter_term_facts,
    parse_site,
    policy_facts,
)
from connectors.files.site_document import (
    AccountPart,
    BusPart,
    MainMeterPart,
    MeterPart,
    PolicyPart,
    SitePart,
    TariffPart,
)
from connectors.files.site_terms import AllowancePart, ControlPart, ItemPart, ScheduledPart, window
from connectors.modbus.profile import builtin_profiles, load_profile
from connectors.modbus.profile_document import Profile
from domain.documents import MistakesError
from domain.facts import (
    AlarmTerms,
    ControlTerms,
    MeterWatchSet,
    Place,
    ScheduledSupply,
    StepRange,
    WatchTerms,
    Window,
)
from domain.ids import order_id, order_time_ms
from domain.units import HOUR_MS, MINUTE_MS
from domain.words import AllowanceKind, Commodity, ItemKind, Period, Supply
from tariffs.loader import catalogue

DOCS = Path(__file__).parents[2] / "docs"
FLAT = 'tariff = "flat"\ncommodity = "electricity"\n'
SITE = """
[site]
name = "Test"
zone = "Asia/Shanghai"
currency = "CNY"

[[tariff]]
file = "flat.toml"

[[account]]
id = "A-101"

[[bus]]
name = "east"
kind = "tcp"
host = "127.0.0.1"

[[bus.meter]]
number = "000000000001"
unit = 1
profile = "acrel-ddsy1352"
account = "A-101"
tariff = "flat"
"""
FEE = '\n[[account.item]]\nitem = "rent"\nkind = "rent"\namount = "9"\nperiod = "month"\nstarts = 2026-03-01\n'
METER = SITE[SITE.index("[[bus.meter]]") :]
SUB = METER.replace("000001", "000002").replace("unit = 1", "unit = 2")
SUBS = 'subs = ["000000000002"]'
HOUSE = f'[[main_meter]]\nmeter = "000000000001"\n{SUBS}\n'


@pytest.fixture
def folder(tmp_path):
    """A folder with a tariff file."""
    (tmp_path / "flat.toml").write_text(FLAT, encoding="utf-8")
    return tmp_path


def example(name):
    """The first TOML passage of a document."""
    return re.search(r"```toml\n(.*?)```", (DOCS / name).read_text("utf-8"), re.DOTALL)[1]


def mistakes(text, folder):
    """Line text, key and message of each mistake."""
    with pytest.raises(MistakesError) as caught:
        parse_site(text, "site.toml", folder, {})
    lines = text.splitlines()
    return [(lines[each.line - 1], each.key, str(each)) for each in caught.value.mistakes]


def test_the_documented_site_loads(tmp_path):
    """The example of docs/site-file.md is a site that can be collected from and billed."""
    path = tmp_path / "site.toml"
    path.write_text(example("site-file.md"), encoding="utf-8")

    site = load_site(path, catalogue())

    assert (site.name, site.zone, site.currency) == ("Sunrise Court", "Asia/Shanghai", "CNY")
    assert [tariff.id for tariff in site.tariffs] == ["beijing-residential", "beijing-residential-water"]
    assert [account.id for account in site.accounts] == ["A-101", "A-102"]
    assert [(bus.wire.name, bus.wire.kind, len(bus.meters)) for bus in site.buses] == [
        ("building-a", "rtu-over-tcp", 2),
        ("water-a", "serial", 1),
    ]
    assert site.accounts[0].place == Place(site="Sunrise Court", building="A", floor="1", room="101")
    assert (site.accounts[1].alarms, site.accounts[1].policy) == (AlarmTerms(), "shops")
    assert site.policies == (("shops", AlarmTerms(low=200_000_000, pretrip=50_000_000, overdraft=100_000_000)),)
    assert site.buses[0].meters[1].profile.rated_per_hour == 5000
    assert site.buses[0].meters[0].opening_register == 1_520_370
    watched = [fact.terms for _, fact in meter_term_facts(site, 1) if isinstance(fact, MeterWatchSet)]
    assert watched == [
        WatchTerms(
            day_usage=30_000, month_usage=600_000, offline_ms=HOUR_MS, stuck_ms=6 * HOUR_MS, stuck_w=200
        ),
        WatchTerms(offline_ms=HOUR_MS),
        WatchTerms(offline_ms=4 * HOUR_MS, night_usage=5),
    ]  # fmt: skip
    (item,), (allowance,) = item_facts(site, 1), allowance_facts(site, 1)
    assert (item.account, item.item, item.kind, item.amount_micros) == (
        "A-101",
        "property-fee",
        ItemKind.PROPERTY,
        2_500_000,
    )
    assert (item.area, item.period, item.starts, item.ends, item.partial) == (87_500, Period.MONTH, 20_527, -1, True)
    assert (allowance.kind, allowance.amount, allowance.from_day) == (AllowanceKind.ELECTRICITY, 50_000, 20_513)


def test_the_documented_control_is_what_the_domain_has(tmp_path):
    """Windows, limits and steps of docs/site-file.md become terms by the site's clock and holidays."""
    path = tmp_path / "site.toml"
    path.write_text(example("site-file.md"), encoding="utf-8")

    site = load_site(path, catalogue())
    controls = [
        (fact.meter, fact.terms) for _, fact in meter_term_facts(site, 1) if not isinstance(fact, MeterWatchSet)
    ]

    days = {"zone": "Asia/Shanghai", "holidays": (20_454, 20_501)}
    nights, weekends = (
        Window(days=31, from_minute=1320, until_minute=360),
        Window(days=224, from_minute=0, until_minute=1440),
    )
    tolerated = (StepRange(low_w=2_600, high_w=3_000),)
    off = ScheduledSupply(days=127, from_minute=1380, until_minute=420, supply=Supply.OFF)
    assert controls == [
        (
            202600000101,
            ControlTerms(
                no_trip=(nights, weekends), power_limit_w=8_000, malignant_step_w=2_500, tolerated=tolerated, **days
            ),
        ),
        (202600000102, ControlTerms(schedule=(off,), **days)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "days", "begin", "end"),
    [
        ("mon 00:00-24:00", 1, 0, 1440),
        ("holiday 08:00-12:30", 128, 480, 750),
        ("sat,mon-wed 23:59-00:00", 0b0100111, 1439, 0),
    ],
)
def test_windows_are_days_and_hours(text, days, begin, end):
    """A list of days and ranges; the end of a day is 24:00, or 00:00 of the next."""
    assert window(text) == Window(days=days, from_minute=begin, until_minute=end)


@pytest.mark.parametrize(
    "text",
    ["", "mon", "08:00-12:00", "mon 8:00-12:00", "fri-mon 08:00-12:00", "mon 08:00-08:00", "mon 24:00-08:00", "monday 08:00-12:00",
     "mon 25:00-26:00", "mon-holiday 08:00-12:00", "mon, tue 08:00-12:00", "mon-tue-wed 08:00-12:00"],
)  # fmt: skip
def test_windows_that_are_none(text, folder):
    """Hours without days, days that run backwards, a window of no minutes: none is guessed at."""
    (told,) = mistakes(SITE + f'[bus.meter.control]\nno_trip = ["{text}"]\n', folder)

    assert "expected days and hours such as" in told[2]


@pytest.mark.parametrize(("poll_seconds", "minutes"), [(60, 60), (1_200, 60), (1_201, 61), (7_200, 360)])
def test_a_meter_is_offline_after_an_hour_or_three_rounds(folder, poll_seconds, minutes):
    """A bus that is read every two hours has no meters that are offline in between."""
    text = SITE.replace('kind = "tcp"', f'kind = "tcp"\npoll_seconds = {poll_seconds}')

    site = parse_site(text, "site.toml", folder, {})

    assert site.meters[0].watch.offline_ms == minutes * MINUTE_MS


def test_the_documented_profile_loads(folder):
    """The example of docs/profiles.md is a profile, and a site can name its file."""
    (folder / "mine.toml").write_text(example("profiles.md"), encoding="utf-8")

    site = parse_site(SITE.replace("acrel-ddsy1352", "mine.toml"), "site.toml", folder, {})

    assert site.meters[0].profile == load_profile("mine.toml", folder)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (
            "site-file.md",
            [
                SitePart,
                TariffPart,
                PolicyPart,
                AccountPart,
                BusPart,
                MeterPart,
                ControlPart,
                ScheduledPart,
                ItemPart,
                AllowancePart,
                MainMeterPart,
            ],
        ),
        ("profiles.md", [Profile]),
    ],
)
def test_every_key_is_documented(name, parts):
    """No key can be added to a document that its page does not explain."""
    text = (DOCS / name).read_text("utf-8")
    keys = {key for part in parts for key in part.model_fields} - {"meter"}

    assert [key for key in sorted(keys) if f"`{key}`" not in text and f"[{key}]" not in text] == []


def test_the_documented_profiles_are_built_in():
    """The table of profiles names what is there."""
    text = (DOCS / "profiles.md").read_text("utf-8")

    assert [name for name in builtin_profiles() if f"| `{name}` |" not in text] == []


def test_facts_of_a_site(folder):
    """Accounts and meters become facts of the time that they are dated with."""
    text = SITE.replace('id = "A-101"', 'id = "A-101"\nname = "Li"\nlow = "30"\narrears = "-10.5"\nrepeat_minutes = 5')
    text += 'ct_ratio = 20\npt_ratio = 10\nopening_register = "12.5"\nswitchable = false\nmodulus = 0\n'
    site = parse_site(text, "site.toml", folder, {})
    at = 1_800_000_000_000

    (account,), (meter,) = account_facts(site, at), meter_facts(site, at)

    assert (account.at, account.account, account.currency, account.name) == (at, "A-101", "CNY", "Li")
    assert account.alarms == AlarmTerms(low=30_000_000, arrears=-10_500_000, repeat_ms=300_000)
    assert (meter.meter, meter.account, meter.tariff, meter.profile) == (1, "A-101", "flat", "acrel-ddsy1352")
    assert (meter.commodity, meter.ratio, meter.opening_register) == (Commodity.ELECTRICITY, 200, 12_500)
    assert (meter.modulus, meter.rated_per_hour, meter.switchable) == (0, 20_000, False)
    assert order_time_ms(order_id(account.id)) == order_time_ms(order_id(meter.id)) == at


def test_policies_of_a_site_are_facts(folder):
    """A policy is a fact of its own, with an id of its own at each time, and its accounts name it and say no amounts."""
    text = SITE.replace('id = "A-101"', 'id = "A-101"\npolicy = "shops"')
    site = parse_site(text + '[[policy]]\nname = "shops"\nlow = "30"\n', "site.toml", folder, {})

    (policy,), (account,), (later,) = policy_facts(site, 1_000), account_facts(site, 1_000), policy_facts(site, 2_000)

    assert (policy.policy, policy.alarms) == ("shops", AlarmTerms(low=30_000_000))
    assert (account.policy, account.alarms) == ("shops", AlarmTerms())
    assert len({policy.id, account.id, later.id}) == 3


def test_main_meters_of_a_site_are_facts(folder):
    """Which meters hang behind which goes to the account of the main meter, with limits that a person would choose where the file says none."""
    site = parse_site(SITE + SUB + HOUSE + 'loss_min = "0.5"\n', "site.toml", folder, {})

    ((account, main),) = main_meter_facts(site, 1_000)

    assert (account, main.meter, main.subs) == ("A-101", 1, (2,))
    assert (main.loss_max_permille, main.loss_min) == (50, 500)


def test_loading_twice_is_a_repeat(folder):
    """The same file and time give the same ids, and each fact its own; a later loading gives new ones."""
    site = parse_site(SITE, "site.toml", folder, {})

    first, again, later = (account_facts(site, at) + meter_facts(site, at) for at in (1_000, 1_000, 2_000))

    assert first == again
    assert len({fact.id for fact in first + later}) == 4


def test_all_mistakes_are_told_at_once(folder):
    """Wrong types, unknown keys and names that nothing answers to, each with its line."""
    text = SITE.replace('"Asia/Shanghai"', '"Asia/Peking"').replace('"A-101"\n\n', '"A-101"\nlow = "12.5O"\n\n')
    text = text.replace('kind = "tcp"', 'kind = "telnet"').replace("unit = 1\n", "unit = 248\ncolour = 3\n")
    text = text.replace('profile = "acrel-ddsy1352"', 'profile = "acrel"').replace('tariff = "flat"', 'tariff = "flut"')

    told = mistakes(text, folder)

    assert [(line, key) for line, key, _ in told] == [
        ('zone = "Asia/Peking"', "site.zone"),
        ('low = "12.5O"', "account[0].low"),
        ('kind = "telnet"', "bus[0].kind"),
        ("unit = 248", "bus[0].meter[0].unit"),
        ("colour = 3", "bus[0].meter[0].colour"),
        ('profile = "acrel"', "bus[0].meter[0].profile"),
        ('tariff = "flut"', "bus[0].meter[0].tariff"),
    ]
    messages = " ".join(message for _, _, message in told)
    assert "found 'acrel'; expected a file, or one of acrel-adf400l, acrel-ddsy1352" in messages
    assert "found 'flut'; expected a tariff of this file: flat" in messages
    assert "expected an IANA time zone" in messages


@pytest.mark.parametrize(
    ("before", "after", "line", "expected"),
    [
        (METER, METER + METER.replace("unit = 1", "unit = 2"), 'number = "000000000001"', "each meter number once"),
        (METER, METER + METER.replace("000001", "000002"), "unit = 1", "each unit once on a bus"),
        (
            '[[bus]]\nname = "east"',
            '[[account]]\nid = "A-101"\n[[bus]]\nname = "east"',
            'id = "A-101"',
            "each account once",
        ),
        (
            'file = "flat.toml"',
            'file = "flat.toml"\n[[tariff]]\nfile = "flat.toml"',
            'file = "flat.toml"',
            "each tariff once",
        ),
        ('account = "A-101"', 'account = "A-109"', 'account = "A-109"', "the id of an [[account]]"),
        ('file = "flat.toml"', 'file = "flet.toml"', 'file = "flet.toml"', "a file beside the site file"),
        ("acrel-ddsy1352", "xintai-water", 'tariff = "flat"', "a tariff for water"),
        ('id = "A-101"', 'id = "A-101"\nlow = "1"', "[[account]]", "low at least pretrip"),
        ('id = "A-101"', 'id = "A-101"\nreconnect = "-1"', "[[account]]", "reconnect at least arrears"),
        ('id = "A-101"', 'id = "A-101"\nhysteresis = "-1"', "[[account]]", "hysteresis from 0"),
        ('id = "A-101"', 'id = "A-101"\npolicy = "shop"', 'policy = "shop"', "a policy of this file: none"),
        (
            'id = "A-101"',
            'id = "A-101"\npolicy = "shops"\nlow = "9"\n[[policy]]\nname = "shops"',
            'low = "9"',
            "a policy, or amounts of its own",
        ),
        ("[[account]]", '[[policy]]\nname = "p"\nlow = "1"\n[[account]]', "[[policy]]", "low at least pretrip"),
        (
            "[[account]]",
            '[[policy]]\nname = "p"\n[[policy]]\nname = "p"\n[[account]]',
            'name = "p"',
            "each policy once",
        ),
        ("unit = 1", "unit = 1\nday_usage = 5", "day_usage = 5", "a valid string"),
        ("unit = 1", "unit = 1\noffline_minutes = 1", "offline_minutes = 1", "more than a round of its bus, 60 s"),
        ("unit = 1", 'unit = 1\nnight_until = "02:00"', 'night_until = "02:00"', "a night of some minutes"),
        ("unit = 1", 'unit = 1\nnight_from = "24:00"', 'night_from = "24:00"', "a time of the day"),
        (METER, METER + '[bus.meter.control]\nno_trip = ["mo 1-2"]', 'no_trip = ["mo 1-2"]', "days and hours such as"),
        (METER, METER + "[bus.meter.control]\ntolerated = [[2, 1]]", "tolerated = [[2, 1]]", "the lower one first"),
        (METER, METER + "switchable = false\n[bus.meter.control]\n", "[bus.meter.control]", "is not switched"),
        ('id = "A-101"', 'id = "A-101"' + FEE + FEE, 'item = "rent"', "each item of an account once"),
        ('id = "A-101"', 'id = "A-101"' + FEE + "ends = 2026-01-01", "ends = 2026-01-01", "not before starts"),
        ('id = "A-101"', 'id = "A-101"' + FEE + 'area = "1000000.001"', 'area = "1000000.001"', "m² at most"),
        ('id = "A-101"', 'id = "A-101"' + FEE.replace('"9"', '"0"'), 'amount = "0"', "an amount above 0"),
        ('id = "A-101"', 'id = "A-101"' + FEE.replace("2026-03-01", '"soon"'), 'starts = "soon"', "valid date"),
        (
            'id = "A-101"',
            'id = "A-101"\n[account.allowance]\nkind = "water"\nstarts = 2026-03-01\namount = "1.2345"',
            'amount = "1.2345"',
            "at most 3 decimals",
        ),
        ('id = "A-101"', 'id = "-101"', 'id = "-101"', "1 to 64 letters"),
        ('host = "127.0.0.1"', "", "[[bus]]", "host, because kind = 'tcp'"),
        ('host = "127.0.0.1"', 'host = "h"\ndevice = "d"', 'device = "d"', "no device"),
        ('"000000000001"', '"12345"', 'number = "12345"', "the 12 digits on the meter"),
        ('"000000000001"', '"000000000000"', 'number = "000000000000"', "not all zero"),
        ("unit = 1", "unit = 1\nct_ratio = 2000\npt_ratio = 1000", "ct_ratio = 2000", "up to 1000000"),
        ("unit = 1", 'unit = 1\nopening_register = "1.2345"', 'opening_register = "1.2345"', "at most 3 decimals"),
        ("unit = 1", 'unit = 1\nmodulus = 1000\nopening_register = "1"', 'opening_register = "1"', "less than 1.000"),
        ('currency = "CNY"', 'currency = "yuan"', 'currency = "yuan"', "three capital letters"),
        (METER, METER + HOUSE.replace("02", "09"), 'subs = ["000000000009"]', "the number of a [[bus.meter]]"),
        (METER, METER + HOUSE.replace("02", "01"), 'subs = ["000000000001"]', "none that is the main meter itself"),
        (METER, METER + SUB + HOUSE + HOUSE, 'meter = "000000000001"', "each main meter once"),
        (METER, METER + SUB + HOUSE + "loss_max_permille = 1001", "loss_max_permille = 1001", "less than or equal"),
    ],
)
def test_each_mistake_has_its_line(before, after, line, expected, folder):
    """What is there twice, does not fit or answers to nothing is told where it stands."""
    found, _, message = mistakes(SITE.replace(before, after), folder)[0]

    assert found == line
    assert expected in message


def test_water_is_not_behind_electricity(folder):
    """Litres are not taken from Wh: a sub-meter measures the same as its main meter."""
    told = mistakes(SITE + SUB.replace("acrel-ddsy1352", "xintai-water") + HOUSE, folder)

    assert any(line == SUBS and "measure the same as their main meter" in message for line, _, message in told)


def test_two_masters_on_one_line_are_a_mistake(folder):
    """A transparent gateway carries one master; a Modbus TCP gateway may have several connections."""
    second = SITE[SITE.index("[[bus]]") :].replace("east", "west").replace("000001", "000002")
    text = SITE + second

    assert len(parse_site(text, "site.toml", folder, {}).buses) == 2
    (told,) = mistakes(text.replace('"tcp"', '"rtu-over-tcp"'), folder)
    assert "two masters collide" in told[2]


def test_a_profile_of_the_site_with_mistakes_is_told(folder):
    """The mistakes of a site's own profile file are part of the site's."""
    (folder / "mine.toml").write_text(example("profiles.md").replace("scale = 10", "scale = 0"), encoding="utf-8")

    (told,) = mistakes(SITE.replace("acrel-ddsy1352", "mine.toml"), folder)

    assert told[0] == 'profile = "mine.toml"'
    assert "point[0].scale" in told[2]


def test_a_switch_that_a_profile_does_not_have_cannot_be_asked_for(folder):
    """`switchable = true` needs a profile that says how."""
    text = example("profiles.md").replace("switchable = true", "switchable = false")
    text = re.sub(r"\[switch\].*?\n\n", "", text, flags=re.DOTALL)
    (folder / "mine.toml").write_text(text, encoding="utf-8")

    (told,) = mistakes(SITE.replace("acrel-ddsy1352", "mine.toml") + "switchable = true\n", folder)

    assert "has no [switch]" in told[2]


def test_a_tariff_in_another_encoding_is_told(folder):
    """A tariff file that is not UTF-8 is a mistake of the site that names it."""
    (folder / "flat.toml").write_bytes((FLAT + 'source = "电价"\n').encode("gbk"))

    told = mistakes(SITE, folder)

    assert told[0][:2] == ('file = "flat.toml"', "tariff[0].file")
    assert "flat.toml: line 3: encoding" in told[0][2]


def test_a_misspelt_array_is_told_at_its_line(folder):
    """`[[acount]]` is no such key, there and not at the begin of the file."""
    told = mistakes(SITE.replace("[[account]]", "[[acount]]"), folder)

    assert ("[[acount]]", "acount") in [(line, key) for line, key, _ in told]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (
            r"supply_on = {[^}]*}",
            "supply_on = { address = 0x15, mask = 1, value = 2 }",
            "only of bits that are in `mask`",
        ),
        (r"off = {[^}]*}", "SAME", "two different writes"),
    ],
)
def test_a_switch_or_bit_that_can_never_be_told_apart_is_a_mistake(before, after, expected, folder):
    """A rule that no register meets, or an off that is an on, would leave a room on or dark for ever."""
    text = example("profiles.md")
    on = re.search(r"^on = ({[^}]*})", text, re.MULTILINE)[1]
    text = re.sub(rf"^{before}", f"off = {on}" if after == "SAME" else after, text, count=1, flags=re.MULTILINE)
    (folder / "mine.toml").write_text(text, encoding="utf-8")

    with pytest.raises(MistakesError, match=expected):
        load_profile("mine.toml", folder)


@pytest.mark.parametrize(
    "text", ["", "site = 3", "[[bus]]\nmeter = 4\n[site]", "bus = [1]\naccount = 'x'\ntariff = [[]]"]
)
def test_any_document_is_answered_with_mistakes(text, folder):
    """A file of a quite different shape is refused with mistakes and not with a traceback."""
    assert mistakes(text + "\n\n", folder)
