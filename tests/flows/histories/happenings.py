"""What every happening is made from: chance, true time, and what has been before."""

import random
from typing import Any

from domain.facts import MeterInstalled
from domain.units import MINUTE_MS
from histories.documents import order_text

PLACES = (
    ("Asia/Shanghai", 1_764_979_200_000),
    ("Asia/Kolkata", 1_764_979_200_000),  # half an hour off
    ("Europe/London", 1_743_285_600_000),  # three hours before the day of 23 hours
    ("America/New_York", 1_762_045_200_000),  # … of 25 hours
    ("Australia/Lord_Howe", 1_743_850_800_000),  # clocks go back by half an hour
)
YUAN = 1_000_000


class Happenings:
    """Chance and memory of a street. `now` is true time; the machine's clock follows it by ticks."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.zone, start = self.random.choice(PLACES)
        self.start = self.now = start + self.random.randrange(4 * 60) * MINUTE_MS
        self.orders: list[Any] = []
        self.number = 0
        self.tariffs = self.random.choice([["one"], ["two"], ["one", "two"], ["one", "two", "water"]])
        self.accounts = [f"room-{n}" for n in range(self.random.randint(1, 3))]
        self.meters: dict[int, MeterInstalled] = {}
        self.registers: dict[int, int] = {}
        self.last: dict[int, tuple[int, int, int]] = {}
        self.bands: dict[int, list[int]] = {}
        self.doubted: list[tuple[int, str]] = []
        self.counted: dict[int, tuple[tuple[int, ...], list[int]]] = {}
        self.purchases: dict[int, int] = {}

    def _id(self) -> str:
        self.number += 1
        return order_text(self.now, self.number)

    def _kept(self, order: Any) -> Any:
        self.orders.append(order)
        return order
