"""How a bus is reached: the plain values that the site file states and the bus connects with."""

from dataclasses import dataclass
from typing import Literal

BusKind = Literal["tcp", "rtu-over-tcp", "serial"]
Parity = Literal["none", "even", "odd"]


@dataclass(frozen=True, slots=True)
class Wire:
    """One line to the meters, on which one request is under way at a time.

    `tcp`: a Modbus gateway, or meters with Ethernet. `rtu-over-tcp`: a transparent serial server. `serial`: a device of this
    machine. `timeout_ms` must be above the gateway's own, so that the gateway says which meter is silent.
    """

    name: str
    kind: BusKind
    host: str = ""
    port: int = 502
    device: str = ""
    baud: int = 9600
    parity: Parity = "none"
    timeout_ms: int = 1_500

    @property
    def place(self) -> str:
        """Where it is: two wires of one place are two masters on one line."""
        return self.device if self.kind == "serial" else f"{self.host}:{self.port}"
