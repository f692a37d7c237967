import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.modbus.profile import (
    BANDS,
    ForbiddenWriteError,
    Sample,
    UnknownProfileError,
    UnreadableError,
    Write,
    builtin_profiles,
    check_write,
    decode,
    decode_point,
    decode_status,
    encode_point,
    encode_status,
    load_profile,
    supply_of,
    switch_write,
)
from domain.documents import MistakesError
from domain.words import Status, Supply

ON = Status.SUPPLY_KNOWN | Status.SUPPLY_ON
OFF = Status.SUPPLY_KNOWN
ACREL = load_profile("acrel-ddsy1352")
SMALL = """
name = "small"
title = { zh = "小表", en = "Small meter" }
commodity = "electricity"
word_order = "big"
byte_order = "big"
read_function = 3
write_function = 16
max_read_registers = 10
min_gap_ms = 20
settle_ms = 1000
modulus = 1_000_000_000
rated_per_hour = 20_000
switchable = true

[[block]]
address = 0
count = 4

[[point]]
key = "register"
address = 0
type = "u32"
scale = 10

[status]
supply_on = { address = 3, mask = 1, value = 1 }
supply_off = { address = 3, mask = 1, value = 0 }

[switch]
on = { address = 9, values = [1] }
off = { address = 9, values = [0] }
verify = "status"
"""


def profile_of(tmp_path, text):
    """The profile in a text, read from a file as a site's own is."""
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return load_profile("own.toml", tmp_path)


def blocks_of(profile, registers):
    """Blocks of zeros, with some registers set."""
    return {
        block.address: [registers.get(block.address + index, 0) for index in range(block.count)]
        for block in profile.block
    }


def test_six_meters_are_built_in():
    """The kinds of meter that Meterline promises are there and load."""
    assert builtin_profiles() == (
        "acrel-adf400l",
        "acrel-ddsy1352",
        "acrel-dtsy1352",
        "dds238-2-zn-sr",
        "sfere-prepaid",
        "xintai-water",
    )
    assert [load_profile(name).name for name in builtin_profiles()] == list(builtin_profiles())


def test_an_acrel_answer_is_read():
    """The 48 registers of the live block become Wh, W, band registers and status."""
    registers = {
        0x0215: 0x0001, 0x0216: 0xE240,  # 123456 x 0.01 kWh, high word first
        0x0218: 1, 0x021A: 2, 0x021C: 3, 0x021E: 4,
        0x020A: 0xFFFF,  # -1 W: current flows back
        0x0224: 0x2000 | 0x0020,  # relay closed, the meter's own arrears
        0x0221: 17,  # sold energy seventeen times
    }  # fmt: skip

    sample = decode(ACREL, blocks_of(ACREL, registers))

    assert sample == Sample(1_234_560, -1, ON | Status.METER_ARREARS, (10, 20, 30, 40, 0), 17)
    assert sample.supply is Supply.ON


@pytest.mark.parametrize(
    ("profile", "address"), [("acrel-ddsy1352", 0x0221), ("acrel-dtsy1352", 0x0221), ("acrel-adf400l", 0x030E)]
)
def test_a_purchase_counter_is_read_as_it_stands(profile, address):
    """One register, up to its last value before it begins again; a block that was not read says nothing of it."""
    kind = load_profile(profile)
    read = blocks_of(kind, {address: 0xFFFF})

    assert decode(kind, read).purchase_count == 0xFFFF
    assert decode_point(kind, "purchase_count", {0: [0]}) is None


def test_a_meter_that_is_never_sold_to_has_no_purchase_count():
    """Most kinds of meter have no such counter, and are not taken to stand at 0."""
    without = [name for name in builtin_profiles() if load_profile(name).point_of("purchase_count") is None]

    assert without == ["dds238-2-zn-sr", "sfere-prepaid", "xintai-water"]
    assert decode(load_profile("dds238-2-zn-sr"), {0: [0] * 32}).purchase_count is None


def test_a_three_phase_supply_is_known_only_when_its_relays_agree():
    """Two of three relays open is no proof of a trip."""
    profile = load_profile("acrel-dtsy1352")

    seen = [decode(profile, blocks_of(profile, {0x0224: bits})).supply for bits in (0xE000, 0x0000, 0x2000, 0xC000)]

    assert seen == [Supply.ON, Supply.OFF, Supply.UNKNOWN, Supply.UNKNOWN]


def test_a_water_meter_answer_is_read():
    """A byte-reversed float of m³ becomes litres: 123.456 m³ is 79 E9 F6 42 on the wire."""
    profile = load_profile("xintai-water")
    wire = struct.pack("<f", 123.456)
    registers = dict(zip((1, 2), struct.unpack(">2H", wire), strict=True))

    sample = decode(profile, blocks_of(profile, registers | {0x1C: 0b1010}))

    assert wire.hex(" ") == "79 e9 f6 42"
    assert sample == Sample(123_456, None, OFF | Status.LOW_BATTERY, None)


@pytest.mark.parametrize(
    ("bits", "supply"), [(0b01, Supply.ON), (0b10, Supply.OFF), (0b00, Supply.UNKNOWN), (0b11, Supply.UNKNOWN)]
)
def test_a_moving_valve_is_not_known(bits, supply):
    """Neither end switch, or both, says nothing."""
    profile = load_profile("xintai-water")

    assert decode(profile, blocks_of(profile, {0x1C: bits})).supply is supply


@pytest.mark.parametrize(
    ("word_order", "byte_order", "registers"),
    [
        ("big", "big", [0x0102, 0x0304]),  # ABCD
        ("little", "big", [0x0304, 0x0102]),  # CDAB
        ("big", "little", [0x0201, 0x0403]),  # BADC
        ("little", "little", [0x0403, 0x0201]),  # DCBA
    ],
)
def test_word_and_byte_orders(word_order, byte_order, registers, tmp_path):
    """The four orders in which meters send 01 02 03 04."""
    text = SMALL.replace('word_order = "big"', f'word_order = "{word_order}"')
    profile = profile_of(tmp_path, text.replace('byte_order = "big"', f'byte_order = "{byte_order}"'))

    assert decode_point(profile, "register", {0: registers}) == 0x01020304 * 10
    assert encode_point(profile, "register", 0x01020304 * 10) == registers


@pytest.mark.parametrize(
    ("kind", "registers", "value"),
    [
        ("u16", [0xFFFE], 655_340),
        ("i16", [0xFFFE], -20),
        ("u32", [0xFFFF, 0xFFFE], 42_949_672_940),
        ("i32", [0xFFFF, 0xFFFE], -20),
        ("f32", [0x3FC0, 0x0000], 15),  # 1.5
        ("f32", [0x3DCC, 0xCCCD], 1),  # 0.1 is 0.100000001…: rounded to the nearest
        ("f32", [0x3D4C, 0xCCCC], 0),  # a little less than 0.05
        ("f32", [0x3E80, 0x0000], 3),  # 0.25 x 10 = 2.5: a half goes up
    ],
)
def test_every_type_has_its_value(kind, registers, value, tmp_path):
    """Whole numbers are exact, and a float is rounded once, to the nearest unit, a half up."""
    profile = profile_of(tmp_path, SMALL.replace('type = "u32"', f'type = "{kind}"'))

    assert decode_point(profile, "register", {0: registers}) == value


@pytest.mark.parametrize("registers", [[0x7FC0, 0], [0x7F80, 0], [0x7F7F, 0xFFFF]], ids=["nan", "inf", "huge"])
def test_a_float_that_is_no_reading_is_refused(registers, tmp_path):
    """Not a number, infinity, and what 64 bits cannot hold never become a register."""
    profile = profile_of(tmp_path, SMALL.replace('type = "u32"', 'type = "f32"'))

    with pytest.raises(UnreadableError):
        decode(profile, {0: [*registers, 0, 0]})


def test_a_total_that_was_not_read_is_refused():
    """Without the block of the total there is no reading; without the others there are fewer columns."""
    profile = load_profile("dds238-2-zn-sr")

    with pytest.raises(UnreadableError, match="not read"):
        decode(profile, {0x001A: [1]})
    assert decode(profile, {0x0000: [0] * 18}) == Sample(0, 0, None, None)


@given(st.sampled_from(builtin_profiles()), st.integers(0, 16_000_000), st.sampled_from([0, OFF, ON]))
def test_what_is_shown_is_what_is_read(name, total, status):
    """Every profile reads back what it encodes, down to the step of its register."""
    profile = load_profile(name)
    registers = encode_status(profile, status)
    for key in ("register", *BANDS):
        if point := profile.point_of(key):
            registers |= enumerate(encode_point(profile, key, total), start=point.address)

    sample = decode(profile, blocks_of(profile, registers))

    step = 1 if profile.commodity == "water" else 10
    assert sample.register == total - total % step
    assert sample.bands is None or set(sample.bands) <= {0, sample.register}
    if profile.switch is not None and profile.switch.verify == "status" and status:
        assert sample.supply is supply_of(status)


def test_a_register_wraps_at_its_modulus():
    """What the simulator shows starts again from 0 where the profile says that the meter does."""
    assert encode_point(ACREL, "register", ACREL.modulus + 70) == [0, 7]


def test_a_value_that_does_not_fit_is_refused():
    """The simulator cannot make a meter show what its type cannot hold."""
    with pytest.raises(ValueError, match="does not fit i16"):
        encode_point(ACREL, "power", 40_000)
    with pytest.raises(KeyError, match="no deep_valley"):
        encode_point(ACREL, "deep_valley", 0)


@pytest.mark.parametrize(
    ("name", "on", "off"),
    [
        ("acrel-ddsy1352", (0x0057, 1, 0), (0x0057, 1, 1)),
        ("acrel-dtsy1352", (0x0057, 1, 0), (0x0057, 1, 1)),
        ("dds238-2-zn-sr", (0x001A, 1), (0x001A, 0)),
        ("sfere-prepaid", (0x0B25, 1), (0x0B25, 2)),
        ("xintai-water", (0x001C, 1), (0x001C, 2)),
    ],
)
def test_switch_writes(name, on, off):
    """The polarity of each meter's switch, which is not the same for any two makers."""
    profile = load_profile(name)

    written = [switch_write(profile, wanted) for wanted in (Supply.ON, Supply.OFF)]

    assert [(write.address, *write.values) for write in written] == [on, off]
    for write in written:
        check_write(profile, write)


def test_forced_control_can_be_given_back():
    """UNKNOWN leaves forced control where the meter has such a thing."""
    assert switch_write(ACREL, Supply.UNKNOWN).values == (0, 0)
    with pytest.raises(ForbiddenWriteError, match="no automatic mode"):
        switch_write(load_profile("xintai-water"), Supply.UNKNOWN)


def test_a_meter_with_an_untested_switch_is_not_switched_unless_a_site_says_so():
    """The cabinet meter's control word is kept in its profile and not used by default."""
    profile = load_profile("acrel-adf400l")

    with pytest.raises(ForbiddenWriteError, match="not switchable"):
        switch_write(profile, Supply.OFF)
    with pytest.raises(ForbiddenWriteError):
        check_write(profile, profile.switch.off)
    assert switch_write(profile.model_copy(update={"switchable": True}), Supply.OFF) == profile.switch.off
    assert decode_status(profile, blocks_of(profile, {})) is None


@pytest.mark.parametrize(
    ("name", "address", "values", "why"),
    [
        ("acrel-ddsy1352", 0x0000, (0, 0), "energy"),
        ("acrel-ddsy1352", 0x6401, (0,), "clearing"),
        ("acrel-ddsy1352", 0x0056, (0, 1, 1), "prepaid"),
        ("acrel-ddsy1352", 0x0057, (0, 1), "not listed"),
        ("acrel-ddsy1352", 0x0038, (2,), "not listed"),
        ("xintai-water", 0x0001, (0,), "clears"),
        ("xintai-water", 0x001C, (3,), "not listed"),
    ],
)
def test_what_is_not_listed_is_not_written(name, address, values, why):
    """Only the very writes of a switch pass: not its register with other values, nor a range that touches it."""
    with pytest.raises(ForbiddenWriteError, match=why):
        check_write(load_profile(name), Write(address=address, values=values))


def test_an_allowed_range_can_be_written(tmp_path):
    """A site's own profile may list more, and a forbidden range wins over it."""
    extra = """
[[allowed]]
first = 20
last = 30
why = "ct ratio"

[[forbidden]]
first = 25
last = 25
why = "password"
"""
    profile = profile_of(tmp_path, SMALL + extra)

    check_write(profile, Write(address=20, values=(1, 2)))
    for write in (Write(address=24, values=(1, 2)), Write(address=30, values=(1, 2))):
        with pytest.raises(ForbiddenWriteError):
            check_write(profile, write)


def test_an_unknown_profile_is_told_what_is_known():
    """A typing mistake in a profile's name is answered with the names."""
    with pytest.raises(UnknownProfileError, match="acrel-ddsy1352, acrel-dtsy1352"):
        load_profile("acrel-ddsy1325")


def test_all_mistakes_of_a_profile_are_told(tmp_path):
    """Each with its line, what was found and what is expected."""
    text = SMALL.replace("read_function = 3", "read_function = 5").replace('type = "u32"', 'type = "u64"')
    text = text.replace("values = [0]", "values = [70000]") + "\nbaud = 9600\n"

    with pytest.raises(MistakesError) as caught:
        profile_of(tmp_path, text)

    told = [(mistake.line, mistake.key) for mistake in caught.value.mistakes]
    lines = text.splitlines()
    assert [(lines[line - 1].split(" =")[0], key) for line, key in told] == [
        ("read_function", "read_function"),
        ("type", "point[0].type"),
        ("off", "switch.off.values"),
        ("baud", "switch.baud"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("max_read_registers = 10", "max_read_registers = 3", "block 0x0000 of at most max_read_registers"),
        ("address = 0\ntype", "address = 3\ntype", "register at 0x0003 inside a block"),
        ("supply_off = { address = 3, mask = 1, value = 0 }", "", "status.supply_off"),
        ("write_function = 16", "write_function = 6", None),
        ('key = "register"', 'key = "power"', 'a point with key = "register"'),
        ('key = "register"', 'key = "purchase_count"', "and `scale = 1` for `purchase_count`"),
        ("switchable = true", 'switchable = true\nforbidden = [{ first = 9, last = 9, why = "boom" }]', "boom"),
    ],
)
def test_parts_that_do_not_fit_together_are_mistakes(before, after, expected, tmp_path):
    """What each key alone cannot show is checked as well."""
    text = SMALL.replace(before, after)

    if expected is None:
        assert profile_of(tmp_path, text).write_function == 6
        return
    with pytest.raises(MistakesError, match=expected):
        profile_of(tmp_path, text)
