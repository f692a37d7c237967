import asyncio

import pytest
from practice_street import START_MS, HandClock, a_street, free_port

from connectors.modbus.street.door import ask, fault_setting
from domain.units import HOUR_MS


@pytest.mark.parametrize("door", ["port", "path"])
def test_the_control_door_shows_and_disturbs_the_street(tmp_path, door):
    """From another thread, as from another process: truth about relays and registers, faults, hands, and a freeze."""

    async def story():
        clock = HandClock()
        control = str(free_port()) if door == "port" else str(tmp_path / "door")
        async with a_street(clock).open(control):
            ask_ = lambda **setting: asyncio.to_thread(ask, control, **setting)  # noqa: E731 - shorter to read
            await ask_(do="turn", meter="101", on=False)
            await ask_(do="fault", meter="000000000102", fault="stuck")
            clock.ms += HOUR_MS
            frozen = await ask_(do="freeze")
            clock.ms += HOUR_MS
            return frozen, await ask_(do="relays"), await ask_(do="registers"), await ask_(do="faults")

    frozen, relays, registers, faults = asyncio.run(story())

    assert frozen == {"at": START_MS + HOUR_MS}
    assert relays["relays"] == {"000000000101": "off", "000000000102": "on"}
    assert registers["registers"] == {"000000000101": 10_000, "000000000102": 11_000}
    assert faults["faults"] == {"000000000102": {"stuck": 1}}


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"do": "explode"}, "expected one of fault, faults, relays"),
        ({"do": "fault", "fault": "gremlins"}, "expected one of silent, slow"),
        ({"do": "relays", "meter": "999"}, "not in this street"),
        ({"do": "relays", "colour": "red"}, "unknown field"),
    ],
)
def test_the_control_door_refuses_by_name(tmp_path, setting, reason):
    """A line that means nothing is answered with what was expected, and the door stays open."""

    async def story():
        control = str(tmp_path / "door")
        async with a_street(HandClock()).open(control):
            with pytest.raises(ValueError, match=reason):
                await asyncio.to_thread(ask, control, **setting)
            return await asyncio.to_thread(ask, control, do="faults")

    assert asyncio.run(story()) == {"faults": {}}


def test_a_fault_that_cannot_be_read_says_what_was_expected():
    """A mistyped fault option is refused before anything is served."""
    with pytest.raises(ValueError, match="expected METER:FAULT"):
        fault_setting("silent")
