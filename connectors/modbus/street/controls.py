"""How kinds of meter are switched: the words that each takes for an order, where, and by which Modbus functions.

This is written down here a second time, from the public sources named in docs/simulator.md, and not taken from the
profiles: a mistake in a built-in profile then shows as a relay that does not move, instead of two halves that agree in
their error. A profile of a site's own has no second source, and is believed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from connectors.modbus.profile import Profile


class Order(Enum):
    """What a write asks of a meter. AUTOMATIC leaves forced control: the meter's own rules decide."""

    ON = 1
    OFF = 2
    AUTOMATIC = 3


@dataclass(frozen=True, slots=True)
class Control:
    """How a kind of meter is switched: the words it understands at one address, and the functions it takes them with."""

    address: int
    functions: frozenset[int]
    orders: Mapping[tuple[int, ...], Order]
    forces: bool = False

    @property
    def width(self) -> int:
        """Registers of an order; all orders of a meter are of one width."""
        return len(next(iter(self.orders)))

    @classmethod
    def of_profile(cls, profile: Profile) -> "Control | None":
        """The control that a profile claims: all we have for meters that are not in `CONTROLS`."""
        switch = profile.switch
        if switch is None:
            return None
        orders = {switch.on.values: Order.ON, switch.off.values: Order.OFF}
        if switch.automatic is not None:
            orders[switch.automatic.values] = Order.AUTOMATIC
        return cls(switch.on.address, frozenset({profile.write_function}), orders)


# Forced control of DDSY1352 and DTSY1352: 0x0057, two registers, function 16. Setup tool and open platform agree.
ACREL_CONTROL = Control(
    0x0057,
    frozenset({16}),
    {(1, 0): Order.ON, (1, 1): Order.OFF, (0, 0): Order.AUTOMATIC, (0, 1): Order.AUTOMATIC},
    forces=True,
)
CONTROLS = {
    "acrel-ddsy1352": ACREL_CONTROL,
    "acrel-dtsy1352": ACREL_CONTROL,
    "dds238-2-zn-sr": Control(0x001A, frozenset({16}), {(1,): Order.ON, (0,): Order.OFF}),  # refuses function 06
    "sfere-prepaid": Control(0x0B25, frozenset({16}), {(1,): Order.ON, (2,): Order.OFF}),
    "xintai-water": Control(0x001C, frozenset({6}), {(1,): Order.ON, (2,): Order.OFF}),
}
