"""Carrying out the orders of one bus: asked whether still wanted, written once, and read back before it counts as done.

Promises: nothing is written unless `uplink.still_wanted` said yes immediately before, when the line was ready for the write;
if it cannot be asked, or the order was withdrawn or expired meanwhile, nothing is written. SENT is in the outbox before the
write. VERIFIED is reported only after a read-back that shows the supply as wanted, or the control register as written where
the profile has no more to show. A write that was not answered is read back before it is sent again; one that was echoed is
never sent again, and FAILED when the supply has not moved in the profile's `settle_ms`. One that only allows a meter to close is
over when it is echoed. An order for a silent meter waits until that answers, or until its expiry.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic

from connectors.files.site import SiteMeter
from connectors.modbus.bus import AcknowledgedError, BusError, BusyError, LinkDownError, MayI, RefusedError
from connectors.modbus.counters import Collected
from connectors.modbus.orders import Order, Orders
from connectors.modbus.outbox import Outbox
from connectors.modbus.profile import Block, ForbiddenWriteError, UnreadableError, Write, switch_write
from connectors.modbus.reader import Reader, Reading
from connectors.modbus.silence import SilentMeters
from connectors.modbus.uplink import Clock, Uplink
from domain.effects import Command
from domain.facts import CommandReported
from domain.words import Stage, Supply

PAUSE_SECONDS_MAX = 60.0
FOREVER = float("inf")


class Switching:
    """The orders of a bus. `read` is told the reading that shows what became of a switch.

    `write` makes the line ready for a meter, asks for leave, and only then writes; it says whether it did.
    """

    def __init__(
        self,
        meters: dict[int, SiteMeter],
        reader: Reader,
        uplink: Uplink,
        outbox: Outbox,
        clock: Clock,
        counters: Collected,
        silent: SilentMeters,
        read: Callable[[Reading], None],
        write: Callable[[SiteMeter, Write, MayI], Awaitable[bool]],
    ) -> None:
        self.orders = Orders()
        self._meters = meters
        self._reader = reader
        self._uplink = uplink
        self._outbox = outbox
        self._clock = clock
        self._counters = counters
        self._silent = silent
        self._read = read
        self._write = write

    def next_due(self) -> float:
        """When the next order wants something done, on the monotonic clock."""
        return min((order.due_at for order in self.orders if self._is_reachable(order)), default=FOREVER)

    async def serve(self) -> None:
        """Write what is to be written, however late it comes in, and read back once what was due at the beginning.

        So a street of slow valves cannot keep the meters from being read. Raises LinkDownError when the bus has no
        connection; orders stay.
        """
        self._expire()
        begun = monotonic()
        while order := self._due(begun):
            await self._advance(order)

    def hasten(self, meter: int) -> None:
        """A silent meter answers again: whatever waits for it is due."""
        for order in self.orders:
            if order.command.meter == meter:
                order.due_at = monotonic()

    def _is_reachable(self, order: Order) -> bool:
        """A silent meter is not written to. One that was written to and then fell silent is asked, at growing distances."""
        return order.written_at is not None or order.command.meter not in self._silent

    def _is_settling(self, order: Order) -> bool:
        """Its own deadline ends it, in real time, which is slower than event time may be."""
        settle_ms = self._meters[order.command.meter].profile.settle_ms
        is_written = (
            order.written_at is not None and monotonic() < order.written_at + settle_ms / 1000 + PAUSE_SECONDS_MAX
        )
        return is_written and order.command.meter not in self._silent

    def _due(self, begun: float) -> Order | None:
        now = monotonic()
        due = [
            (order.written_at is not None, order.due_at, order.command.meter, order)
            for order in self.orders
            if order.due_at <= (now if order.written_at is None else begun) and self._is_reachable(order)
        ]
        return min(due)[-1] if due else None

    def _expire(self) -> None:
        now_ms = self._clock.now_ms()
        for order in self.orders:
            if now_ms >= order.command.expires_at and not self._is_settling(order):
                self._end(order, Stage.EXPIRED, "silent" if order.written_at is None else "sent, and silent since")

    async def _advance(self, order: Order) -> None:
        """One step of an order; whatever happens, it is later due again, or over."""
        meter = self._meters[order.command.meter]
        order.due_at = monotonic() + meter.profile.recheck_ms / 1000
        try:
            if order.written_at is None:
                await self._send(order, meter)
            else:
                await self._read_back(order, meter, order.written_at)
        except (ForbiddenWriteError, RefusedError) as error:
            self._end(order, Stage.FAILED, str(error))
        except (AcknowledgedError, BusyError) as error:
            self._counters.errors[error.kind] += 1
            self._put_off(order)
            self._give_up_when_late(order, meter, Supply.UNKNOWN, str(error))
        except UnreadableError as error:
            self._counters.errors["unreadable"] += 1
            self._give_up_when_late(order, meter, Supply.UNKNOWN, str(error))
        except LinkDownError:
            raise
        except BusError as error:
            self._silent.lost(meter, error)
            self._put_off(order)

    async def _send(self, order: Order, meter: SiteMeter) -> None:
        write = switch_write(meter.profile, order.command.wanted)
        try:
            if not await self._write(meter, write, lambda: self._may_send(order)):
                return
        except AcknowledgedError:
            if order.written_at is None:
                raise  # It answered the read that comes before the write.
            # Accepted, and takes longer: as good as an echo.
        except BusyError as error:
            if error.code == 0x06:
                order.written_at = None  # Busy: it was not done. 04 leaves that open, so it is read back first.
            raise
        order.echoed = True
        order.due_at = monotonic() + meter.profile.recheck_ms / 1000
        self._report(order.command, Stage.ACKNOWLEDGED)
        if order.command.button:
            self.orders.finish(order)  # The rest is a person's hand; a poll will show what it did.

    async def _may_send(self, order: Order) -> bool:
        """The last moment before the write. Connection and gap took their time: the tenant may have paid meanwhile."""
        if not await self._is_still_wanted(order) or order not in self.orders:
            return False
        if self._clock.now_ms() >= order.command.expires_at:
            self._end(order, Stage.EXPIRED, "the line was not ready in time")
            return False
        self._report(order.command, Stage.SENT)
        order.written_at = monotonic()
        return True

    async def _is_still_wanted(self, order: Order) -> bool:
        try:
            wanted = await self._uplink.still_wanted(order.command)
        except ConnectionError:
            self._counters.errors["uplink"] += 1
            self._put_off(order)
            return False
        if not wanted:
            self.orders.finish(order)
        return wanted

    async def _read_back(self, order: Order, meter: SiteMeter, written_at: float) -> None:
        wanted = order.command.wanted
        seen, reading = await self._seen(order, meter)
        self._silent.found(meter)
        if order not in self.orders:
            return
        if seen is wanted and wanted is not Supply.UNKNOWN:
            await self._report_reading(reading, meter)
            self._end(order, Stage.VERIFIED, seen=seen)
            return
        if monotonic() < written_at + meter.profile.settle_ms / 1000:
            return
        if reading is not None:
            self._read(reading)
        self._give_up_when_late(order, meter, seen, f"the supply did not move in {meter.profile.settle_ms} ms")

    async def _seen(self, order: Order, meter: SiteMeter) -> tuple[Supply, Reading | None]:
        """The supply as it is read back, and the reading that says so unless a control register does."""
        write, switch = switch_write(meter.profile, order.command.wanted), meter.profile.switch
        assert switch is not None, "switch_write refuses a meter without one"
        if switch.verify == "status":
            reading = await self._reader.reading(meter)
            return reading.sample.supply, reading
        values = await self._reader.registers(meter, Block(address=write.address, count=len(write.values)))
        said = Write(address=write.address, values=tuple(values))
        return {switch.on: Supply.ON, switch.off: Supply.OFF}.get(said, Supply.UNKNOWN), None

    async def _report_reading(self, reading: Reading | None, meter: SiteMeter) -> None:
        with suppress(UnreadableError):
            self._read(reading or await self._reader.reading(meter))

    def _give_up_when_late(self, order: Order, meter: SiteMeter, seen: Supply, detail: str) -> None:
        if order.written_at is None or monotonic() < order.written_at + meter.profile.settle_ms / 1000:
            return
        if order.echoed:
            self._end(order, Stage.FAILED, detail, seen)
        else:
            order.written_at = None  # Not answered and not done: it may be sent again.

    def _put_off(self, order: Order) -> None:
        order.tries += 1
        order.due_at = monotonic() + min(0.25 * 2 ** min(order.tries, 8), PAUSE_SECONDS_MAX)

    def _end(self, order: Order, stage: Stage, detail: str = "", seen: Supply = Supply.UNKNOWN) -> None:
        if order in self.orders:
            self.orders.finish(order)
            self._report(order.command, stage, detail, seen)

    def _report(self, command: Command, stage: Stage, detail: str = "", seen: Supply = Supply.UNKNOWN) -> None:
        self._counters.commands[stage] += 1
        self._outbox.put(
            CommandReported(
                at=self._clock.now_ms(), meter=command.meter, epoch=command.epoch, stage=stage, seen=seen, detail=detail
            )
        )
