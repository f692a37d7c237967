"""Callers and clocks: they pay, switch, push readings and tick without end, repeat what was not acknowledged, and count all of it."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Self

import httpx
import numpy as np
from installation import PUSHED, ROOMS, SHARDS, Installation

from connectors.redis.errors import StoreError
from connectors.redis.store import Store
from domain.facts import Fact, ReadingBlock, Ticked
from domain.ids import shard_of

ACKNOWLEDGED = frozenset({201, 202})
PUSH = "push"


class Traffic:
    """One thread. `sent` counts attempts by what was sent, `acknowledged` is what somebody was told is safe."""

    def __init__(self, installation: Installation, chance: random.Random) -> None:
        self._installation, self._chance = installation, chance
        self.sent: Counter[tuple[object, ...]] = Counter()
        self.acknowledged: Counter[tuple[object, ...]] = Counter()
        self.done = 0
        self._registers = dict.fromkeys(PUSHED.values(), 0)
        self._newest = installation.clock.now_ms()
        self._stop = threading.Event()
        self._store: Store | None = None
        self._orders: list[Callable[[], None]] = []
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._guarded, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def soon(self, work: Callable[[], None]) -> None:
        """Have the thread do something, in its turn."""
        self._orders.append(work)

    def _guarded(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - told to the one who waits
            self.failure = error

    def _run(self) -> None:
        kinds = [self._pays, self.pushes, self._ticks, self._switches]
        with self._installation.client() as client:
            self._client = client
            while not self._stop.is_set():
                work = self._orders.pop(0) if self._orders else self._chance.choices(kinds, [8, 8, 4, 1])[0]
                work()
                self.done += 1
        if self._store:
            self._store.close()

    def _pays(self) -> None:
        """A recharge."""
        account = self._chance.choice([*ROOMS, *PUSHED])
        self._order(f"/accounts/{account}/recharges", amount=f"0.{self._chance.randrange(1, 10):02d}", currency="CNY")

    def _switches(self) -> None:
        """A person forces the supply of a room, for longer than the clock is stepped by."""
        path = f"/meters/{self._chance.choice([*ROOMS.values()])}/commands"
        self._order(path, wanted=self._chance.choice(["on", "off"]), minutes=1_440, operator="li")

    def _order(self, path: str, **body: object) -> None:
        """An order over the API, sent again under its id until there is an answer."""
        order = self._installation.new_id()
        while not self._stop.is_set():
            self.sent["order", order] += 1
            with suppress(httpx.TransportError):
                answer = self._client.post(path, json={"id": order, **body})
                if answer.status_code in ACKNOWLEDGED:
                    self.acknowledged["order", order] += 1
                    return
                assert answer.status_code >= 500, f"{answer.status_code}: {answer.text}"
            self._stop.wait(0.05)

    def block(self, account: str, later_ms: int = 0) -> ReadingBlock:
        """The next reading of a pushed meter; no two have the same time."""
        meter = PUSHED[account]
        self._registers[meter] += self._chance.randrange(1, 60)
        self._newest = max(self._newest + 1, self._installation.clock.now_ms())
        return ReadingBlock(*(np.array([value]) for value in (meter, self._newest + later_ms, self._registers[meter])))

    def pushes(self) -> None:
        """A reading of a pushed meter."""
        account = self._chance.choice([*PUSHED])
        self.append(shard_of(account, SHARDS), self.block(account))

    def pushes_twice(self) -> None:
        """The same reading two times, each acknowledged."""
        account = self._chance.choice([*PUSHED])
        block = self.block(account)
        for _ in range(2):
            self.append(shard_of(account, SHARDS), block)

    def pushes_in_disorder(self) -> None:
        """Three readings of one meter, the newest first."""
        account = self._chance.choice([*PUSHED])
        blocks = [self.block(account) for _ in range(3)]
        for block in reversed(blocks):
            self.append(shard_of(account, SHARDS), block)

    def _ticks(self) -> None:
        at = self._installation.clock.now_ms()
        for shard in range(SHARDS):
            self.append(shard, Ticked(at=at))

    def append(self, shard: int, fact: Fact) -> None:
        """Append, and again until it is acknowledged."""
        name = said(shard, fact)
        while not self._stop.is_set():
            try:
                self._store = self._store or Store.open(self._installation.url)
                self.sent[name] += 1
                self._store.append(shard, fact)
            except StoreError:
                if self._store:
                    self._store.close()
                self._store = None
                self._stop.wait(0.02)
            else:
                self.acknowledged[name] += 1
                return


def said(shard: int, fact: object) -> tuple[object, ...] | None:
    """What a fact of the log is counted by; None for what others than the traffic have sent."""
    if isinstance(fact, ReadingBlock):
        meter = int(fact.meter[0])
        pushed = len(fact) == 1 and meter in PUSHED.values()
        return ("reading", meter, int(fact.time[0]), int(fact.register[0])) if pushed else None
    if isinstance(fact, Ticked):
        return ("tick", shard, fact.at)
    return None
