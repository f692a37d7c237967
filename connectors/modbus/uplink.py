"""What the collector needs of the rest of Meterline: somewhere to report to, commands to carry out, and event time."""

from collections.abc import AsyncIterator
from typing import Protocol

from connectors.clock import Clock
from domain.effects import Command
from domain.facts import CommandReported, PurchasesCounted, ReadingBlock, ReadingRefused


class Uplink(Protocol):
    """The collector's side of the log. Any method raises ConnectionError when the other end cannot be reached, or refuses.

    A report may be made again when the first attempt raised, although it had arrived: the machine tells repeats.
    """

    async def report_readings(self, block: ReadingBlock) -> None:
        """Take in one round of readings."""

    async def report_refused(self, refused: ReadingRefused) -> None:
        """Take in an answer that says no reading: it is neither charged nor forgotten."""

    async def report_purchases(self, purchases: PurchasesCounted) -> None:
        """Take in what a meter's purchase counter shows."""

    async def report_command(self, report: CommandReported) -> None:
        """Take in how far a command has come."""

    def commands(self) -> AsyncIterator[Command]:
        """Open commands first, then each new one as it is decided; `WITHDRAWN` and other ends cancel one."""

    async def still_wanted(self, command: Command) -> bool:
        """Whether the machine still wants this, asked immediately before the write."""


__all__ = ["Clock", "Uplink"]
