import struct

import pytest

from connectors.modbus.profile import builtin_profiles, decode, load_profile, switch_write
from connectors.modbus.street.load import AMOUNT_PER_UNIT, ConstantLoad, HouseholdLoad
from connectors.modbus.street.meter import ExceptionCode, Fault, SimulatedMeter
from connectors.modbus.street.works import DAY_TABLE, Works, pieces
from domain.units import DAY_MS, HOUR_MS, SECOND_MS
from domain.words import Status, Supply

START_MS = 1_751_328_000_000  # 2025-07-01T00:00Z
KWH_10 = 10_000
SWITCHABLE = [name for name in builtin_profiles() if load_profile(name).switchable]


def a_meter(profile="acrel-ddsy1352", *, rate=1_000, opening=KWH_10, travel_ms=0, load=None):
    """A meter of that profile that has counted `opening` when its story begins."""
    works = Works(load or ConstantLoad(rate), START_MS, travel_ms=travel_ms)
    works.set_register(opening)
    return SimulatedMeter(101, load_profile(profile), works)


def sample(meter, now_ms):
    """What the collector's own decoding makes of all blocks of the meter's profile."""
    profile = meter.profile
    blocks = {b.address: meter.read(profile.read_function, b.address, b.count, now_ms) for b in profile.block}
    assert not [code for code in blocks.values() if isinstance(code, ExceptionCode)]
    return decode(profile, blocks)


def order(meter, wanted, now_ms):
    """Write what the collector would write, and return the refusal or None."""
    write = switch_write(meter.profile, wanted)
    return meter.write(meter.profile.write_function, write.address, write.values, now_ms)


@pytest.mark.parametrize("profile", builtin_profiles())
def test_a_meter_shows_its_counter_and_power_where_its_profile_says(profile):
    """One kilowatt (or 1 m³/h) for two hours is two units of a thousand on the register of every profile."""
    meter = a_meter(profile)

    seen = sample(meter, START_MS + 2 * HOUR_MS)

    assert seen.register == KWH_10 + 2_000
    assert seen.power in {1_000, None}


@pytest.mark.parametrize("profile", SWITCHABLE)
def test_a_meter_that_was_switched_off_stops_counting_until_it_is_on_again(profile):
    """Whatever the profile's order is called, it truly cuts the supply, and time in the dark costs nothing."""
    meter = a_meter(profile)

    assert order(meter, Supply.OFF, START_MS + HOUR_MS) is None
    off = sample(meter, START_MS + 5 * HOUR_MS)
    assert order(meter, Supply.ON, START_MS + 6 * HOUR_MS) is None
    on = sample(meter, START_MS + 7 * HOUR_MS)

    assert off.register == KWH_10 + 1_000
    assert off.power in {0, None}
    assert on.register == KWH_10 + 2_000
    if meter.profile.status.stated():
        assert (off.supply, on.supply) == (Supply.OFF, Supply.ON)


def test_the_ddsy1352_obeys_forced_control_as_the_makers_tool_writes_it():
    """0x0057 = [1,1] trips, [1,0] closes, [0,x] leaves forced control; status bits 13 and 3 tell."""
    meter = a_meter()

    def relay_and_forced(values):
        assert meter.write(16, 0x0057, values, START_MS) is None
        (status,) = meter.read(3, 0x0224, 1, START_MS)
        return bool(status & 1 << 13), bool(status & 1 << 3)

    assert relay_and_forced([1, 1]) == (False, True)
    assert relay_and_forced([1, 0]) == (True, True)
    assert relay_and_forced([1, 1]) == (False, True)
    assert relay_and_forced([0, 1]) == (True, False)
    assert sample(meter, START_MS).status == Status.SUPPLY_KNOWN | Status.SUPPLY_ON


def test_a_ddsy1352_shows_the_block_of_the_makers_tool():
    """Model code, voltage, current, ratios and the binary clock stand where the setup tool reads them."""
    meter = a_meter(rate=2_200)

    words = dict(enumerate(meter.read(3, 0x0200, 48, START_MS), start=0x0200))

    assert words[0x0200] == 7
    assert 2_180 <= words[0x0201] < 2_240
    assert 980 <= words[0x0204] <= 1_010
    assert words[0x0207] == words[0x020A] == 2_200
    assert (words[0x0213], words[0x0214]) == (1, 1)
    assert words[0x0215] << 16 | words[0x0216] == KWH_10 // 10
    assert (words[0x0228], words[0x0229], words[0x022A]) == (25 << 8 | 7, 1 << 8 | 2, 0)
    assert meter.read(3, 0x0000, 2, START_MS) == [words[0x0215], words[0x0216]]


def test_a_wet_valve_takes_its_time_and_says_nothing_meanwhile():
    """While the valve travels neither bit is set and water still runs; then it is shut and the register stands."""
    meter = a_meter("xintai-water", rate=3_600, travel_ms=10 * SECOND_MS)

    assert meter.write(6, 0x001C, [2], START_MS) is None
    moving = sample(meter, START_MS + 9 * SECOND_MS)
    shut = sample(meter, START_MS + 10 * SECOND_MS)
    later = sample(meter, START_MS + HOUR_MS)

    assert (moving.supply, shut.supply) == (Supply.UNKNOWN, Supply.OFF)
    assert (moving.register, shut.register, later.register) == (KWH_10 + 9, KWH_10 + 10, KWH_10 + 10)


def test_a_water_meter_shows_cubic_metres_as_byte_reversed_floats():
    """12.345 m³ stands in the first two registers as the driver of such meters unpacks it."""
    meter = a_meter("xintai-water", rate=0, opening=12_345)

    words = meter.read(3, 0x0001, 28, START_MS)

    octets = b"".join(word.to_bytes(2, "big") for word in words[:2])
    assert struct.unpack("<f", octets)[0] == pytest.approx(12.345, abs=1e-5)
    assert words[0x001C - 1] == 1


@pytest.mark.parametrize(
    ("profile", "function", "address", "values", "code"),
    [
        ("acrel-ddsy1352", 6, 0x0057, [1], ExceptionCode.ILLEGAL_FUNCTION),
        ("acrel-ddsy1352", 16, 0x0057, [2, 0], ExceptionCode.ILLEGAL_VALUE),
        ("acrel-ddsy1352", 16, 0x0215, [0, 0], ExceptionCode.ILLEGAL_ADDRESS),
        ("acrel-ddsy1352", 16, 0x0057, [1], ExceptionCode.ILLEGAL_ADDRESS),
        ("dds238-2-zn-sr", 6, 0x001A, [0], ExceptionCode.ILLEGAL_FUNCTION),
        ("dds238-2-zn-sr", 16, 0x0000, [0, 0], ExceptionCode.ILLEGAL_ADDRESS),
        ("sfere-prepaid", 16, 0x0B25, [0], ExceptionCode.ILLEGAL_VALUE),
        ("xintai-water", 16, 0x001C, [2], ExceptionCode.ILLEGAL_FUNCTION),
        ("xintai-water", 6, 0x0001, [0], ExceptionCode.ILLEGAL_ADDRESS),
    ],
)
def test_a_write_that_is_not_an_order_is_refused_and_nothing_happens(profile, function, address, values, code):
    """Read-only registers, unknown words and wrong functions get the exception that says which it was."""
    meter = a_meter(profile)

    assert meter.write(function, address, values, START_MS) == code
    assert meter.works.position is Supply.ON
    assert sample(meter, START_MS + HOUR_MS).register == KWH_10 + 1_000


@pytest.mark.parametrize(
    ("function", "address", "count", "code"),
    [
        (4, 0x0200, 48, ExceptionCode.ILLEGAL_FUNCTION),
        (3, 0x0200, 49, ExceptionCode.ILLEGAL_ADDRESS),
        (3, 0x3000, 1, ExceptionCode.ILLEGAL_ADDRESS),
        (3, 0x0200, 100, ExceptionCode.ILLEGAL_VALUE),
    ],
)
def test_a_read_outside_the_map_is_refused(function, address, count, code):
    """A wrong map is told from a dead meter by the exception."""
    assert a_meter().read(function, address, count, START_MS) == code


def test_the_register_wraps_at_its_width():
    """A counter 0.1 kWh short of its modulus goes on from zero."""
    meter = a_meter()
    meter.set_fault(Fault.WRAP, START_MS, value=100)

    before = sample(meter, START_MS).register
    after = sample(meter, START_MS + HOUR_MS).register

    assert before == meter.profile.modulus - 100
    assert after == 900


def test_band_registers_count_by_the_day_table_and_add_up_to_the_total():
    """A day of one kilowatt is split as the day table says; a meter without deep valley counts that as valley."""
    meter = a_meter(opening=0)

    seen = sample(meter, START_MS + DAY_MS)

    assert seen.bands == (2_000, 5_000, 7_000, 10_000, 0)
    assert sum(seen.bands) == seen.register == 24_000


def test_the_day_table_cuts_at_its_edges_in_the_meters_local_time():
    """Two local hours around midnight of a meter eight hours ahead are one piece before and one after."""
    local_midnight = START_MS - 8 * HOUR_MS

    cut = list(pieces(local_midnight - 3 * HOUR_MS, local_midnight + HOUR_MS, DAY_TABLE, 8 * HOUR_MS))

    assert [(band, (end - start) // HOUR_MS) for band, start, end in cut] == [(2, 2), (3, 1), (3, 1)]


def test_how_often_a_meter_is_read_does_not_change_what_it_counts():
    """A household read every minute of a day shows what one reading at the end shows."""
    often, once = (a_meter(load=HouseholdLoad(1, "101")) for _ in range(2))

    for minute in range(1_440):
        often.read(3, 0x0200, 48, START_MS + minute * 60_007)
    end_ms = START_MS + 2 * DAY_MS

    assert often.words(end_ms) == once.words(end_ms)
    assert often.works.amounts == once.works.amounts


def test_a_clock_that_steps_back_takes_nothing_from_the_register():
    """After a step back the register stands until time has caught up."""
    meter = a_meter()

    seen = [sample(meter, START_MS + ms).register for ms in (2 * HOUR_MS, HOUR_MS, 3 * HOUR_MS)]

    assert seen == [KWH_10 + 2_000, KWH_10 + 2_000, KWH_10 + 3_000]


def test_a_stuck_relay_acknowledges_and_does_not_move():
    """The write is accepted, the register goes on, and the status bit tells the truth."""
    meter = a_meter()
    meter.set_fault(Fault.STUCK, START_MS)

    assert order(meter, Supply.OFF, START_MS) is None
    stuck = sample(meter, START_MS + HOUR_MS)
    meter.set_fault(Fault.STUCK, START_MS + HOUR_MS, on=False)
    assert order(meter, Supply.OFF, START_MS + HOUR_MS) is None

    assert (stuck.supply, stuck.register) == (Supply.ON, KWH_10 + 1_000)
    assert sample(meter, START_MS + 2 * HOUR_MS).supply is Supply.OFF


@pytest.mark.parametrize(("value", "shown"), [(None, 0), (5_000_000, KWH_10 + 5_000_000)])
def test_a_glitch_is_shown_once(value, shown):
    """One reading is 0, or jumps; the next is right, and nothing was counted."""
    meter = a_meter(rate=0)
    meter.set_fault(Fault.GLITCH, START_MS, value=value)

    seen = [sample(meter, START_MS).register for _ in range(2)]

    assert seen == [shown, KWH_10]


def test_a_reset_counter_starts_again_from_zero():
    """A meter that forgot counts on from 0, as a meter whose memory failed."""
    meter = a_meter()
    meter.set_fault(Fault.RESET, START_MS + HOUR_MS)

    assert sample(meter, START_MS + 2 * HOUR_MS).register == 1_000


def test_a_purchase_behind_our_back_shows_in_the_counter_alone():
    """The purchase counter goes up by what was said, begins again after its last value, and survives a power cut; energy does not move."""
    meter = a_meter(rate=0)
    meter.set_fault(Fault.PURCHASE, START_MS)
    meter.set_fault(Fault.PURCHASE, START_MS, value=0xFFFF + 2)
    again = a_meter(rate=0)
    again.recall(meter.memory())

    assert [sample(each, START_MS).purchase_count for each in (a_meter(), meter, again)] == [0, 2, 2]
    assert (sample(meter, START_MS).register, meter.faults) == (KWH_10, {})


def test_a_meter_that_cannot_be_sold_to_says_so():
    """A fault that the kind of meter cannot have is refused where it is set, by its name."""
    with pytest.raises(ValueError, match="dds238-2-zn-sr has no purchase_count"):
        a_meter("dds238-2-zn-sr").set_fault(Fault.PURCHASE, START_MS)


def test_an_exception_fault_answers_everything_with_its_code():
    """Reads and writes get the code, and the relay stays where it is."""
    meter = a_meter()
    meter.set_fault(Fault.EXCEPTION, START_MS, value=6)

    assert meter.read(3, 0x0200, 48, START_MS) is ExceptionCode.DEVICE_BUSY
    assert order(meter, Supply.OFF, START_MS) is ExceptionCode.DEVICE_BUSY
    assert meter.works.position is Supply.ON


def test_an_exception_that_does_not_exist_is_not_a_fault():
    """A code that Modbus does not know is refused where it is set."""
    meter = a_meter()

    with pytest.raises(ValueError, match="99"):
        meter.set_fault(Fault.EXCEPTION, START_MS, value=99)

    assert meter.faults == {}


def test_a_meter_remembers_relay_and_counter_without_power():
    """A meter made anew from its memory is word for word the meter that was never stopped."""
    meter = a_meter(load=HouseholdLoad(1, "101"))
    order(meter, Supply.OFF, START_MS + HOUR_MS)
    kept = meter.memory()
    order(meter, Supply.OFF, START_MS + 2 * HOUR_MS)

    again = a_meter(load=HouseholdLoad(1, "101"), opening=0)
    again.recall(kept)

    end_ms = START_MS + DAY_MS
    assert again.words(end_ms) == meter.words(end_ms)


def test_freezing_stops_all_consumption():
    """A frozen meter shows the same register for ever, though its supply is on."""
    meter = a_meter()
    meter.works.freeze(START_MS + HOUR_MS, frozen=True)

    seen = sample(meter, START_MS + DAY_MS)

    assert (seen.register, seen.power, seen.supply) == (KWH_10 + 1_000, 0, Supply.ON)
    assert sum(meter.works.amounts) == (KWH_10 + 1_000) * AMOUNT_PER_UNIT
