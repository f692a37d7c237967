"""Orders of one bus: the latest command of each meter, and how far we are with it. No I/O and no clock.

        take ──▶ waiting ──write──▶ settling ──read back as wanted──▶ done
                    ▲                   │  the meter echoed the write, and did not do it ──▶ failed
                    └───────────────────┘  the write was not answered, and was not done

A command replaces every earlier one of its meter. One that is withdrawn, or ended by anybody else, is forgotten at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.effects import Command
from domain.words import Stage

OPEN = frozenset({Stage.QUEUED, Stage.SENT, Stage.ACKNOWLEDGED})


@dataclass(slots=True, eq=False)
class Order:
    """A command under way. Times are seconds of a monotonic clock.

    `written_at`: when the write was sent that may still take effect; None before. `echoed`: the meter answered it.
    """

    command: Command
    due_at: float = 0.0
    written_at: float | None = None
    echoed: bool = False
    tries: int = 0


class Orders:
    """At most one order for each meter."""

    def __init__(self) -> None:
        self._orders: dict[int, Order] = {}
        self._epochs: dict[int, int] = {}

    def __iter__(self) -> Iterator[Order]:
        return iter(list(self._orders.values()))

    def __contains__(self, order: Order) -> bool:
        return self._orders.get(order.command.meter) is order

    def waits_for(self, meter: int) -> bool:
        """Whether there is an order for that meter."""
        return meter in self._orders

    def take(self, command: Command, now: float) -> None:
        """A command as the machine decided it. What is told twice, or after a later one, changes nothing.

        One that was already sent, by a collector that has ended, is read back before it is sent again.
        """
        known = self._epochs.get(command.meter, -1)
        if command.stage not in OPEN:
            if command.epoch >= known:
                self._epochs[command.meter] = command.epoch
                self._orders.pop(command.meter, None)
        elif command.epoch > known:
            self._epochs[command.meter] = command.epoch
            written_at = None if command.stage is Stage.QUEUED else now
            self._orders[command.meter] = Order(command, due_at=now, written_at=written_at)

    def finish(self, order: Order) -> None:
        """Forget an order, unless another has taken its place."""
        if order in self:
            del self._orders[order.command.meter]
